/**
 * Where a driver was and what it did: its pings in (ts, arrival) order, kept as the bytes they are stored as. A driver is
 * stored with every commit that it changed in, so a ping costs three bytes and is written once, not made again each time.
 *
 * A ping is a number, 7 bits to a byte, lowest first: 8 × its time since the ping before + 4 if its cell is another +
 * its status. After one with another cell come the cell's length and its letters.
 */

export type Status = 'open' | 'enroute' | 'ontrip' | 'offline';
const STATUSES: readonly Status[] = ['open', 'enroute', 'ontrip', 'offline'];

export interface Ping {
  /** Event time, ms UTC. */
  readonly ts: number;
  readonly status: Status;
  readonly cell: string;
}

const MOVED = 4;
const CODES = 8;
const FIRST_BYTES = 24;

export class PingLog {
  #bytes: Uint8Array;
  #length = 0;
  #newest: Ping | undefined;

  constructor(pings: readonly Ping[] = []) {
    this.#bytes = new Uint8Array(FIRST_BYTES);
    for (const ping of pings) this.#append(ping);
  }

  static from(stored: Uint8Array): PingLog {
    const log = new PingLog();
    log.#bytes = new Uint8Array(stored);
    log.#length = stored.length;
    log.#newest = log.list().at(-1);
    return log;
  }

  /** As it is stored. Not to be changed, and valid until the log is. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  get newest(): Ping | undefined {
    return this.#newest;
  }

  /** Adds a ping behind all that are not later: equal times keep their order of arrival. */
  add(ping: Ping): void {
    if (this.#newest === undefined || ping.ts >= this.#newest.ts) {
      this.#append(ping);
      return;
    }
    const pings = this.list();
    let i = pings.length;
    while (i > 0 && pings[i - 1]!.ts > ping.ts) i--;
    pings.splice(i, 0, ping);
    this.#restart(pings);
  }

  list(): Ping[] {
    const pings: Ping[] = [];
    let at = 0;
    let ts = 0;
    let cell = '';
    while (at < this.#length) {
      let code = 0;
      let byte: number;
      let unit = 1;
      do {
        byte = this.#bytes[at++]!;
        code += (byte & 0x7f) * unit;
        unit *= 0x80;
      } while (byte > 0x7f);
      ts += Math.floor(code / CODES);
      if ((code & MOVED) !== 0) {
        const end = at + 1 + this.#bytes[at]!;
        cell = String.fromCharCode(...this.#bytes.subarray(at + 1, end));
        at = end;
      }
      pings.push({ ts, status: STATUSES[code & 3]!, cell });
    }
    return pings;
  }

  /** Takes the pings before a time, exclusive, out of the log. */
  takeBefore(endMs: number): Ping[] {
    const pings = this.list();
    let count = pings.length;
    while (count > 0 && pings[count - 1]!.ts >= endMs) count--;
    this.#restart(pings.slice(count));
    return pings.slice(0, count);
  }

  #restart(pings: readonly Ping[]): void {
    this.#length = 0;
    this.#newest = undefined;
    for (const ping of pings) this.#append(ping);
  }

  #append(ping: Ping): void {
    const { ts = 0, cell = '' } = this.#newest ?? {};
    const moved = ping.cell !== cell;
    let code = (ping.ts - ts) * CODES + (moved ? MOVED : 0) + STATUSES.indexOf(ping.status);
    this.#reserve(9 + ping.cell.length);
    for (; code > 0x7f; code = Math.floor(code / 0x80)) this.#bytes[this.#length++] = (code % 0x80) + 0x80;
    this.#bytes[this.#length++] = code;
    if (moved) {
      this.#bytes[this.#length++] = ping.cell.length;
      for (let i = 0; i < ping.cell.length; i++) this.#bytes[this.#length++] = ping.cell.charCodeAt(i);
    }
    this.#newest = ping;
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const wider = new Uint8Array(2 * this.#bytes.length + more);
    wider.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = wider;
  }
}
