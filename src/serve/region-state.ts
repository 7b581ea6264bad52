/**
 * What a view of a region keeps: latest rows, an hour of minutes, live values, and how far each partition has come. Takes
 * in what output frames hold, piece by piece; knows nothing of where they come from and who asks.
 */
import type { Progress, ShownBlock } from '../partition/output.js';
import type { RowBlock } from '../partition/row-block.js';
import { CellSummaries } from './cell-summary.js';
import { LatestRows } from './latest-rows.js';
import { LiveTable } from './live-values.js';
import { MINUTE_MS, MinuteHistory } from './minute-history.js';
import { endOf, isFinal, numbersOf, RowShapes } from './row-shape.js';

export interface RegionStateOptions {
  readonly partitions: number;
  /** Rows of windows that ended so long before the region's watermark are dropped. */
  readonly keepMs: number;
  /** Most keys that rows, and as many that live values, are kept for. */
  readonly keysMax: number;
}

export class RegionState {
  readonly latest: LatestRows;
  readonly history = new MinuteHistory();
  readonly live: LiveTable;
  readonly cells: CellSummaries;
  /** The last progress of each partition. */
  readonly progress = new Map<number, Progress>();
  readonly #options: RegionStateOptions;
  readonly #shapes = new RowShapes();
  #watermarkMs = 0;
  #rows = 0;

  constructor(options: RegionStateOptions) {
    this.#options = options;
    this.latest = new LatestRows(options.keysMax);
    this.live = new LiveTable(options.keysMax);
    this.cells = new CellSummaries(this.latest, this.history, this.live);
  }

  /** Event time up to which the last stage is closed in all partitions; 0 while one has not said so. */
  get watermarkMs(): number {
    return this.#watermarkMs;
  }

  /** Rows that were taken in, older ones and corrections among them. */
  get rows(): number {
    return this.#rows;
  }

  /** Takes in the rows `from` to `to` of a block. Only final ones count as latest. */
  takeRows(block: RowBlock, from: number, to: number): void {
    const shape = this.#shapes.of(block);
    const oldestMs = this.#watermarkMs - this.#options.keepMs;
    for (let i = from; i < to; i++) {
      const numbers = numbersOf(block, i, shape.stride);
      if (!isFinal(numbers) || endOf(numbers) <= oldestMs) continue;
      const entry = this.latest.put(shape, block.keys[i]!, numbers);
      if (entry !== undefined && shape.lengthMs === MINUTE_MS) this.history.put(entry.id, shape, numbers);
    }
    this.#rows += to - from;
  }

  takeShown(block: ShownBlock, from: number, to: number, nowMs: number): void {
    this.live.put(block, from, to, nowMs);
  }

  /** Takes in how far a partition has come. Gives the cells whose last row time has taken away. */
  advance(progress: Progress): string[] {
    this.progress.set(progress.partition, progress);
    if (this.progress.size < this.#options.partitions) return [];
    let watermarkMs = Number.POSITIVE_INFINITY;
    for (const { closed } of this.progress.values()) watermarkMs = Math.min(watermarkMs, closed.at(-1) ?? 0);
    if (watermarkMs <= this.#watermarkMs) return [];
    const outdated = this.cells.outdated(this.#watermarkMs, watermarkMs);
    this.#watermarkMs = watermarkMs;
    // A key that goes had no row for longer than history is: its number can stand for another one.
    this.latest.drop(watermarkMs - this.#options.keepMs);
    return outdated;
  }
}
