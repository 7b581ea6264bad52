/**
 * Writes and reads plain values as bytes: what is stored with every commit is written by hand, because a general encoder
 * costs ten times as much. Integers take 7 bits to a byte, lowest first, and signed ones are zigzagged, as in Protocol
 * Buffers' varints; numbers beyond 32 bits are handled up to 2^53.
 */

/** Memory is taken in pieces of so many bytes: a piece of its own for each value would cost fifty times as much. */
const SLAB_BYTES = 32 * 1024;
/** A shorter text's number of bytes is one byte too. */
const SHORT_CHARS = 40;
/** So few are copied one by one, or four at a time: a view of them and a copy take 50 ns, and leave an object behind. */
const FEW_BYTES = 24;
const FEW_BYTES_BY_FOUR = 128;
/** Up to here a number with three decimals is exact, and so is what is written of it. */
const SHORT_NUMBER_MAX = 2 ** 49;

/**
 * One is kept and used again and again: `take` gives what was written since the last time. What it gives is never written
 * over; values that were taken one after the other share their memory, so those that stay for long have a writer apart.
 */
export class ByteWriter {
  readonly #slabBytes: number;
  #bytes = new Uint8Array(0);
  /** The same memory. */
  #buffer = Buffer.alloc(0);
  #view = new DataView(new ArrayBuffer(0));
  /** Where what is being written begins, and where it ends. */
  #start = 0;
  #length = 0;

  /** @param slabBytes less for one that writes little, and is not kept */
  constructor(slabBytes = SLAB_BYTES) {
    this.#slabBytes = slabBytes;
  }

  /** An integer from 0 to 2^53 - 1. */
  uint(value: number): this {
    this.#reserve(8);
    this.#putUint(value);
    return this;
  }

  /** An integer from -2^52 to 2^52 - 1. */
  int(value: number): this {
    return this.uint(zigzag(value));
  }

  /** Integers as `uint` writes them: all, or those from a place up to another. */
  uints(values: readonly number[], from = 0, to = values.length): this {
    this.#reserve(8 * (to - from));
    for (let i = from; i < to; i++) this.#putUint(values[i]!);
    return this;
  }

  /** Integers as `int` writes them. */
  ints(values: readonly number[]): this {
    this.#reserve(8 * values.length);
    for (let i = 0; i < values.length; i++) this.#putUint(zigzag(values[i]!));
    return this;
  }

