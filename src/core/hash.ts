/**
 * FNV-1a, 32 bit, over the UTF-8 bytes of a string: the same function as `partition(n, …)` of nats-server's
 * subject mapping, so that any producer, or the server itself, finds the same partition.
 *
 * Source: Fowler, Noll, Vo; IETF draft-eastlake-fnv.
 */
const OFFSET = 0x811c9dc5;
const PRIME = 0x01000193;

const encoder = new TextEncoder();

export function fnv1a32(text: string): number {
  return hashed(OFFSET, text) >>> 0;
}

/** Goes on with a hash of what stands before the text. */
function hashed(before: number, text: string): number {
  let hash = before;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0x7f) return hashedBytes(before, encoder.encode(text));
    hash = Math.imul(hash ^ code, PRIME);
  }
  return hash;
}

function hashedBytes(before: number, bytes: Uint8Array): number {
  let hash = before;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, PRIME);
  return hash;
}

/** The partition that owns an actor: `fnv1a32(type/key) mod partitions`. */
export function partitionOf(actorId: string, partitions: number): number {
  return fnv1a32(actorId) % partitions;
}

/** The hash of the type that was asked for last, and of what parts it from a key: most often the next is of the same. */
let lastType = '';
let lastTypeHash = hashed(OFFSET, '/');

/** The same without the id, which need not be put together for it. */
export function partitionOfKey(type: string, key: string, partitions: number): number {
  if (type !== lastType) {
    lastTypeHash = hashed(hashed(OFFSET, type), '/');
    lastType = type;
  }
  return (hashed(lastTypeHash, key) >>> 0) % partitions;
}
