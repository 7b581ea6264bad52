/**
 * The order in which records are written: roughly that of their keys in the tree, for neighbours are in one page, and what leads to
 * it is at hand. As actors change, each is in another page.
 */
import type { IdPlaces } from '../../partition/changes.js';

/** Ids of one type, and how many first bytes are the same in all of them. */
interface OneType {
  /** Where one of them lies. */
  readonly at: number;
  /** Of the type, and what ends it. */
  readonly typeBytes: number;
  alike: number;
}

const TYPE_ENDS = '/'.charCodeAt(0);
/** A key's place among the others takes so many bits; more of them than that stay as they are. */
const PLACE_BITS = 24;
/** Of types: if there are more, some of them are mixed. */
const TYPES_MAX = 2 ** 8;

/**
 * Places of the keys in the order in which they are to be written; the same key as often as it came, in the order in which it came.
 * By type, and then by four bytes, from the first that is not the same in all ids of that type.
 */
export function keyOrder({ bytes, from, to }: IdPlaces): Uint32Array {
  const order = new Uint32Array(from.length);
  if (order.length >= 2 ** PLACE_BITS) return order.map((_, place) => place);
  const types: OneType[] = [];
  const typeOf = new Uint8Array(order.length);
  let type = 0;
  for (let i = 0; i < order.length; i++) {
    type = typeAt(bytes, from[i]!, to[i]!, types, type);
    typeOf[i] = type % TYPES_MAX;
  }
  // For each key 64 bits, the lower half first, as all machines have it that this runs on: they are sorted as numbers, without objects.
  const words = new Uint32Array(2 * order.length);
  for (let i = 0; i < order.length; i++) {
    const at = from[i]! + types[typeOf[i]!]!.alike;
    const end = to[i]!;
    let four = 0;
    for (let k = at; k < at + 4; k++) four = (four << 8) | (k < end ? bytes[k]! : 0);
    words[2 * i + 1] = (typeOf[i]! << 24) | (four >>> 8);
    words[2 * i] = (four << PLACE_BITS) | i;
  }
  new BigUint64Array(words.buffer).sort();
  for (let i = 0; i < order.length; i++) order[i] = words[2 * i]! % 2 ** PLACE_BITS;
  return order;
}

/** The place of an id's type among the types, to which it is added if it is new. `likely` is that of the id before. */
function typeAt(bytes: Uint8Array, at: number, end: number, types: OneType[], likely: number): number {
  for (let k = 0; k < types.length; k++) {
    const i = (likely + k) % types.length;
    const type = types[i]!;
    const same = sameBytes(bytes, type.at, at, Math.min(type.alike, end - at));
    if (same < type.typeBytes) continue;
    type.alike = same;
    return i;
  }
  const ends = bytes.indexOf(TYPE_ENDS, at);
  const typeBytes = ends === -1 || ends >= end ? end - at : ends + 1 - at;
  return types.push({ at, typeBytes, alike: end - at }) - 1;
}

function sameBytes(bytes: Uint8Array, one: number, other: number, most: number): number {
  let same = 0;
  while (same < most && bytes[one + same] === bytes[other + same]) same++;
  return same;
}
