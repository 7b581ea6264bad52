/**
 * Looks at an LMDB file before LMDB does: LMDB maps the file and trusts it, so one that is no LMDB file, is shorter than its
 * own header says, or has a page that leads elsewhere, ends the process instead of giving an error.
 *
 * Layout (`MDB_meta` of lmdb's mdb.c, data version 2): two meta pages at the start, the one with the higher
 * transaction id counts.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { isWhole } from './sealed.js';
import { Damage, PageTrees, readTreeRecord, type TreeRecord } from './page-tree.js';

const MAGIC = 0xbeefc0de;
const AT = {
  magic: 24,
  version: 28,
  freeTree: 48,
  pageSize: 48,
  mainTree: 96,
  lastPage: 144,
  transaction: 152,
} as const;
const META_BYTES = 160;

export interface FileFindings {
  /** What is wrong with the file, in words; undefined when its headers and pages are sound, or there is no file yet. */
  readonly damage: string | undefined;
  /** Names of the databases that it holds. */
  readonly databases: readonly string[];
  /** Those with a record whose checksum does not fit the bytes as they lie there. */
  readonly doubtful: readonly string[];
}

const NOTHING: FileFindings = { damage: undefined, databases: [], doubtful: [] };

/** @param isSealed whether the records of a database have checksums */
export function inspectFile(
  file: string,
  isSealed: (database: string) => boolean = () => false,
): FileFindings {
  let handle: number;
  try {
    handle = openSync(file, 'r');
  } catch {
    // No file yet, or none that can be read: LMDB says so itself.
    return NOTHING;
  }
  try {
    return findingsOf(handle, isSealed);
  } finally {
    closeSync(handle);
  }
}

function findingsOf(handle: number, isSealed: (database: string) => boolean): FileFindings {
  const { size } = fstatSync(handle);
  if (size === 0) return NOTHING;
  const first = readMeta(handle, 0);
  if (first === undefined || first.pageSize < 512 || first.pageSize > 65_536)
    return damaged('it is no LMDB file');
  const second = readMeta(handle, first.pageSize);
  if (second === undefined || second.pageSize !== first.pageSize || second.version !== first.version)
    return damaged('its second header is damaged');
  const meta = first.transaction > second.transaction ? first : second;
  const needed = (meta.lastPage + 1) * first.pageSize;
  if (size < needed) return damaged(`it has ${size} bytes of ${needed}: it was cut off`);
  const trees = new PageTrees({ handle, ...meta });
  const doubtful = new Set<string>();
  try {
    trees.walkMain(meta.mainTree, (name) => {
      if (!isSealed(name)) return undefined;
      return (entry) => {
        if (!doubtful.has(name) && !isWhole(entry)) doubtful.add(name);
      };
    });
    trees.walkFree(meta.freeTree);
  } catch (error) {
    if (error instanceof Damage) return damaged(error.message);
    throw error;
  }
  return { damage: undefined, databases: trees.names, doubtful: [...doubtful] };
}

function damaged(damage: string): FileFindings {
  return { damage, databases: [], doubtful: [] };
}

interface Meta {
  readonly version: number;
  readonly pageSize: number;
  readonly lastPage: number;
  readonly transaction: number;
  readonly freeTree: TreeRecord;
  readonly mainTree: TreeRecord;
}

function readMeta(handle: number, at: number): Meta | undefined {
  const bytes = Buffer.alloc(META_BYTES);
  if (readSync(handle, bytes, 0, META_BYTES, at) < META_BYTES || bytes.readUInt32LE(AT.magic) !== MAGIC)
    return undefined;
  return {
    version: bytes.readUInt32LE(AT.version),
    pageSize: bytes.readUInt32LE(AT.pageSize),
    lastPage: Number(bytes.readBigUInt64LE(AT.lastPage)),
    transaction: Number(bytes.readBigUInt64LE(AT.transaction)),
    freeTree: readTreeRecord(bytes, AT.freeTree),
    mainTree: readTreeRecord(bytes, AT.mainTree),
  };
}
