/** A cell at a glance: what the last minute's row, the live values and the multipliers of half an hour say of it. */
import { placeOf, type LatestEntry, type LatestRows } from './latest-rows.js';
import type { LiveTable, LiveValues } from './live-values.js';
import { MINUTE_MS, type MinuteHistory } from './minute-history.js';
import { endOf } from './row-shape.js';
import { nonZero } from './non-zero.js';

const SPARK_MINUTES = 30;

export interface CellSummary {
  readonly key: string;
  /** Of the last minute that is closed; null when the cell has no row of it: all its values are zero. */
  readonly multiplier: number | null;
  readonly raw: number | null;
  /** Start of that minute, event time ms. */
  readonly start: number | null;
  /** Features of that minute that are not zero. */
  readonly features: Readonly<Record<string, number>>;
  /** What the cell shows now, less what is zero; null when nothing is there. */
  readonly live: LiveValues | null;
  /** Multipliers of the last 30 minutes, oldest first: null where the cell had no row. */
  readonly spark: readonly (number | null)[];
}

const NOTHING = { multiplier: null, raw: null, start: null, features: {}, spark: [] } as const;

export class CellSummaries {
  readonly #latest: LatestRows;
  readonly #history: MinuteHistory;
  readonly #live: LiveTable;

  constructor(latest: LatestRows, history: MinuteHistory, live: LiveTable) {
    this.#latest = latest;
    this.#history = history;
    this.#live = live;
  }

  /** Keys of the cells that have anything to say: a row of the last minute, or live values. */
  keys(watermarkMs: number): string[] {
    const keys: string[] = [];
    for (const entry of this.#latest.entries('cell'))
      if (isCurrent(entry, watermarkMs) || this.#live.has('cell', entry.key)) keys.push(entry.key);
    for (const key of this.#live.keysOf('cell'))
      if (this.#latest.entry('cell', key) === undefined) keys.push(key);
    return keys;
  }

  /** Keys of cells whose row was current at one watermark, and is not at a later one. */
  outdated(fromMs: number, toMs: number): string[] {
    const keys: string[] = [];
    for (const entry of this.#latest.entries('cell'))
      if (isCurrent(entry, fromMs) && !isCurrent(entry, toMs)) keys.push(entry.key);
    return keys;
  }

  of(key: string, watermarkMs: number): CellSummary {
    const entry = this.#latest.entry('cell', key);
    const live = this.#live.nonZero('cell', key) ?? null;
    if (entry === undefined) return { ...NOTHING, key, live };
    const at = isCurrent(entry, watermarkMs) ? placeOf(entry, '1m') : -1;
    const numbers = entry.numbers[at];
    const untilMs = numbers === undefined ? watermarkMs : Math.max(watermarkMs, endOf(numbers));
    const spark = this.#history.multipliers(entry.id, untilMs, SPARK_MINUTES);
    if (numbers === undefined) return { ...NOTHING, key, live, spark };
    const { surgeAt, lengthMs, names, stride } = entry.shapes[at]!;
    return {
      key,
      multiplier: surgeAt < 0 ? null : numbers[surgeAt]!,
      raw: surgeAt < 0 ? null : numbers[surgeAt + 1]!,
      start: endOf(numbers) - lengthMs,
      features: nonZero(names, numbers, stride - names.length),
      live,
      spark,
    };
  }

  /** The cells with the highest multipliers, the higher raw score first where they are equal. */
  top(count: number, watermarkMs: number): CellSummary[] {
    const scored: { key: string; multiplier: number; raw: number }[] = [];
    for (const entry of this.#latest.entries('cell')) {
      if (!isCurrent(entry, watermarkMs)) continue;
      const at = placeOf(entry, '1m');
      const { surgeAt } = entry.shapes[at]!;
      if (surgeAt < 0) continue;
      const numbers = entry.numbers[at]!;
      scored.push({ key: entry.key, multiplier: numbers[surgeAt]!, raw: numbers[surgeAt + 1]! });
    }
    scored.sort((a, b) => b.multiplier - a.multiplier || b.raw - a.raw || (a.key < b.key ? -1 : 1));
    return scored.slice(0, count).map(({ key }) => this.of(key, watermarkMs));
  }
}

/** True while the entry's row of one minute is that of the last minute that the whole region has closed, or a later one. */
function isCurrent(entry: LatestEntry, watermarkMs: number): boolean {
  const numbers = entry.numbers[placeOf(entry, '1m')];
  return numbers !== undefined && endOf(numbers) >= Math.floor(watermarkMs / MINUTE_MS) * MINUTE_MS;
}
