/**
 * Values as they lie in LMDB: with a checksum of key and value before them, so that a byte that changed on the disk is
 * found when it is read, in the value or in the key.
 */
import { ByteWriter } from '../../core/bytes.js';
import { crc32 } from '../../core/crc32.js';
import type { Entry } from './page-tree.js';

const CHECKSUM_BYTES = 4;
/** Holds a key while its checksum is made. */
const scratch = Buffer.alloc(1_024);
const checksum = Buffer.alloc(CHECKSUM_BYTES);
/** Values of one write lie side by side: what each of them needs of its own is little. */
const writer = new ByteWriter(256 * 1024);

export function seal(key: string, value: Uint8Array): Uint8Array {
  checksum.writeUInt32LE(checksumOf(key, value));
  return writer.raw(checksum).raw(value).take();
}

/**
 * Seals a value where it lies: its checksum takes the place of the four bytes before it, which must be of the same entry, and be read.
 * @param bytes holds the key's text from `keyFrom` to `keyTo`, and the value behind it
 */
export function sealInPlace(
  bytes: Uint8Array,
  keyFrom: number,
  keyTo: number,
  value: Uint8Array,
): Uint8Array {
  const from = value.byteOffset - bytes.byteOffset;
  const to = from + value.byteLength;
  const sum = crc32(bytes, crc32(bytes, 0, keyFrom, keyTo), from, to);
  for (let i = 0; i < CHECKSUM_BYTES; i++) bytes[from - CHECKSUM_BYTES + i] = sum >>> (8 * i);
  return bytes.subarray(from - CHECKSUM_BYTES, to);
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
