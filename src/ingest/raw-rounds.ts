/**
 * The rounds of a pump that works: some raw messages become frames, and the cursor moves behind them, in one atomic batch.
 * Owns the order of that and the bound of a round (P8). It ends at the first batch that finds another's cursor, or whose
 * fate is unknown: then somebody begins again from the cursor in the stream, which tells what is true (P6).
 */
import type { Clock } from '../core/clock.js';
import { GroundswellError } from '../core/errors.js';
import type { Gauge } from '../log/gauge.js';
import type { Log, LogEntry, LogMessage, LogReader } from '../log/log.js';
import type { Subjects } from '../log/subjects.js';
import type { RefusedEvent } from '../partition/frame.js';
import type { EventChecker } from './check.js';
import { LiveWatermark } from './live-watermark.js';
import { Producer } from './producer.js';
import { encodeCursor, findCursor, type FoundCursor, type RawCursor } from './raw-cursor.js';
import { checkRaw, refusedRaw } from './raw-event.js';
import type { Routes } from './routes.js';

export interface RoundOptions {
  /** The engine's stream: frames and cursor. */
  readonly log: Log;
  /** The stream of raw events. */
  readonly raw: Log;
  /** How full the engine's stream is: with it, raw events wait in their own stream while the region is overloaded. */
  readonly gauge?: Gauge;
  readonly subjects: Subjects;
  readonly routes: Routes;
  readonly checker: EventChecker;
  readonly clock: Clock;
  readonly partitions: number;
  readonly outOfOrderBoundMs: number;
  readonly frameEvents: number;
  /** A name that no two processes share. */
  readonly writer: string;
  readonly roundMessagesMax: number;
  readonly roundBytesMax: number;
  readonly watermarkEveryMs: number;
  readonly quietMs: number;
  readonly patienceMs: number;
}

export type Turn =
  /** The cursor has moved, or said that it is there. */
  | {
      readonly outcome: 'moved';
      readonly taken: number;
      readonly refused: readonly RefusedEvent[];
      readonly missing: number;
      /** There may be more at once. */
      readonly full: boolean;
    }
  /** Nothing to do for so long, if nothing comes. */
  | { readonly outcome: 'idle'; readonly dueInMs: number }
  /** The cursor is not where this pump left it: `by` is who wrote it. */
  | { readonly outcome: 'fenced'; readonly by: string };

/** The pump's id as a producer: one for the region, for the cursor lets only one work. */
const PRODUCER_ID = 'ingest';

export class RawRounds {
  readonly #options: RoundOptions;
  readonly #nextRound: () => number;
  readonly #producer: Producer;
  readonly #reader: LogReader;
  readonly #watermark: LiveWatermark;
  #found: FoundCursor;
  #waiting: LogMessage[] = [];
  #toldAtMs: number;
  #toldMs: number | undefined;
  /** Where the stream of raw events ended at the last look. */
  #lastSeq: number;

  /** @param nextRound numbers rounds, of this process each one once */
  static async open(options: RoundOptions, nextRound: () => number, wake: () => void): Promise<RawRounds> {
    const { log, raw, subjects, partitions } = options;
    const found = await findCursor(log, subjects.ingestCursor, partitions);
    const { seq } = found.cursor;
    const lastSeq = await raw.lastSeq();
    if (lastSeq < seq) {
      throw new GroundswellError(
        'GS_STREAM_LOST',
        `Raw events were taken up to ${seq}, but ${subjects.ingestStream} ends at ${lastSeq}: it is not the stream that it was.`,
        {
          remedy: `Restore the stream, or purge ${subjects.ingestCursor} from ${subjects.engineStream} to take the new one from its beginning.`,
        },
      );
    }
    const reader = await raw.read(subjects.ingestSubjects, seq + 1, wake);
    return new RawRounds(options, nextRound, found, reader, lastSeq);
  }

  private constructor(
    options: RoundOptions,
    nextRound: () => number,
    found: FoundCursor,
    reader: LogReader,
    lastSeq: number,
  ) {
    this.#options = options;
    this.#nextRound = nextRound;
    this.#found = found;
    this.#reader = reader;
    this.#lastSeq = lastSeq;
    this.#producer = new Producer({ ...options, id: PRODUCER_ID, mode: 'live' });
    this.#producer.continueAt(found.cursor.lanes);
    this.#watermark = new LiveWatermark({ ...options, mode: 'live' });
    this.#toldAtMs = options.clock.monotonic();
  }

