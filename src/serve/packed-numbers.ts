/**
 * Numbers in few bytes, exactly: most numbers of a row are small counts (one byte) or seconds with three decimals (five),
 * the rest takes nine. Written one after the other, read back in order.
 */

/** Up to here a byte is the number itself. */
const SMALL_MAX = 253;
/** Four bytes follow: thousandths. */
const MILLI = 254;
/** Eight bytes follow: a double. */
const DOUBLE = 255;
const MILLI_MAX = 0xffff_ffff;

export class PackedNumbers {
  #bytes: Uint8Array;
  #view: DataView;
  #length = 0;

  constructor(capacity = 1_024) {
    this.#bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** Bytes written. */
  get length(): number {
    return this.#length;
  }

  get capacity(): number {
    return this.#bytes.length;
  }

  /** Forgets what was written; the memory stays for what comes. */
  clear(): void {
    this.#length = 0;
  }

  write(number: number): void {
    if (this.#length + 9 > this.#bytes.length) this.#grow();
    const bytes = this.#bytes;
    const at = this.#length;
    if (number >= 0 && number <= SMALL_MAX && Number.isInteger(number) && !Object.is(number, -0)) {
      bytes[at] = number;
      this.#length = at + 1;
      return;
    }
    const milli = Math.round(number * 1000);
    if (milli > 0 && milli <= MILLI_MAX && milli / 1000 === number) {
      bytes[at] = MILLI;
      this.#view.setUint32(at + 1, milli, true);
      this.#length = at + 5;
      return;
    }
    bytes[at] = DOUBLE;
    this.#view.setFloat64(at + 1, number, true);
    this.#length = at + 9;
  }

  /** Reads a number of numbers that stand one after the other. */
  read(from: number, count: number): number[] {
    const numbers: number[] = [];
    let at = from;
    for (let i = 0; i < count; i++) {
      const tag = this.#bytes[at]!;
      if (tag === DOUBLE) {
        numbers.push(this.#view.getFloat64(at + 1, true));
        at += 9;
      } else if (tag === MILLI) {
        numbers.push(this.#view.getUint32(at + 1, true) / 1000);
        at += 5;
      } else {
        numbers.push(tag);
        at += 1;
      }
    }
    return numbers;
  }

  #grow(): void {
    const bytes = new Uint8Array(Math.ceil(this.#bytes.length * 1.5) + 9);
    bytes.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer);
  }
}
