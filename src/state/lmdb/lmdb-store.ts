/**
 * Snapshots in LMDB: one environment per node, two databases per partition (records, and the ids that have timers).
 * One environment, because then the updates of all partitions share one transaction and one sync.
 */
import { statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { open, type Database, type RootDatabase } from 'lmdb';
import { GroundswellError, messageOf } from '../../core/errors.js';
import { partitionToken, type ActorId } from '../../core/ids.js';
import type { ActorSource } from '../../partition/actor-table.js';
import { findDamage } from './damage.js';
import {
  STORE_FORMAT,
  type SnapshotPosition,
  type SnapshotStore,
  type SnapshotUpdate,
  type StoreIdentity,
} from '../store.js';

interface Databases {
  readonly actors: Database<Uint8Array, string>;
  readonly timed: Database<number, string>;
}

/** A disk with less room counts as full. */
const FULL_BYTES = 1024 * 1024;

type StoredPosition = [journalSeq: number, control: Uint8Array];

export class LmdbStore implements SnapshotStore {
  readonly #root: RootDatabase;
  readonly #meta: Database<unknown, string>;
  readonly #partitions: Databases[];
  readonly #file: string;
  #broken = false;

  /**
   * Opens the snapshots in a folder, or makes them.
   * @throws GroundswellError GS_DATA_CORRUPT for a damaged file, GS_DATA_FOREIGN for another region or partition count, GS_DATA_NEWER for a newer format
   */
  static async open(folder: string, identity: StoreIdentity): Promise<LmdbStore> {
    const damage = findDamage(join(folder, 'data.mdb'));
    if (damage !== undefined) {
      throw new GroundswellError('GS_DATA_CORRUPT', `The snapshots in ${folder} are damaged: ${damage}.`);
    }
    let root: RootDatabase;
    try {
      root = open({ path: folder, maxDbs: 2 * identity.partitions + 4, compression: false, noMemInit: true });
    } catch (error) {
      throw new GroundswellError('GS_DATA_CORRUPT', `The snapshots in ${folder} cannot be opened.`, {
        cause: error,
      });
    }
    const store = new LmdbStore(root, identity.partitions, join(folder, 'data.mdb'));
    try {
      await store.#claim(folder, identity);
    } catch (error) {
      await root.close();
      throw error;
    }
    return store;
  }

  private constructor(root: RootDatabase, partitions: number, file: string) {
    this.#root = root;
    this.#file = file;
    this.#meta = root.openDB<unknown, string>({ name: 'meta', encoding: 'msgpack' });
    this.#partitions = Array.from({ length: partitions }, (_, p) => ({
      actors: root.openDB<Uint8Array, string>({ name: `actors-${partitionToken(p)}`, encoding: 'binary' }),
      timed: root.openDB<number, string>({ name: `timed-${partitionToken(p)}`, encoding: 'msgpack' }),
    }));
  }

  source(partition: number): ActorSource {
    const { actors } = this.#partitions[partition]!;
    return { get: (id) => actors.get(id) };
  }

  position(partition: number): SnapshotPosition | undefined {
    const stored = this.#meta.get(`position-${partitionToken(partition)}`) as StoredPosition | undefined;
    return stored === undefined ? undefined : { journalSeq: stored[0], control: stored[1] };
  }

  *timed(partition: number): Iterable<readonly [ActorId, Uint8Array]> {
    const { actors, timed } = this.#partitions[partition]!;
    for (const key of timed.getKeys()) {
      const record = actors.get(key);
      if (record !== undefined) yield [key as ActorId, record];
    }
  }

  /** @throws GroundswellError GS_DATA_WRITE when the disk takes no more; the store can only be closed then */
  async write(updates: readonly SnapshotUpdate[]): Promise<void> {
    try {
      await this.#transaction(updates);
    } catch (error) {
      this.#broken = true;
      const cause = await causeOf(error);
      const free = freeBytes(this.#file);
      const room = free !== undefined && free < FULL_BYTES ? '; its disk is full' : '';
      throw new GroundswellError(
        'GS_DATA_WRITE',
        `The snapshots in ${this.#file} cannot be written: ${messageOf(cause)}${room}.`,
        { cause },
      );
    }
  }

  #transaction(updates: readonly SnapshotUpdate[]): Promise<void> {
    return this.#root.transaction(() => {
      for (const { partition, journalSeq, control, changes } of updates) {
        const { actors, timed } = this.#partitions[partition]!;
        for (const [id, change] of changes) {
          if (change.bytes === undefined) actors.removeSync(id);
          else actors.putSync(id, change.bytes);
          if (change.timed) timed.putSync(id, 1);
          else timed.removeSync(id);
        }
        const position: StoredPosition = [journalSeq, control];
        this.#meta.putSync(`position-${partitionToken(partition)}`, position);
      }
    });
  }

  sizeBytes(): number {
    return statSync(this.#file, { throwIfNoEntry: false })?.size ?? 0;
  }

  async close(): Promise<void> {
    // After a commit that failed the library would try to commit again, and fail where nobody can catch it. What is not in
    // the snapshots is in the journal (P5).
    if (!this.#broken) await this.#root.close();
  }

  async #claim(folder: string, identity: StoreIdentity): Promise<void> {
    const made = this.#meta.get('identity') as (StoreIdentity & { format: number }) | undefined;
    if (made === undefined) {
      await this.#meta.put('identity', { ...identity, format: STORE_FORMAT });
      return;
    }
    if (made.format > STORE_FORMAT) {
      throw new GroundswellError(
        'GS_DATA_NEWER',
        `The data folder ${folder} has format ${made.format}; this version reads ${STORE_FORMAT}.`,
      );
    }
    if (made.region !== identity.region || made.partitions !== identity.partitions) {
      throw new GroundswellError(
        'GS_DATA_FOREIGN',
        `The data folder ${folder} belongs to region ${made.region} with ${made.partitions} partitions, not to ${identity.region} with ${identity.partitions}.`,
      );
    }
  }
}

/** What is behind "commit failed": the library hands it on as a promise that rejects. */
async function causeOf(error: unknown): Promise<unknown> {
  try {
    await (error as { commitError?: Promise<never> }).commitError;
    return error;
  } catch (cause) {
    return cause;
  }
}

function freeBytes(file: string): number | undefined {
  try {
    const { bavail, bsize } = statfsSync(file);
    return bavail * bsize;
  } catch {
    return undefined;
  }
}
