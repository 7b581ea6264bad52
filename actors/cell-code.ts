/**
 * A cell as it is held where there are millions: a geohash of six characters, as most regions have them, is an integer of 30
 * bits, which is no piece of memory of its own; any other is its text.
 */
import { geohash30Of, geohash30Text, type ByteReader, type ByteWriter } from '../src/index.js';

export type Cell = number | string;

export function cellOf(text: string): Cell {
  const hash = geohash30Of(text);
  return hash < 0 ? text : hash;
}

export function cellText(cell: Cell): string {
  return typeof cell === 'string' ? cell : geohash30Text(cell);
}

/** Both begin with the same so many characters: they lie in one area of that level. */
export function inSameArea(a: Cell, b: Cell, length: number): boolean {
  if (typeof a === 'number' && typeof b === 'number') return (a ^ b) >>> (5 * (6 - length)) === 0;
  return cellText(a).slice(0, length) === cellText(b).slice(0, length);
}

/**
 * How a cell stands behind another: even, twice what of its integer is other than the one before, for neighbours share their
 * first letters; or as its text.
 */
export function cellCode(cell: Cell, before: Cell): Cell {
  if (typeof cell === 'string') return cell;
  return 2 * (typeof before === 'number' ? cell ^ before : cell);
}

/** The cell that stands behind another. */
export function cellBehind(code: Cell, before: Cell): Cell {
  if (typeof code === 'string') return code;
  return typeof before === 'number' ? (code >> 1) ^ before : code >> 1;
}

/** A code of a cell: a text has an odd number before it, twice its length and one. */
export function writeCellCode(writer: ByteWriter, code: Cell): void {
  if (typeof code === 'number') {
    writer.uint(code);
    return;
  }
  const bytes = Buffer.from(code);
  writer.uint(2 * bytes.length + 1).raw(bytes);
}

export function readCellCode(reader: ByteReader): Cell {
  const code = reader.uint();
  return code % 2 === 0 ? code : Buffer.from(reader.raw((code - 1) / 2)).toString();
}
