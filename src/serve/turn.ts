/** Leaves others their share of the thread while a burst is worked through. */
import type { Clock } from '../core/clock.js';

/** An order of work, not a time: lets sockets be read and others run before the next slice of a burst. */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** Spells of work: others may take long when they have their turn, so they have it by the time, not for each slice. */
export class WorkSpells {
  readonly #clock: Clock;
  readonly #lengthMs: number;
  #endMs = 0;

  constructor(clock: Clock, lengthMs: number) {
    this.#clock = clock;
    this.#lengthMs = lengthMs;
  }

  /** Awaited between two slices: gives others a turn when the spell is over. */
  async rest(): Promise<void> {
    if (this.#clock.monotonic() < this.#endMs) return;
    await turn();
    this.#endMs = this.#clock.monotonic() + this.#lengthMs;
  }
}
