/**
 * What the built-in actors count: the counters of a cell, minute by minute, and the features that rows show of them.
 * One list serves all levels: a count of distinct drivers or riders is kept once per level, because the sum of the
 * cells' counts would count a driver twice that touched two cells.
 */
import { FeatureVector, quantile, TallyShape, type Tally } from '../src/index.js';

export const MINUTE_MS = 60_000;

/** Levels from the cell upward, in the order of the counters below. */
export const LEVELS = ['cell', 'gh5', 'gh4', 'region'] as const;
export type Level = (typeof LEVELS)[number];

/** What is 0 in most places stands last: it is left out wherever a tally is kept or sent. */
export const market = new TallyShape([
  'open_ms',
  'enroute_ms',
  'busy_ms',
  'drivers_cell',
  'drivers_gh5',
  'drivers_gh4',
  'drivers_region',
  'open_end',
  'pickups',
  'dropoffs',
  'children',
  'requests',
  'riders_cell',
  'riders_gh5',
  'riders_gh4',
  'riders_region',
  'cancels',
  'completes',
  'sessions',
  'waits',
  'wait_ms',
] as const);

const at = market.index;
export const DRIVERS_AT: readonly number[] = LEVELS.map((level) => at[`drivers_${level}`]);
export const RIDERS_AT: readonly number[] = LEVELS.map((level) => at[`riders_${level}`]);

const COUNTERS = ['pickups', 'dropoffs', 'requests', 'cancels', 'completes', 'sessions'] as const;
const COUNTERS_AT: readonly number[] = COUNTERS.map((name) => at[name]);
const WAIT_FEATURES = ['waits', 'wait_s_mean', 'wait_s_p50', 'wait_s_p90'] as const;

/** Names of the features of a window: what a model may ask for. Wait times are 0 to a model when there were none. */
export function featureNames(windowMs: number): string[] {
  const distinct = windowMs === MINUTE_MS ? ['drivers', 'riders'] : ['drivers_mean'];
  return ['open_s', 'enroute_s', 'busy_s', ...distinct, 'open_end', ...COUNTERS, ...WAIT_FEATURES];
}

/**
 * The features of one kind of window, as its rows show them. One serves all rows of the kind, one after the other. Seconds are
 * exact to the millisecond.
 */
export class WindowFeatures {
  readonly #windowMs: number;
  readonly #plain: FeatureVector;
  /** Of a window in which somebody was picked up. */
  readonly #waited: FeatureVector;

  constructor(windowMs: number) {
    const names = featureNames(windowMs);
    this.#windowMs = windowMs;
    this.#plain = new FeatureVector(names.slice(0, names.length - WAIT_FEATURES.length));
    this.#waited = new FeatureVector(names);
  }

  /** @param lastPane the window's last minute: `open_end` is its alone */
  of(level: Level, { n, q }: Tally, lastPane: Tally | undefined): FeatureVector {
    const waits = n[at.waits] ?? 0;
    const vector = waits > 0 ? this.#waited : this.#plain;
    const { values } = vector;
    const open = n[at.open_ms] ?? 0;
    const enroute = n[at.enroute_ms] ?? 0;
    const busy = n[at.busy_ms] ?? 0;
    let i = 0;
    values[i++] = open / 1000;
    values[i++] = enroute / 1000;
    values[i++] = busy / 1000;
    if (this.#windowMs === MINUTE_MS) {
      const distinct = LEVELS.indexOf(level);
      values[i++] = n[DRIVERS_AT[distinct]!] ?? 0;
      values[i++] = n[RIDERS_AT[distinct]!] ?? 0;
    } else {
      values[i++] = (open + enroute + busy) / this.#windowMs;
    }
    values[i++] = lastPane?.n[at.open_end] ?? 0;
    for (const counter of COUNTERS_AT) values[i++] = n[counter] ?? 0;
    if (waits > 0) {
      const seconds = (share: number): number => Number((quantile(q ?? [], share)! / 1000).toFixed(3));
      values[i++] = waits;
      values[i++] = (n[at.wait_ms] ?? 0) / waits / 1000;
      values[i++] = seconds(0.5);
      values[i++] = seconds(0.9);
    }
    return vector;
  }
}
