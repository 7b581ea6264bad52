/**
 * A tally: named integer counters and, if there is one, a quantile sketch. Tallies merge by addition and can be taken
 * away again, exactly, since all counters are integers: that is what makes sliding windows out of panes cheap, and
 * late corrections exact, and the sum the same in any order (P7).
 */
import { mergeSketch, type Sketch } from './sketch.js';

export interface Tally {
  /** Counters by index; may be shorter than the full list: what is missing is 0. */
  readonly n: number[];
  q?: Sketch;
}

/**
 * V8 keeps lists of small integers apart from lists of doubles. Where code has seen both it makes each list of the first kind
 * into one of the second as it comes, by a call that costs more than adding a tally. Sums of a region are doubles, so all are.
 */
const A_DOUBLE = 0.5;
const NO_COUNTERS: readonly number[] = [A_DOUBLE].slice(0, 0);

/** A tally of nothing. */
export function emptyTally(): Tally {
  return { n: NO_COUNTERS.slice() };
}

/** The full list of counters of a kind of tally, and their indices. */
export class TallyShape<Name extends string> {
  readonly names: readonly Name[];
  readonly index: Readonly<Record<Name, number>>;
  readonly #zeros: readonly number[];

  constructor(names: readonly Name[]) {
    this.names = names;
    this.index = Object.fromEntries(names.map((name, i) => [name, i])) as Record<Name, number>;
    this.#zeros = names.map(() => A_DOUBLE).fill(0);
  }

  /** @param last counters behind this one are 0 and left out */
  zero(last?: Name): Tally {
    return { n: last === undefined ? this.#zeros.slice() : this.#zeros.slice(0, this.index[last] + 1) };
  }

  /** @example shape.of({ requests: 1, riders: 1 }) */
  of(values: Partial<Record<Name, number>>): Tally {
    const tally = this.zero();
    for (const name in values) tally.n[this.index[name]] = values[name]!;
    return tally;
  }
}

/** Adds `factor` (1 or -1) times a tally into another, in place. */
export function addTally(into: Tally, from: Tally, factor: 1 | -1 = 1): Tally {
  const a = into.n;
  const b = from.n;
  while (a.length < b.length) a.push(0);
  for (let i = 0; i < b.length; i++) a[i]! += factor * b[i]!;
  if (from.q !== undefined && from.q.length > 0) into.q = mergeSketch(into.q ?? [], from.q, factor);
  return into;
}

export function copyTally(tally: Tally): Tally {
  return tally.q === undefined ? { n: tally.n.slice() } : { n: tally.n.slice(), q: tally.q.slice() };
}

/** True when every counter is 0 and the sketch is empty. */
export function isZeroTally(tally: Tally): boolean {
  const { n } = tally;
  for (let i = 0; i < n.length; i++) if (n[i] !== 0) return false;
  return tally.q === undefined || tally.q.length === 0;
}
