/**
 * The view of a region: the latest row, an hour of minutes and the live values of every actor, from the committed outputs
 * of all partitions (P4). It only ever follows the stream, so any number of views agree, and one that is opened again
 * says the same as one that never ended.
 *
 * What it keeps, and for how long: rows of windows that ended within the longest window, the allowed lateness and five
 * minutes (at least an hour and five) before the region's watermark; live values as `LiveTable` says. Rows come in bursts,
 * once a minute: they are taken in slices, with a turn for others between, and live values do not wait for them.
 */
import type { Row } from '../actor/row.js';
import type { Clock } from '../core/clock.js';
import { errorOf, messageOf } from '../core/errors.js';
import type { Logger } from '../core/logger.js';
import type { Log } from '../log/log.js';
import type { Subjects } from '../log/subjects.js';
import type { OutputFrame, Progress, ShownBlock } from '../partition/output.js';
import { rowsIn, type RowBlock } from '../partition/row-block.js';
import type { CellSummary } from './cell-summary.js';
import { placeOf } from './latest-rows.js';
import { changesOf, levelOf, type LiveValues } from './live-values.js';
import { HISTORY_MINUTES, MINUTE_MS } from './minute-history.js';
import { OutputReader } from './output-reader.js';
import { seekOutputs } from './output-seek.js';
import { RegionState } from './region-state.js';
import { rowOf } from './row-shape.js';
import { WorkSpells } from './turn.js';
import { ViewListeners, type ViewListener } from './view-listeners.js';

const MARGIN_MS = 5 * MINUTE_MS;
const TAKE_BYTES = 256 * 1024;
/** Rows, or live values, that are taken in at a time. */
const SLICE = 500;
/** Then for so long at once, ms: a minute's rows are many slices, and the node may take long between two. */
const SPELL_MS = 10;
/** With more rows that wait, live values wait too (P8): there may be as many as this, and those of one take more. */
const ROWS_WAITING_MAX = 100_000;
const DROP_EVERY_MS = 15_000;
/** Keys of all levels; a key with all its rows takes some 6 KB. */
const KEYS_MAX = 50_000;

export interface RegionViewOptions {
  readonly log: Log;
  readonly subjects: Subjects;
  readonly partitions: number;
  readonly windowsMs: readonly number[];
  readonly allowedLatenessMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Most keys that rows, and as many that live values, are kept for. */
  readonly keysMax?: number;
}

export interface FindOptions {
  readonly level: string;
  readonly prefix?: string;
  readonly window: string;
  readonly limit: number;
  /** Only keys after this one, in their order. */
  readonly after?: string;
}

/** Frames that were taken together: their live values are taken in, their rows and their progress are not. */
interface RowsLater {
  readonly frames: readonly OutputFrame[];
  /** Sequence of the last of them. */
  readonly lastSeq: number;
}

export class RegionView {
  /** Sequence of the first output that it asked for. */
  readonly firstSeq: number;
  readonly #options: RegionViewOptions;
  readonly #spells: WorkSpells;
  /** Rows and live values since others could have had a turn. */
  #taken = 0;
  readonly #reader: OutputReader;
  readonly #catchUpSeq: number;
  readonly #state: RegionState;
  readonly #listeners: ViewListeners;
  /** Oldest first; the first one until all of it is taken in. */
  readonly #later: RowsLater[] = [];
  /** Takes them in, as long as there are any. */
  #takingRows: Promise<void> | undefined;
  #readSeq = 0;
  #caughtUp = false;
  #closed = false;
  #failure: Error | undefined;
  #running: Promise<void> = Promise.resolve();
  #stopDropping: () => void = () => undefined;

  /** Finds where to begin and starts to follow; `caughtUp` says when it has read what was there. */
  static async open(options: RegionViewOptions): Promise<RegionView> {
    const { log, subjects, partitions, windowsMs, allowedLatenessMs } = options;
    const keepMs =
      MARGIN_MS + Math.max(Math.max(...windowsMs) + allowedLatenessMs, HISTORY_MINUTES * MINUTE_MS);
    const { fromSeq, lastSeq } = await seekOutputs(log, subjects, partitions, keepMs);
    const view = new RegionView(options, keepMs, fromSeq, lastSeq);
    view.#start();
    return view;
  }

