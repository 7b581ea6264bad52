/**
 * The rows of one minute of the last hour, of all keys, in a ring of minutes: a row costs some 50 bytes, and the oldest
 * minute goes as a whole. Keys are small integers, given out by `LatestRows`.
 */
import { PackedNumbers } from './packed-numbers.js';
import { END, endOf, revOf, WATERMARK, type RowNumbers, type RowShape } from './row-shape.js';

export const MINUTE_MS = 60_000;
/** Minutes that are kept. */
export const HISTORY_MINUTES = 60;
/** Dead bytes of corrected rows that are worth a rewrite of their minute. */
const DEAD_BYTES_MAX = 256 * 1024;

export interface HistoryRow {
  readonly shape: RowShape;
  readonly numbers: RowNumbers;
}

export class MinuteHistory {
  readonly #slots: Minute[] = Array.from({ length: HISTORY_MINUTES }, () => new Minute());
  #newest = 0;

  /** End of the latest minute that had a row, event time ms. */
  get newestMs(): number {
    return this.#newest * MINUTE_MS;
  }

  /** Memory of the rows, bytes. */
  get bytes(): number {
    return this.#slots.reduce((sum, slot) => sum + slot.bytes, 0);
  }

  /** Keeps a row of one minute, unless it is older than an hour or a later revision is there. */
  put(id: number, shape: RowShape, numbers: RowNumbers): void {
    const minute = Math.ceil(endOf(numbers) / MINUTE_MS);
    if (minute <= this.#newest - HISTORY_MINUTES) return;
    const slot = this.#slots[minute % HISTORY_MINUTES]!;
    if (slot.minute !== minute) slot.begin(minute);
    this.#newest = Math.max(this.#newest, minute);
    slot.put(id, shape, numbers);
  }

  /** Rows of a key that end in the hour up to `untilMs`, or up to the newest one when that is later; oldest first. */
  rows(id: number, untilMs: number, count: number): HistoryRow[] {
    const last = Math.max(this.#newest, Math.floor(untilMs / MINUTE_MS));
    const rows: HistoryRow[] = [];
    for (let minute = last; minute > last - HISTORY_MINUTES && rows.length < count; minute--) {
      const row = this.#at(minute)?.row(id);
      if (row !== undefined) rows.push(row);
    }
    return rows.reverse();
  }

  /**
   * Multipliers of a key in the minutes up to the one that ends at `untilMs`, oldest first: null where it had no row,
   * from the first minute on that had one.
   */
  multipliers(id: number, untilMs: number, minutes: number): (number | null)[] {
    const last = Math.floor(untilMs / MINUTE_MS);
    const line: (number | null)[] = [];
    for (let minute = last - minutes + 1; minute <= last; minute++) {
      const multiplier = this.#at(minute)?.multiplier(id);
      if (multiplier !== undefined) line.push(multiplier);
      else if (line.length > 0) line.push(null);
    }
    return line;
  }

  #at(minute: number): Minute | undefined {
    const slot = this.#slots[((minute % HISTORY_MINUTES) + HISTORY_MINUTES) % HISTORY_MINUTES]!;
    return slot.minute === minute ? slot : undefined;
  }
}

/** All rows of one minute: packed one after the other, found by key. */
class Minute {
  minute = -1;
  #packed = new PackedNumbers();
  #deadBytes = 0;
  /** Place of a key's row in the packed numbers, plus one; 0 when it has none. */
  #places = new Uint32Array(0);
  #multipliers = new Float64Array(0);
  #shapes: RowShape[] = [];
  #shapeIndex = new Map<RowShape, number>();

  get bytes(): number {
    return this.#packed.capacity + this.#places.byteLength + this.#multipliers.byteLength;
  }

  begin(minute: number): void {
    this.minute = minute;
    this.#packed.clear();
    this.#deadBytes = 0;
    this.#places.fill(0);
    this.#multipliers.fill(NaN);
    this.#shapes = [];
    this.#shapeIndex = new Map();
  }

  put(id: number, shape: RowShape, numbers: RowNumbers): void {
    if (id >= this.#places.length) this.#widen(id + 1);
    const known = this.#places[id]!;
    if (known > 0) {
      // Shape, end and revision stand first.
      if (this.#packed.read(known - 1, 3)[2]! > revOf(numbers)) return;
      this.#deadBytes += 2 * shape.stride;
    }
    this.#places[id] = this.#packed.length + 1;
    this.#write(shape, numbers);
    this.#multipliers[id] = shape.surgeAt < 0 ? NaN : numbers[shape.surgeAt]!;
    if (this.#deadBytes > DEAD_BYTES_MAX && this.#deadBytes > this.#packed.length / 2) this.#rewrite();
  }

  row(id: number): HistoryRow | undefined {
    const place = this.#places[id] ?? 0;
    if (place === 0) return undefined;
    const shape = this.#shapes[this.#packed.read(place - 1, 1)[0]!]!;
    const numbers = this.#packed.read(place - 1, 1 + shape.stride).slice(1);
    numbers[END]! += this.minute * MINUTE_MS;
    numbers[WATERMARK]! += numbers[END]!;
    return { shape, numbers };
  }

  multiplier(id: number): number | undefined {
    const multiplier = this.#multipliers[id] ?? NaN;
    return Number.isNaN(multiplier) ? undefined : multiplier;
  }

  #write(shape: RowShape, numbers: RowNumbers): void {
    let index = this.#shapeIndex.get(shape);
    if (index === undefined) {
      index = this.#shapes.push(shape) - 1;
      this.#shapeIndex.set(shape, index);
    }
    this.#packed.write(index);
    const end = endOf(numbers);
    for (let i = 0; i < shape.stride; i++) {
      const number = numbers[i]!;
      // Times are written as differences, which are small.
      const base = i === END ? this.minute * MINUTE_MS : i === WATERMARK ? end : 0;
      this.#packed.write(base === 0 ? number : number - base);
    }
  }

  /** Writes the rows that count anew, without the corrected ones. */
  #rewrite(): void {
    const rows = Array.from(this.#places, (_, id) => this.row(id));
    this.#packed.clear();
    this.#deadBytes = 0;
    for (const [id, row] of rows.entries()) {
      if (row === undefined) continue;
      this.#places[id] = this.#packed.length + 1;
      this.#write(row.shape, row.numbers);
    }
  }

  #widen(count: number): void {
    const capacity = Math.ceil(Math.max(64, count * 1.25));
    const places = new Uint32Array(capacity);
    places.set(this.#places);
    const multipliers = new Float64Array(capacity).fill(NaN);
    multipliers.set(this.#multipliers);
    this.#places = places;
    this.#multipliers = multipliers;
  }
}
