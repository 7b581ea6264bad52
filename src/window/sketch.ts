/**
 * A quantile sketch that merges and takes back: counts per logarithmic bin, with a relative error of 1 %. The bins
 * are those of DDSketch (`@datadog/sketches-js` gives the mapping); the counts are our own plain data, because a late
 * event may have to take a value back, and because bins of a window are sums of bins of its panes.
 *
 * Source: Masson, Rim, Lee: DDSketch, VLDB 2019.
 */
import { DDSketch } from '@datadog/sketches-js';

/** Relative accuracy of a quantile. */
export const SKETCH_ACCURACY = 0.01;
const { mapping } = new DDSketch({ relativeAccuracy: SKETCH_ACCURACY });
/** Values at or below this (one unit) share the bin of zero. */
const ZERO_BIN = -1_000_000;

/** Counts by bin, as flat pairs: [bin, count, bin, count, …]. Plain data: travels in messages and states. */
export type Sketch = number[];

/** The sketch of one value. @param value ≥ 0, in the unit that quantiles shall have */
export function sketchOf(value: number, count = 1): Sketch {
  return [value > 0 ? mapping.key(value) : ZERO_BIN, count];
}

/** Adds `factor` times a sketch into another, in place; bins that come to zero are dropped. */
export function mergeSketch(into: Sketch, from: Sketch, factor = 1): Sketch {
  next: for (let i = 0; i < from.length; i += 2) {
    const bin = from[i]!;
    const count = from[i + 1]! * factor;
    for (let j = 0; j < into.length; j += 2) {
      if (into[j] !== bin) continue;
      into[j + 1]! += count;
      if (into[j + 1] === 0) into.splice(j, 2);
      continue next;
    }
    if (count !== 0) into.push(bin, count);
  }
  return into;
}

/**
 * The value at a quantile, within 1 % of the exact one.
 * @param q 0 … 1
 * @returns undefined for an empty sketch
 */
export function quantile(sketch: Sketch, q: number): number | undefined {
  const bins: [bin: number, count: number][] = [];
  let total = 0;
  for (let i = 0; i < sketch.length; i += 2) {
    bins.push([sketch[i]!, sketch[i + 1]!]);
    total += sketch[i + 1]!;
  }
  if (total <= 0) return undefined;
  bins.sort((a, b) => a[0] - b[0]);
  const rank = q * (total - 1);
  let below = 0;
  for (const [bin, count] of bins) {
    below += count;
    if (below > rank) return bin === ZERO_BIN ? 0 : mapping.value(bin);
  }
  return mapping.value(bins.at(-1)![0]);
}
