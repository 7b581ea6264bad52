/**
 * The port to snapshots: the actors' states as of some position of the journal. A local copy that may lag the
 * journal and never leads it (P5). `lmdb/` is the real one; `memory/` is for unit and simulation tests.
 */
import type { ActorChange, ActorSource } from '../partition/actor-table.js';
import type { ActorId } from '../core/ids.js';

/** What a data folder was made for. */
export interface StoreIdentity {
  readonly region: string;
  readonly partitions: number;
}

export const STORE_FORMAT = 1;

export interface SnapshotPosition {
  /** Log sequence of the last journal message that the snapshot holds. */
  readonly journalSeq: number;
  /** The control record of that entry, encoded. */
  readonly control: Uint8Array;
}

export interface SnapshotUpdate extends SnapshotPosition {
  readonly partition: number;
  /** Changed actors; for an actor that changed more than once, the last one stands. */
  readonly changes: ReadonlyMap<ActorId, ActorChange>;
}

export interface SnapshotStore {
  /** States of one partition: reads are synchronous. */
  source(partition: number): ActorSource;
  position(partition: number): SnapshotPosition | undefined;
  /** Records of the actors that have timers. */
  timed(partition: number): Iterable<readonly [id: ActorId, record: Uint8Array]>;
  /** Writes updates of several partitions in one transaction; resolves when they are readable. */
  write(updates: readonly SnapshotUpdate[]): Promise<void>;
  /** Bytes on disk (0 in memory). */
  sizeBytes(): number;
  close(): Promise<void>;
}
