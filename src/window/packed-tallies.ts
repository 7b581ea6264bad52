/**
 * Tallies as bytes, one behind the other in one piece of memory: an actor keeps an hour of panes that change no more. As
 * objects they would take several times the memory, and to store them would mean to go through all of them.
 */
import { ByteReader, ByteWriter } from '../core/bytes.js';
import { mergeSketch } from './sketch.js';
import { emptyTally, type Tally } from './tally.js';

/** Written by all: nothing that they do waits for anything. */
const packer = new ByteWriter();
const loose = new ByteWriter();

export class PackedTallies {
  /** Room for more behind the last one. */
  #bytes = new Uint8Array(0);
  /** Where each tally begins, and where the last one ends. */
  #bounds = [0];

  get length(): number {
    return this.#bounds.length - 1;
  }

  push(tally: Tally): void {
    packTally(tally);
    this.#reserve(packer.length);
    this.#bounds.push(packer.copyTo(this.#bytes, this.#end()));
  }

  /** Drops the first one. */
  shift(): void {
    this.#bounds.shift();
  }

  /** Takes the last one, of one or more. */
  pop(): Tally {
    const tally = this.at(this.length - 1);
    this.#bounds.pop();
    return tally;
  }

  at(index: number): Tally {
    return this.addTo(emptyTally(), index, 1);
  }

  /** Adds `factor` times a tally into another one, in place, without making it. */
  addTo(into: Tally, index: number, factor: 1 | -1): Tally {
    const reader = new ByteReader(this.#bytes, this.#bounds[index], this.#bounds[index + 1]);
    const { n } = into;
    const length = reader.uint();
    while (n.length < length) n.push(0);
    for (let i = 0; i < length; i++) n[i]! += factor * reader.int();
    if (reader.done) return into;
    const sketch: number[] = [];
    while (!reader.done) sketch.push(reader.int());
    into.q = mergeSketch(into.q ?? [], sketch, factor);
    return into;
  }

  /**
   * All of them: their number, the bytes that each takes, the bytes.
   * @param more as if they stood behind them
   */
  writeTo(writer: ByteWriter, more: readonly Tally[]): void {
    const bounds = this.#bounds;
    writer.uint(this.length + more.length);
    for (let i = 1; i < bounds.length; i++) writer.uint(bounds[i]! - bounds[i - 1]!);
    loose.clear();
    for (const tally of more) {
      packTally(tally);
      writer.uint(packer.length);
      loose.rawBy(packer);
    }
    if (this.length > 0) writer.raw(this.#bytes.subarray(bounds[0], this.#end()));
    writer.rawBy(loose);
  }

  /** Reads what was written. What the reader reads from may change then. */
  static readFrom(reader: ByteReader): PackedTallies {
    const tallies = new PackedTallies();
    const bounds = tallies.#bounds;
    for (let left = reader.uint(); left > 0; left--) bounds.push(tallies.#end() + reader.uint());
    tallies.#bytes = new Uint8Array(reader.raw(tallies.#end()));
    return tallies;
  }

  #end(): number {
    return this.#bounds[this.#bounds.length - 1]!;
  }

  /** Makes room behind the last one: of what the first ones have left, or in a new piece, twice as large. */
  #reserve(more: number): void {
    if (this.#end() + more <= this.#bytes.length) return;
    const [from] = this.#bounds as [number];
    const used = this.#bytes.subarray(from, this.#end());
    if (2 * (used.length + more) > this.#bytes.length) this.#bytes = new Uint8Array(2 * (used.length + more));
    this.#bytes.set(used);
    this.#bounds = this.#bounds.map((bound) => bound - from);
  }
}

/** Writes a tally's counters behind their number, those at its end that are 0 left out; then its sketch. */
function packTally({ n, q }: Tally): void {
  let length = n.length;
  while (length > 0 && n[length - 1] === 0) length--;
  // Whoever wrote before may have been broken off.
  packer.clear().uint(length);
  for (let i = 0; i < length; i++) packer.int(n[i]!);
  if (q !== undefined) packer.ints(q);
}
