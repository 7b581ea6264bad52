/** What a handful of pairs says of a ratio: its middle and its spread. */
import { median } from '../machine.js';

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  /** First and third quartile: half of the values lie between them. */
  readonly quartiles: readonly [number, number];
}

export function spreadOf(values: readonly number[]): Spread {
  if (values.length === 0) throw new Error('no values, no spread');
  const sorted = values.toSorted((a, b) => a - b);
  return {
    median: median(sorted),
    min: sorted[0]!,
    max: sorted.at(-1)!,
    quartiles: [quantile(sorted, 0.25), quantile(sorted, 0.75)],
  };
}

/** Between two neighbours, in proportion. */
function quantile(sorted: readonly number[], share: number): number {
  const place = (sorted.length - 1) * share;
  const below = sorted[Math.floor(place)]!;
  const above = sorted[Math.ceil(place)]!;
  return below + (above - below) * (place - Math.floor(place));
}

export type Side = 'head' | 'other';

/** Who runs when: a pair at a time, each pair the other way round than the one before, so that a drift of the machine
 * harms both alike. */
export function interleaved(pairs: number): Side[] {
  return Array.from({ length: pairs }, (_, i): Side[] =>
    i % 2 === 0 ? ['head', 'other'] : ['other', 'head'],
  ).flat();
}
