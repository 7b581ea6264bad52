/**
 * Snapshots in LMDB: one environment per node, two databases per partition (records, and the ids that have timers).
 * One environment, because then there is one file to look after, and one that writes at a time: what changes with every commit
 * a thread of its own (`write-thread.ts`), what is rare this one. Every value has a checksum (`sealed.ts`), and all of them are
 * looked at when the store is opened.
 */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { Database, RootDatabase } from 'lmdb';
import { GroundswellError } from '../../core/errors.js';
import { partitionToken, type ActorId } from '../../core/ids.js';
import { packChanges } from '../../partition/changes.js';
import type { ActorSource } from '../../partition/actor-table.js';
import type {
  SnapshotExport,
  SnapshotPosition,
  SnapshotRecord,
  SnapshotStore,
  SnapshotUpdate,
  StoreIdentity,
} from '../store.js';
import { inspectFile } from './damage.js';
import { openDatabases, openRoot, type Databases } from './databases.js';
import { claimFolder } from './folder-claim.js';
import { seal, unseal } from './sealed.js';
import { writeFailure } from './write-failure.js';
import type { PackedUpdate } from './write-messages.js';
import { WriteThread } from './write-thread.js';

/** Records of one bite of an export, and of one transaction of an import: a few ms each. */
const BITE_RECORDS = 500;
const BITE_BYTES = 256 * 1024;
const IMPORT_RECORDS = 2_000;
const IMPORT_BYTES = 1024 * 1024;
const NOTHING = new Uint8Array();

export class LmdbStore implements SnapshotStore {
  readonly #root: RootDatabase;
  readonly #positions: Databases['positions'];
  readonly #partitions: Databases['partitions'];
  readonly #file: string;
  readonly #writer: WriteThread;
  #broken = false;

  /**
   * Opens the snapshots in a folder, or makes them. Looks at every page and every record first.
   * @throws GroundswellError GS_DATA_CORRUPT for a damaged file, GS_DATA_FOREIGN for another region or partition count, GS_DATA_NEWER for a newer format
   */
  static async open(folder: string, identity: StoreIdentity): Promise<LmdbStore> {
    const { partitions } = identity;
    const file = join(folder, 'data.mdb');
    const { damage, databases, doubtful } = inspectFile(file, (name) => /^(actors|timed)-/.test(name));
    if (damage !== undefined) {
      throw new GroundswellError('GS_DATA_CORRUPT', `The snapshots in ${folder} are damaged: ${damage}.`);
    }
    let root: RootDatabase;
    try {
      root = openRoot(folder, partitions);
    } catch (error) {
      throw new GroundswellError('GS_DATA_CORRUPT', `The snapshots in ${folder} cannot be opened.`, {
        cause: error,
      });
    }
    try {
      const isNew = await claimFolder(root, folder, identity);
      const known = namesOf(partitions);
      if (!isNew && databases.some((name) => !known.has(name))) {
        throw new GroundswellError(
          'GS_DATA_CORRUPT',
          `The snapshots in ${folder} are damaged: a database has lost its name.`,
        );
      }
      const store = new LmdbStore(root, partitions, folder, file);
      await store.#prepare(isNew, new Set(doubtful));
      return store;
    } catch (error) {
      await root.close();
      throw error;
    }
  }

  private constructor(root: RootDatabase, partitions: number, folder: string, file: string) {
    this.#root = root;
    this.#file = file;
    const databases = openDatabases(root, partitions);
    this.#positions = databases.positions;
    this.#partitions = databases.partitions;
    this.#writer = new WriteThread({ folder, partitions });
  }

  source(partition: number): ActorSource {
    const { actors } = this.#partitions[partition]!;
    return {
      get: (id) => {
        const stored = actors.get(id);
        return stored === undefined ? undefined : whole(partition, id, stored);
      },
    };
  }

