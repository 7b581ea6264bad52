/**
 * Lines → raw values of NDJSON: one JSON value a line, blank lines skipped. Owns what a malformed line is, and how a mapping
 * reads an object: by key, or by a path of keys with dots (`rider.id`).
 */
import { messageOf } from '../core/errors.js';
import type { LineBlock } from './lines.js';
import type { MapRow, RowShape } from './row-mapping.js';

/** Where raw events and lines that hold none go. `text` is the line as it stood. */
export interface RawSink {
  raw(raw: unknown, line: number): void;
  malformed(line: number, message: string, text: string): void;
}

type JsonObject = Readonly<Record<string, unknown>>;

export class NdjsonReader {
  readonly #map: MapRow<JsonObject> | undefined;
  readonly #sink: RawSink;
  #rowNumber = 0;

  /** @param map undefined: values are passed on as they are */
  constructor(map: MapRow<JsonObject> | undefined, sink: RawSink) {
    this.#map = map;
    this.#sink = sink;
  }

  /** How a mapping reads the objects of a file. Keys differ from line to line, so none is missing beforehand. */
  static shape(file: string): RowShape<JsonObject> {
    return { where: file, column: (name) => keyReader(name.split('.')) };
  }

  push({ lines, faults, firstLine }: LineBlock): void {
    for (let i = 0; i < lines.length; i++) {
      const text = lines[i]!;
      const fault = faults.size > 0 ? faults.get(i) : undefined;
      if (fault === undefined && text.trim() === '') continue;
      this.#rowNumber++;
      if (fault === undefined) this.#line(text, firstLine + i);
      else this.#sink.malformed(firstLine + i, fault, text);
    }
  }

  end(): void {
    // Every line stands for itself: nothing is left over.
  }

  #line(text: string, line: number): void {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (cause) {
      this.#sink.malformed(line, `not JSON: ${messageOf(cause)}`, text);
      return;
    }
    if (this.#map === undefined) this.#sink.raw(value, line);
    else if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      this.#sink.raw(this.#map(value as JsonObject, this.#rowNumber), line);
    } else this.#sink.malformed(line, 'not a JSON object', text);
  }
}

function keyReader(path: readonly string[]): (row: JsonObject) => unknown {
  const own = (value: unknown, key: string): unknown =>
    typeof value === 'object' && value !== null && Object.hasOwn(value, key)
      ? (value as JsonObject)[key]
      : undefined;
  if (path.length === 1) return (row) => own(row, path[0]!);
  return (row) => path.reduce<unknown>(own, row);
}
