/** How a figure moves over a long run: a line through its second half, by least squares, and whether that is flat. */
export interface Point {
  readonly atMs: number;
  readonly value: number;
}

/** What may be called flat: so much of the mean an hour, or so much of itself. */
export interface Bound {
  readonly shareAnHour: number;
  readonly valueAnHour: number;
}

export interface Drift {
  readonly name: string;
  readonly unit: string;
  readonly points: number;
  readonly mean: number;
  readonly max: number;
  readonly perHour: number;
  /** Standard error of `perHour`: of points that scatter without any drift, two in three lie within it. */
  readonly errorPerHour: number;
  readonly boundPerHour: number;
  /** It does not grow by more than the bound, or by no more than chance explains. */
  readonly flat: boolean;
}

export interface Series {
  readonly name: string;
  readonly unit: string;
  readonly bound: Bound;
  readonly points: readonly Point[];
}

const HOUR_MS = 3_600_000;
/** A drift within so many standard errors of nothing may be chance. */
const ERRORS = 2;
const POINTS_MIN = 3;

/** Undefined when there are too few points in the second half. */
export function driftOf({ name, unit, bound, points: all }: Series): Drift | undefined {
  const first = all[0]?.atMs ?? 0;
  const middleMs = (first + (all.at(-1)?.atMs ?? 0)) / 2;
  const points = all.filter(({ atMs, value }) => atMs >= middleMs && Number.isFinite(value));
  const n = points.length;
  if (n < POINTS_MIN) return undefined;
  const hours = points.map(({ atMs }) => (atMs - middleMs) / HOUR_MS);
  const values = points.map(({ value }) => value);
  const meanHour = hours.reduce((a, b) => a + b, 0) / n;
  const mean = values.reduce((a, b) => a + b, 0) / n;
  let together = 0;
  let apart = 0;
  for (const [i, hour] of hours.entries()) {
    together += (hour - meanHour) * (values[i]! - mean);
    apart += (hour - meanHour) ** 2;
  }
  const perHour = together / apart;
  const rest = hours.reduce(
    (sum, hour, i) => sum + (values[i]! - mean - perHour * (hour - meanHour)) ** 2,
    0,
  );
  const errorPerHour = Math.sqrt(rest / (n - 2) / apart);
  const boundPerHour = Math.max(bound.shareAnHour * mean, bound.valueAnHour);
  return {
    name,
    unit,
    points: n,
    mean,
    max: Math.max(...values),
    perHour,
    errorPerHour,
    boundPerHour,
    flat: perHour <= boundPerHour || perHour <= ERRORS * errorPerHour,
  };
}
