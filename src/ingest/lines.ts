/**
 * Bytes → lines of text, in blocks. Owns line ends (LF, CRLF, none at the end), the byte order mark, UTF-8 and the limit on
 * a line's length: a longer line is cut to its head and skipped to its end, never held whole (P8).
 */
import { isUtf8 } from 'node:buffer';

/** Longest line, in bytes without its end. */
export const LINE_BYTES_MAX = 1_048_576;
/** How much of a line that is too long is kept to show it. */
export const HEAD_BYTES = 1_024;

/** Consecutive lines. */
export interface LineBlock {
  /** Number of the first line, counting from 1. */
  readonly firstLine: number;
  readonly lines: readonly string[];
  /** Index of a line → why it cannot be read. Most often empty. */
  readonly faults: ReadonlyMap<number, string>;
}

const NEWLINE = 0x0a;
const NO_FAULTS: ReadonlyMap<number, string> = new Map();

export class LineSplitter {
  /** Bytes since the last line end. */
  #carry: Buffer[] = [];
  #carryBytes = 0;
  /** The head of a line that is too long, while its end is awaited. */
  #head: Buffer | undefined;
  #line = 1;
  #started = false;

  /** Number of the next line to come. */
  get nextLine(): number {
    return this.#line;
  }

  /** The lines that end within this chunk, together with what was left over from before. */
  *push(chunk: Buffer): Generator<LineBlock> {
    const firstEnd = chunk.indexOf(NEWLINE);
    if (firstEnd === -1) {
      this.#keep(chunk);
      return;
    }
    let start = 0;
    if (this.#head || this.#carryBytes + firstEnd > LINE_BYTES_MAX) {
      this.#keep(chunk.subarray(0, firstEnd));
      yield this.#tooLong();
      start = firstEnd + 1;
    }
    const end = chunk.lastIndexOf(NEWLINE) + 1;
    if (end > start) yield this.#block(chunk.subarray(start, end));
    this.#keep(chunk.subarray(end));
  }

  /** What stands after the last line end. */
  *end(): Generator<LineBlock> {
    if (this.#head) yield this.#tooLong();
    else if (this.#carryBytes > 0) yield this.#block(Buffer.from('\n'));
  }

  #keep(bytes: Buffer): void {
    if (bytes.length === 0 || this.#head) return;
    this.#carry.push(bytes);
    this.#carryBytes += bytes.length;
    if (this.#carryBytes > LINE_BYTES_MAX) {
      this.#head = Buffer.from(Buffer.concat(this.#carry).subarray(0, HEAD_BYTES));
      this.#carry = [];
      this.#carryBytes = 0;
    }
  }

  #tooLong(): LineBlock {
    const text = this.#head!.toString('utf8');
    this.#head = undefined;
    const faults = new Map([[0, `longer than ${LINE_BYTES_MAX} bytes`]]);
    return { firstLine: this.#line++, lines: [text], faults };
  }

  /** The carry and these bytes, which end with a line end, as lines. */
  #block(bytes: Buffer): LineBlock {
    let block = this.#carryBytes > 0 ? Buffer.concat([...this.#carry, bytes]) : bytes;
    this.#carry = [];
    this.#carryBytes = 0;
    if (!this.#started && block[0] === 0xef && block[1] === 0xbb && block[2] === 0xbf)
      block = block.subarray(3);
    this.#started = true;
    const text = block.toString('utf8', 0, block.length - 1);
    const lines = text.split('\n');
    if (text.includes('\r') || block.at(-2) === 0x0d) {
      for (let i = 0; i < lines.length; i++) if (lines[i]!.endsWith('\r')) lines[i] = lines[i]!.slice(0, -1);
    }
    const firstLine = this.#line;
    this.#line += lines.length;
    return { firstLine, lines, faults: isUtf8(block) ? NO_FAULTS : notUtf8(block) };
  }
}

/** The lines of a block from an index on. */
export function linesFrom(block: LineBlock, start: number): LineBlock {
  if (start === 0) return block;
  const faults = new Map<number, string>();
  for (const [index, fault] of block.faults) if (index >= start) faults.set(index - start, fault);
  return { firstLine: block.firstLine + start, lines: block.lines.slice(start), faults };
}

/** Finds the lines of a block that are not UTF-8: a block ends with a line end, so no character is cut. */
function notUtf8(block: Buffer): ReadonlyMap<number, string> {
  const faults = new Map<number, string>();
  for (let start = 0, index = 0; start < block.length; index++) {
    const end = block.indexOf(NEWLINE, start);
    if (!isUtf8(block.subarray(start, end))) faults.set(index, 'not valid UTF-8');
    start = end + 1;
  }
  return faults;
}
