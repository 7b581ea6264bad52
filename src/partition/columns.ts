/**
 * Values of one kind after the other, as columns: what they share stands once, and a reader makes each when it is asked for
 * it. Frames of events and of mail are made of this. What fits no other kind of column is packed with msgpack, so whatever
 * msgpack brings back comes back.
 */
import { Packr } from 'msgpackr';
import { ByteReader, ByteWriter } from '../core/bytes.js';

/** Values in the order in which they were written. */
export interface Column {
  /** The next one. Nobody else has it. */
  next(): unknown;
}

/** Anything, in msgpack. */
const PACKED = 0;
/** One plain value for all, in msgpack. */
const SAME = 1;
/** All texts as one, then the length of each. */
const TEXTS = 2;
/** The distinct texts as above, then which of them each one is. */
const CHOICES = 3;
/** Each integer's difference to the one before. */
const INTEGERS = 4;
/** Doubles. */
const NUMBERS = 5;
/** Lists of integers: their number, then the integers. */
const LISTS = 6;
/** Objects: a column for each field. */
const RECORDS = 7;

/** Of larger integers the difference of two could not be written. */
const INTEGER_MAX = 2 ** 51;
/** With more kinds of objects they are packed: each kind has columns of its own. */
const SHAPES_MAX = 16;
/** Objects that lie deeper in objects are packed. */
const DEPTH_MAX = 3;
/** After so many texts one looks whether they repeat; with a larger share of distinct ones, each is written. */
const CHOICES_LOOK = 64;
const CHOICES_SHARE = 0.75;
/** So many kinds of objects are made by code of their own; whatever else comes, more slowly. */
const MAKES_MAX = 256;
/** Room for so many integers is taken at once. */
const LIST_ROOM = 64;
/** A longer part of a text keeps the whole of it in memory. */
const COPIED_CHARS = 12;

type Plain = Readonly<Record<string, unknown>>;

const packr = new Packr({ useRecords: true, moreTypes: false });
/** For a column whose number of bytes is not known before. */
const draft = new ByteWriter();

/** Writes values for `readColumn`, which has to know how many there are. */
export function writeColumn(writer: ByteWriter, values: readonly unknown[], depth = 0): void {
  if (Array.isArray(values[0]) && draftLists(values)) writer.uint(LISTS).bytes(draft.written);
  else writeAs(kindOf(values, depth), writer, values, depth);
}

/** The same, for objects that are known to be nothing but fields. */
export function writePlainColumn(writer: ByteWriter, values: readonly Plain[]): void {
  writeAs(RECORDS, writer, values, 0);
}

function writeAs(kind: number, writer: ByteWriter, values: readonly unknown[], depth: number): void {
  if (kind === RECORDS && writeRecords(writer, values as readonly Plain[], depth)) return;
  writer.uint(kind === RECORDS ? PACKED : kind);
  draft.clear();
  switch (kind) {
    case TEXTS:
      writeTexts(values as readonly string[]);
      break;
    case CHOICES:
      writeChoices(values as readonly string[]);
      break;
    case INTEGERS: {
      let before = 0;
      for (const value of values as readonly number[]) {
        draft.int(value - before);
        before = value;
      }
      break;
    }
    case NUMBERS:
      for (const value of values as readonly number[]) draft.float(value);
      break;
    case SAME:
      draft.raw(packr.pack(values[0]));
      break;
    default:
      draft.raw(packr.pack(values));
  }
  writer.bytes(draft.written);
}

/** @throws RangeError when the bytes end too early, or the kind is not known */
export function readColumn(reader: ByteReader): Column {
  const kind = reader.uint();
  if (kind === RECORDS) return new RecordColumn(reader);
  const bytes = reader.bytes();
  switch (kind) {
    case PACKED:
      return new PackedColumn(bytes);
    case SAME:
      return new SameColumn(packr.unpack(bytes));
    case TEXTS:
      return new TextColumn(new ByteReader(bytes));
    case CHOICES:
      return new ChoiceColumn(new ByteReader(bytes));
    case INTEGERS:
      return new IntegerColumn(bytes);
    case NUMBERS:
      return new NumberColumn(bytes);
    case LISTS:
      return new ListColumn(bytes);
    default:
      throw new RangeError(`a column of kind ${kind} is not known here`);
  }
}

