/**
 * The port to wall time. Everything that waits, times out or asks what time it is does so through a Clock, so that
 * the same code runs in virtual time. `systemClock` is the only place that touches the machine's timers.
 */
import type { WallTimeMs } from './ids.js';

export interface Clock {
  /** Wall time, ms since 1970 UTC. May jump; never use it to measure a duration. */
  now(): WallTimeMs;
  /** Monotonic milliseconds from an arbitrary zero: for durations only. */
  monotonic(): number;
  /** Calls back once after a delay; the returned function cancels. */
  after(delayMs: number, callback: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => Date.now() as WallTimeMs,
  monotonic: () => performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return () => {
      clearTimeout(timer);
    };
  },
};

/** Resolves after a delay on the given clock. */
export function sleep(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    clock.after(delayMs, resolve);
  });
}

/** A clock moved by hand: for unit and simulation tests. */
export class VirtualClock implements Clock {
  #nowMs: number;
  #next = 0;
  readonly #due = new Map<number, { atMs: number; callback: () => void }>();

  constructor(startMs = 0) {
    this.#nowMs = startMs;
  }

  now(): WallTimeMs {
    return this.#nowMs as WallTimeMs;
  }

  monotonic(): number {
    return this.#nowMs;
  }

  after(delayMs: number, callback: () => void): () => void {
    const id = this.#next++;
    this.#due.set(id, { atMs: this.#nowMs + Math.max(0, delayMs), callback });
    return () => {
      this.#due.delete(id);
    };
  }

  /** Moves time forward, calling back in order of due time. */
  advance(byMs: number): void {
    const untilMs = this.#nowMs + byMs;
    for (;;) {
      let first: { id: number; atMs: number; callback: () => void } | undefined;
      for (const [id, due] of this.#due) {
        if (due.atMs <= untilMs && (first === undefined || due.atMs < first.atMs)) first = { id, ...due };
      }
      if (first === undefined) break;
      this.#due.delete(first.id);
      this.#nowMs = Math.max(this.#nowMs, first.atMs);
      first.callback();
    }
    this.#nowMs = untilMs;
  }
}
