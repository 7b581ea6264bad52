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

interface Noted {
  readonly atMs: number;
  readonly inputSeq: number;
}

export class Retention {
  readonly #options: RetentionOptions;
  readonly #noted = new Map<number, Noted[]>();
  #nextMs = 0;

  constructor(options: RetentionOptions) {
    this.#options = options;
  }

  /**
   * Notes how far inputs are committed, and removes what has been behind for the whole history. Does nothing before
   * its time has come again. A failure is the caller's to report: nothing is lost by it.
   * @param committed log sequence of the last committed input, by partition
   */
  async tend(committed: ReadonlyMap<number, number>): Promise<void> {
    const { log, subjects, clock, historyMs, everyMs } = this.#options;
    const nowMs = clock.monotonic();
    if (nowMs < this.#nextMs) return;
    this.#nextMs = nowMs + everyMs;
    for (const [partition, inputSeq] of committed) {
      const noted = this.#noted.get(partition) ?? [];
      if (noted.at(-1)?.inputSeq !== inputSeq) noted.push({ atMs: nowMs, inputSeq });
      const old = noted.filter(({ atMs }) => atMs <= nowMs - historyMs);
      this.#noted.set(partition, noted.slice(old.length));
      const last = old.at(-1);
      if (last === undefined) continue;
      await log.purge(subjects.mail(partition), last.inputSeq + 1);
      // The last event frame stays: a producer that comes back reads in it how far it had come.
      const lastEvents = await log.last(subjects.events(partition));
      if (lastEvents !== undefined)
        await log.purge(subjects.events(partition), Math.min(lastEvents.seq, last.inputSeq + 1));
    }
  }
}
