/** Quantiles of the time that the last commits took to be acknowledged: for people who watch. Metrics have histograms. */
import type { NodeObserver } from '../node/status.js';

const KEPT = 500;

export class CommitLatency {
  #seconds: number[] = [];

  /** An observer that notes, and passes everything on. */
  observing(next: NodeObserver): NodeObserver {
    return {
      committed: (batch) => {
        if (this.#seconds.length >= KEPT) this.#seconds.shift();
        this.#seconds.push(batch.seconds);
        next.committed(batch);
      },
      snapshotWritten: (write) => {
        next.snapshotWritten(write);
      },
    };
  }

  /** Undefined before the first commit. */
  quantilesMs(): { p50: number; p99: number } | undefined {
    const sorted = this.#seconds.toSorted((a, b) => a - b);
    if (sorted.length === 0) return undefined;
    const at = (q: number): number =>
      sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]! * 1_000;
    return { p50: at(0.5), p99: at(0.99) };
  }
}
