/**
 * The panes of one actor: one tally per slice of event time, and the windows made of them. Tumbling is the window of
 * one pane; sliding ones are sums of panes, kept running: a slide costs one pane added and one taken away.
 *
 * Source for panes: Li, Maier, Tufte, Papadimos, Tucker: No pane, no gain, SIGMOD Record 2005.
 */
import { ByteReader, ByteWriter } from '../core/bytes.js';
import { addTally, copyTally, type Tally } from './tally.js';

/** Written by all: nothing that they do waits for anything. What is packed stays, what is stored goes soon. */
const packer = new ByteWriter();
const writer = new ByteWriter();

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

  /**
   * Moves the running sums to windows that end at a time.
   * @param entering the pane that ends then
   */
  slideTo(endMs: number, sizesMs: readonly number[], entering = this.get(endMs - this.#paneMs)): void {
    if (this.#sumsEndMs === endMs) return;
    const byOne = this.#sumsEndMs === endMs - this.#paneMs;
    for (const sizeMs of sizesMs) {
      if (sizeMs === this.#paneMs) continue;
      const sum = this.#sums.get(sizeMs);
      if (!byOne || sum === undefined) {
        this.#sums.set(sizeMs, this.sumOf(endMs, sizeMs));
        continue;
      }
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

  /** All of it as bytes: panes, oldest first as they came, then revisions above 0. */
  store(): Uint8Array {
    for (const [start, pane] of this.#byStart)
      if (!(pane instanceof Uint8Array)) this.#byStart.set(start, packTally(pane));
    writer.uint(this.#byStart.size);
    for (const [start, packed] of this.#byStart)
      writer.uint(start / this.#paneMs).bytes(packed as Uint8Array);
    for (const [key, revision] of this.#revisions) {
      const [size, end] = key.split(':').map(Number) as [number, number];
      writer.uint(size).uint(end).uint(revision);
    }
    return writer.take();
  }

  /** Revisions above 0: size in panes, end in panes, revision. */
  revisions(): [size: number, end: number, revision: number][] {
    return [...this.#revisions].map(([key, revision]) => {
      const [size, end] = key.split(':').map(Number) as [number, number];
      return [size, end, revision];
    });
  }

  static from(stored: Uint8Array, paneMs: number): Panes {
    const panes = new Panes(paneMs);
    // One piece of memory for all of them.
    const reader = new ByteReader(new Uint8Array(stored));
    for (let count = reader.uint(); count > 0; count--) {
      const startMs = reader.uint() * paneMs;
      panes.#byStart.set(startMs, reader.bytes());
    }
    while (!reader.done) {
      const key = `${reader.uint()}:${reader.uint()}`;
      panes.#revisions.set(key, reader.uint());
    }
    return panes;
  }
}

/** A tally's counters, those at its end that are 0 left out; then its sketch. */
function packTally({ n, q = [] }: Tally): Uint8Array {
  let length = n.length;
  while (length > 0 && n[length - 1] === 0) length--;
  packer.uint(length);
  for (let i = 0; i < length; i++) packer.int(n[i]!);
  for (const value of q) packer.int(value);
  return packer.take();
}

function unpackTally(packed: Uint8Array): Tally {
  const reader = new ByteReader(packed);
  const n: number[] = [];
  for (let count = reader.uint(); count > 0; count--) n.push(reader.int());
  if (reader.done) return { n };
  const q: number[] = [];
  while (!reader.done) q.push(reader.int());
  return { n, q };
}
