/**
 * Values of one kind after the other, as columns: what they share stands once. Frames of events and of mail are made of this.
 * A column is written and read as a whole, in loops over one kind of value; only objects are made when they are asked for. What
 * fits no other kind of column is packed with msgpack, so whatever msgpack brings back comes back.
 */
import { Packr } from 'msgpackr';
import { ByteReader, ByteWriter } from '../core/bytes.js';
import { RecordBuffer, SHAPES_MAX } from './record-buffer.js';
import { codeFrom, type Plain } from './record-code.js';

/** The value at a place. To be asked for once: nobody else has it. */
export type Column = (index: number) => unknown;

/** The values of one field, in the order of their objects. */
export interface Field {
  readonly values: ArrayLike<unknown>;
  /** Which of the distinct values each one is, where they were written so. */
  readonly choiceAt?: Uint32Array;
  /** How many distinct ones there are, then. */
  readonly choices?: number;
}

/** Objects, and what is known of them without making them. */
export interface RecordColumn {
  readonly at: Column;
  readonly shapes: readonly RecordShape[];
  /** Of each object, which shape it has, and its place among those that have it; undefined when all have the first. */
  readonly shapeAt: readonly number[] | undefined;
  readonly placeAt: readonly number[] | undefined;
}

/** Objects with the same names of fields. */
export interface RecordShape {
  readonly count: number;
  readonly names: readonly string[];
  /** In the order of the names. */
  readonly fields: readonly Field[];
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
/** Numbers with few decimals, such as degrees: how many, then as integers. */
const DECIMALS = 8;

/** Of larger integers the difference of two could not be written. */
const INTEGER_MAX = 2 ** 51;
/** Objects that lie deeper in objects are packed. */
const DEPTH_MAX = 3;
/** With a larger share of distinct texts, each is written. */
const CHOICES_SHARE = 0.75;
/** So few choices are looked through one by one. */
const FEW_CHOICES = 4;
/** So few choices are made the texts that programs hold: whoever compares them compares addresses. */
const NAMES_MAX = 16;
/** So many are remembered, none longer than that; it costs more to find another. */
const NAMES_KNOWN_MAX = 1_000;
const NAME_CHARS_MAX = 40;
/** How many decimals numbers may have to be written as integers. */
const DECIMALS_TRIED = [5, 6] as const;
/** A longer part of a text keeps the whole of it in memory. */
const COPIED_CHARS = 12;

const packr = new Packr({ useRecords: true, moreTypes: false });
/** For a column whose number of bytes is not known before. */
const draft = new ByteWriter();

/** Writes values for `readColumn`, which has to know how many there are. */
export function writeColumn(writer: ByteWriter, values: readonly unknown[], depth = 0): void {
  if (Array.isArray(values[0]) && draftLists(values)) writer.uint(LISTS).bytes(draft.written);
  else writeAs(kindOf(values, depth), writer, values, depth);
}

function writeAs(kind: number, writer: ByteWriter, values: readonly unknown[], depth: number): void {
  if (kind === RECORDS) writeRecords(writer, RecordBuffer.of(values as readonly Plain[]), depth);
  else writer.uint(draftAs(kind, values)).bytes(draft.written);
}

/** Writes values as a kind, or as another that they fit better; gives which. */
function draftAs(kind: number, values: readonly unknown[]): number {
  draft.clear();
  switch (kind) {
    case TEXTS:
      if (draftChoices(values as readonly string[])) return CHOICES;
      draftTexts(values as readonly string[]);
      return TEXTS;
    case INTEGERS:
      draft.differences(values as readonly number[]);
      return INTEGERS;
    case NUMBERS:
      if (draftDecimals(values as readonly number[])) return DECIMALS;
      draft.floats(values as readonly number[]);
      return NUMBERS;
    case SAME:
      draft.raw(packr.pack(values[0]));
      return SAME;
    default:
      draft.raw(packr.pack(values));
      return PACKED;
  }
}

/** @throws RangeError when the bytes end too early, or the kind is not known */
export function readColumn(reader: ByteReader, count: number): Column {
  const kind = reader.uint();
  if (kind === RECORDS) return readRecords(reader, count).at;
  const { values } = readValues(kind, reader, count);
  return (index) => values[index];
}

/** The same, for objects that `writeRecords` wrote. */
export function readRecordColumn(reader: ByteReader, count: number): RecordColumn {
  const kind = reader.uint();
  if (kind === RECORDS) return readRecords(reader, count);
  const { values } = readValues(kind, reader, count);
  return { at: (index) => values[index], shapes: [], shapeAt: undefined, placeAt: undefined };
}

/** Objects in a field are made at once. */
function readField(reader: ByteReader, count: number): Field {
  const kind = reader.uint();
  if (kind !== RECORDS) return readValues(kind, reader, count);
  const { at } = readRecords(reader, count);
  return { values: Array.from({ length: count }, (_, index) => at(index)) };
}

function readValues(kind: number, reader: ByteReader, count: number): Field {
  const bytes = reader.bytes();
  switch (kind) {
    case PACKED:
      return { values: packr.unpack(bytes) as unknown[] };
    case SAME:
      return { values: new Array<unknown>(count).fill(named(packr.unpack(bytes))) };
    case TEXTS:
      return { values: readTexts(new ByteReader(bytes), count) };
    case CHOICES:
      return readChoices(new ByteReader(bytes), count);
    case INTEGERS:
      return { values: new ByteReader(bytes).differences(count) };
    case NUMBERS:
      return { values: new ByteReader(bytes).floats(count) };
    case LISTS:
      return { values: readLists(new ByteReader(bytes), count) };
    case DECIMALS:
      return { values: readDecimals(new ByteReader(bytes), count) };
    default:
      throw new RangeError(`a column of kind ${kind} is not known here`);
  }
}

function kindOf(values: readonly unknown[], depth: number): number {
  const type = values.length === 0 ? undefined : typeof values[0];
  if (type === 'number') return kindOfNumbers(values);
  if (type === 'string') return kindOfTexts(values);
  if (type === 'object') return depth < DEPTH_MAX && values.every(isPlain) ? RECORDS : PACKED;
  return type === 'boolean' && values.every((value) => value === values[0]) ? SAME : PACKED;
}

function kindOfNumbers(values: readonly unknown[]): number {
  const first = values[0];
  let same = true;
  let integers = true;
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (typeof value !== 'number') return PACKED;
    if (same && value !== first) same = false;
    if (integers && !isInteger(value)) integers = false;
  }
  return !integers ? NUMBERS : same ? SAME : INTEGERS;
}

