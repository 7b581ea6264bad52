/**
 * The panes of one actor: one tally per slice of event time, and the windows made of them. Tumbling is the window of
 * one pane; sliding ones are sums of panes, kept running: a slide costs one pane added and one taken away.
 *
 * Source for panes: Li, Maier, Tufte, Papadimos, Tucker: No pane, no gain, SIGMOD Record 2005.
 */
import { addTally, copyTally, type Tally } from './tally.js';

export interface StoredPanes {
  /** [start, counters, sketch?] of each pane; starts in panes since 1970. */
  readonly p: [number, number[], number[]?][];
  /** Revisions above 0, as flat triples: size in panes, end in panes, revision. */
  readonly r: number[];
}

export class Panes {
  readonly #paneMs: number;
  readonly #byStart = new Map<number, Tally>();
  /** Panes as they are stored, until they change: most are closed and never do. */
  readonly #stored = new Map<number, StoredPanes['p'][number]>();
  readonly #revisions = new Map<string, number>();
  /** Running sums per window size, valid for windows that end at `#sumsEndMs`. Derived: never stored. */
  #sums = new Map<number, Tally>();
  #sumsEndMs = Number.NaN;

  constructor(paneMs: number) {
    this.#paneMs = paneMs;
  }

  get size(): number {
    return this.#byStart.size;
  }

  get(startMs: number): Tally | undefined {
    return this.#byStart.get(startMs);
  }

  /** Panes by their start, oldest first. */
  list(): [startMs: number, tally: Tally][] {
    return [...this.#byStart].sort(([a], [b]) => a - b);
  }

  /** Adds to the pane that starts at a time. */
  add(startMs: number, tally: Tally): void {
    const pane = this.#byStart.get(startMs);
    this.#stored.delete(startMs);
    if (pane === undefined) this.#byStart.set(startMs, copyTally(tally));
    else addTally(pane, tally);
    if (startMs < this.#sumsEndMs) this.#sumsEndMs = Number.NaN;
  }

  /** The tally of the window of a size that ends at a time. Not to be changed: it may be the running sum itself. */
  windowEnding(endMs: number, sizeMs: number): Tally | undefined {
    if (sizeMs === this.#paneMs) return this.#byStart.get(endMs - sizeMs);
    if (endMs !== this.#sumsEndMs) return this.sumOf(endMs, sizeMs);
    return this.#sums.get(sizeMs);
  }

  /** Moves the running sums to windows that end at a time. */
  slideTo(endMs: number, sizesMs: readonly number[]): void {
    if (this.#sumsEndMs === endMs) return;
    const byOne = this.#sumsEndMs === endMs - this.#paneMs;
    for (const sizeMs of sizesMs) {
      if (sizeMs === this.#paneMs) continue;
      const sum = this.#sums.get(sizeMs);
      if (!byOne || sum === undefined) {
        this.#sums.set(sizeMs, this.sumOf(endMs, sizeMs));
        continue;
      }
      const entering = this.#byStart.get(endMs - this.#paneMs);
      const leaving = this.#byStart.get(endMs - this.#paneMs - sizeMs);
      if (entering !== undefined) addTally(sum, entering);
      if (leaving !== undefined) addTally(sum, leaving, -1);
    }
    this.#sumsEndMs = endMs;
  }

  /** The window's sum from its panes, without the running sums. */
  sumOf(endMs: number, sizeMs: number): Tally {
    const sum: Tally = { n: [] };
    for (let startMs = endMs - sizeMs; startMs < endMs; startMs += this.#paneMs) {
      const pane = this.#byStart.get(startMs);
      if (pane !== undefined) addTally(sum, pane);
    }
    return sum;
  }

  /** Start of the earliest pane at or after a time. */
  earliestFrom(startMs: number): number | undefined {
    let earliest: number | undefined;
    for (const start of this.#byStart.keys()) {
      if (start >= startMs && (earliest === undefined || start < earliest)) earliest = start;
    }
    return earliest;
  }

  /** True when any pane starts in [from, to). */
  anyIn(fromMs: number, toMs: number): boolean {
    for (const start of this.#byStart.keys()) if (start >= fromMs && start < toMs) return true;
    return false;
  }

  /** The next revision of a window that was final before. */
  revise(sizeMs: number, endMs: number): number {
    const key = `${sizeMs / this.#paneMs}:${endMs / this.#paneMs}`;
    const revision = (this.#revisions.get(key) ?? 0) + 1;
    this.#revisions.set(key, revision);
    return revision;
  }

  /** Drops panes that start before a time, and revisions of windows that ended before it. */
  prune(beforeMs: number): void {
    for (const start of this.#byStart.keys()) {
      if (start >= beforeMs) continue;
      this.#byStart.delete(start);
      this.#stored.delete(start);
    }
    if (this.#revisions.size === 0) return;
    for (const key of this.#revisions.keys()) {
      if (Number(key.slice(key.indexOf(':') + 1)) * this.#paneMs < beforeMs) this.#revisions.delete(key);
    }
  }

  store(): StoredPanes {
    const p: StoredPanes['p'] = [];
    for (const [start, tally] of this.#byStart) {
      let stored = this.#stored.get(start);
      if (stored === undefined) this.#stored.set(start, (stored = storePane(start / this.#paneMs, tally)));
      p.push(stored);
    }
    const r: number[] = [];
    for (const [key, revision] of this.#revisions) r.push(...key.split(':').map(Number), revision);
    return { p, r };
  }

  static from(stored: StoredPanes, paneMs: number): Panes {
    const panes = new Panes(paneMs);
    for (const [start, n, q] of stored.p)
      panes.#byStart.set(start * paneMs, q === undefined ? { n } : { n, q });
    for (let i = 0; i < stored.r.length; i += 3)
      panes.#revisions.set(`${stored.r[i]!}:${stored.r[i + 1]!}`, stored.r[i + 2]!);
    return panes;
  }
}

function withoutTrailingZeros(n: readonly number[]): number[] {
  let length = n.length;
  while (length > 0 && n[length - 1] === 0) length--;
  return n.slice(0, length);
}

function storePane(start: number, { n, q }: Tally): StoredPanes['p'][number] {
  const counters = withoutTrailingZeros(n);
  return q === undefined || q.length === 0 ? [start, counters] : [start, counters, [...q]];
}
