/**
 * Where a driver was and what it did: its pings in (ts, arrival) order, and the last one that was taken out, which may still
 * hold. In memory a ping is a small integer, for there are millions: 16 × its time since the ping before, + 8 if there were others
 * between that said the same, + 4 if its cell is another and stands behind it, + its status. Stored, these are the same numbers of
 * 7 bits to a byte, two or three bytes for most: a driver that pings often is stored with each of them.
 */
import type { ByteReader, ByteWriter } from '../src/index.js';
import {
  cellBehind,
  cellCode,
  cellOf,
  cellText,
  readCellCode,
  writeCellCode,
  type Cell,
} from './cell-code.js';

export type Status = 'open' | 'enroute' | 'ontrip' | 'offline';
const STATUSES: readonly Status[] = ['open', 'enroute', 'ontrip', 'offline'];

/** Its place among the statuses, in as many comparisons: a search of the list costs a call. */
function codeOf(status: Status): number {
  return status === 'open' ? 0 : status === 'enroute' ? 1 : status === 'ontrip' ? 2 : 3;
}

export interface Ping {
  /** Event time, ms UTC. */
  readonly ts: number;
  readonly status: Status;
  readonly cell: string;
}

/** Sees where a driver was and what it did, one stay after the other, without an object for each. */
export interface StayVisitor {
  /** Pings that say the same, none of them long after the one before: times of the first and the last. */
  stay(fromMs: number, toMs: number, status: Status, cell: Cell): void;
}

/** How a log was written: before pings were drawn together, before cells were numbers, and now. */
export type PingLogFormat = 'single' | 'texts' | 'numbers';

const MOVED = 4;
const DRAWN = 8;
const CODES = 16;
const CODES_OF_SINGLE = 8;
/** A log is looked through whenever it has so many codes more. */
const MANY_CODES = 16;

/** A code for each ping; behind the first, and behind each that is in another cell than the one before, the code of its cell. */
type Codes = Cell[];
/** The most that two pings have. */
const CODES_OF_TWO = 4;
/** They get room for a few more at a time: an array that grows by itself takes twice what it holds. */
const MORE_CODES = 6;
/** Few codes are left of a list when they are a fourth of it, or less. */
const FEW_LEFT = 4;

export class PingLog {
  /** The last ping that was taken out. */
  #takenMs = Number.NaN;
  #takenStatus: Status = 'offline';
  #takenCell: Cell = 0;
  /** Undefined while there is none: most drivers that fell silent have none. */
  #codes: Codes | undefined;
  /** Codes in use, from the first place up to the second; there may be room for more, on both sides. */
  #from = 0;
  #used = 0;
  /** Some are texts. */
  #hasTexts = false;
  #firstMs = Number.NaN;
  /** How much later the newest is than the first, ms. */
  #spanMs = 0;
  #newestStatus: Status = 'offline';
  #newestCell: Cell = 0;

  /** @param hasTaken whether `taken` was something when it was written */
  static from(reader: ByteReader, hasTaken: boolean, format: PingLogFormat = 'numbers'): PingLog {
    const log = new PingLog();
    const codes = format === 'single' ? CODES_OF_SINGLE : CODES;
    const readCell = (before: Cell): Cell =>
      format === 'numbers' ? cellBehind(readCellCode(reader), before) : cellOf(reader.text());
    if (hasTaken) log.#took(reader.float(), STATUSES[reader.uint()]!, readCell(0));
    let ts = 0;
    let cell: Cell = 0;
    while (!reader.done) {
      const code = reader.uint();
      ts += Math.floor(code / codes);
      // Beyond 31 bits there are no operations on bits.
      const flags = code % codes;
      if ((flags & MOVED) !== 0) cell = readCell(cell);
      log.#append(ts, STATUSES[flags & 3]!, cell, (flags & DRAWN) !== 0);
    }
    return log;
  }

