/**
 * Rows in blocks: what rows of a kind have in common (level, window, names of features, model) is written once, the rest
 * is bytes, a row behind the other, from when a row is emitted until somebody reads it. A day of a city is millions of
 * rows, each written and read more than once; as objects they cost several times as much as computing them.
 */
import {
  FeatureVector,
  REPEATS_MAX,
  type Features,
  type Repeats,
  type Row,
  type RowDraft,
} from '../actor/row.js';
import { ByteReader, ByteWriter } from '../core/bytes.js';
import { expectHead, expectNumber, expectObject } from './finite-values.js';

/** What rows have in common whenever they were said. */
export interface RowHead {
  readonly region: string;
  readonly level: string;
  readonly window: string;
  readonly lengthMs: number;
  /** Names of the features, in order. */
  readonly names: readonly string[];
  /** Of the rows' surge; null when they have none. */
  readonly model: string | null;
  readonly hasChildren: boolean;
}

/** What the rows of a block share. */
export interface RowKind extends RowHead {
  readonly rev: number;
  readonly final: boolean;
  /** Partitions that rows wait for. */
  readonly expected: number;
}

/** Numbers of a row that every kind has. */
export const FIXED = 6;
/**
 * Which of a row's times and reports are others than those of the row before it; of its end, the difference is written. And
 * whether the row stands for some more after it, which are the same but for their windows.
 */
const OTHER_END = 1;
const OTHER_WATERMARK = 2;
const OTHER_REPORTED = 4;
const REPEATED = 8;
/** Room that a block begins with: what one leaves of it is the next one's. */
const BLOCK_BYTES = 8 * 1024;
/** So many that were open at once leave their room to those that come. */
const WRITERS_KEPT = 32;
/** A block of so many bytes takes no more rows: several fit a message, and none need be taken apart to fit one. */
const BLOCK_BYTES_MAX = 64 * 1024;
/** And of so many rows: one that is repeated takes few bytes, and is many when it is read. */
const BLOCK_ROWS_MAX = 4_096;

/** Numbers per row. */
export function stride({ names, model, hasChildren }: RowHead): number {
  return FIXED + (hasChildren ? 1 : 0) + (model === null ? 0 : 2) + names.length;
}

/** Rows of one kind; row i has `keys[i]` and the i-th group of `stride(kind)` numbers. */
export class RowBlock {
  readonly kind: RowKind;
  /** How many rows. */
  readonly count: number;
  /** End of the window that ended first: event time, ms. */
  readonly firstEndMs: number;
  readonly bytes: Uint8Array;
  #columns: { readonly keys: readonly string[]; readonly numbers: Float64Array } | undefined;

  constructor(kind: RowKind, count: number, firstEndMs: number, bytes: Uint8Array) {
    this.kind = kind;
    this.count = count;
    this.firstEndMs = firstEndMs;
    this.bytes = bytes;
  }

  /** @throws RangeError when the bytes are not those of so many rows */
  get keys(): readonly string[] {
    return (this.#columns ??= this.#read()).keys;
  }

  /**
   * Per row: end, rev, final, watermark, expected, reported, children?, multiplier?, raw?, features…
   * @throws RangeError when the bytes are not those of so many rows
   */
  get numbers(): Float64Array {
    return (this.#columns ??= this.#read()).numbers;
  }

  #read(): { keys: string[]; numbers: Float64Array } {
    const { kind, count, bytes } = this;
    const step = stride(kind);
    // Memory is not taken for what cannot be there: a row takes more than a byte, unless it is repeated.
    if (count > Math.max(bytes.length, BLOCK_ROWS_MAX + REPEATS_MAX))
      throw new RangeError(`${bytes.length} bytes cannot hold ${count} rows`);
    const reader = new ByteReader(bytes);
    const keys: string[] = [];
    const numbers = new Float64Array(count * step);
    let [end, watermark, reported] = [0, 0, 0];
    for (let at = 0; at < numbers.length;) {
      keys.push(reader.text());
      const other = reader.uint();
      if ((other & OTHER_END) !== 0) end += reader.number();
      if ((other & OTHER_WATERMARK) !== 0) watermark = reader.number();
      if ((other & OTHER_REPORTED) !== 0) reported = reader.number();
      const times = (other & REPEATED) === 0 ? 0 : reader.uint();
      const everyMs = times === 0 ? 0 : reader.number();
      const from = at;
      numbers[at++] = end;
      numbers[at++] = kind.rev;
      numbers[at++] = kind.final ? 1 : 0;
      numbers[at++] = watermark;
      numbers[at++] = kind.expected;
      numbers[at++] = reported;
      for (let left = step - FIXED; left > 0; left--) numbers[at++] = reader.number();
      if (times * step > numbers.length - at)
        throw new RangeError(`a block holds more than its ${count} rows`);
      for (let left = times; left > 0; left--) {
        keys.push(keys.at(-1)!);
        numbers.copyWithin(at, from, from + step);
        numbers[at] = end += everyMs;
        at += step;
      }
    }
    if (!reader.done) throw new RangeError(`a block holds more than its ${count} rows`);
    return { keys, numbers };
  }
}

/** What the engine says of a row. */
export interface RowAbout {
  readonly region: string;
  readonly watermark: number;
  readonly final: boolean;
  /** Partitions that it waits for. */
  readonly expected: number;
  readonly reported: number;
}

/** Rows as they are emitted, put in blocks at once: the objects can go. */
export class RowBlocks {
  /** Blocks by window: a few for each, and no name need be made of all that they have in common. */
  #byWindow = new Map<string, OpenBlock[]>();
  /** Of blocks that are open, the first so many; the others are for those that come. */
  readonly #writers: ByteWriter[] = [];
  #open = 0;
  #count = 0;