function kindOfTexts(values: readonly unknown[]): number {
  const first = values[0];
  let same = true;
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (typeof value !== 'string') return PACKED;
    if (same && value !== first) same = false;
  }
  return same ? SAME : TEXTS;
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
    if (!Array.isArray(list) || !areIntegers(list)) return false;
    draft.uint(list.length).ints(list);
  }
  return true;
}

function areIntegers(list: readonly unknown[]): list is readonly number[] {
  for (let i = 0; i < list.length; i++) if (!isInteger(list[i])) return false;
  return true;
}

function readLists(reader: ByteReader, count: number): number[][] {
  const lists: number[][] = [];
  for (let left = count; left > 0; left--) lists.push(reader.ints(reader.uint()));
  return lists;
}

function isPlain(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function draftTexts(values: readonly string[]): void {
  draft.joined(values);
  for (const value of values) draft.uint(value.length);
}

function readTexts(reader: ByteReader, count: number): string[] {
  const bytes = reader.bytes();
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const all = buffer.toString();
  const isAscii = all.length === bytes.byteLength;
  const texts: string[] = [];
  let at = 0;
  for (let left = count; left > 0; left--) {
    const from = at;
    at += reader.uint();
    const text = all.slice(from, at);
    if (text.length <= COPIED_CHARS) texts.push(text);
    else texts.push(isAscii ? buffer.toString('latin1', from, at) : Buffer.from(text).toString());
  }
  return texts;
}

/** Writes texts as choices; false when too few of them repeat. */
function draftChoices(values: readonly string[]): boolean {
  const most = values.length * CHOICES_SHARE;
  const indexOf = new Map<string, number>();
  const choices: string[] = [];
  const chosen = new Array<number>(values.length);
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    // Of a few, such as statuses, most are found by where they are.
    let index = choices.length <= FEW_CHOICES ? placeOf(value, choices) : -1;
    if (index === -1) {
      index = indexOf.get(value) ?? -1;
      if (index === -1) {
        index = choices.length;
        if (index >= most) return false;
        indexOf.set(value, index);
        choices.push(value);
      }
    }
    chosen[i] = index;
  }
  draft.uint(choices.length);
  draftTexts(choices);
  draft.uints(chosen);
  return true;
}

function placeOf(value: string, choices: readonly string[]): number {
  for (let i = 0; i < choices.length; i++) if (choices[i] === value) return i;
  return -1;
}

