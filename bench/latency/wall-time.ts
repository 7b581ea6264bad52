/** Wall time that passes evenly, and alike in all processes of a bench. */
import { systemClock, type Clock } from '../../src/core/clock.js';
import type { WallTimeMs } from '../../src/core/ids.js';

export class WallTime implements Clock {
  /** Ahead of the machine's by so much: a test has its minute end when it wants. */
  aheadMs = 0;

  now(): WallTimeMs {
    return (performance.timeOrigin + this.aheadMs + performance.now()) as WallTimeMs;
  }

  monotonic(): number {
    return systemClock.monotonic();
  }

  after(delayMs: number, callback: () => void): () => void {
    return systemClock.after(delayMs, callback);
  }
}
