/**
 * The order in which keys are written: roughly that of the tree, for neighbours are in one page, and what leads to it is then at
 * hand. As keys come, each is in another page: a million of them took more than twice as long.
 */

/** Where the texts of keys lie. */
export interface KeyPlaces {
  readonly bytes: Uint8Array;
  readonly from: Uint32Array;
  /** The first bytes behind them. */
  readonly to: Uint32Array;
}

/** A key's place among the others takes so many bits; more of them than that stay as they are. */
const PLACE_BITS = 24;

/**
 * Places of the keys in the order in which they are to be written; equal ones as they came. Of each key five bytes count: the first,
 * and four from where it differs from another with the same first byte.
 */
export function keyOrder({ bytes, from, to }: KeyPlaces): Uint32Array {
  const order = new Uint32Array(from.length);
  if (order.length >= 2 ** PLACE_BITS) return order.map((_, place) => place);
  const alike = bytesAlike({ bytes, from, to });
  // For each key 64 bits, the lower half first, as all machines have it that this runs on: they are sorted as numbers, without objects.
  const words = new Uint32Array(2 * order.length);
  for (let i = 0; i < order.length; i++) {
    const first = bytes[from[i]!]!;
    const end = to[i]!;
    const at = from[i]! + alike[first]!;
    let four = 0;
    for (let k = at; k < at + 4; k++) four = (four << 8) | (k < end ? bytes[k]! : 0);
    words[2 * i + 1] = (first << 24) | (four >>> 8);
    words[2 * i] = (four << PLACE_BITS) | i;
  }
  new BigUint64Array(words.buffer).sort();
  for (let i = 0; i < order.length; i++) order[i] = words[2 * i]! % 2 ** PLACE_BITS;
  return order;
}

/** By the first byte of keys, how many bytes all that begin with it have in common. */
function bytesAlike({ bytes, from, to }: KeyPlaces): Uint32Array {
  const alike = new Uint32Array(256);
  const seen = new Int32Array(256).fill(-1);
  for (let i = 0; i < from.length; i++) {
    const at = from[i]!;
    const length = to[i]! - at;
    const first = bytes[at]!;
    const other = seen[first]!;
    if (other === -1) {
      seen[first] = at;
      alike[first] = length;
      continue;
    }
    const most = Math.min(alike[first]!, length);
    let same = 0;
    while (same < most && bytes[other + same] === bytes[at + same]) same++;
    alike[first] = same;
  }
  return alike;
}
