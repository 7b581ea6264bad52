/**
 * Lets go of inputs that nobody can need any more: those that are behind the journal and older than the configured
 * history. By sequence, never by age alone: an input that is not committed is never removed, however old. Journals stay
 * until a base snapshot covers them.
 */
import type { Clock } from '../core/clock.js';
import type { Log } from '../log/log.js';
import type { Subjects } from '../log/subjects.js';

export interface RetentionOptions {
  readonly log: Log;
  readonly subjects: Subjects;
  readonly clock: Clock;
  /** How long inputs stay after they were committed, ms. */
  readonly historyMs: number;
  /** How often positions are noted and inputs removed, ms. */
  readonly everyMs: number;
}

/** How far something had come at which time, by partition: tells what is old enough to go. */
export class Positions {
  readonly #clock: Clock;
  readonly #keepMs: number;
  readonly #noted = new Map<number, { readonly atMs: number; readonly seq: number }[]>();

  constructor(clock: Clock, keepMs: number) {
    this.#clock = clock;
    this.#keepMs = keepMs;
  }

  /** Notes a position; gives the last one that is older than what is kept, once. */
  note(partition: number, seq: number): number | undefined {
    const nowMs = this.#clock.monotonic();
    const noted = this.#noted.get(partition) ?? [];
    if (noted.at(-1)?.seq !== seq) noted.push({ atMs: nowMs, seq });
    const old = noted.filter(({ atMs }) => atMs <= nowMs - this.#keepMs);
    this.#noted.set(partition, noted.slice(old.length));
    return old.at(-1)?.seq;
  }
}

export class Retention {
  readonly #options: RetentionOptions;
  readonly #positions: Positions;
  #nextMs = 0;

  constructor(options: RetentionOptions) {
    this.#options = options;
    this.#positions = new Positions(options.clock, options.historyMs);
  }

  /**
   * Notes how far inputs are committed, and removes what has been behind for the whole history. Does nothing before
   * its time has come again. A failure is the caller's to report: nothing is lost by it.
   * @param committed log sequence of the last committed input, by partition
   */
  async tend(committed: ReadonlyMap<number, number>): Promise<void> {
    const { log, subjects, clock, everyMs } = this.#options;
    const nowMs = clock.monotonic();
    if (nowMs < this.#nextMs) return;
    this.#nextMs = nowMs + everyMs;
    for (const [partition, inputSeq] of committed) {
      const old = this.#positions.note(partition, inputSeq);
      if (old === undefined) continue;
      await log.purge(subjects.mail(partition), old + 1);
      // The last event frame stays: a producer that comes back reads in it how far it had come.
      const lastEvents = await log.last(subjects.events(partition));
      if (lastEvents !== undefined)
        await log.purge(subjects.events(partition), Math.min(lastEvents.seq, old + 1));
    }
  }
}
