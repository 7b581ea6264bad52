/** The databases of a folder of snapshots, as every thread opens them that reads or writes there. */
import { open, type Database, type RootDatabase } from 'lmdb';
import { partitionToken } from '../../core/ids.js';

export interface PartitionDatabases {
  readonly actors: Database<Uint8Array, string>;
  /** Keys alone matter; the values are their checksums. */
  readonly timed: Database<Uint8Array, string>;
}

export interface Databases {
  /** By the partition's token: where its snapshot stands. */
  readonly positions: Database<Uint8Array, string>;
  readonly partitions: readonly PartitionDatabases[];
}

export function openRoot(folder: string, partitions: number): RootDatabase {
  return open({ path: folder, maxDbs: 2 * partitions + 4, compression: false, noMemInit: true });
}

export function openDatabases(root: RootDatabase, partitions: number): Databases {
  const named = (name: string): Database<Uint8Array, string> =>
    root.openDB<Uint8Array, string>({ name, encoding: 'binary' });
  return {
    positions: named('positions'),
    partitions: Array.from({ length: partitions }, (_, p) => ({
      actors: named(`actors-${partitionToken(p)}`),
      timed: named(`timed-${partitionToken(p)}`),
    })),
  };
}
