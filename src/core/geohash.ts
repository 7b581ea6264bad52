/**
 * Geohashes on the hot path: encode by arithmetic instead of bisection, and the cover of a region.
 * Gives the same result as `ngeohash` for every point (a test holds that): a point on a border belongs to the
 * lower half, that is, the smaller index.
 *
 * Source: G. Niemeyer, geohash.org; the base 32 alphabet leaves out a, i, l and o.
 */
import type { CellKey } from './ids.js';

export const GEOHASH_ALPHABET = '0123456789bcdefghjkmnpqrstuvwxyz';
const GEOHASH = /^[0-9b-hjkmnp-z]{1,12}$/;

export function isGeohash(text: string): text is CellKey {
  return GEOHASH.test(text);
}

/** Index of the slice of [min, min + span) that holds the value, by ngeohash's rule (strictly above the border → upper). */
function sliceOf(value: number, min: number, span: number, slices: number): number {
  const width = span / slices;
  let index = Math.ceil((value - min) / width) - 1;
  // The division above rounds; the borders themselves are exact in binary, so one comparison on each side settles it.
  if (value <= min + index * width) index--;
  else if (value > min + (index + 1) * width) index++;
  return index < 0 ? 0 : index >= slices ? slices - 1 : index;
}

const PAIRS = Array.from({ length: 1024 }, (_, i) => GEOHASH_ALPHABET[i >> 5]! + GEOHASH_ALPHABET[i & 31]!);

/** Spreads the low 15 bits of x to the even bit positions of a 30 bit number. */
function spread(x: number): number {
  x = (x | (x << 8)) & 0x00ff00ff;
  x = (x | (x << 4)) & 0x0f0f0f0f;
  x = (x | (x << 2)) & 0x33333333;
  return (x | (x << 1)) & 0x55555555;
}

/**
 * The six-character geohash of a point, as a 30 bit integer (longitude takes the odd, higher bits).
 * @param lat degrees, -90 … 90
 * @param lon degrees, -180 … 180
 */
export function geohash30(lat: number, lon: number): number {
  const x = sliceOf(lon, -180, 360, 32768);
  const y = sliceOf(lat, -90, 180, 32768);
  return (spread(x) << 1) | spread(y);
}

/** Texts that were asked for not long ago, by the last bits of their hash: those of neighbours stand in places of their own. */
const TEXTS = 65_536;
const textAt = new Array<string>(TEXTS).fill('');
const hashAt = new Int32Array(TEXTS).fill(-1);

/**
 * Text of a 30 bit geohash: six characters. For one that was asked for not long ago the same piece of memory again: whoever looks
 * something up by it need neither hash nor compare its characters.
 */
export function geohash30Text(hash: number): CellKey {
  const at = hash % TEXTS;
  if (hashAt[at] !== hash) {
    hashAt[at] = hash;
    textAt[at] = PAIRS[hash >> 20]! + PAIRS[(hash >> 10) & 1023]! + PAIRS[hash & 1023]!;
  }
  return textAt[at] as CellKey;
}

/** By character code: which letter of the alphabet it is, or -1. */
const LETTERS = new Int8Array(128).fill(-1);
for (let i = 0; i < 32; i++) LETTERS[GEOHASH_ALPHABET.charCodeAt(i)] = i;

/** The 30 bit integer of a geohash of six characters; -1 for any other text. `geohash30Text` gives the text again. */
export function geohash30Of(text: string): number {
  return text.length === 6 ? integerOf(text) : -1;
}

/** Of six characters at most, five bits for each; -1 when one is no letter of geohashes. */
function integerOf(text: string): number {
  let hash = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    const letter = code < 128 ? LETTERS[code]! : -1;
    if (letter < 0) return -1;
    hash = (hash << 5) | letter;
  }
  return hash;
}

/** The set of 30 bit geohashes that a region covers, given as prefixes of one to six characters. */
export class Cover {
  readonly prefixes: readonly string[];
  readonly #byLength: readonly { shift: number; set: ReadonlySet<number> }[];

  constructor(prefixes: readonly string[]) {
    this.prefixes = prefixes;
    const byLength = new Map<number, Set<number>>();
    for (const prefix of prefixes) {
      if (!isGeohash(prefix) || prefix.length > 6)
        throw new RangeError(`not a geohash of 1 to 6 characters: ${prefix}`);
      const set = byLength.get(prefix.length) ?? new Set();
      byLength.set(prefix.length, set.add(integerOf(prefix)));
    }
    this.#byLength = [...byLength].map(([length, set]) => ({ shift: 30 - 5 * length, set }));
  }

  /** True when the cell (30 bit geohash) lies under one of the prefixes. */
  has(hash: number): boolean {
    for (const { shift, set } of this.#byLength) if (set.has(hash >>> shift)) return true;
    return false;
  }
}
