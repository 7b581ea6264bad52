/**
 * Mappings, compiled: one function from a row to a raw event. Owns the conversion of values; whether the raw event is any
 * good is the checker's business. A value that cannot be converted is passed on as it stood, so that the checker's refusal
 * can show it; an empty one becomes no field.
 */
import { GroundswellError } from '../core/errors.js';
import { nearest } from '../core/nearest.js';
import { codeOf } from '../partition/record-code.js';
import type { Field, Mapping, Unit } from './mapping.js';

/** How a compiled mapping reads a row: a CSV row by index, an NDJSON object by key. */
export interface RowShape<Row> {
  /** A reader of a column, or undefined when the source has no such column. */
  readonly column: (name: string) => ((row: Row) => unknown) | undefined;
  /** Names of the columns, when they are known beforehand. */
  readonly columns?: readonly string[];
  /** What the columns are called in messages: the file. */
  readonly where: string;
}

export type MapRow<Row> = (row: Row, rowNumber: number) => Readonly<Record<string, unknown>>;

/** Fields whose values are numbers in every event. */
const NUMBERS: ReadonlySet<string> = new Set(['ts', 'lat', 'lon']);

/**
 * Compiles a mapping for one source; GS_MAPPING when it names a column that the source lacks.
 * @param mapping one with `fields`; the identity needs no compilation
 */
export function compileMapping<Row>(mapping: Mapping, shape: RowShape<Row>): MapRow<Row> {
  const eventType: Field = typeof mapping.event === 'string' ? { constant: mapping.event } : mapping.event!;
  const entries = Object.entries({ type: eventType, ...mapping.fields });
  const keys = entries.map(([key]) => key);
  const readers = entries.map(([key, field]) => fieldReader(key, field, mapping, shape));
  const { make } = codeOf(keys);
  /** Of one row, for `make`: a list of one value for each field. */
  const values = keys.map((): unknown[] => [undefined]);
  return (row, rowNumber) => {
    let whole = true;
    for (let i = 0; i < readers.length; i++) {
      const value = readers[i]!(row, rowNumber);
      values[i]![0] = value;
      whole &&= value !== undefined;
    }
    if (whole) return make(values, 0);
    const event: Record<string, unknown> = {};
    for (let i = 0; i < keys.length; i++) {
      const [value] = values[i]!;
      if (value !== undefined) event[keys[i]!] = value;
    }
    return event;
  };
}

type Reader<Row> = (row: Row, rowNumber: number) => unknown;

function fieldReader<Row>(key: string, field: Field, mapping: Mapping, shape: RowShape<Row>): Reader<Row> {
  const column = (name: string): Reader<Row> => columnReader(name, `fields.${key}`, mapping, shape);
  if (typeof field === 'string') {
    if (field.includes('{')) return template(field, column);
    return NUMBERS.has(key) ? map(column(field), toNumber) : map(column(field), emptyToNothing);
  }
  if (field.constant !== undefined) {
    const { constant } = field;
    return () => constant;
  }
  const read = column(field.column!);
  if (field.values) {
    const values = new Map(Object.entries(field.values));
    const otherwise = field.else;
    return map(read, (value) => values.get(String(value)) ?? otherwise ?? value);
  }
  const unit = field.unit ?? (key === 'ts' ? 'ms' : undefined);
  if (unit !== undefined) return map(read, toMs(unit));
  const asNumber = field.as === undefined ? NUMBERS.has(key) : field.as === 'number';
  if (asNumber) return map(read, toNumber);
  return map(read, field.as === 'text' ? toText : emptyToNothing);
}

function columnReader<Row>(name: string, path: string, mapping: Mapping, shape: RowShape<Row>): Reader<Row> {
  const read = shape.column(name);
  if (read) return read;
  const known = shape.columns ?? [];
  const near = nearest(name, known);
  const hint = near === undefined ? `its columns are ${known.join(', ')}` : `did you mean "${near}"?`;
  throw new GroundswellError(
    'GS_MAPPING',
    `${mapping.name}: ${path}: ${shape.where} has no column "${name}"; ${hint}`,
  );
}

function map<Row>(read: Reader<Row>, convert: (value: unknown) => unknown): Reader<Row> {
  return (row, rowNumber) => convert(read(row, rowNumber));
}

/** A text with `{row}` and `{column}` in it. */
function template<Row>(text: string, column: (name: string) => Reader<Row>): Reader<Row> {
  const parts = text.split(/\{([^{}]*)\}/).map((part, i): Reader<Row> => {
    if (i % 2 === 0) return () => part;
    return part === 'row' ? (_row, rowNumber) => rowNumber : column(part);
  });
  return (row, rowNumber) => {
    let out = '';
    for (const part of parts) {
      const value = part(row, rowNumber);
      // Half a name is none: the checker is to see a field that is missing.
      if (typeof value !== 'string' && typeof value !== 'number') return undefined;
      out += value;
    }
    return out;
  };
}

const emptyToNothing = (value: unknown): unknown => (value === '' ? undefined : value);

/** Ids that another system keeps as numbers become texts. */
const toText = (value: unknown): unknown =>
  typeof value === 'number' ? String(value) : emptyToNothing(value);

/** The number that a text stands for; an empty text is nothing, and any other text stays itself. */
function toNumber(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  const number = Number(value);
  if (number !== 0 && number === number) return number;
  if (number === 0) return value.trim() === '' ? undefined : 0;
  return value === 'NaN' ? NaN : value;
}

const PER_MS: Readonly<Record<Exclude<Unit, 'iso8601'>, (value: number) => number>> = {
  ms: (value) => value,
  s: (value) => Math.round(value * 1000),
  us: (value) => Math.floor(value / 1000),
};

/** An ISO 8601 date and time with its offset: without one it would mean another instant on every machine. */
const ISO_8601 = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)$/;

function toMs(unit: Unit): (value: unknown) => unknown {
  const convert = unit === 'iso8601' ? isoToMs : numberToMs(PER_MS[unit]);
  // Sorted files repeat their times: the last one is remembered.
  let lastValue: unknown;
  let lastMs: unknown;
  return (value) => {
    if (value === lastValue) return lastMs;
    lastMs = convert(value);
    lastValue = value;
    return lastMs;
  };
}

function numberToMs(convert: (value: number) => number): (value: unknown) => unknown {
  return (value) => {
    const number = toNumber(value);
    return typeof number === 'number' ? convert(number) : number;
  };
}

function isoToMs(value: unknown): unknown {
  const ms = typeof value === 'string' && ISO_8601.test(value) ? Date.parse(value) : NaN;
  return Number.isNaN(ms) ? emptyToNothing(value) : ms;
}
