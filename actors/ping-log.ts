/**
 * Where a driver was and what it did: its pings in (ts, arrival) order, kept as the bytes they are stored as. A driver is
 * stored with every commit that it changed in, so a ping costs three bytes and is written once, not made again each time.
 *
 * A ping is a number, 7 bits to a byte, lowest first: 8 × its time since the ping before + 4 if its cell is another +
 * its status. After one with another cell come the cell's length and its letters.
 */

export type Status = 'open' | 'enroute' | 'ontrip' | 'offline';
export const STATUSES: readonly Status[] = ['open', 'enroute', 'ontrip', 'offline'];

export interface Ping {
  /** Event time, ms UTC. */
  readonly ts: number;
  readonly status: Status;
  readonly cell: string;
}

const MOVED = 4;
const CODES = 8;
/** A minute of pings fits, and lies in the object's own memory. */
const FIRST_BYTES = 64;

/** Cells that were read lately, by what their letters come to: most are read again. */
const known: string[] = new Array<string>(4_096).fill('');

export class PingLog {
  #bytes = new Uint8Array(FIRST_BYTES);
  #length = 0;
  /** The newest ping, in parts: they change with every ping of every driver. */
  #ts = Number.NaN;
  #status: Status = 'offline';
  #cell = '';

  constructor(pings: readonly Ping[] = []) {
    for (const ping of pings) this.#append(ping);
  }

  static from(stored: Uint8Array): PingLog {
    const log = new PingLog();
    log.#bytes = new Uint8Array(Math.max(FIRST_BYTES, stored.length));
    log.#bytes.set(stored);
    log.#length = stored.length;
    const newest = log.list().at(-1);
    if (newest !== undefined) log.#note(newest);
    return log;
  }

  /** As it is stored. Not to be changed, and valid until the log is. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  get newest(): Ping | undefined {
    if (this.#length === 0) return undefined;
    return { ts: this.#ts, status: this.#status, cell: this.#cell };
  }

  /** Adds a ping behind all that are not later: equal times keep their order of arrival. */
  add(ping: Ping): void {
    if (this.#length === 0 || ping.ts >= this.#ts) {
      this.#append(ping);
      return;
    }
    const pings = this.list();
    let i = pings.length;
    while (i > 0 && pings[i - 1]!.ts > ping.ts) i--;
    pings.splice(i, 0, ping);
    this.#restart(pings);
  }

  /** Time of the oldest ping. */
  get oldestMs(): number | undefined {
    return this.#read(Number.NEGATIVE_INFINITY).next?.ts;
  }

  list(): Ping[] {
    return this.#read(Number.POSITIVE_INFINITY).before;
  }

  /** Takes the pings before a time, exclusive, out of the log. */
  takeBefore(endMs: number): Ping[] {
    const { before, next, restAt } = this.#read(endMs);
    if (before.length === 0) return before;
    if (next === undefined) {
      this.#length = 0;
      return before;
    }
    // Only the first of those that stay says all of itself; the others go by the one before them.
    const rest = this.#bytes.slice(restAt, this.#length);
    const newest = this.newest!;
    this.#length = 0;
    this.#append(next);
    this.#reserve(rest.length);
    this.#bytes.set(rest, this.#length);
    this.#length += rest.length;
    this.#note(newest);
    return before;
  }

  /** The pings before a time; the one after them, and where those behind that begin. */
  #read(endMs: number): { before: Ping[]; next: Ping | undefined; restAt: number } {
    const bytes = this.#bytes;
    const before: Ping[] = [];
    let at = 0;
    let ts = 0;
    let cell = '';
    while (at < this.#length) {
      let code = 0;
      let byte: number;
      let unit = 1;
      do {
        byte = bytes[at++]!;
        code += (byte & 0x7f) * unit;
        unit *= 0x80;
      } while (byte > 0x7f);
      ts += Math.floor(code / CODES);
      if ((code & MOVED) !== 0) {
        const from = at + 1;
        at = from + bytes[at]!;
        cell = cellOf(bytes, from, at);
      }
      const ping = { ts, status: STATUSES[code & 3]!, cell };
      if (ts >= endMs) return { before, next: ping, restAt: at };
      before.push(ping);
    }
    return { before, next: undefined, restAt: at };
  }

  #restart(pings: readonly Ping[]): void {
    this.#length = 0;
    for (const ping of pings) this.#append(ping);
  }

  #append(ping: Ping): void {
    const begins = this.#length === 0;
    const moved = begins || ping.cell !== this.#cell;
    const sinceMs = begins ? ping.ts : ping.ts - this.#ts;
    let code = sinceMs * CODES + (moved ? MOVED : 0) + STATUSES.indexOf(ping.status);
    this.#reserve(9 + ping.cell.length);
    for (; code > 0x7f; code = code > 0x7fff_ffff ? Math.floor(code / 0x80) : code >>> 7)
      this.#bytes[this.#length++] = (code % 0x80) + 0x80;
    this.#bytes[this.#length++] = code;
    if (moved) {
      this.#bytes[this.#length++] = ping.cell.length;
      for (let i = 0; i < ping.cell.length; i++) this.#bytes[this.#length++] = ping.cell.charCodeAt(i);
    }
    this.#note(ping);
  }

  #note({ ts, status, cell }: Ping): void {
    this.#ts = ts;
    this.#status = status;
    // The same letters are not held twice.
    if (cell !== this.#cell) this.#cell = cell;
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const wider = new Uint8Array(2 * this.#bytes.length + more);
    wider.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = wider;
  }
}

function cellOf(bytes: Uint8Array, from: number, to: number): string {
  let sum = 0;
  for (let i = from; i < to; i++) sum = (Math.imul(sum, 31) + bytes[i]!) | 0;
  const slot = sum & (known.length - 1);
  const cell = known[slot]!;
  let same = cell.length === to - from;
  for (let i = from; same && i < to; i++) same = cell.charCodeAt(i - from) === bytes[i];
  return same ? cell : (known[slot] = String.fromCharCode(...bytes.subarray(from, to)));
}
