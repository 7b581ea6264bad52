/**
 * Wall time that never jumps: what a node and a producer tell event time by. The machine's clock may be set, by an hour or
 * a day, and a watermark that followed it could never come back. This one runs with the monotonic clock and approaches the
 * machine's wall clock slowly: at most twice as fast as time passes while it is behind, half as fast while it is ahead. So it
 * never goes back and never stands still, and time-outs stay time-outs.
 *
 * How far the two are apart is `skewMs`: an alarm for the operator, who knows which of them is right. A new process begins
 * with the machine's time.
 */
import type { Clock } from './clock.js';
import type { WallTimeMs } from './ids.js';

/** How much of the time that passes is added while it is behind, and taken off while it is ahead. */
const CATCH_UP = 1;
const HOLD_BACK = 0.5;

export class SteadyClock implements Clock {
  readonly #machine: Clock;
  #nowMs: number;
  #atMs: number;

  constructor(machine: Clock) {
    this.#machine = machine;
    this.#nowMs = machine.now();
    this.#atMs = machine.monotonic();
  }

  now(): WallTimeMs {
    const atMs = this.#machine.monotonic();
    const passedMs = Math.max(0, atMs - this.#atMs);
    const offMs = this.#machine.now() - (this.#nowMs + passedMs);
    const slewMs = Math.max(-HOLD_BACK * passedMs, Math.min(CATCH_UP * passedMs, offMs));
    this.#nowMs += passedMs + slewMs;
    this.#atMs = Math.max(atMs, this.#atMs);
    return Math.floor(this.#nowMs) as WallTimeMs;
  }

  monotonic(): number {
    return this.#machine.monotonic();
  }

  after(delayMs: number, callback: () => void): () => void {
    return this.#machine.after(delayMs, callback);
  }

  /** How far the machine's wall clock is ahead of this one, ms; below 0 when it is behind. */
  get skewMs(): number {
    return this.#machine.now() - this.now();
  }
}
