/**
 * How long an actor has to be left alone until it is idle. Partitions know no time but count their steps, and a step may be a tenth
 * of a millisecond or a minute: so where each partition was is noted now and then. Owns these notes.
 */
import type { Clock } from '../core/clock.js';
import type { Partition } from '../partition/partition.js';

type Steps = Pick<Partition, 'step'>;

interface Note {
  readonly atMs: number;
  readonly step: number;
}

/** Notes within the time that makes idle: an actor leaves later than that by the time between two of them at most. */
const NOTES = 8;

export class Idle {
  readonly #clock: Clock;
  readonly #idleMs: number;
  /** Oldest first; the second oldest is too young to say what is idle. */
  readonly #notes = new WeakMap<Steps, Note[]>();

  constructor(clock: Clock, idleMs: number) {
    this.#clock = clock;
    this.#idleMs = idleMs;
  }

  /** The step of a partition since which who is idle was not touched; 0, which is nobody, as long as that is not known. */
  since(partition: Steps): number {
    const nowMs = this.#clock.monotonic();
    let notes = this.#notes.get(partition);
    if (notes === undefined) this.#notes.set(partition, (notes = []));
    if (notes.length === 0 || nowMs - notes.at(-1)!.atMs >= this.#idleMs / NOTES)
      notes.push({ atMs: nowMs, step: partition.step });
    const idleSinceMs = nowMs - this.#idleMs;
    while (notes.length > 1 && notes[1]!.atMs <= idleSinceMs) notes.shift();
    const { atMs, step } = notes[0]!;
    return atMs <= idleSinceMs ? step : 0;
  }
}
