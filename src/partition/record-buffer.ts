/**
 * Objects, taken apart as they come: a list of values for each field. They are looked at while they are new, and can go at once;
 * what waits to be sent is a few long lists, not an object for each event.
 */
import { codeOf, type Plain, type RecordCode } from './record-code.js';

/** With more kinds of objects they are not taken apart: each kind has lists of its own. */
export const SHAPES_MAX = 16;

/** Objects with the same names of fields, in the order in which they came. */
export interface BufferedShape {
  readonly code: RecordCode;
  readonly fields: unknown[][];
}

export class RecordBuffer {
  readonly shapes: BufferedShape[] = [];
  /** Of objects of the same shape, one behind the other: which shape, and how many. */
  readonly runs: number[] = [];
  #last: BufferedShape | undefined;
  #count = 0;
  /** All of them as they came, when they are too unlike each other. */
  #whole: Plain[] | undefined;

  static of(records: Iterable<Plain>): RecordBuffer {
    const buffer = new RecordBuffer();
    for (const record of records) buffer.add(record);
    return buffer;
  }

  get count(): number {
    return this.#count;
  }

  /** All of them as they came, when they were not taken apart. */
  get whole(): readonly Plain[] | undefined {
    return this.#whole;
  }

  /** @param record nothing but fields */
  add(record: Plain): void {
    this.#count++;
    if (this.#whole !== undefined) {
      this.#whole.push(record);
      return;
    }
    const shape = this.#last?.code.fits(record) === true ? this.#last : this.#begin(record);
    if (shape === undefined) {
      this.#whole = [...this.list(), record];
      return;
    }
    shape.code.put(shape.fields, record);
    this.runs[this.runs.length - 1]!++;
  }

  /** The objects, made anew. */
  list(): Plain[] {
    if (this.#whole !== undefined) return this.#whole;
    const records: Plain[] = [];
    const next = this.shapes.map(() => 0);
    for (let run = 0; run < this.runs.length; run += 2) {
      const index = this.runs[run]!;
      const { code, fields } = this.shapes[index]!;
      for (let left = this.runs[run + 1]!; left > 0; left--) records.push(code.make(fields, next[index]!++));
    }
    return records;
  }

  /** Begins a run of the shape of an object; undefined when there are too many shapes, or it has a name that none can have. */
  #begin(record: Plain): BufferedShape | undefined {
    let index = this.shapes.findIndex(({ code }) => code.fits(record));
    if (index === -1) {
      if (this.shapes.length === SHAPES_MAX || Object.hasOwn(record, '__proto__')) return undefined;
      const code = codeOf(Object.keys(record));
      index = this.shapes.push({ code, fields: code.names.map(() => []) }) - 1;
    }
    this.runs.push(index, 0);
    return (this.#last = this.shapes[index]!);
  }
}
