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
  let hash = OFFSET;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0x7f) return fnv1a32Bytes(encoder.encode(text));
    hash = Math.imul(hash ^ code, PRIME);
  }
  return hash >>> 0;
}

function fnv1a32Bytes(bytes: Uint8Array): number {
  let hash = OFFSET;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, PRIME);
  return hash >>> 0;
}

/** The partition that owns an actor: `fnv1a32(type/key) mod partitions`. */
export function partitionOf(actorId: string, partitions: number): number {
  return fnv1a32(actorId) % partitions;
}
