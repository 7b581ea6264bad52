/** What a node has to do with base snapshots: it keeps those of the partitions it owns, and begins with the newest there is. */
import type { ObjectStore } from '../log/objects.js';
import type { SnapshotStore } from '../state/store.js';
import { BaseKeeper, type BaseKeeperOptions } from './base/base-keeper.js';
import { restoreBase } from './base/base-maker.js';
import { parseBaseName } from './base/base-name.js';

export interface BasesOptions {
  readonly objects: ObjectStore;
  /** A partition gets a base at least so often, ms. */
  readonly everyMs: number;
  /** Bytes that the journals of all partitions may have since their bases. */
  readonly journalBytesMax: number;
  /** Bases of each partition that stay, the newest included. */
  readonly keep: number;
}

export class Bases {
  readonly keeper: BaseKeeper;
  readonly #objects: ObjectStore;
  readonly #store: SnapshotStore;

  constructor(options: BaseKeeperOptions) {
    this.keeper = new BaseKeeper(options);
    this.#objects = options.objects;
    this.#store = options.store;
  }

  /**
   * Fills the store with the newest base of a partition. Any base that is whole is as good as the journal up to its place,
   * named there or not. False when there is none.
   */
  async restore(partition: number): Promise<boolean> {
    const bases = (await this.#objects.list()).flatMap((info) => {
      const base = parseBaseName(info.name);
      return base?.partition === partition ? [{ ...base, ...info }] : [];
    });
    const newest = bases.sort((a, b) => b.journalSeq - a.journalSeq || b.epoch - a.epoch)[0];
    if (newest === undefined) return false;
    const { name, journalSeq, bytes, storedAtMs } = newest;
    await restoreBase(
      { name, journalSeq, bytes, madeAtMs: storedAtMs },
      partition,
      this.#store,
      this.#objects,
    );
    return true;
  }
}