  private constructor(options: RegionViewOptions, keepMs: number, firstSeq: number, catchUpSeq: number) {
    const { log, subjects, partitions, keysMax = KEYS_MAX, logger } = options;
    this.#options = options;
    this.firstSeq = firstSeq;
    this.#catchUpSeq = catchUpSeq;
    this.#caughtUp = catchUpSeq === 0;
    this.#spells = new WorkSpells(options.clock, SPELL_MS);
    const turn = (): Promise<void> => this.#spells.rest();
    this.#reader = new OutputReader(log, subjects, { takeBytes: TAKE_BYTES, turn });
    this.#state = new RegionState({ partitions, keepMs, keysMax });
    this.#listeners = new ViewListeners(logger);
  }

  /** True once everything is taken in that the stream held when the view was opened. */
  get caughtUp(): boolean {
    return this.#caughtUp;
  }

  /** Event time up to which the last stage is closed in all partitions; 0 while one has not said so. */
  get watermarkMs(): number {
    return this.#state.watermarkMs;
  }

  /** The last progress of each partition. */
  get progress(): ReadonlyMap<number, Progress> {
    return this.#state.progress;
  }

  /** What made it stop following. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Rejects with what made it stop following; resolves when it is closed. */
  get finished(): Promise<void> {
    return this.#running;
  }

  /** Sequence of the last output that it has taken in. */
  get readSeq(): number {
    return this.#readSeq;
  }

  /** Levels that have rows. */
  get levels(): string[] {
    return this.#state.latest.levels;
  }

  /** For metrics and measurements. `refused`: rows and live values that were not kept, for there are too many keys. */
  get stats(): { rows: number; keys: number; liveKeys: number; historyBytes: number; refused: number } {
    const { rows, latest, live, history } = this.#state;
    return {
      rows,
      keys: latest.keys,
      liveKeys: live.keys,
      historyBytes: history.bytes,
      refused: latest.refused + live.refused,
    };
  }

  /** Output messages in the stream that were not taken in yet. */
  get lagMessages(): number {
    return this.#reader.pending + this.#framesWaiting.length;
  }

  /** The row of the latest window that is final. */
  latest(level: string, key: string, window: string): Row | undefined {
    const entry = this.#state.latest.entry(level, key);
    if (entry === undefined) return undefined;
    const at = placeOf(entry, window);
    const numbers = entry.numbers[at];
    return numbers && rowOf(entry.shapes[at]!, key, numbers);
  }

  /** The latest row of each window, the shortest first. */
  rows(level: string, key: string): Row[] {
    const entry = this.#state.latest.entry(level, key);
    if (entry === undefined) return [];
    return entry.shapes
      .map((shape, i) => ({ shape, numbers: entry.numbers[i]! }))
      .sort((a, b) => a.shape.lengthMs - b.shape.lengthMs)
      .map(({ shape, numbers }) => rowOf(shape, key, numbers));
  }

  /** The last rows of one minute, of the last hour, oldest first. */
  history(level: string, key: string, count: number): Row[] {
    const entry = this.#state.latest.entry(level, key);
    if (entry === undefined) return [];
    const rows = this.#state.history.rows(entry.id, this.watermarkMs, count);
    return rows.map(({ shape, numbers }) => rowOf(shape, key, numbers));
  }

  /** What a key shows now. Above the cells: the sum over the cells below it. */
  live(key: string, level = 'cell'): LiveValues | undefined {
    if (level === 'gh5' || level === 'gh4') {
      const total = this.#state.live.total('cell', key);
      return Object.keys(total).length > 1 ? total : undefined;
    }
    return level === 'region' ? this.liveTotal() : this.#state.live.get(level, key);
  }

  /** Latest rows of a level and window in the order of their keys. */
  find({ level, prefix = '', window, limit, after }: FindOptions): { rows: Row[]; more: boolean } {
    const keys: string[] = [];
    for (const entry of this.#state.latest.entries(level)) {
      const { key } = entry;
      if (!key.startsWith(prefix) || (after !== undefined && key <= after)) continue;
      if (entry.numbers[placeOf(entry, window)] !== undefined) keys.push(key);
    }
    keys.sort();
    return {
      rows: keys.slice(0, limit).map((key) => this.latest(level, key, window)!),
      more: keys.length > limit,
    };
  }

  /** Keys of the cells that have a row of the last minute or live values. */
  cellKeys(): string[] {
    return this.#state.cells.keys(this.watermarkMs);
  }

  cell(key: string): CellSummary {
    return this.#state.cells.of(key, this.watermarkMs);
  }

  map(): CellSummary[] {
    return this.cellKeys().map((key) => this.cell(key));
  }

  top(count: number): CellSummary[] {
    return this.#state.cells.top(count, this.watermarkMs);
  }

