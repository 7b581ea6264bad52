/**
 * Leases in a key-value bucket of NATS (`lease-bucket.ts`). A write is a raw publish, for the client library's bucket takes
 * no time to live with an update: it carries how long the value lives and, on demand, which sequence it replaces. Where a
 * lease was given up or has run out lies a message without a payload.
 *
 * Source: NATS ADR-8 (key-value), ADR-43 (per-message time to live and markers).
 */
import type { JetStreamManager } from '@nats-io/jetstream';
import { headers, type NatsConnection } from 'nats';
import { systemClock, type Clock } from '../../core/clock.js';
import { GroundswellError, messageOf } from '../../core/errors.js';
import type { Lease, LeaseChange, LeaseOutcome, Leases, LeaseWrite } from '../leases.js';
import type { LogMessage, LogReader } from '../log.js';
import { ConnectionWatch, LOST } from './connection-watch.js';
import { bucketStream, bucketSubject, MARKER_MS } from './lease-bucket.js';
import { NatsLog } from './nats-log.js';

export interface NatsLeasesOptions {
  readonly bucket: string;
  /** How long to wait for the answer to a write, ms. */
  readonly writeTimeoutMs?: number;
  readonly clock?: Clock;
}

interface PublishReply {
  readonly seq?: number;
  readonly error?: { readonly err_code?: number; readonly description?: string };
}

const WRITE_TIMEOUT_MS = 1_000;
/** JetStream error codes: a wrong last sequence, per subject, and its variants. */
const STALE_CODES = new Set([10071, 10164]);
const TAKE_BYTES = 1024 * 1024;
const NOTHING = new Uint8Array();

export class NatsLeases implements Leases {
  readonly #connection: NatsConnection;
  readonly #watch: ConnectionWatch;
  readonly #bucket: string;
  readonly #writeTimeoutMs: number;
  /** The bucket's stream, to read. */
  readonly #log: NatsLog;

  constructor(connection: NatsConnection, jsm: JetStreamManager, options: NatsLeasesOptions) {
    const { bucket, writeTimeoutMs = WRITE_TIMEOUT_MS, clock = systemClock } = options;
    this.#connection = connection;
    this.#watch = ConnectionWatch.of(connection);
    this.#bucket = bucket;
    this.#writeTimeoutMs = writeTimeoutMs;
    this.#log = new NatsLog(connection, jsm, { stream: bucketStream(bucket), writer: 'leases', clock });
  }

  async write(write: LeaseWrite): Promise<LeaseOutcome> {
    try {
      const outcome = await this.#publish(write);
      if (outcome.outcome !== 'stale' || write.expectSeq !== 0) return outcome;
      // The marker of an earlier lease is in the way of a new one.
      const last = await this.#log.last(bucketSubject(this.#bucket, write.name));
      if (last === undefined || !isMarker(last)) return outcome;
      return await this.#publish({ ...write, expectSeq: last.seq });
    } catch (error) {
      return { outcome: 'unknown', cause: messageOf(error) };
    }
  }

  async remove(name: string): Promise<void> {
    const marker = { 'KV-Operation': 'DEL', 'Nats-TTL': ttlOf(MARKER_MS) };
    let outcome: LeaseOutcome;
    try {
      outcome = await this.#request(name, NOTHING, marker);
    } catch (error) {
      outcome = { outcome: 'unknown', cause: messageOf(error) };
    }
    if (outcome.outcome === 'written') return;
    const cause = outcome.outcome === 'unknown' ? outcome.cause : outcome.outcome;
    throw new GroundswellError('GS_LOG', `The lease ${name} could not be given up: ${cause}.`);
  }

  /** Message by message through the stream's leader: a follower may not have the last ones yet. */
  async list(): Promise<Lease[]> {
    const leases = new Map<string, Lease>();
    const all = bucketSubject(this.#bucket, '>');
    for (let seq = 1; ;) {
      const message = await this.#log.next(all, seq);
      if (message === undefined) return [...leases.values()];
      const lease = this.#leaseOf(message);
      if (isMarker(message)) leases.delete(lease.name);
      else leases.set(lease.name, lease);
      seq = message.seq + 1;
    }
  }

  async watch(
    onChange: (change: LeaseChange) => void,
    onFailure?: (error: Error) => void,
  ): Promise<{ close(): Promise<void> }> {
    const reading: { reader?: LogReader } = {};
    let closed = false;
    const known = new Set<string>();
    const tell = (message: LogMessage): void => {
      const lease = this.#leaseOf(message);
      if (!isMarker(message)) {
        known.add(lease.name);
        onChange({ kind: 'written', lease });
      } else if (known.delete(lease.name)) {
        onChange({ kind: 'gone', name: lease.name });
      }
    };
    const wake = (): void => {
      const { reader } = reading;
      while (reader !== undefined && !closed) {
        const messages = reader.take(TAKE_BYTES);
        for (const message of messages) if (!closed) tell(message);
        if (messages.length > 0) continue;
        if (reader.failure === undefined) return;
        closed = true;
        onFailure?.(reader.failure);
      }
    };
    const reader = await this.#log.read(bucketSubject(this.#bucket, '>'), 1, wake);
    reading.reader = reader;
    // What came while it was opened.
    wake();
    return {
      close: async () => {
        closed = true;
        await reader.close();
      },
    };
  }

  async #publish({ name, value, ttlMs, expectSeq }: LeaseWrite): Promise<LeaseOutcome> {
    return this.#request(name, value, {
      'Nats-TTL': ttlOf(ttlMs),
      ...(expectSeq === undefined ? {} : { 'Nats-Expected-Last-Subject-Sequence': String(expectSeq) }),
    });
  }

  async #request(
    name: string,
    value: Uint8Array,
    fields: Readonly<Record<string, string>>,
  ): Promise<LeaseOutcome> {
    if (!this.#watch.connected) return { outcome: 'unknown', cause: 'no connection to nats-server' };
    const h = headers();
    for (const [key, text] of Object.entries(fields)) h.set(key, text);
    const answer = await this.#watch.untilLost(
      this.#connection.request(bucketSubject(this.#bucket, name), value, {
        headers: h,
        timeout: this.#writeTimeoutMs,
      }),
    );
    if (answer === LOST) return { outcome: 'unknown', cause: 'the connection to nats-server was lost' };
    const { seq, error } = answer.json<PublishReply>();
    if (error === undefined && seq !== undefined) return { outcome: 'written', seq };
    const code = error?.err_code ?? 0;
    if (STALE_CODES.has(code)) return { outcome: 'stale' };
    return { outcome: 'unknown', cause: `${error?.description ?? 'no sequence in the answer'} (${code})` };
  }

  #leaseOf({ subject, seq, payload }: LogMessage): Lease {
    return { name: subject.slice(bucketSubject(this.#bucket, '').length), seq, value: payload };
  }
}

/** Values are never empty; the messages that stand for one that is gone always are. */
function isMarker({ payload }: LogMessage): boolean {
  return payload.byteLength === 0;
}

/** The server counts in whole seconds. */
function ttlOf(ms: number): string {
  return `${Math.max(1, Math.ceil(ms / 1_000))}s`;
}