function kindOf(values: readonly unknown[], depth: number): number {
  const first = values[0];
  const type = typeof first;
  if (values.length === 0) return PACKED;
  if (type === 'object') return depth < DEPTH_MAX && values.every(isPlain) ? RECORDS : PACKED;
  let same = true;
  let integers = true;
  for (const value of values) {
    if (typeof value !== type) return PACKED;
    if (value !== first) same = false;
    if (integers && !isInteger(value)) integers = false;
  }
  if (type === 'number') return !integers ? NUMBERS : same ? SAME : INTEGERS;
  if (type === 'string') return same ? SAME : repeats(values as readonly string[]) ? CHOICES : TEXTS;
  return type === 'boolean' && same ? SAME : PACKED;
}

function repeats(values: readonly string[]): boolean {
  const look = Math.min(values.length, CHOICES_LOOK);
  return new Set(values.slice(0, look)).size <= look * CHOICES_SHARE;
}

function isInteger(value: unknown): value is number {
  if (typeof value !== 'number') return false;
  // The difference to 0 loses the sign of -0.
  if (value === 0) return !Object.is(value, -0);
  return (value | 0) === value || (Number.isInteger(value) && Math.abs(value) <= INTEGER_MAX);
}

/** Writes lists of integers, looking at each once. False when there is anything else. */
function draftLists(values: readonly unknown[]): boolean {
  draft.clear();
  for (const list of values) {
    if (!Array.isArray(list)) return false;
    draft.uint(list.length);
    for (const value of list) {
      if (!isInteger(value)) return false;
      draft.int(value);
    }
  }
  return true;
}

function isPlain(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function writeTexts(values: readonly string[]): void {
  draft.text(values.join(''));
  for (const value of values) draft.uint(value.length);
}

function writeChoices(values: readonly string[]): void {
  const choices = new Map<string, number>();
  for (const value of values) if (!choices.has(value)) choices.set(value, choices.size);
  draft.uint(choices.size);
  writeTexts([...choices.keys()]);
  for (const value of values) draft.uint(choices.get(value)!);
}

interface Shape {
  readonly names: readonly string[];
  readonly records: Plain[];
}

/** Objects by shape, each field a column; then, if there is more than one shape, runs of the same. False when they are to be packed. */
function writeRecords(writer: ByteWriter, records: readonly Plain[], depth: number): boolean {
  const shapes: Shape[] = [];
  const runs: { shape: number; length: number }[] = [];
  let last: Shape | undefined;
  for (const record of records) {
    if (last === undefined || !hasNames(record, last.names)) {
      let index = shapes.findIndex(({ names }) => hasNames(record, names));
      if (index === -1) {
        if (shapes.length === SHAPES_MAX || Object.hasOwn(record, '__proto__')) return false;
        index = shapes.push({ names: Object.keys(record), records: [] }) - 1;
      }
      last = shapes[index]!;
      runs.push({ shape: index, length: 0 });
    }
    last.records.push(record);
    runs.at(-1)!.length++;
  }
  writer.uint(RECORDS).uint(shapes.length);
  for (const { names, records: alike } of shapes) {
    writer.uint(names.length);
    for (const name of names) {
      writer.text(name);
      writeColumn(
        writer,
        alike.map((record) => record[name]),
        depth + 1,
      );
    }
  }
  if (shapes.length <= 1) return true;
  draft.clear();
  for (const { shape, length } of runs) draft.uint(shape).uint(length);
  writer.bytes(draft.written);
  return true;
}

function hasNames(record: Plain, names: readonly string[]): boolean {
  let i = 0;
  for (const name in record) if (names[i++] !== name) return false;
  return i === names.length;
}

class SameColumn implements Column {
  readonly #value: unknown;

  constructor(value: unknown) {
    this.#value = value;
  }

  next(): unknown {
    return this.#value;
  }
}

class PackedColumn implements Column {
  readonly #values: readonly unknown[];
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#values = packr.unpack(bytes) as unknown[];
  }

  next(): unknown {
    return this.#values[this.#at++];
  }
}

class TextColumn implements Column {
  readonly #reader: ByteReader;
  readonly #all: string;
  /** The same in bytes, when each is one character. */
  readonly #ascii: Buffer | undefined;
  #at = 0;

  constructor(reader: ByteReader) {
    const bytes = reader.bytes();
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#reader = reader;
    this.#all = buffer.toString();
    this.#ascii = this.#all.length === bytes.byteLength ? buffer : undefined;
  }

