/**
 * The panes of one actor: one tally per slice of event time, and the windows made of them. Tumbling is the window of
 * one pane; sliding ones are sums of panes, kept running: a slide costs one pane added and one taken away.
 *
 * Source for panes: Li, Maier, Tufte, Papadimos, Tucker: No pane, no gain, SIGMOD Record 2005.
 */
import { ByteReader, type ByteWriter } from '../core/bytes.js';
import { PackedTallies } from './packed-tallies.js';
import { addTally, copyTally, emptyTally, type Tally } from './tally.js';

/**
 * The sum of all panes from an index on: what a window has left behind is taken away when the window is asked for, and has
 * a pane in it. So windows that are empty cost nothing.
 */
interface RunningSum {
  readonly tally: Tally;
  first: number;
}

export class Panes {
  readonly #paneMs: number;
  /** Start of each pane there is, in panes, oldest first. */
  readonly #starts: number[] = [];
  /** The older ones, from when they were stored after they had closed until one of them changes: most never do. */
  #packed = new PackedTallies();
  /** The others. */
  readonly #loose: Tally[] = [];
  /** Undefined while nothing was ever revised: so it is for most. */
  #revisions: Map<string, number> | undefined;
  /** Running sums, of windows that end at `#sumsEnd`; none are kept that are not right. Derived: never stored. */
  #sums: RunningSum[] = [];
  #sizesMs: readonly number[] = [];
  #sumsEnd = 0;
  /** Index of the first pane that is not in them yet. */
  #entering = 0;

  constructor(paneMs: number) {
    this.#paneMs = paneMs;
  }

  get(startMs: number): Tally | undefined {
    const index = this.#find(startMs);
    return index === undefined ? undefined : this.#at(index);
  }

  /** Panes by their start, oldest first. */
  list(): [startMs: number, tally: Tally][] {
    return this.#starts.map((start, i) => [start * this.#paneMs, this.#at(i)]);
  }