  position(partition: number): SnapshotPosition | undefined {
    const key = partitionToken(partition);
    return positionOf(partition, this.#positions.get(key));
  }

  *timed(partition: number): Iterable<readonly [ActorId, Uint8Array]> {
    const { actors, timed } = this.#partitions[partition]!;
    for (const key of read(partition, timed.getKeys())) {
      const stored = actors.get(key);
      if (stored === undefined) throw corrupt(partition, `the record of ${key} is missing`);
      yield [key as ActorId, whole(partition, key, stored)];
    }
  }

  export(partition: number): SnapshotExport | undefined {
    const transaction = this.#root.useReadTransaction();
    const position = positionOf(partition, this.#positions.get(partitionToken(partition), { transaction }));
    if (position === undefined) {
      transaction.done();
      return undefined;
    }
    let open = true;
    return {
      position,
      bites: this.#bites(partition, transaction),
      close: () => {
        if (open) transaction.done();
        open = false;
      },
    };
  }

  async import(
    partition: number,
    position: SnapshotPosition,
    records: AsyncIterable<readonly SnapshotRecord[]>,
  ): Promise<void> {
    await this.clear(partition);
    const { actors, timed } = this.#partitions[partition]!;
    let waiting: SnapshotRecord[] = [];
    let bytes = 0;
    const flush = async (): Promise<void> => {
      const group = waiting;
      waiting = [];
      bytes = 0;
      await this.#transaction(() => {
        for (const [id, record, hasTimers] of group) {
          actors.putSync(id, seal(id, record));
          if (hasTimers) timed.putSync(id, seal(id, NOTHING));
        }
      });
    };
    for await (const bite of records) {
      for (const record of bite) {
        waiting.push(record);
        bytes += record[1].byteLength;
        if (waiting.length >= IMPORT_RECORDS || bytes >= IMPORT_BYTES) await flush();
      }
    }
    await flush();
    await this.#transaction(() => {
      this.#putPosition(partition, position);
    });
  }

  async clear(partition: number): Promise<void> {
    await this.#writer.idle();
    await this.#transaction(() => {
      this.#clearNow(partition);
    });
  }

  /** @throws GroundswellError GS_DATA_WRITE when the disk takes no more; the store can only be closed then */
  async write(updates: readonly SnapshotUpdate[]): Promise<void> {
    const packed = updates.map(({ partition, commits, ...position }): PackedUpdate => ({
      partition,
      position: storedPosition(partition, position),
      changes: packChanges(commits),
    }));
    try {
      await this.#writer.write(packed);
    } catch (error) {
      throw await writeFailure(this.#file, error);
    }
    // What this thread reads from now on is as of now.
    this.#root.resetReadTxn();
  }

  /** Starts the thread that writes, before there is anything to write: it takes a while, and little else is done at the start. */
  expectWrites(): void {
    this.#writer.start();
  }

  sizeBytes(): number {
    return statSync(this.#file, { throwIfNoEntry: false })?.size ?? 0;
  }

  async close(): Promise<void> {
    await this.#writer.close();
    // After a commit that failed the library would try to commit again, and fail where nobody can catch it. What is not in
    // the snapshots is in the journal (P5).
    if (!this.#broken) await this.#root.close();
  }

  /** Clears what an import that was broken off has left, and looks again at what may be damaged. */
  async #prepare(isNew: boolean, doubtful: ReadonlySet<string>): Promise<void> {
    for (let partition = 0; partition < this.#partitions.length; partition++) {
      const { actors, timed } = this.#partitions[partition]!;
      const token = partitionToken(partition);
      const isPartial = this.position(partition) === undefined && actors.getKeysCount({ limit: 1 }) > 0;
      if (isNew || isPartial) await this.clear(partition);
      else {
        // Keys that are written otherwise than as their text are only known to LMDB.
        if (doubtful.has(`actors-${token}`)) checkAll(partition, actors);
        if (doubtful.has(`timed-${token}`)) checkAll(partition, timed);
      }
    }
  }

  *#bites(
    partition: number,
    transaction: ReturnType<RootDatabase['useReadTransaction']>,
  ): Generator<readonly SnapshotRecord[]> {
    const { actors, timed } = this.#partitions[partition]!;
    // Both in the order of their keys, so the one with timers that comes next is always known.
    const withTimers = read(partition, timed.getKeys({ transaction }))[Symbol.iterator]();
    let next = withTimers.next();
    let bite: SnapshotRecord[] = [];
    let bytes = 0;
    for (const { key, value } of read(partition, actors.getRange({ transaction }))) {
      const hasTimers = next.done !== true && next.value === key;
      if (hasTimers) next = withTimers.next();
      bite.push([key as ActorId, whole(partition, key, value), hasTimers]);
      bytes += value.byteLength;
      if (bite.length < BITE_RECORDS && bytes < BITE_BYTES) continue;
      yield bite;
      bite = [];
      bytes = 0;
    }
    if (next.done !== true) throw corrupt(partition, `the record of ${next.value} is missing`);
    if (bite.length > 0) yield bite;
  }

  #clearNow(partition: number): void {
    const { actors, timed } = this.#partitions[partition]!;
    this.#positions.removeSync(partitionToken(partition));
    actors.clearSync();
    timed.clearSync();
  }

  #putPosition(partition: number, position: SnapshotPosition): void {
    const { key, value } = storedPosition(partition, position);
    this.#positions.putSync(key, value);
  }

  async #transaction(action: () => void): Promise<void> {
    await this.#orBroken(() => this.#root.transaction(action));
  }

  async #orBroken(writing: () => Promise<unknown>): Promise<void> {
    try {
      await writing();
    } catch (error) {
      this.#broken = true;
      throw await writeFailure(this.#file, error);
    }
  }
}

