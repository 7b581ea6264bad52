/**
 * Writes and reads plain values as bytes: what is stored with every commit is written by hand, because a general encoder
 * costs ten times as much. Integers take 7 bits to a byte, lowest first, and signed ones are zigzagged, as in Protocol
 * Buffers' varints; numbers beyond 32 bits are handled up to 2^53.
 */

const FIRST_BYTES = 512;
/** A shorter text's number of bytes is one byte too. */
const SHORT_CHARS = 40;

/** One is kept and used again and again: `take` gives a copy of what was written and starts anew. */
export class ByteWriter {
  #bytes = Buffer.allocUnsafeSlow(FIRST_BYTES);
  #length = 0;

  /** An integer from 0 to 2^53 - 1. */
  uint(value: number): this {
    this.#reserve(8);
    let rest = value;
    while (rest > 0x7f) {
      this.#bytes[this.#length++] = (rest % 0x80) + 0x80;
      rest = rest > 0x7fff_ffff ? Math.floor(rest / 0x80) : rest >>> 7;
    }
    this.#bytes[this.#length++] = rest;
    return this;
  }

  /** An integer from -2^52 to 2^52 - 1. */
  int(value: number): this {
    return this.uint(value < 0 ? -2 * value - 1 : 2 * value);
  }

  /** A number of any kind. */
  float(value: number): this {
    this.#reserve(8);
    this.#bytes.writeDoubleLE(value, this.#length);
    this.#length += 8;
    return this;
  }

  /** Bytes without their number: for the last of a record. */
  raw(value: Uint8Array): this {
    this.#reserve(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
    return this;
  }

  bytes(value: Uint8Array): this {
    return this.uint(value.length).raw(value);
  }

  text(value: string): this {
    if (value.length <= SHORT_CHARS && this.#shortText(value)) return this;
    const length = Buffer.byteLength(value);
    this.uint(length).#reserve(length);
    this.#length += this.#bytes.write(value, this.#length);
    return this;
  }

  /** All that was written since the last time, of its own size. */
  take(): Uint8Array {
    const taken = new Uint8Array(this.#length);
    taken.set(this.#bytes.subarray(0, this.#length));
    this.#length = 0;
    return taken;
  }

  /** Forgets what was written and not taken: by one that failed. */
  clear(): this {
    this.#length = 0;
    return this;
  }

  /** Character by character, as long as each is one byte: for a few of them the way into native code costs more. */
  #shortText(value: string): boolean {
    this.#reserve(1 + value.length);
    const at = this.#length + 1;
    for (let i = 0; i < value.length; i++) {
      const code = value.charCodeAt(i);
      if (code > 0x7f) return false;
      this.#bytes[at + i] = code;
    }
    this.#bytes[this.#length] = value.length;
    this.#length = at + value.length;
    return true;
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const wider = Buffer.allocUnsafeSlow(2 * this.#bytes.length + more);
    wider.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = wider;
  }
}

/** Reads in the order of writing. What it gives lies in the bytes that it reads from. */
export class ByteReader {
  readonly #source: Uint8Array;
  /** The same bytes. */
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#source = bytes;
    this.#bytes = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  uint(): number {
    let value = 0;
    let unit = 1;
    for (;;) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) throw new RangeError('the bytes end within a number');
      value += (byte & 0x7f) * unit;
      if (byte < 0x80) return value;
      unit *= 0x80;
    }
  }

  int(): number {
    const value = this.uint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  float(): number {
    const value = this.#bytes.readDoubleLE(this.#at);
    this.#at += 8;
    return value;
  }

  /** So many bytes; without a number all that are left. */
  raw(length = this.#bytes.length - this.#at): Uint8Array {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new RangeError('the bytes end within a value');
    const value = this.#source.subarray(this.#at, end);
    this.#at = end;
    return value;
  }

  bytes(): Uint8Array {
    return this.raw(this.uint());
  }

  text(): string {
    const length = this.uint();
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new RangeError('the bytes end within a value');
    const value = this.#bytes.toString('utf8', this.#at, end);
    this.#at = end;
    return value;
  }
}
