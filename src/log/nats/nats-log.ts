/** The log on NATS JetStream: one stream. Batches go out by `batch.ts`, reads come in by `nats-reader.ts`. */
import { jetstream, type JetStreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from 'nats';
import { GroundswellError, messageOf } from '../../core/errors.js';
import type { AppendOutcome, Log, LogEntry, LogMessage, LogReader } from '../log.js';
import { publishBatch } from './batch.js';
import { NatsReader } from './nats-reader.js';

export interface NatsLogOptions {
  readonly stream: string;
  /** A name that no two processes share: part of the names of batches. */
  readonly writer: string;
  /** How long to wait for the answer to a batch, ms. */
  readonly ackTimeoutMs?: number;
  /** Frames are cut to this, or to the server's max_payload if that is less. */
  readonly payloadBytesMax?: number;
}

/** Room for headers within max_payload. */
const HEADER_BYTES = 1_024;
/** A server that syncs a lot of data at once may take its time to answer. */
const API_TIMEOUT_MS = 20_000;
const NOT_FOUND = 10037;

export class NatsLog implements Log {
  readonly payloadBytesMax: number;
  readonly batchEntriesMax = 1_000;
  readonly #connection: NatsConnection;
  readonly #jsm: JetStreamManager;
  readonly #options: NatsLogOptions;
  #batches = 0;

  constructor(connection: NatsConnection, jsm: JetStreamManager, options: NatsLogOptions) {
    this.#connection = connection;
    this.#jsm = jsm;
    this.#options = options;
    const serverMax = (connection.info?.max_payload ?? 1024 * 1024) - HEADER_BYTES;
    this.payloadBytesMax = Math.min(options.payloadBytesMax ?? 1024 * 1024 - HEADER_BYTES, serverMax);
  }

  append(entries: readonly LogEntry[]): Promise<AppendOutcome> {
    if (entries.length === 0 || entries.length > this.batchEntriesMax) {
      const cause = `a batch has 1 to ${this.batchEntriesMax} messages, not ${entries.length}`;
      return Promise.resolve({ outcome: 'refused', cause, retry: false });
    }
    const large = entries.find(({ payload }) => payload.byteLength > this.payloadBytesMax);
    if (large !== undefined) {
      const cause = `maximum payload exceeded: ${large.payload.byteLength} bytes on ${large.subject}`;
      return Promise.resolve({ outcome: 'refused', cause, retry: false });
    }
    // The server takes ids of up to 64 characters, and keeps those of each stream apart.
    const id = `${this.#options.writer}-${++this.#batches}`;
    return publishBatch(this.#connection, id, entries, this.#options.ackTimeoutMs ?? 10_000);
  }

  async read(subject: string, fromSeq: number, wake: () => void): Promise<LogReader> {
    try {
      const consumers = jetstream(this.#connection, { timeout: API_TIMEOUT_MS }).consumers;
      const consumer = await consumers.get(this.#options.stream, {
        filter_subjects: [subject],
        opt_start_seq: Math.max(1, fromSeq),
      });
      return await NatsReader.start(consumer, wake);
    } catch (error) {
      throw new GroundswellError('GS_LOG', `${subject} could not be read: ${messageOf(error)}.`, {
        cause: error,
      });
    }
  }

  async last(subject: string): Promise<LogMessage | undefined> {
    try {
      // Through the stream's leader: a direct get from a follower may not see the last acknowledged append.
      const message = await this.#jsm.streams.getMessage(this.#options.stream, { last_by_subj: subject });
      return message === null
        ? undefined
        : { subject: message.subject, seq: message.seq, payload: message.data };
    } catch (error) {
      if ((error as { code?: number }).code === NOT_FOUND) return undefined;
      throw new GroundswellError('GS_LOG', `The last message of ${subject} could not be read.`, {
        cause: error,
      });
    }
  }

  async purge(subject: string, belowSeq: number): Promise<void> {
    // Sequence 0 would mean all of them to the server.
    if (belowSeq > 1) await this.#jsm.streams.purge(this.#options.stream, { filter: subject, seq: belowSeq });
  }

  async lastSeq(): Promise<number> {
    return (await this.#jsm.streams.info(this.#options.stream)).state.last_seq;
  }
}