function storedPosition(
  partition: number,
  { journalSeq, control }: SnapshotPosition,
): { key: string; value: Uint8Array } {
  const key = partitionToken(partition);
  const value = Buffer.alloc(8 + control.byteLength);
  value.writeDoubleLE(journalSeq, 0);
  value.set(control, 8);
  // In memory of its own: a thread is given a copy of all that a value lies in.
  return { key, value: seal(key, value).slice() };
}

function namesOf(partitions: number): Set<string> {
  const names = new Set(['meta', 'positions']);
  for (let p = 0; p < partitions; p++)
    names.add(`actors-${partitionToken(p)}`).add(`timed-${partitionToken(p)}`);
  return names;
}

/** What the library gives, one after the other: it throws where a key is not one that was written. */
function* read<T>(partition: number, all: Iterable<T>): Generator<T> {
  const entries = all[Symbol.iterator]();
  for (;;) {
    let next: IteratorResult<T>;
    try {
      next = entries.next();
    } catch (cause) {
      throw corrupt(partition, 'a key cannot be read', cause);
    }
    if (next.done === true) return;
    yield next.value;
  }
}

function checkAll(partition: number, database: Database<Uint8Array, string>): void {
  for (const { key, value } of read(partition, database.getRange())) whole(partition, key, value);
}

function whole(partition: number, id: string, stored: Uint8Array): Uint8Array {
  const record = unseal(id, stored);
  if (record === undefined) throw corrupt(partition, `the record of ${id} is not what was written`);
  return record;
}

function positionOf(partition: number, stored: Uint8Array | undefined): SnapshotPosition | undefined {
  if (stored === undefined) return undefined;
  const value = unseal(partitionToken(partition), stored);
  if (value === undefined) throw corrupt(partition, 'its position is not what was written');
  const journalSeq = Buffer.from(value.buffer, value.byteOffset, 8).readDoubleLE(0);
  return { journalSeq, control: value.subarray(8) };
}

function corrupt(partition: number, why: string, cause?: unknown): GroundswellError {
  const message = `The snapshot of partition ${partition} is damaged: ${why}.`;
  return new GroundswellError('GS_DATA_CORRUPT', message, { cause });
}
