/**
 * The panes of one actor: one tally per slice of event time, and the windows made of them. Tumbling is the window of
 * one pane; sliding ones are sums of panes, kept running: a slide costs one pane added and one taken away.
 *
 * Source for panes: Li, Maier, Tufte, Papadimos, Tucker: No pane, no gain, SIGMOD Record 2005.
 */
import { Packr } from 'msgpackr';
import { addTally, copyTally, type Tally } from './tally.js';

export interface StoredPanes {
  /** [start, packed tally] of each pane; starts in panes since 1970. */
  readonly p: [number, Uint8Array][];
  /** Revisions above 0, as flat triples: size in panes, end in panes, revision. */
  readonly r: number[];
}

export class Panes {
  readonly #paneMs: number;
  /** Packed from when it was stored until it changes: most are closed and never do. */
  readonly #byStart = new Map<number, Tally | Uint8Array>();
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
    const pane = this.#byStart.get(startMs);
    return pane instanceof Uint8Array ? unpackTally(pane) : pane;
  }

  /** Panes by their start, oldest first. */
  list(): [startMs: number, tally: Tally][] {
    return [...this.#byStart.keys()].sort((a, b) => a - b).map((startMs) => [startMs, this.get(startMs)!]);
  }

  /** Adds to the pane that starts at a time. */
  add(startMs: number, tally: Tally): void {
    const pane = this.get(startMs);
    this.#byStart.set(startMs, pane === undefined ? copyTally(tally) : addTally(pane, tally));
    if (startMs < this.#sumsEndMs) this.#sumsEndMs = Number.NaN;
  }

  /** The tally of the window of a size that ends at a time. Not to be changed: it may be the running sum itself. */
  windowEnding(endMs: number, sizeMs: number): Tally | undefined {
    if (sizeMs === this.#paneMs) return this.get(endMs - sizeMs);
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
      const entering = this.get(endMs - this.#paneMs);
      const leaving = this.get(endMs - this.#paneMs - sizeMs);
      if (entering !== undefined) addTally(sum, entering);
      if (leaving !== undefined) addTally(sum, leaving, -1);
    }
    this.#sumsEndMs = endMs;
  }

  /** The window's sum from its panes, without the running sums. */
  sumOf(endMs: number, sizeMs: number): Tally {
    const sum: Tally = { n: [] };
    for (let startMs = endMs - sizeMs; startMs < endMs; startMs += this.#paneMs) {
      const pane = this.get(startMs);
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
    for (const start of this.#byStart.keys()) if (start < beforeMs) this.#byStart.delete(start);
    if (this.#revisions.size === 0) return;
    for (const key of this.#revisions.keys()) {
      if (Number(key.slice(key.indexOf(':') + 1)) * this.#paneMs < beforeMs) this.#revisions.delete(key);
    }
  }

  store(): StoredPanes {
    const p: StoredPanes['p'] = [];
    for (const [start, pane] of this.#byStart) {
      const packed = pane instanceof Uint8Array ? pane : packTally(pane);
      if (packed !== pane) this.#byStart.set(start, packed);
      p.push([start / this.#paneMs, packed]);
    }
    const r: number[] = [];
    for (const [key, revision] of this.#revisions) r.push(...key.split(':').map(Number), revision);
    return { p, r };
  }

  static from(stored: StoredPanes, paneMs: number): Panes {
    const panes = new Panes(paneMs);
    for (const [start, packed] of stored.p) panes.#byStart.set(start * paneMs, Uint8Array.from(packed));
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

const packr = new Packr({ useRecords: false });

function packTally({ n, q }: Tally): Uint8Array {
  const counters = withoutTrailingZeros(n);
  // Of its own size: what msgpackr gives is a piece of something larger, and would keep all of it.
  return Uint8Array.from(packr.pack(q === undefined || q.length === 0 ? [counters] : [counters, q]));
}

function unpackTally(packed: Uint8Array): Tally {
  const [n, q] = packr.unpack(packed) as [number[], number[]?];
  return q === undefined ? { n } : { n, q };
}