  get count(): number {
    return this.#count;
  }

  add(row: Row): void {
    const { region, watermark, final, completeness } = row;
    const { expected, reported, children } = completeness;
    this.#put(row, children, { region, watermark, final, expected, reported });
  }

  /**
   * Adds what a behaviour says, which has not been looked at.
   * @throws GroundswellError GS_BEHAVIOUR naming a value that is no finite number
   */
  emit(draft: RowDraft, about: RowAbout): void {
    expectObject(draft.features);
    expectHead(draft);
    this.#put(draft, draft.children, about);
  }

  #put(draft: RowDraft, children: number | undefined, about: RowAbout): void {
    let blocks = this.#byWindow.get(draft.window);
    if (blocks === undefined) this.#byWindow.set(draft.window, (blocks = []));
    if (!blocks.some((block) => block.add(draft, children, about))) {
      const writer = (this.#writers[this.#open] ??= new ByteWriter(BLOCK_BYTES));
      const block = new OpenBlock(kindOf(draft, children, about), writer);
      this.#open++;
      block.add(draft, children, about);
      // First the one that is not full.
      blocks.unshift(block);
    }
    this.#count += 1 + (draft.repeats?.times ?? 0);
  }

  take(): RowBlock[] {
    // Revisions of one window stand in different blocks: the older ones come first.
    const blocks = [...this.#byWindow.values()]
      .flatMap((ofWindow) => ofWindow.reverse())
      .sort((a, b) => a.kind.rev - b.kind.rev);
    this.#byWindow = new Map();
    this.#writers.length = Math.min(this.#writers.length, WRITERS_KEPT);
    this.#open = 0;
    this.#count = 0;
    return blocks.map((block) => block.close());
  }
}

function kindOf(
  { level, window, start, end, rev, features, surge }: RowDraft,
  children: number | undefined,
  { region, final, expected }: RowAbout,
): RowKind {
  return {
    region,
    level,
    window,
    lengthMs: end - start,
    names: features instanceof FeatureVector ? features.names : Object.keys(features),
    model: surge?.model ?? null,
    hasChildren: children !== undefined,
    rev,
    final,
    expected,
  };
}

/** Of the row that is being added: what is no number fails before anything is written. */
let values = new Float64Array(64);

/** A block that takes rows. */
class OpenBlock {
  readonly kind: RowKind;
  readonly #writer: ByteWriter;
  #count = 0;
  #firstEndMs = Number.POSITIVE_INFINITY;
  /** Of the row before. */
  #end = 0;
  #watermark = 0;
  #reported = 0;

  /** @param writer its alone until it is closed */
  constructor(kind: RowKind, writer: ByteWriter) {
    this.kind = kind;
    // Whoever had it before may have been thrown away.
    this.#writer = writer.clear();
  }

  /** Takes a row, unless it is full or the row is of another kind. */
  add(draft: RowDraft, children: number | undefined, about: RowAbout): boolean {
    const { kind } = this;
    if (this.#writer.length > BLOCK_BYTES_MAX || this.#count >= BLOCK_ROWS_MAX) return false;
    const { level, rev, end, surge, features, repeats } = draft;
    if (level !== kind.level || rev !== kind.rev || about.final !== kind.final) return false;
    if ((surge === undefined ? null : surge.model) !== kind.model) return false;
    if (end - draft.start !== kind.lengthMs || about.region !== kind.region) return false;
    if ((children !== undefined) !== kind.hasChildren || about.expected !== kind.expected) return false;
    const { names } = kind;
    if (names.length + FIXED > values.length) values = new Float64Array(names.length + FIXED);
    let at = 0;
    if (children !== undefined) values[at++] = children;
    if (surge !== undefined) {
      values[at++] = surge.multiplier;
      values[at++] = surge.raw;
    }
    const took =
      features instanceof FeatureVector ? this.#takeVector(features, at) : this.#takeObject(features, at);
    if (!took) return false;
    this.#write(draft.key, end, about.watermark, about.reported, repeats, values, 0, at + names.length);
    return true;
  }

  /** Takes features from a place on; false when they are others than this block's. */
  #takeVector({ names, values: from }: FeatureVector, at: number): boolean {
    const own = this.kind.names;
    if (names !== own && (names.length !== own.length || names.some((name, i) => name !== own[i])))
      return false;
    for (let i = 0; i < from.length; i++) {
      const value = from[i]!;
      if (!Number.isFinite(value)) expectNumber(names[i]!, value);
      values[at + i] = value;
    }
    return true;
  }

