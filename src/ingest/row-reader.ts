/**
 * From the first lines of a file and its mapping to a reader of the rest. Owns the header of a CSV file, and what counts
 * as a row's number: every record after the header, malformed ones included, so that a repaired file keeps its numbers.
 */
import { GroundswellError } from '../core/errors.js';
import { CsvReader, CsvRecord } from './csv.js';
import { type LineBlock, linesFrom } from './lines.js';
import type { Mapping } from './mapping.js';
import { NdjsonReader, type RawSink } from './ndjson.js';
import { compileMapping } from './row-mapping.js';

/** Turns blocks of lines into raw events. */
export interface RowReader {
  push(block: LineBlock): void;
  end(): void;
}

/** @param first a block whose first line is not blank; `rest` is what the reader is to be given of it */
export function beginRows(
  file: string,
  mapping: Mapping,
  first: LineBlock,
  sink: RawSink,
): { reader: RowReader; rest: LineBlock } {
  if (mapping.format === 'ndjson') {
    const map = mapping.fields ? compileMapping(mapping, NdjsonReader.shape(file)) : undefined;
    return { reader: new NdjsonReader(map, sink), rest: first };
  }
  const delimiter = mapping.delimiter ?? ',';
  const columns = readHeader(file, first, delimiter);
  const map = compileMapping<readonly string[]>(mapping, {
    where: file,
    columns,
    column: (name) => {
      const index = columns.indexOf(name);
      return index === -1 ? undefined : (row) => row[index];
    },
  });
  let rowNumber = 0;
  const rowSink = {
    row: (cells: readonly string[], line: number): void => {
      sink.raw(map(cells, ++rowNumber), line);
    },
    malformed: (line: number, message: string, text: string): void => {
      rowNumber++;
      sink.malformed(line, message, text);
    },
  };
  return {
    reader: new CsvReader({ delimiter, width: columns.length, sink: rowSink }),
    rest: linesFrom(first, 1),
  };
}

function readHeader(file: string, first: LineBlock, delimiter: string): string[] {
  const fault = first.faults.get(0);
  const cells = fault === undefined ? new CsvRecord(delimiter).parse(first.lines[0]!) : { message: fault };
  const refuse = (why: string): GroundswellError =>
    new GroundswellError('GS_SOURCE_FILE', `${file}: has no readable header: ${why}`);
  if ('message' in cells) throw refuse(cells.message);
  const columns = cells.map((name) => name.trim());
  const twice = columns.find((name, i) => name !== '' && columns.indexOf(name) !== i);
  if (twice !== undefined) throw refuse(`it names the column "${twice}" twice`);
  return columns;
}