  /** The region's row of the last minute. */
  total(): Row | undefined {
    return this.latest('region', this.#options.subjects.region, '1m');
  }

  /** What all cells show, added up. */
  liveTotal(): LiveValues {
    return this.#state.live.total('cell');
  }

  /** How many subscribe. */
  get listeners(): number {
    return this.#listeners.size;
  }

  subscribe(listener: ViewListener): () => void {
    return this.#listeners.add(listener);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#stopDropping();
    this.#reader.wake();
    await this.#running.catch(() => undefined);
  }

  #start(): void {
    this.#running = this.#follow().catch((error: unknown) => {
      this.#failure = errorOf(error);
      this.#options.logger.error({ error: messageOf(error) }, 'the view of the region stopped following');
      throw this.#failure;
    });
    // Whoever awaits `finished` sees the failure; until then it must not count as unhandled.
    this.#running.catch(() => undefined);
    this.#dropSilent();
  }

  async #follow(): Promise<void> {
    for await (const frames of this.#reader.frames(this.firstSeq)) {
      if (this.#failure !== undefined) throw this.#failure;
      for (const { shown } of frames)
        for (const block of shown)
          await this.#inSlices(block[2].length, (from, to) => {
            this.#takeShown(block, from, to);
          });
      this.#later.push({ frames, lastSeq: this.#reader.lastSeq });
      this.#takingRows ??= this.#takeLater();
      if (this.#closed || rowCount(this.#framesWaiting) > ROWS_WAITING_MAX) await this.#takingRows;
      if (this.#closed) return;
    }
  }

  /** Takes in the rows that wait, and the progress of their frames: what fails is `failure`. */
  async #takeLater(): Promise<void> {
    try {
      // Not before the caller knows that it goes on.
      await this.#spells.rest();
      for (let next = this.#later[0]; next !== undefined; next = this.#later[0]) {
        for (const { blocks, progress } of next.frames) {
          for (const block of blocks)
            await this.#inSlices(block.count, (from, to) => {
              this.#takeRows(block, from, to);
            });
          if (this.#closed) return;
          if (progress !== null) this.#tellCells(this.#state.advance(progress));
        }
        this.#later.shift();
        this.#hasRead(next.lastSeq);
      }
    } catch (error) {
      this.#failure = errorOf(error);
      this.#reader.wake();
    } finally {
      this.#takingRows = undefined;
    }
  }

  get #framesWaiting(): OutputFrame[] {
    return this.#later.flatMap(({ frames }) => frames);
  }

  #hasRead(seq: number): void {
    this.#readSeq = seq;
    if (this.#caughtUp || seq < this.#catchUpSeq) return;
    this.#caughtUp = true;
    const { rows, keys } = this.stats;
    this.#options.logger.info({ firstSeq: this.firstSeq, rows, keys }, 'the view of the region caught up');
  }

  async #inSlices(length: number, take: (from: number, to: number) => void): Promise<void> {
    for (let from = 0; from < length && !this.#closed; from += SLICE) {
      const to = Math.min(length, from + SLICE);
      take(from, to);
      this.#taken += to - from;
      if (this.#taken < SLICE) continue;
      this.#taken = 0;
      await this.#spells.rest();
    }
  }

  #takeRows(block: RowBlock, from: number, to: number): void {
    this.#state.takeRows(block, from, to);
    if (!this.#caughtUp) return;
    const { level, window } = block.kind;
    if (level === 'cell' && window === '1m') this.#tellCells(block.keys.slice(from, to));
    this.#listeners.tell('rows', () => rowsIn(block, from, to));
  }

  #takeShown(block: ShownBlock, from: number, to: number): void {
    const nowMs = this.#options.clock.now();
    this.#state.takeShown(block, from, to, nowMs);
    if (!this.#caughtUp) return;
    if (levelOf(block) === 'cell') this.#tellCells(block[2].slice(from, to));
    this.#listeners.tell('live', () => changesOf(block, from, to, nowMs));
  }

  #tellCells(keys: readonly string[]): void {
    if (this.#caughtUp && keys.length > 0) this.#listeners.tell('cells', () => keys);
  }

  /** Live values that nobody shows any more go, whether anything comes or not. */
  #dropSilent(): void {
    this.#stopDropping = this.#options.clock.after(DROP_EVERY_MS, () => {
      const cells: string[] = [];
      this.#state.live.drop(this.#options.clock.now(), (level, key) => {
        if (level === 'cell') cells.push(key);
      });
      this.#tellCells(cells);
      this.#dropSilent();
    });
  }
}

function rowCount(frames: readonly OutputFrame[]): number {
  return frames.flatMap(({ blocks }) => blocks).reduce((sum, { count }) => sum + count, 0);
}
