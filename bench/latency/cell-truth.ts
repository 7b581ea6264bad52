/** Which cells are to have a row of a minute: those that a driver was in for any time, recomputed from the pings as they are offered. */
import type { Ping } from '../workload.js';

const MINUTE_MS = 60_000;

/** For drivers that ping more often than a ping holds; pings come in the order of their times. */
export class CellTruth {
  readonly #at = new Map<string, string>();
  readonly #finished = new Map<number, number>();
  #startMs: number;
  #cells: Set<string> | undefined;

  /** @param startMs of the first minute that is asked for */
  constructor(startMs: number) {
    this.#startMs = startMs;
  }

  ping({ driverId, ts, status, cell }: Ping): void {
    while (this.#cells !== undefined && ts > this.#startMs + MINUTE_MS) {
      this.#finished.set(this.#startMs + MINUTE_MS, this.#cells.size);
      this.#startMs += MINUTE_MS;
      this.#cells = new Set(this.#at.values());
    }
    // Whoever was somewhere at the minute's very beginning, and stayed.
    if (ts > this.#startMs) this.#cells ??= new Set(this.#at.values());
    if (status === 'offline') {
      this.#at.delete(driverId);
      return;
    }
    // It is among those who were somewhere when the minute began.
    if (this.#at.get(driverId) === cell) return;
    this.#at.set(driverId, cell);
    // A ping at the very end belongs to the next minute, and at its beginning is seen there.
    if (ts < this.#startMs + MINUTE_MS) this.#cells?.add(cell);
  }

  /** Of a minute that is over: pings of the next one have come. */
  cellsOf(endMs: number): number {
    const cells = this.#finished.get(endMs);
    if (cells === undefined) throw new Error('a minute was asked for that is not over');
    this.#finished.delete(endMs);
    return cells;
  }
}
