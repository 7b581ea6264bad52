/**
 * A clock for tests: whoever waits is called as soon as everybody else waits too, in order of due time, and time jumps
 * there. Nothing sleeps, and waits of minutes cost nothing.
 */
import type { Clock } from '../../src/core/clock.js';
import type { WallTimeMs } from '../../src/core/ids.js';

export class EagerClock implements Clock {
  #nowMs: number;
  #due: { atMs: number; callback: () => void }[] = [];
  #pumping = false;

  constructor(startMs = 1_700_000_000_000) {
    this.#nowMs = startMs;
  }

  now(): WallTimeMs {
    return this.#nowMs as WallTimeMs;
  }

  monotonic(): number {
    return this.#nowMs;
  }

  after(delayMs: number, callback: () => void): () => void {
    const due = { atMs: this.#nowMs + Math.max(0, delayMs), callback };
    this.#due.push(due);
    this.#pump();
    return () => {
      this.#due = this.#due.filter((other) => other !== due);
    };
  }

  #pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    setImmediate(() => {
      this.#pumping = false;
      let first = this.#due[0];
      if (first === undefined) return;
      for (const due of this.#due) if (due.atMs < first.atMs) first = due;
      this.#due = this.#due.filter((due) => due !== first);
      this.#nowMs = Math.max(this.#nowMs, first.atMs);
      first.callback();
      if (this.#due.length > 0) this.#pump();
    });
  }
}