  /** Adds to the pane that starts at a time. */
  add(startMs: number, tally: Tally): void {
    const start = startMs / this.#paneMs;
    const index = this.#firstFrom(start);
    this.#loosen(index);
    const at = index - this.#packed.length;
    if (this.#starts[index] === start) {
      addTally(this.#loose[at]!, tally);
    } else if (index === this.#starts.length) {
      this.#starts.push(start);
      this.#loose.push(copyTally(tally));
    } else {
      this.#starts.splice(index, 0, start);
      this.#loose.splice(at, 0, copyTally(tally));
    }
    if (start < this.#sumsEnd) this.#sums = [];
  }

  /**
   * The tally of the window of a size that ends at a time; undefined when no pane is in it. Not to be changed: it may be
   * the running sum itself.
   */
  windowEnding(endMs: number, sizeMs: number): Tally | undefined {
    if (sizeMs === this.#paneMs) return this.get(endMs - sizeMs);
    const end = endMs / this.#paneMs;
    const sum = end === this.#sumsEnd ? this.#sums[this.#sizesMs.indexOf(sizeMs)] : undefined;
    if (sum === undefined) return this.sumOf(endMs, sizeMs);
    const from = end - sizeMs / this.#paneMs;
    const newest = this.#starts[this.#entering - 1];
    if (newest === undefined || newest < from) return undefined;
    this.#leaveBehind(sum, from);
    return sum.tally;
  }

  /**
   * Moves the running sums to windows that end at a time, which is not before where they are.
   * @param sizesMs always the same: those of the windows that will be asked for
   */
  slideTo(endMs: number, sizesMs: readonly number[]): void {
    const end = endMs / this.#paneMs;
    if (this.#sums.length === 0 || end < this.#sumsEnd) this.#beginSums(end, sizesMs);
    for (; this.#starts[this.#entering]! < end; this.#entering++) {
      const pane = this.#at(this.#entering);
      for (const { tally } of this.#sums) addTally(tally, pane);
    }
    this.#sumsEnd = end;
  }

  /** The window's sum from its panes, without the running sums. */
  sumOf(endMs: number, sizeMs: number): Tally {
    const end = endMs / this.#paneMs;
    return this.#sumFrom(this.#firstFrom(end - sizeMs / this.#paneMs), this.#firstFrom(end));
  }

  /** Start of the earliest pane at or after a time. */
  earliestFrom(startMs: number): number | undefined {
    const start = this.#starts[this.#firstFrom(startMs / this.#paneMs)];
    return start === undefined ? undefined : start * this.#paneMs;
  }

  /** The last end from one on up to which no pane enters, and windows of a size still have one: at least that one. */
  quietUntil(endMs: number, sizeMs: number): number {
    const starts = this.#starts;
    const end = endMs / this.#paneMs;
    const entering = this.#firstFrom(end);
    const next = starts[entering] ?? Number.POSITIVE_INFINITY;
    const newest = starts[entering - 1] ?? Number.NEGATIVE_INFINITY;
    return Math.max(end, Math.min(next, newest + sizeMs / this.#paneMs)) * this.#paneMs;
  }

  /**
   * The tallies of windows of a size that end from where the running sums are up to another time, while no pane enters: each with
   * the first end at which it is so, and how many more follow. Those in which no pane is are passed over.
   * @param see the tally is not to be changed: it is the running sum itself
   */
  runsUntil(
    lastEndMs: number,
    sizeMs: number,
    see: (tally: Tally, endMs: number, more: number) => void,
  ): void {
    const starts = this.#starts;
    const last = lastEndMs / this.#paneMs;
    const size = sizeMs / this.#paneMs;
    const sum = this.#sums[this.#sizesMs.indexOf(sizeMs)]!;
    const newest = starts[this.#entering - 1];
    for (let end = this.#sumsEnd; end <= last && newest !== undefined && newest >= end - size;) {
      this.#leaveBehind(sum, end - size);
      const sameUntil = Math.min(last, starts[sum.first]! + size);
      see(sum.tally, end * this.#paneMs, sameUntil - end);
      end = sameUntil + 1;
    }
  }

  /** True when any pane starts in [from, to). */
  anyIn(fromMs: number, toMs: number): boolean {
    const last = this.#firstFrom(toMs / this.#paneMs) - 1;
    return last >= 0 && this.#starts[last]! * this.#paneMs >= fromMs;
  }

  /** The next revision of a window that was final before. */
  revise(sizeMs: number, endMs: number): number {
    const key = `${sizeMs / this.#paneMs}:${endMs / this.#paneMs}`;
    this.#revisions ??= new Map();
    const revision = (this.#revisions.get(key) ?? 0) + 1;
    this.#revisions.set(key, revision);
    return revision;
  }

  /** Drops panes that start before a time, and revisions of windows that ended before it. */
  prune(beforeMs: number): void {
    for (let left = this.#firstFrom(beforeMs / this.#paneMs); left > 0; left--) this.#dropFirst();
    if (this.#revisions === undefined) return;
    for (const key of this.#revisions.keys()) {
      if (Number(key.slice(key.indexOf(':') + 1)) * this.#paneMs < beforeMs) this.#revisions.delete(key);
    }
  }

  /** All of it as bytes: each start as what it is after the one before it, the panes, then revisions above 0. */
  writeTo(writer: ByteWriter): ByteWriter {
    const packed = this.#packed;
    while (this.#loose.length > 0 && this.#starts[packed.length]! < this.#sumsEnd)
      packed.push(this.#loose.shift()!);
    packed.writeTo(writer, this.#loose);
    let before = 0;
    for (const start of this.#starts) {
      writer.uint(start - before);
      before = start;
    }
    for (const [key, revision] of this.#revisions ?? []) {
      const [size, end] = key.split(':').map(Number) as [number, number];
      writer.uint(size).uint(end).uint(revision);
    }
    return writer;
  }

  /** Revisions above 0: size in panes, end in panes, revision. */
  revisions(): [size: number, end: number, revision: number][] {
    return [...(this.#revisions ?? [])].map(([key, revision]) => {
      const [size, end] = key.split(':').map(Number) as [number, number];
      return [size, end, revision];
    });
  }

  static from(stored: Uint8Array, paneMs: number): Panes {
    const panes = new Panes(paneMs);
    const reader = new ByteReader(stored);
    panes.#packed = PackedTallies.readFrom(reader);
    let start = 0;
    for (let left = panes.#packed.length; left > 0; left--) panes.#starts.push((start += reader.uint()));
    while (!reader.done) {
      const key = `${reader.uint()}:${reader.uint()}`;
      (panes.#revisions ??= new Map()).set(key, reader.uint());
    }
    return panes;
  }

  #beginSums(end: number, sizesMs: readonly number[]): void {
    this.#sizesMs = sizesMs;
    this.#entering = this.#firstFrom(end);
    this.#sums = sizesMs.map((sizeMs) => {
      const first = this.#firstFrom(end - sizeMs / this.#paneMs);
      return { tally: this.#sumFrom(first, this.#entering), first };
    });
  }

  /** Takes the panes that start before a time away from a sum that has one behind them, in panes. */
  #leaveBehind(sum: RunningSum, start: number): void {
    for (; this.#starts[sum.first]! < start; sum.first++) this.#addTo(sum.tally, sum.first, -1);
  }

  #dropFirst(): void {
    this.#starts.shift();
    if (this.#packed.length > 0) this.#packed.shift();
    else this.#loose.shift();
    if (this.#sums.some(({ first }) => first === 0)) this.#sums = [];
    for (const sum of this.#sums) sum.first--;
    this.#entering--;
  }

  /** Index of the first pane that starts at or after a time, in panes; one behind the last when none does. */
  #firstFrom(start: number): number {
    const starts = this.#starts;
    let low = 0;
    let high = starts.length;
    // Most often it is asked for the newest, or whether there are old ones.
    if (high === 0 || starts[high - 1]! < start) return high;
    if (starts[0]! >= start) return 0;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (starts[middle]! < start) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #find(startMs: number): number | undefined {
    const start = startMs / this.#paneMs;
    const index = this.#firstFrom(start);
    return this.#starts[index] === start ? index : undefined;
  }

  #at(index: number): Tally {
    const packed = this.#packed.length;
    return index < packed ? this.#packed.at(index) : this.#loose[index - packed]!;
  }

  #sumFrom(first: number, end: number): Tally {
    const sum = emptyTally();
    for (let i = first; i < end; i++) this.#addTo(sum, i, 1);
    return sum;
  }

  #addTo(into: Tally, index: number, factor: 1 | -1): void {
    const packed = this.#packed.length;
    if (index < packed) this.#packed.addTo(into, index, factor);
    else addTally(into, this.#loose[index - packed]!, factor);
  }

  /** Makes all panes from an index on such as may be changed: the newest ones, but for late data. */
  #loosen(index: number): void {
    while (this.#packed.length > index) this.#loose.unshift(this.#packed.pop());
  }
}
