/**
 * What the built-in actors count: the counters of a cell, minute by minute, and the features that rows show of them.
 * One list serves all levels: a count of distinct drivers or riders is kept once per level, because the sum of the
 * cells' counts would count a driver twice that touched two cells.
 */
import { quantile, TallyShape, type Tally } from '../src/index.js';

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
const WAIT_FEATURES = ['waits', 'wait_s_mean', 'wait_s_p50', 'wait_s_p90'] as const;

/** Names of the features of a window: what a model may ask for. Wait times are 0 to a model when there were none. */
export function featureNames(windowMs: number): string[] {
  const distinct = windowMs === MINUTE_MS ? ['drivers', 'riders'] : ['drivers_mean'];
  return ['open_s', 'enroute_s', 'busy_s', ...distinct, 'open_end', ...COUNTERS, ...WAIT_FEATURES];
}

/**
 * The features of a window, as rows show them. Seconds are exact to the millisecond.
 * @param lastPane the window's last minute: `open_end` is its alone
 */
export function featuresOf(
  level: Level,
  windowMs: number,
  tally: Tally,
  lastPane: Tally | undefined,
): Record<string, number> {
  const { n } = tally;
  const minute = windowMs === MINUTE_MS;
  const open = n[at.open_ms] ?? 0;
  const enroute = n[at.enroute_ms] ?? 0;
  const busy = n[at.busy_ms] ?? 0;
  const distinct = LEVELS.indexOf(level);
  // One literal per kind of window, not spreads: millions of these are made a day.
  const features: Record<string, number> = minute
    ? {
        open_s: open / 1000,
        enroute_s: enroute / 1000,
        busy_s: busy / 1000,
        drivers: n[DRIVERS_AT[distinct]!] ?? 0,
        riders: n[RIDERS_AT[distinct]!] ?? 0,
        open_end: lastPane?.n[at.open_end] ?? 0,
        pickups: n[at.pickups] ?? 0,
        dropoffs: n[at.dropoffs] ?? 0,
        requests: n[at.requests] ?? 0,
        cancels: n[at.cancels] ?? 0,
        completes: n[at.completes] ?? 0,
        sessions: n[at.sessions] ?? 0,
      }
    : {
        open_s: open / 1000,
        enroute_s: enroute / 1000,
        busy_s: busy / 1000,
        drivers_mean: (open + enroute + busy) / windowMs,
        open_end: lastPane?.n[at.open_end] ?? 0,
        pickups: n[at.pickups] ?? 0,
        dropoffs: n[at.dropoffs] ?? 0,
        requests: n[at.requests] ?? 0,
        cancels: n[at.cancels] ?? 0,
        completes: n[at.completes] ?? 0,
        sessions: n[at.sessions] ?? 0,
      };
  const waits = n[at.waits] ?? 0;
  if (waits > 0) {
    const seconds = (q: number): number => Number((quantile(tally.q ?? [], q)! / 1000).toFixed(3));
    features['waits'] = waits;
    features['wait_s_mean'] = (n[at.wait_ms] ?? 0) / waits / 1000;
    features['wait_s_p50'] = seconds(0.5);
    features['wait_s_p90'] = seconds(0.9);
  }
  return features;
}
