/**
 * Looks at an LMDB file before LMDB does: LMDB maps the file and trusts it, so one that is no LMDB file, or is shorter
 * than its own header says, ends the process instead of giving an error.
 *
 * Layout (`MDB_meta` of lmdb's mdb.c, data version 2): two meta pages at the start, the one with the higher
 * transaction id counts.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

const MAGIC = 0xbeefc0de;
const AT = { magic: 24, pageSize: 48, lastPage: 144, transaction: 152 } as const;
const META_BYTES = 160;

/** What is wrong with a file, in words; undefined when its outside is sound or there is no file yet. */
export function findDamage(file: string): string | undefined {
  let handle: number;
  try {
    handle = openSync(file, 'r');
  } catch {
    // No file yet, or none that can be read: LMDB says so itself.
    return undefined;
  }
  try {
    const { size } = fstatSync(handle);
    if (size === 0) return undefined;
    const first = readMeta(handle, 0);
    if (first === undefined || first.pageSize < 512 || first.pageSize > 65_536) return 'it is no LMDB file';
    const second = readMeta(handle, first.pageSize);
    if (second === undefined) return 'its second header is damaged';
    const { lastPage } = first.transaction > second.transaction ? first : second;
    const needed = (lastPage + 1) * first.pageSize;
    if (size < needed) return `it has ${size} bytes of ${needed}: it was cut off`;
    return undefined;
  } finally {
    closeSync(handle);
  }
}

interface Meta {
  readonly pageSize: number;
  readonly lastPage: number;
  readonly transaction: number;
}

function readMeta(handle: number, at: number): Meta | undefined {
  const bytes = Buffer.alloc(META_BYTES);
  if (readSync(handle, bytes, 0, META_BYTES, at) < META_BYTES || bytes.readUInt32LE(AT.magic) !== MAGIC)
    return undefined;
  return {
    pageSize: bytes.readUInt32LE(AT.pageSize),
    lastPage: Number(bytes.readBigUInt64LE(AT.lastPage)),
    transaction: Number(bytes.readBigUInt64LE(AT.transaction)),
  };
}