  /** Of each integer, from -2^51 to 2^51, what it is more than the one before it; of the first, than 0. */
  differences(values: ArrayLike<number>): this {
    this.#reserve(8 * values.length);
    let before = 0;
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!;
      this.#putUint(zigzag(value - before));
      before = value;
    }
    return this;
  }

  /** Integers of which many are the same: their number; then of each run its length, and what it is more than the one before. */
  runs(values: readonly number[]): this {
    this.uint(values.length);
    let before = 0;
    for (let from = 0; from < values.length;) {
      const value = values[from]!;
      let to = from + 1;
      while (to < values.length && values[to] === value) to++;
      this.uint(to - from).int(value - before);
      before = value;
      from = to;
    }
    return this;
  }

  /** Numbers of any kind, as they lie in memory: lowest byte first, as in every machine that Node runs on. */
  floats(values: readonly number[]): this {
    const floats = new Float64Array(values.length);
    for (let i = 0; i < values.length; i++) floats[i] = values[i]!;
    return this.raw(new Uint8Array(floats.buffer));
  }

  /** A number of any kind. */
  float(value: number): this {
    this.#reserve(8);
    this.#view.setFloat64(this.#length, value, true);
    this.#length += 8;
    return this;
  }

  /**
   * A number of any kind, in fewer bytes when it is an integer, or has three decimals at most. Its last two bits tell
   * which: 0 and 2 an integer, up from 0 and down from -1, 1 thousandths, zigzagged, 3 a double behind it. -0 becomes 0.
   */
  number(value: number): this {
    this.#reserve(9);
    this.#putNumber(value);
    return this;
  }

  /** Numbers as `number` writes them: those from a place up to another. */
  numbers(values: Float64Array, from: number, to: number): this {
    this.#reserve(9 * (to - from));
    for (let i = from; i < to; i++) this.#putNumber(values[i]!);
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

  /** All that another has written and not taken, and its number of bytes before it. */
  writtenBy(other: ByteWriter): this {
    return this.uint(other.length).rawBy(other);
  }

  /** All that another has written and not taken: for the last of a record. */
  rawBy(other: ByteWriter): this {
    const { length } = other;
    this.#reserve(length);
    if (length <= FEW_BYTES_BY_FOUR) this.#copyByFour(other, length);
    else this.#bytes.set(other.written, this.#length);
    this.#length += length;
    return this;
  }

  /** Behind what is written, where there is room for it. */
  #copyByFour(other: ByteWriter, length: number): void {
    const from = other.#view;
    const into = this.#view;
    const start = other.#start;
    const at = this.#length;
    let i = 0;
    for (; i + 4 <= length; i += 4) into.setUint32(at + i, from.getUint32(start + i));
    for (; i < length; i++) this.#bytes[at + i] = other.#bytes[start + i]!;
  }

  /** Copies all that was written since the last time to a place of other memory; gives where it ends there. */
  copyTo(bytes: Uint8Array, at: number): number {
    const from = this.#bytes;
    const start = this.#start;
    const { length } = this;
    // One by one: a view of so few would cost more than they do.
    if (length <= FEW_BYTES) for (let i = 0; i < length; i++) bytes[at + i] = from[start + i]!;
    else bytes.set(this.written, at);
    return at + length;
  }

  text(value: string): this {
    if (value.length <= SHORT_CHARS && this.#shortText(value)) return this;
    const length = Buffer.byteLength(value);
    this.uint(length).#reserve(length);
    this.#length += this.#buffer.write(value, this.#length);
    return this;
  }

  /** Texts as if they were one. */
  joined(values: readonly string[]): this {
    let length = 0;
    for (const value of values) length += value.length;
    this.uint(length).#reserve(length);
    const before = this.#length;
    for (const value of values) {
      if (this.#ascii(value)) continue;
      // Each character was taken for a byte: all of it again.
      this.#length = before - uintBytes(length);
      return this.text(values.join(''));
    }
    return this;
  }

  /** Bytes written since the last time. */
  get length(): number {
    return this.#length - this.#start;
  }

  /** All that was written since the last time, as long as nothing more is. */
  get written(): Uint8Array {
    return this.#bytes.subarray(this.#start, this.#length);
  }

  /** All that was written since the last time. */
  take(): Uint8Array {
    const taken = this.#bytes.subarray(this.#start, this.#length);
    this.#start = this.#length;
    return taken;
  }

  /** Forgets what was written and not taken: by one that failed. */
  clear(): this {
    this.#length = this.#start;
    return this;
  }

  /** Character by character, as long as each is one byte: for a few of them the way into native code costs more. */
  #shortText(value: string): boolean {
    this.#reserve(1 + value.length);
    this.#bytes[this.#length++] = value.length;
    if (this.#ascii(value)) return true;
    this.#length--;
    return false;
  }

  /** Characters that are one byte each, where there is room for them; false when there are others. */
  #ascii(value: string): boolean {
    const at = this.#length;
    for (let i = 0; i < value.length; i++) {
      const code = value.charCodeAt(i);
      if (code > 0x7f) return false;
      this.#bytes[at + i] = code;
    }
    this.#length = at + value.length;
    return true;
  }

  /** Where there is room for nine bytes. */
  #putNumber(value: number): void {
    // Most are 0.
    if (value === 0) {
      this.#bytes[this.#length++] = 0;
    } else if (Number.isInteger(value) && Math.abs(value) <= SHORT_NUMBER_MAX) {
      this.#putUint(value < 0 ? -4 * value - 2 : 4 * value);
    } else {
      const thousandths = Math.round(value * 1000);
      if (thousandths / 1000 === value && Math.abs(thousandths) <= SHORT_NUMBER_MAX) {
        this.#putUint(thousandths < 0 ? -8 * thousandths - 3 : 8 * thousandths + 1);
      } else {
        this.#bytes[this.#length++] = 3;
        this.#view.setFloat64(this.#length, value, true);
        this.#length += 8;
      }
    }
  }

  /** Where there is room for eight bytes. */
  #putUint(value: number): void {
    const bytes = this.#bytes;
    let at = this.#length;
    let rest = value;
    // Beyond 31 bits there are no operations on bits.
    while (rest > 0x7fff_ffff) {
      bytes[at++] = (rest % 0x80) + 0x80;
      rest = Math.floor(rest / 0x80);
    }
    while (rest > 0x7f) {
      bytes[at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    bytes[at++] = rest;
    this.#length = at;
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const begun = this.#bytes.subarray(this.#start, this.#length);
    this.#bytes = new Uint8Array(Math.max(this.#slabBytes, 2 * begun.length + more));
    this.#buffer = Buffer.from(this.#bytes.buffer);
    this.#view = new DataView(this.#bytes.buffer);
    this.#bytes.set(begun);
    this.#start = 0;
    this.#length = begun.length;
  }
}

/** A signed integer as one that is not: up from 0 at even places, down from -1 between them. */
function zigzag(value: number): number {
  if ((value | 0) === value) return ((value << 1) ^ (value >> 31)) >>> 0;
  return value < 0 ? -2 * value - 1 : 2 * value;
}