  /** The last of a record: nothing tells where it ends. */
  writeTo(writer: ByteWriter): void {
    if (this.hasTaken) {
      writer.float(this.#takenMs).uint(codeOf(this.#takenStatus));
      writeCellCode(writer, cellCode(this.#takenCell, 0));
    }
    if (this.#codes === undefined) return;
    // The first ping's time is since the beginning of all time, not since a ping before it.
    const first = this.#codes[this.#from] as number;
    writer.uint(this.#firstMs * CODES + first);
    if (!this.#hasTexts) writer.uints(this.#codes as number[], this.#from + 1, this.#used);
    else for (let i = this.#from + 1; i < this.#used; i++) writeCellCode(writer, this.#codes[i]!);
  }

  get hasTaken(): boolean {
    return !Number.isNaN(this.#takenMs);
  }

  /** The last ping that was taken out. */
  get taken(): Ping | undefined {
    if (!this.hasTaken) return undefined;
    return { ts: this.#takenMs, status: this.#takenStatus, cell: cellText(this.#takenCell) };
  }

  /** Shows the last ping that was taken out, if there is one. */
  seeTaken(visitor: StayVisitor): void {
    if (this.hasTaken) visitor.stay(this.#takenMs, this.#takenMs, this.#takenStatus, this.#takenCell);
  }

  /** The newest ping of all; if all were taken out, the last of these. */
  get newest(): Ping | undefined {
    if (this.#codes === undefined) return this.taken;
    return { ts: this.#newestMs(), status: this.#newestStatus, cell: cellText(this.#newestCell) };
  }

  /** There are pings, and the newest says this. */
  newestIs(status: Status, cell: string): boolean {
    return this.#codes !== undefined && this.#newestStatus === status && this.#newestCell === cellOf(cell);
  }

  /** Time of the oldest ping. */
  get oldestMs(): number | undefined {
    return this.#codes === undefined ? undefined : this.#firstMs;
  }

  list(): Ping[] {
    const pings: Ping[] = [];
    if (this.#codes === undefined) return pings;
    const cursor = new Cursor(this.#codes, this.#from, this.#used, this.#firstMs);
    while (cursor.next()) pings.push({ ts: cursor.ts, status: cursor.status, cell: cellText(cursor.cell) });
    return pings;
  }

  /**
   * Adds a ping behind all that are not later: equal times keep their order of arrival. False when it would stand among pings that
   * were drawn together: nobody knows any more which of them it would have cut short.
   */
  add(ts: number, status: Status, text: string): boolean {
    const cell = cellOf(text);
    if (this.#codes === undefined || ts >= this.#newestMs()) {
      this.#append(ts, status, cell, false);
      return true;
    }
    return this.#insert(ts, status, cell);
  }

  /**
   * Of pings one after the other that say the same, leaves out those between the first and the last: they tell nothing. For
   * drivers that ping often, whose log is stored with each ping.
   * @param beforeMs older ones only: nothing comes any more between them, unless it is late
   * @param holdsMs how long a ping holds: they are not drawn further apart
   */
  drawTogether(beforeMs: number, holdsMs: number): void {
    const codes = this.#codes;
    if (codes === undefined || (this.#used - this.#from) % MANY_CODES !== 0) return;
    let into = this.#from;
    /** The last one that stays, and the one before it, which says the same when there are two of those. */
    let lastAt = into;
    let lastMs = Number.NaN;
    let beforeLastMs = Number.NaN;
    let status = -1;
    let same = 0;
    let ts = this.#firstMs;
    for (let at = into; at < this.#used;) {
      const code = codes[at++] as number;
      ts += Math.floor(code / CODES);
      const goesOn = (code & MOVED) === 0 && (code & 3) === status;
      if (goesOn && same > 1 && ts < beforeMs && ts - beforeLastMs <= holdsMs) {
        codes[lastAt] = (ts - beforeLastMs) * CODES + DRAWN + status;
        lastMs = ts;
        continue;
      }
      same = goesOn ? same + 1 : 1;
      status = code & 3;
      beforeLastMs = lastMs;
      lastMs = ts;
      lastAt = into;
      codes[into++] = code;
      if ((code & MOVED) !== 0) codes[into++] = codes[at++]!;
    }
    // No letters are held that nobody reads.
    for (let i = into; i < this.#used; i++) codes[i] = 0;
    this.#used = into;
  }

  /**
   * Takes the pings before a time, exclusive, out of the log.
   * @param holdsMs pings of one stay are not further apart
   */
  takeBefore(endMs: number, holdsMs: number, visitor: StayVisitor): void {
    const codes = this.#codes;
    if (codes === undefined || this.#firstMs >= endMs) return;
    const used = this.#used;
    let at = this.#from;
    /** The stay that goes on; there is none before the first ping, which says its cell. */
    let fromMs = this.#firstMs;
    let toMs = fromMs;
    let status = -1;
    let cell: Cell = 0;
    let nextMs = fromMs;
    while (at < used) {
      const code = codes[at] as number;
      nextMs = toMs + Math.floor(code / CODES);
      if (nextMs >= endMs) break;
      at++;
      if ((code & MOVED) === 0 && (code & 3) === status && nextMs - toMs <= holdsMs) {
        toMs = nextMs;
        continue;
      }
      if (status !== -1) visitor.stay(fromMs, toMs, STATUSES[status]!, cell);
      if ((code & MOVED) !== 0) cell = cellBehind(codes[at++]!, cell);
      status = code & 3;
      fromMs = toMs = nextMs;
    }
    visitor.stay(fromMs, toMs, STATUSES[status]!, cell);
    this.#took(toMs, STATUSES[status]!, cell);
    if (at === used) this.#codes = undefined;
    else this.#beginAt(at, nextMs, cell);
  }

  /** The log begins with the ping at a place, of a time, behind one that was in a cell. */
  #beginAt(at: number, ms: number, before: Cell): void {
    const codes = this.#codes!;
    const code = codes[at] as number;
    const moved = (code & MOVED) !== 0;
    const cell = moved ? cellBehind(codes[at + 1]!, before) : before;
    // It says its cell now, in the place of what was before it.
    this.#from = moved ? at : at - 1;
    codes[this.#from] = MOVED + (code & 3);
    codes[this.#from + 1] = cellCode(cell, 0);
    this.#spanMs = this.#newestMs() - ms;
    this.#firstMs = ms;
    const left = this.#used - this.#from;
    if (left * FEW_LEFT > codes.length) return;
    // Little is left of it, most often at a minute's end: the room is given back.
    this.#codes = codes.slice(this.#from, this.#used);
    this.#from = 0;
    this.#used = left;
  }

  #newestMs(): number {
    return this.#firstMs + this.#spanMs;
  }

  #took(ts: number, status: Status, cell: Cell): void {
    this.#takenMs = ts;
    this.#takenStatus = status;
    this.#takenCell = cell;
  }

  #append(ts: number, status: Status, cell: Cell, drawn: boolean): void {
    const code = codeOf(status) + (drawn ? DRAWN : 0);
    if (this.#codes === undefined) {
      this.#codes = [MOVED + code, cellCode(cell, 0)];
      this.#from = 0;
      this.#used = 2;
      this.#hasTexts = typeof cell === 'string';
      this.#firstMs = ts;
      this.#spanMs = 0;
    } else {
      const spanMs = ts - this.#firstMs;
      const sinceCode = (spanMs - this.#spanMs) * CODES + code;
      if (cell === this.#newestCell) this.#push(sinceCode);
      else {
        this.#push(sinceCode + MOVED);
        this.#push(cellCode(cell, this.#newestCell));
        this.#hasTexts ||= typeof cell === 'string';
      }
      this.#spanMs = spanMs;
    }
    this.#newestStatus = status;
    this.#newestCell = cell;
  }

  /**
   * Adds a ping before the newest, where the others lie: whoever sends thousands of a driver from back to front must not have each of
   * them made anew each time.
   */
  #insert(ts: number, status: Status, cell: Cell): boolean {
    while (this.#used + CODES_OF_TWO > this.#codes!.length) this.#makeRoom();
    const codes = this.#codes!;
    const first = this.#from;
    // The ping that it stands before, and the one that it stands behind.
    let at = first;
    let nextMs = this.#firstMs;
    let nextCell = cellBehind(codes[at + 1]!, 0);
    let beforeMs = Number.NaN;
    let beforeCell: Cell = 0;
    while (nextMs <= ts) {
      at += ((codes[at] as number) & MOVED) === 0 ? 1 : 2;
      beforeMs = nextMs;
      beforeCell = nextCell;
      const code = codes[at] as number;
      nextMs += Math.floor(code / CODES);
      if ((code & MOVED) !== 0) nextCell = cellBehind(codes[at + 1]!, beforeCell);
    }
    const next = codes[at] as number;
    if ((next & DRAWN) !== 0) return false;

    const isFirst = at === first;
    const codesBefore = (next & MOVED) === 0 ? 1 : 2;
    const moves = isFirst || cell !== beforeCell;
    const nextMoves = nextCell !== cell;
    const more = (moves ? 2 : 1) + (nextMoves ? 2 : 1) - codesBefore;
    for (let i = this.#used - 1; i >= at + codesBefore; i--) codes[i + more] = codes[i]!;
    codes[at++] = (isFirst ? 0 : (ts - beforeMs) * CODES) + (moves ? MOVED : 0) + codeOf(status);
    if (moves) codes[at++] = cellCode(cell, beforeCell);
    codes[at++] = (nextMs - ts) * CODES + (nextMoves ? MOVED : 0) + (next & 3);
    if (nextMoves) codes[at] = cellCode(nextCell, cell);
    this.#used += more;
    this.#hasTexts ||= typeof cell === 'string';
    if (isFirst) {
      this.#spanMs += this.#firstMs - ts;
      this.#firstMs = ts;
    }
    return true;
  }

  #push(code: Cell): void {
    if (this.#used === this.#codes!.length) this.#makeRoom();
    this.#codes![this.#used++] = code;
  }

  /** Where codes were taken out, or in a wider list. */
  #makeRoom(): void {
    const codes = this.#codes!;
    const from = this.#from;
    const count = this.#used - from;
    const into: Codes = 2 * from >= count ? codes : new Array<Cell>(count + (count >> 2) + MORE_CODES);
    for (let i = 0; i < count; i++) into[i] = codes[from + i]!;
    // No letters are held that nobody reads.
    for (let i = count; i < this.#used && into === codes; i++) into[i] = 0;
    this.#codes = into;
    this.#from = 0;
    this.#used = count;
  }
}

/** Goes over the codes of a log. */
class Cursor {
  readonly #codes: Codes;
  readonly #end: number;
  /** Where it reads on. */
  #at: number;
  ts: number;
  status: Status = 'offline';
  cell: Cell = 0;

  constructor(codes: Codes, from: number, end: number, firstMs: number) {
    this.#codes = codes;
    this.#at = from;
    this.#end = end;
    this.ts = firstMs;
  }

  /** The next ping; false when there is none. */
  next(): boolean {
    if (this.#at >= this.#end) return false;
    const code = this.#codes[this.#at++] as number;
    this.ts += Math.floor(code / CODES);
    this.status = STATUSES[code & 3]!;
    if ((code & MOVED) !== 0) this.cell = cellBehind(this.#codes[this.#at++]!, this.cell);
    return true;
  }
}
