/**
 * One watch over the operations of many partitions: a watch costs as much as thousands of events, and a turn has work for
 * every partition. Owns who goes under which watch; what a watch is is `handler-guard`'s, what becomes of a partition
 * whose operations were broken off is its own.
 */
import type { Clock } from '../core/clock.js';
import type { HandlerGuard } from '../partition/handler-guard.js';
import type { Partition } from '../partition/partition.js';

export interface TurnWatch {
  readonly guard: HandlerGuard | undefined;
  readonly clock: Clock;
  /** How long all that is under one watch may take, ms. */
  readonly limitMs: number;
}

/** Of the limit: after so much the next partition comes under a watch of its own. */
const SHARE = 0.1;

export interface Work<T> {
  /** Operations on its partition, and nothing else that could be left half done. Throws what is no call's failure. */
  work(one: T, index: number): void;
  /** Its work was broken off: `one.partition.brokenOff`, and what follows from it. */
  brokenOff(one: T, error: unknown): void;
}

/** Does the work of each partition, in order. */
export function underOneWatch<T extends { readonly partition: Partition }>(
  { guard, clock, limitMs }: TurnWatch,
  owned: readonly T[],
  each: Work<T>,
): void {
  let next = 0;
  while (next < owned.length) {
    const first = owned[next]!;
    if (guard === undefined || first.partition.watchesEach) {
      each.work(first, next++);
      continue;
    }
    const untilMs = clock.monotonic() + limitMs * SHARE;
    try {
      guard.run(limitMs, () => {
        do {
          const index = next;
          const one = owned[index]!;
          one.partition.watchedByCaller(() => {
            each.work(one, index);
          });
          next++;
        } while (next < owned.length && !owned[next]!.partition.watchesEach && clock.monotonic() < untilMs);
      });
    } catch (error) {
      // Between two of them it is the one that comes: it has nothing to do again.
      each.brokenOff(owned[Math.min(next++, owned.length - 1)]!, error);
    }
  }
}
