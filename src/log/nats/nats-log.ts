/** The log on NATS JetStream: one stream. Batches go out by `batch.ts`, reads come in by `nats-reader.ts`. */
import type { JetStreamManager, MsgRequest, StreamInfo } from '@nats-io/jetstream';
import type { NatsConnection } from 'nats';
import { sleep, systemClock, type Clock } from '../../core/clock.js';
import { GroundswellError, messageOf } from '../../core/errors.js';
import type { AppendOutcome, Log, LogEntry, LogMessage, LogReader } from '../log.js';
import type { Gauge, StreamLoad } from '../gauge.js';
import { apiFailureOf } from './api-error.js';
import { publishBatch } from './batch.js';
import { ConnectionWatch, LOST } from './connection-watch.js';
import { NatsReader } from './nats-reader.js';
import { bytesMaxOf } from './streams.js';

export interface NatsLogOptions {
  readonly stream: string;
  /** A name that no two processes share: part of the names of batches. */
  readonly writer: string;
  /** How long to wait for the answer to a batch, ms. */
  readonly ackTimeoutMs?: number;
  /** Frames are cut to this, or to the server's max_payload if that is less. */
  readonly payloadBytesMax?: number;
  readonly clock?: Clock;
}

/** Room for headers within max_payload. */
const HEADER_BYTES = 1_024;
const ACK_TIMEOUT_MS = 10_000;
/** A question is put again for so long when the server is away, or cannot answer yet. */
const ASK_TIMEOUT_MS = 20_000;
const ASK_AGAIN_MS = 250;

export class NatsLog implements Log, Gauge {
  readonly payloadBytesMax: number;
  readonly batchEntriesMax = 1_000;
  readonly #connection: NatsConnection;
  readonly #watch: ConnectionWatch;
  readonly #jsm: JetStreamManager;
  readonly #options: NatsLogOptions;
  readonly #clock: Clock;
  #batches = 0;

  constructor(connection: NatsConnection, jsm: JetStreamManager, options: NatsLogOptions) {
    this.#connection = connection;
    this.#watch = ConnectionWatch.of(connection);
    this.#jsm = jsm;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    const serverMax = (connection.info?.max_payload ?? 1024 * 1024) - HEADER_BYTES;
    this.payloadBytesMax = Math.min(options.payloadBytesMax ?? 1024 * 1024 - HEADER_BYTES, serverMax);
  }

  async append(entries: readonly LogEntry[]): Promise<AppendOutcome> {
    if (entries.length === 0 || entries.length > this.batchEntriesMax) {
      const cause = `a batch has 1 to ${this.batchEntriesMax} messages, not ${entries.length}`;
      return { outcome: 'refused', cause, retry: false };
    }
    const large = entries.find(({ payload }) => payload.byteLength > this.payloadBytesMax);
    if (large !== undefined) {
      const cause = `maximum payload exceeded: ${large.payload.byteLength} bytes on ${large.subject}`;
      return { outcome: 'refused', cause, retry: false };
    }
    const timeoutMs = this.#options.ackTimeoutMs ?? ACK_TIMEOUT_MS;
    if (!this.#watch.connected && !(await this.#watch.whenConnected(this.#clock, timeoutMs))) {
      const cause = this.#watch.closed ? 'the connection is closed' : 'no connection to nats-server';
      return { outcome: 'refused', cause, retry: !this.#watch.closed };
    }
    // The server takes ids of up to 64 characters, and keeps those of each stream apart.
    const id = `${this.#options.writer}-${++this.#batches}`;
    const outcome = await this.#watch.untilLost(publishBatch(this.#connection, id, entries, timeoutMs));
    // No answer to this batch can come over another connection.
    return outcome === LOST
      ? { outcome: 'unknown', cause: 'the connection to nats-server was lost' }
      : outcome;
  }

  async read(subject: string, fromSeq: number, wake: () => void): Promise<LogReader> {
    const { stream } = this.#options;
    return NatsReader.open(
      { connection: this.#connection, jsm: this.#jsm, clock: this.#clock, stream, subject, fromSeq },
      wake,
    );
  }

  last(subject: string): Promise<LogMessage | undefined> {
    return this.#message({ last_by_subj: subject }, `The last message of ${subject}`);
  }

  next(subject: string, fromSeq: number): Promise<LogMessage | undefined> {
    const query = { seq: Math.max(1, fromSeq), next_by_subj: subject };
    return this.#message(query, `The message of ${subject} at or after ${fromSeq}`);
  }

  async purge(subject: string, belowSeq: number): Promise<void> {
    // Sequence 0 would mean all of them to the server.
    if (belowSeq <= 1) return;
    const { stream } = this.#options;
    await this.#ask(`${subject} could not be purged`, () =>
      this.#jsm.streams.purge(stream, { filter: subject, seq: belowSeq }),
    );
  }

  async lastSeq(): Promise<number> {
    const { stream } = this.#options;
    const { state } = await this.#ask(`The state of ${stream} could not be read`, () =>
      this.#jsm.streams.info(stream),
    );
    return state.last_seq;
  }