  #takeObject(features: Features, at: number): boolean {
    const { names } = this.kind;
    let i = 0;
    for (const name in features) {
      if (names[i] !== name) return false;
      const value = features[name]!;
      if (!Number.isFinite(value)) expectNumber(name, value);
      values[at + i] = value;
      i++;
    }
    return i === names.length;
  }

  /** Takes rows of another block of its kind. */
  addFrom({ keys, numbers }: RowBlock, from: number, to: number): void {
    const step = stride(this.kind);
    for (let row = from; row < to; row++) {
      const at = row * step;
      const [end, watermark, reported] = [numbers[at]!, numbers[at + 3]!, numbers[at + 5]!];
      this.#write(keys[row]!, end, watermark, reported, undefined, numbers, at + FIXED, at + step);
    }
  }

  close(): RowBlock {
    return new RowBlock(this.kind, this.#count, this.#firstEndMs, this.#writer.take());
  }

  /** @param rest what follows what every kind has: from a place up to another */
  #write(
    key: string,
    end: number,
    watermark: number,
    reported: number,
    repeats: Repeats | undefined,
    rest: Float64Array,
    from: number,
    to: number,
  ): void {
    const writer = this.#writer;
    const times = repeats?.times ?? 0;
    writer
      .text(key)
      .uint(
        (end === this.#end ? 0 : OTHER_END) |
          (watermark === this.#watermark ? 0 : OTHER_WATERMARK) |
          (reported === this.#reported ? 0 : OTHER_REPORTED) |
          (times === 0 ? 0 : REPEATED),
      );
    if (end !== this.#end) writer.number(end - this.#end);
    this.#end = end;
    if (watermark !== this.#watermark) writer.number((this.#watermark = watermark));
    if (reported !== this.#reported) writer.number((this.#reported = reported));
    if (times > 0) {
      const { everyMs } = repeats!;
      writer.uint(times).number(everyMs);
      this.#end += times * everyMs;
    }
    writer.numbers(rest, from, to);
    this.#count += 1 + times;
    if (end < this.#firstEndMs) this.#firstEndMs = end;
  }
}

/** How many rows of a block have a window that ended after a time. */
export function countRows(block: RowBlock, afterMs: number): number {
  if (block.firstEndMs > afterMs) return block.count;
  const { numbers, kind } = block;
  const step = stride(kind);
  let count = 0;
  for (let at = 0; at < numbers.length; at += step) if (numbers[at]! > afterMs) count++;
  return count;
}

/** A block in two halves. */
export function splitBlock(block: RowBlock): [RowBlock, RowBlock] {
  const half = Math.ceil(block.count / 2);
  const part = (from: number, to: number): RowBlock => {
    const open = new OpenBlock(block.kind, new ByteWriter(BLOCK_BYTES));
    open.addFrom(block, from, to);
    return open.close();
  };
  return [part(0, half), part(half, block.count)];
}

/** The rows of blocks, as they were added. */
export function rowsOf(blocks: readonly RowBlock[]): Row[] {
  return blocks.flatMap((block) => rowsIn(block, 0, block.count));
}

/** The rows `from` to `to` of a block. */
export function rowsIn({ kind, keys, numbers }: RowBlock, from: number, to: number): Row[] {
  const step = stride(kind);
  const rows: Row[] = [];
  for (let i = from; i < to; i++) rows.push(rowAt(kind, keys[i]!, numbers, i * step));
  return rows;
}

/** A row from its numbers, which begin at a place. */
export function rowAt(kind: RowHead, key: string, numbers: ArrayLike<number>, from: number): Row {
  const { region, level, window, lengthMs, names, model, hasChildren } = kind;
  const end = numbers[from]!;
  const expected = numbers[from + 4]!;
  const reported = numbers[from + 5]!;
  let at = from + FIXED;
  const completeness = hasChildren
    ? { expected, reported, children: numbers[at++]! }
    : { expected, reported };
  const surge = model === null ? {} : { surge: { multiplier: numbers[at++]!, raw: numbers[at++]!, model } };
  const features: Record<string, number> = {};
  for (const name of names) features[name] = numbers[at++]!;
  return {
    region,
    level,
    key,
    window,
    start: end - lengthMs,
    end,
    rev: numbers[from + 1]!,
    final: numbers[from + 2] === 1,
    features,
    ...surge,
    watermark: numbers[from + 3]!,
    completeness,
  };
}