function unzigzag(value: number): number {
  if (value <= 0x7fff_ffff) return (value >>> 1) ^ -(value & 1);
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}

/** How many bytes `uint` takes. */
function uintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest > 0x7f; rest = Math.floor(rest / 0x80)) bytes++;
  return bytes;
}

/** Reads in the order of writing. What it gives lies in the bytes that it reads from. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  /** The same bytes, for what only a Buffer reads: made when it is asked for. */
  #buffer: Buffer | undefined;
  #at: number;
  readonly #end: number;

  /** Reads all bytes, or those from a place up to another. */
  constructor(bytes: Uint8Array, from = 0, to = bytes.length) {
    this.#bytes = bytes;
    this.#at = from;
    this.#end = to;
  }

  get done(): boolean {
    return this.#at >= this.#end;
  }

  uint(): number {
    // Most are small.
    const first = this.#bytes[this.#at]!;
    if (first < 0x80 && this.#at < this.#end) {
      this.#at++;
      return first;
    }
    // Up to 28 bits there are operations on bits.
    let value = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.#next();
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    for (let unit = 2 ** 28; ; unit *= 0x80) {
      const byte = this.#next();
      value += (byte & 0x7f) * unit;
      if (byte < 0x80) return value;
    }
  }

  int(): number {
    return unzigzag(this.uint());
  }

  /** So many integers that are not negative, below 2^32. */
  uints(count: number): Uint32Array {
    const values = new Uint32Array(this.#bounded(count));
    for (let i = 0; i < count; i++) values[i] = this.uint();
    return values;
  }

  /** So many integers. */
  ints(count: number): number[] {
    // An array that grows takes room for more.
    const values = new Array<number>(this.#bounded(count));
    for (let i = 0; i < count; i++) values[i] = this.int();
    return values;
  }

  /** So many integers that were written as differences. */
  differences(count: number): Float64Array {
    const values = new Float64Array(this.#bounded(count));
    let value = 0;
    for (let i = 0; i < count; i++) values[i] = value += this.int();
    return values;
  }

  /** Integers that `runs` wrote, so many at most. */
  runs(most: number): number[] {
    const count = this.uint();
    if (count > most) throw new RangeError(`there are ${count} values where there can be ${most}`);
    const values: number[] = [];
    let value = 0;
    while (values.length < count) {
      const length = this.uint();
      value += this.int();
      if (length === 0 || values.length + length > count)
        throw new RangeError('a run does not fit its values');
      for (let left = length; left > 0; left--) values.push(value);
    }
    return values;
  }

  /** So many numbers that `floats` wrote. */
  floats(count: number): Float64Array {
    // A copy, for where they lie they may begin at any byte.
    return new Float64Array(new Uint8Array(this.raw(8 * count)).buffer);
  }

  float(): number {
    const value = this.#asBuffer().readDoubleLE(this.#at);
    this.#at += 8;
    return value;
  }

  number(): number {
    const value = this.uint();
    switch (value % 4) {
      case 0:
        return value / 4;
      case 1:
        return unzigzag((value - 1) / 4) / 1000;
      case 2:
        return -(value + 2) / 4;
      default:
        return this.float();
    }
  }

  /** Where it reads next: a place in its bytes. */
  get place(): number {
    return this.#at;
  }

  moveTo(place: number): void {
    this.#at = place;
  }

  /** Passes over so many bytes. */
  skip(length: number): void {
    this.#at += length;
  }

  /** So many bytes; without a number all that are left. */
  raw(length = this.#end - this.#at): Uint8Array {
    const end = this.#at + length;
    if (end > this.#end) throw new RangeError('the bytes end within a value');
    const value = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return value;
  }

  bytes(): Uint8Array {
    return this.raw(this.uint());
  }

  text(): string {
    const length = this.uint();
    const end = this.#at + length;
    if (end > this.#end) throw new RangeError('the bytes end within a value');
    const value = this.#asBuffer().toString('utf8', this.#at, end);
    this.#at = end;
    return value;
  }

  #next(): number {
    if (this.#at >= this.#end) throw new RangeError('the bytes end within a number');
    return this.#bytes[this.#at++]!;
  }

  /** A number of values that take a byte each at least: no memory is taken for what cannot be there. */
  #bounded(count: number): number {
    if (count > this.#end - this.#at) throw new RangeError(`the bytes end before ${count} values`);
    return count;
  }

  #asBuffer(): Buffer {
    const { buffer, byteOffset, length } = this.#bytes;
    return (this.#buffer ??= Buffer.from(buffer, byteOffset, length));
  }
}
