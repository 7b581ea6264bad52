/**
 * The port to snapshots: the actors' states as of some position of the journal. A local copy that may lag the
 * journal and never leads it (P5). `lmdb/` is the real one; `memory/` is for unit and simulation tests.
 */
import type { ActorSource } from '../partition/actor-table.js';
import type { Changes } from '../partition/changes.js';
import type { ActorId } from '../core/ids.js';

/** What a data folder was made for. */
export interface StoreIdentity {
  readonly region: string;
  readonly partitions: number;
}

/** 2: records have a checksum. */
export const STORE_FORMAT = 2;

export interface SnapshotPosition {
  /** Log sequence of the last journal message that the snapshot holds. */
  readonly journalSeq: number;
  /** The control record of that entry, encoded. */
  readonly control: Uint8Array;
}

export interface SnapshotUpdate extends SnapshotPosition {
  readonly partition: number;
  /** Of commits, oldest first: of an actor that changed more than once, the last change stands. */
  readonly commits: readonly Changes[];
}

/** One actor as it is stored. */
export type SnapshotRecord = readonly [id: ActorId, bytes: Uint8Array, timed: boolean];

/** One consistent state of a partition, however much is written meanwhile. */
export interface SnapshotExport {
  readonly position: SnapshotPosition;
  /**
   * All records, in bites that take a few ms at most to read: whoever takes them lets others have their turn in between.
   * To be gone through once.
   */
  readonly bites: Iterable<readonly SnapshotRecord[]>;
  /** To be called when done, whatever happened: until then the store keeps what has changed since. */
  close(): void;
}

/** Reading throws GS_DATA_CORRUPT, naming the partition, when a record is not what was written. */
export interface SnapshotStore {
  /** States of one partition: reads are synchronous. */
  source(partition: number): ActorSource;
  position(partition: number): SnapshotPosition | undefined;
  /** Records of the actors that have timers. */
  timed(partition: number): Iterable<readonly [id: ActorId, record: Uint8Array]>;
  /** Writes updates of partitions in one transaction; resolves when they are readable. */
  write(updates: readonly SnapshotUpdate[]): Promise<void>;
  /** A partition's present state; undefined when nothing is known of it. */
  export(partition: number): SnapshotExport | undefined;
  /**
   * Replaces all that is known of a partition. The position comes last: until then the partition has none, also when the
   * process dies on the way. Nothing else may write to the partition meanwhile.
   */
  import(
    partition: number,
    position: SnapshotPosition,
    records: AsyncIterable<readonly SnapshotRecord[]>,
  ): Promise<void>;
  /** Forgets a partition. */
  clear(partition: number): Promise<void>;
  /** Bytes on disk (0 in memory). */
  sizeBytes(): number;
  close(): Promise<void>;
}
