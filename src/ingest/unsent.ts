/**
 * What a producer has packed and the stream is not known to have: batches, in order. Owns the sending of them, which goes on
 * at the same batch, with the same bytes, however often it had to be given up.
 */
import { sleep, type Clock } from '../core/clock.js';
import { GroundswellError } from '../core/errors.js';
import type { Log, LogEntry } from '../log/log.js';

export type SendOutcome =
  | {
      readonly outcome: 'sent';
      /** Log sequence of the first of the entries that went along. */
      readonly withSeq?: number;
    }
  | { readonly outcome: 'stale'; readonly cause: string };

interface Batch {
  readonly entries: LogEntry[];
  bytes: number;
  events: number;
  /** Opens with entries that go along: the first of them has the batch's first sequence. */
  readonly withExtras: boolean;
}

const ATTEMPTS_MAX = 30;
const RETRY_FIRST_MS = 50;
const RETRY_LONGEST_MS = 5_000;
const BATCH_BYTES_MAX = 4 * 1024 * 1024;

export class Unsent {
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #isRefusedForGood: () => Promise<boolean>;
  #batches: Batch[] = [];
  /** Events, and bytes of all that was sent. */
  eventsSent = 0;
  bytesSent = 0;

  /** @param isRefusedForGood asked when a batch was stale: a cluster says so too while an earlier attempt is under way */
  constructor(log: Log, clock: Clock, isRefusedForGood = (): Promise<boolean> => Promise.resolve(true)) {
    this.#log = log;
    this.#clock = clock;
    this.#isRefusedForGood = isRefusedForGood;
  }

  get empty(): boolean {
    return this.#batches.length === 0;
  }

  add(batches: readonly Batch[]): void {
    this.#batches.push(...batches);
  }

  /** @throws GroundswellError GS_LOG when the stream did not take a batch: it stays, and those behind it */
  async send(patienceMs: number): Promise<SendOutcome> {
    let sent: SendOutcome = { outcome: 'sent' };
    for (let batch = this.#batches[0]; batch !== undefined; batch = this.#batches[0]) {
      sent = await this.#append(batch, patienceMs);
      if (sent.outcome === 'stale') {
        this.#batches = [];
        return sent;
      }
      this.#batches.shift();
      this.eventsSent += batch.events;
      this.bytesSent += batch.bytes;
    }
    return sent;
  }

  /** Tries again as long as the stream may come back. Sending twice does no harm (P3). */
  async #append(batch: Batch, patienceMs: number): Promise<SendOutcome> {
    const startedMs = this.#clock.monotonic();
    for (let attempt = 1; ; attempt++) {
      const outcome = await this.#log.append(batch.entries);
      if (outcome.outcome === 'committed')
        return batch.withExtras ? { outcome: 'sent', withSeq: outcome.firstSeq } : { outcome: 'sent' };
      if (outcome.outcome === 'stale' && (await this.#isRefusedForGood())) return outcome;
      const final = outcome.outcome === 'refused' && !outcome.retry;
      if (final || attempt >= ATTEMPTS_MAX || this.#clock.monotonic() - startedMs >= patienceMs) {
        throw new GroundswellError('GS_LOG', `The stream did not take a batch of events: ${outcome.cause}.`);
      }
      await sleep(this.#clock, Math.min(RETRY_LONGEST_MS, RETRY_FIRST_MS * 2 ** (attempt - 1)));
    }
  }
}

/** What a batch is stored on: that this is the last message of a subject. */
export type Condition = Required<Pick<LogEntry, 'expectSubject' | 'expectLastSeq'>>;

/** Puts messages into batches that the log takes; with entries that must go along, into one. */
export class BatchBuilder {
  readonly #entriesMax: number;
  readonly #extras: readonly LogEntry[] | undefined;
  readonly #condition: Condition | undefined;
  readonly #batches: Batch[] = [];

  /** @param condition what each batch is stored on, when there are no entries that must go along */
  constructor(
    entriesMax: number,
    { extras, condition }: { extras?: readonly LogEntry[] | undefined; condition?: Condition | undefined },
  ) {
    this.#entriesMax = entriesMax;
    this.#extras = extras;
    this.#condition = extras === undefined ? condition : undefined;
    if (extras === undefined) return;
    this.#batches.push({ entries: [], bytes: 0, events: 0, withExtras: true });
    for (const entry of extras) this.add(entry, 0);
  }

  add(entry: LogEntry, events: number): void {
    let batch = this.#batches.at(-1);
    const bytes = entry.payload.byteLength;
    if (
      batch === undefined ||
      batch.bytes + bytes > BATCH_BYTES_MAX ||
      batch.entries.length >= this.#entriesMax
    ) {
      batch = { entries: [], bytes: 0, events: 0, withExtras: false };
      this.#batches.push(batch);
      entry = { ...entry, ...this.#condition };
    }
    batch.entries.push(entry);
    batch.bytes += bytes;
    batch.events += events;
  }

  /** @throws GroundswellError GS_INTERNAL when what must go along does not fit one batch with the rest */
  done(): readonly Batch[] {
    if (this.#extras !== undefined && this.#batches.length > 1) {
      throw new GroundswellError(
        'GS_INTERNAL',
        'Frames and what goes with them take more than one batch: fewer events must be taken at a time.',
      );
    }
    return this.#batches;
  }
}