function readChoices(reader: ByteReader, count: number): Field {
  const choices = readTexts(reader, reader.uint());
  const texts = choices.length <= NAMES_MAX ? (choices.map(named) as string[]) : choices;
  const choiceAt = reader.uints(count);
  const values = new Array<string>(count);
  for (let i = 0; i < count; i++) values[i] = texts[choiceAt[i]!]!;
  return { values, choiceAt, choices: texts.length };
}

/** Texts by themselves. */
const names = new Map<unknown, unknown>();

/** One text for all that are equal, the one that programs hold: comparing two of those is comparing where they are. */
function named(value: unknown): unknown {
  if (typeof value !== 'string' || value.length > NAME_CHARS_MAX) return value;
  const known = names.get(value);
  if (known !== undefined) return known;
  const name = Object.keys({ [value]: 0 })[0];
  if (names.size < NAMES_KNOWN_MAX) names.set(name, name);
  return name;
}

/** Writes numbers with few decimals as integers; false when one has more. */
function draftDecimals(values: readonly number[]): boolean {
  for (const decimals of DECIMALS_TRIED) {
    const factor = 10 ** decimals;
    const integers = integersOf(values, factor);
    if (integers === undefined) continue;
    draft.uint(decimals).differences(integers);
    return true;
  }
  return false;
}

/** What gives each number when it is divided by a factor; undefined when one is not to be had so. */
function integersOf(values: readonly number[], factor: number): Float64Array | undefined {
  const integers = new Float64Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    const integer = Math.round(value * factor);
    if (integer / factor !== value || !(Math.abs(integer) <= INTEGER_MAX)) return undefined;
    // The difference to 0 loses the sign of -0.
    if (integer === 0 && Object.is(value, -0)) return undefined;
    integers[i] = integer;
  }
  return integers;
}

function readDecimals(reader: ByteReader, count: number): Float64Array {
  const factor = 10 ** reader.uint();
  const values = reader.differences(count);
  for (let i = 0; i < count; i++) values[i]! /= factor;
  return values;
}

/**
 * Objects by shape, for `readRecordColumn`: how many shapes; if there is more than one, runs of the same, each with its length;
 * then each shape's names, as JSON, and a column for each.
 */
export function writeRecords(writer: ByteWriter, records: RecordBuffer, depth = 0): void {
  const { shapes, runs, whole } = records;
  if (whole !== undefined) {
    writer.uint(draftAs(PACKED, whole)).bytes(draft.written);
    return;
  }
  writer.uint(RECORDS).uint(shapes.length);
  if (shapes.length > 1) writer.uint(runs.length / 2).uints(runs);
  for (const { code, fields } of shapes) {
    writer.text(code.json);
    for (const field of fields) writeColumn(writer, field, depth + 1);
  }
}

function readRecords(reader: ByteReader, count: number): RecordColumn {
  const shapeCount = reader.uint();
  if (shapeCount > SHAPES_MAX) throw new RangeError(`${shapeCount} shapes of objects are not known here`);
  if (shapeCount <= 1) {
    const { shape, at } = shapeCount === 0 ? NO_SHAPE : readShape(reader, count);
    return { at, shapes: [shape], shapeAt: undefined, placeAt: undefined };
  }
  const shapeAt: number[] = [];
  const placeAt: number[] = [];
  const counts = new Array<number>(shapeCount).fill(0);
  for (let left = reader.uint(); left > 0; left--) {
    const shape = reader.uint();
    const length = reader.uint();
    if (shape >= shapeCount || shapeAt.length + length > count)
      throw new RangeError(`runs of objects hold more than their ${count}, or of kinds that are not there`);
    for (let i = 0; i < length; i++) {
      shapeAt.push(shape);
      placeAt.push(counts[shape]!++);
    }
  }
  if (shapeAt.length !== count) throw new RangeError(`runs of objects hold less than their ${count}`);
  const read = counts.map((ofShape) => readShape(reader, ofShape));
  return {
    at: (index) => read[shapeAt[index]!]!.at(placeAt[index]!),
    shapes: read.map(({ shape }) => shape),
    shapeAt,
    placeAt,
  };
}

interface ReadShape {
  readonly shape: RecordShape;
  readonly at: Column;
}

const NO_SHAPE: ReadShape = { shape: { count: 0, names: [], fields: [] }, at: () => undefined };

function readShape(reader: ByteReader, count: number): ReadShape {
  const { names, make } = codeFrom(reader.text());
  const fields = names.map(() => readField(reader, count));
  const values = fields.map((field) => field.values);
  return { shape: { count, names, fields }, at: (index) => make(values, index) };
}