  next(): string {
    const from = this.#at;
    this.#at += this.#reader.uint();
    const text = this.#all.slice(from, this.#at);
    if (text.length <= COPIED_CHARS) return text;
    return this.#ascii?.toString('latin1', from, this.#at) ?? Buffer.from(text).toString();
  }
}

class ChoiceColumn implements Column {
  readonly #reader: ByteReader;
  readonly #choices: readonly string[];

  constructor(reader: ByteReader) {
    const count = reader.uint();
    const texts = new TextColumn(reader);
    this.#choices = Array.from({ length: count }, () => texts.next());
    this.#reader = reader;
  }

  next(): string {
    return this.#choices[this.#reader.uint()]!;
  }
}

class IntegerColumn implements Column {
  readonly #reader: ByteReader;
  #before = 0;

  constructor(bytes: Uint8Array) {
    this.#reader = new ByteReader(bytes);
  }

  next(): number {
    return (this.#before += this.#reader.int());
  }
}

class NumberColumn implements Column {
  readonly #view: DataView;
  #at = 0;

  constructor({ buffer, byteOffset, byteLength }: Uint8Array) {
    this.#view = new DataView(buffer, byteOffset, byteLength);
  }

  next(): number {
    const value = this.#view.getFloat64(this.#at, true);
    this.#at += 8;
    return value;
  }
}

class ListColumn implements Column {
  readonly #reader: ByteReader;

  constructor(bytes: Uint8Array) {
    this.#reader = new ByteReader(bytes);
  }

  next(): number[] {
    const length = this.#reader.uint();
    // An array that grows takes room for more; a length that nobody has checked may be any number.
    const list = length <= LIST_ROOM ? new Array<number>(length) : [];
    for (let i = 0; i < length; i++) list[i] = this.#reader.int();
    return list;
  }
}

interface ReadShape {
  readonly columns: readonly Column[];
  readonly make: Make;
}

/** Gives the next object of the columns of its fields. */
type Make = (columns: readonly Column[]) => Plain;

class RecordColumn implements Column {
  readonly #shapes: readonly ReadShape[];
  readonly #runs: ByteReader | undefined;
  #shape: ReadShape | undefined;
  /** Records of the same shape that follow. */
  #left = 0;

  constructor(reader: ByteReader) {
    this.#shapes = Array.from({ length: reader.uint() }, () => readShape(reader));
    if (this.#shapes.length > 1) this.#runs = new ByteReader(reader.bytes());
    else this.#shape = this.#shapes[0];
  }

  next(): Plain {
    if (this.#runs !== undefined && this.#left-- === 0) {
      this.#shape = this.#shapes[this.#runs.uint()]!;
      this.#left = this.#runs.uint() - 1;
    }
    const { columns, make } = this.#shape!;
    return make(columns);
  }
}

function readShape(reader: ByteReader): ReadShape {
  const names: string[] = [];
  const columns: Column[] = [];
  for (let left = reader.uint(); left > 0; left--) {
    names.push(reader.text());
    columns.push(readColumn(reader));
  }
  return { columns, make: makeOf(names) };
}

/** By the names of the fields, in JSON. */
const makes = new Map<string, Make>();

function makeOf(names: readonly string[]): Make {
  const json = JSON.stringify(names);
  let make = makes.get(json);
  if (make === undefined) {
    const known = makes.size < MAKES_MAX && !names.includes('__proto__');
    make = known ? compiledMake(names) : plainMake(names);
    if (known) makes.set(json, make);
  }
  return make;
}

/** A literal that names the fields: objects of one shape, made in a third of the time that fields set one by one take. */
function compiledMake(names: readonly string[]): Make {
  const fields = names.map((name, i) => `${JSON.stringify(name)}: columns[${i}].next()`);
  // Whatever a name holds, it stands there as a text.
  // eslint-disable-next-line @typescript-eslint/no-implied-eval
  return new Function('columns', `return { ${fields.join(', ')} };`) as Make;
}

function plainMake(names: readonly string[]): Make {
  return (columns) => {
    const record: Plain = {};
    for (const [i, name] of names.entries()) {
      const value = columns[i]!.next();
      Object.defineProperty(record, name, { value, enumerable: true, configurable: true, writable: true });
    }
    return record;
  };
}