  async load(pattern: string): Promise<StreamLoad> {
    const { stream } = this.#options;
    const what = `How full ${stream} is could not be asked`;
    if (!this.#watch.connected)
      throw new GroundswellError('GS_LOG', `${what}: no connection to nats-server.`);
    try {
      const info = await this.#watch.untilLost(this.#jsm.streams.info(stream, { subjects_filter: pattern }));
      if (info === LOST) throw new Error('the connection to nats-server was lost');
      return loadOf(info);
    } catch (error) {
      throw new GroundswellError('GS_LOG', `${what}: ${messageOf(error)}.`, { cause: error });
    }
  }

  /** Through the stream's leader: a direct get from a follower may not see the last acknowledged append. */
  async #message(query: MsgRequest, what: string): Promise<LogMessage | undefined> {
    const message = await this.#ask(`${what} could not be read`, () =>
      this.#jsm.streams.getMessage(this.#options.stream, query).catch((error: unknown) => {
        if (apiFailureOf(error) === 'no-message') return null;
        throw error;
      }),
    );
    return message === null
      ? undefined
      : { subject: message.subject, seq: message.seq, payload: message.data };
  }

  /** Puts a question that does no harm when it is put twice, until there is an answer. */
  async #ask<T>(what: string, question: () => Promise<T>): Promise<T> {
    const clock = this.#clock;
    const deadlineMs = clock.monotonic() + ASK_TIMEOUT_MS;
    let cause: unknown = new Error('no connection to nats-server');
    do {
      const leftMs = deadlineMs - clock.monotonic();
      if (!this.#watch.connected && !(await this.#watch.whenConnected(clock, leftMs))) break;
      try {
        const answer = await this.#watch.untilLost(question());
        if (answer !== LOST) return answer;
      } catch (error) {
        cause = error;
        if (apiFailureOf(error) !== 'passing') break;
        await sleep(clock, ASK_AGAIN_MS);
      }
    } while (clock.monotonic() < deadlineMs);
    const code = apiFailureOf(cause) === 'no-stream' ? 'GS_STREAM_LOST' : 'GS_LOG';
    throw new GroundswellError(code, `${what}: ${messageOf(cause)}.`, { cause });
  }
}

function loadOf(info: StreamInfo & { readonly ts?: string }): StreamLoad {
  const { state, config, ts } = info;
  const atMs = ts === undefined ? Number.NaN : Date.parse(ts);
  return {
    messages: state.messages,
    bytes: state.bytes,
    bytesMax: bytesMaxOf(config),
    present: Object.keys(state.subjects ?? {}),
    atMs: Number.isNaN(atMs) ? undefined : atMs,
  };
}