  /** Raw messages behind the cursor, as of the last look at the stream. */
  get lag(): number {
    return Math.max(0, this.#lastSeq - this.#found.cursor.seq);
  }

  /** Removes what is behind the cursor: older cursors, and raw messages that were taken. */
  async tidy(): Promise<void> {
    const { log, raw, subjects } = this.#options;
    const { at, cursor } = this.#found;
    await log.purge(subjects.ingestCursor, at);
    await raw.purge(subjects.ingestSubjects, cursor.seq + 1);
  }

  close(): Promise<void> {
    return this.#reader.close();
  }

  /** One round, if there is anything to take or to tell. */
  async turn(): Promise<Turn> {
    const { clock, raw, watermarkEveryMs } = this.#options;
    if (this.#reader.failure !== undefined) throw this.#reader.failure;
    const overload = await this.#producer.look();
    const messages = overload === undefined ? this.#takeRound() : [];
    const dueInMs = Math.min(
      this.#toldAtMs + watermarkEveryMs - clock.monotonic(),
      this.#watermark.paneInMs(this.#toldMs),
    );
    if (messages.length === 0 && dueInMs > 0) return { outcome: 'idle', dueInMs };
    const { cursor } = this.#found;
    const throughSeq = messages.at(-1)?.seq ?? cursor.seq;
    const refused: RefusedEvent[] = [];
    for (const message of messages) this.#take(message, refused);
    const taken = messages.length - refused.length;
    if (taken > 0) this.#watermark.heard();
    const toAll = dueInMs <= 0;
    if (toAll) {
      this.#toldAtMs = clock.monotonic();
      // Asked of the stream, not of the reader: after a break messages may be under way that the reader knows nothing of.
      this.#lastSeq = await raw.lastSeq();
    }
    const waiting = !toAll || this.#lastSeq > throughSeq;
    const watermarkMs = this.#watermark.after(this.#producer, waiting);
    if (messages.length === 0 && watermarkMs === undefined)
      return { outcome: 'idle', dueInMs: watermarkEveryMs };
    // What could not be told yet, for older events wait, is tried again in a while and not at once.
    if (toAll) this.#toldMs = Math.max(watermarkMs ?? 0, clock.now() - this.#options.outOfOrderBoundMs);
    const next: RawCursor = {
      seq: throughSeq,
      lanes: this.#producer.positions,
      writer: this.#options.writer,
      round: this.#nextRound(),
    };
    const by = await this.#commit(next, watermarkMs, toAll && watermarkMs !== undefined);
    if (by !== undefined) return { outcome: 'fenced', by };
    const full = this.#waiting.length > 0 || messages.length === this.#options.roundMessagesMax;
    const missing = Math.max(0, throughSeq - cursor.seq - messages.length);
    return { outcome: 'moved', taken, refused, missing, full };
  }

  #takeRound(): LogMessage[] {
    const { roundMessagesMax, roundBytesMax } = this.#options;
    if (this.#waiting.length === 0) this.#waiting = this.#reader.take(roundBytesMax);
    return this.#waiting.splice(0, roundMessagesMax);
  }

  #take(message: LogMessage, refused: RefusedEvent[]): void {
    const verdict = checkRaw(message, this.#options.checker);
    if (verdict.outcome === 'accepted' && this.#producer.offer(verdict.event)) return;
    const refusal =
      verdict.outcome === 'refused'
        ? verdict.event
        : refusedRaw(message, verdict.event.type, 'unneeded', `no behaviour receives ${verdict.event.type}`);
    this.#producer.refuse(refusal);
    refused.push(refusal);
  }

  /** Frames and cursor, together or not at all. Gives who has the cursor when it was not where it should be. */
  async #commit(
    next: RawCursor,
    watermarkMs: number | undefined,
    toAll: boolean,
  ): Promise<string | undefined> {
    const { log, subjects, partitions, patienceMs } = this.#options;
    const subject = subjects.ingestCursor;
    const entry: LogEntry = { subject, payload: encodeCursor(next), expectLastSeq: this.#found.at };
    const sent = await this.#producer.flush({
      watermarkMs: watermarkMs ?? 0,
      toAll,
      with: [entry],
      patienceMs,
    });
    if (sent.outcome === 'sent') {
      this.#found = { cursor: next, at: sent.withSeq! };
      return undefined;
    }
    // Ours after all, when the answer to an earlier attempt was lost (P6).
    this.#found = await findCursor(log, subject, partitions);
    const { writer, round } = this.#found.cursor;
    return writer === next.writer && round === next.round ? undefined : writer;
  }
}
