/**
 * Values as they lie in LMDB: with a checksum of key and value before them, so that a byte that changed on the disk is
 * found when it is read, in the value or in the key.
 */
import { crc32 } from '../../core/crc32.js';
import type { Entry } from './page-tree.js';

const CHECKSUM_BYTES = 4;
/** Holds a key while its checksum is made. */
const scratch = Buffer.alloc(1_024);
/** Values of one write lie side by side: what each of them needs of its own is little. */
const SLAB_BYTES = 256 * 1024;
let slab = Buffer.alloc(0);
let used = 0;

export function seal(key: string, value: Uint8Array): Buffer {
  const start = used;
  const end = start + CHECKSUM_BYTES + value.byteLength;
  if (end > slab.length) {
    slab = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, CHECKSUM_BYTES + value.byteLength));
    used = 0;
    return seal(key, value);
  }
  used = end;
  slab.set(value, start + CHECKSUM_BYTES);
  slab.writeUInt32LE(checksumOf(key, value), start);
  return slab.subarray(start, end);
}

/** The value; undefined when it is not what was stored under this key. */
export function unseal(key: string, stored: Uint8Array): Uint8Array | undefined {
  if (stored.byteLength < CHECKSUM_BYTES) return undefined;
  const value = stored.subarray(CHECKSUM_BYTES);
  const said = (stored[0]! | (stored[1]! << 8) | (stored[2]! << 16) | (stored[3]! << 24)) >>> 0;
  return said === checksumOf(key, value) ? value : undefined;
}

/**
 * Whether an entry is what was stored, as far as that can be seen without LMDB: a key that LMDB writes otherwise than as its
 * text is not recognised.
 */
export function isWhole({ key, keyAt, keyEnd, value, valueAt, valueEnd }: Entry): boolean {
  if (valueEnd - valueAt < CHECKSUM_BYTES) return false;
  const checksum = crc32(value, crc32(key, 0, keyAt, keyEnd), valueAt + CHECKSUM_BYTES, valueEnd);
  return checksum === value.readUInt32LE(valueAt);
}

function checksumOf(key: string, value: Uint8Array): number {
  if (3 * key.length > scratch.length) return crc32(value, crc32(Buffer.from(key)));
  return crc32(value, crc32(scratch, 0, 0, scratch.write(key)));
}
