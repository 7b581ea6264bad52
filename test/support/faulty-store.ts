/** Snapshots in memory that keep a record of what was written, may lag, may fail, and may die with their engine. */
import type { ActorSource } from '../../src/partition/actor-table.js';
import type { ActorId } from '../../src/core/ids.js';
import { MemoryStore } from '../../src/state/memory/memory-store.js';
import type {
  SnapshotExport,
  SnapshotPosition,
  SnapshotRecord,
  SnapshotStore,
  SnapshotUpdate,
} from '../../src/state/store.js';

export interface FaultyStoreOptions {
  /** Awaited before the n-th write is done: a lag, a rejection is a failure. */
  before?(n: number, updates: readonly SnapshotUpdate[]): Promise<void>;
  /** What it holds at first: writes recorded by another one. */
  from?: readonly (readonly SnapshotUpdate[])[];
}

export class FaultyStore implements SnapshotStore {
  readonly #inner = new MemoryStore();
  readonly #options: FaultyStoreOptions;
  readonly writes: (readonly SnapshotUpdate[])[] = [];
  #started = 0;
  #dead = false;

  constructor(options: FaultyStoreOptions = {}) {
    this.#options = options;
    for (const updates of options.from ?? []) this.#apply(updates);
  }

  kill(): void {
    this.#dead = true;
  }

  source(partition: number): ActorSource {
    return this.#inner.source(partition);
  }

  position(partition: number): SnapshotPosition | undefined {
    return this.#inner.position(partition);
  }

  timed(partition: number): Iterable<readonly [ActorId, Uint8Array]> {
    return this.#inner.timed(partition);
  }

  async write(updates: readonly SnapshotUpdate[]): Promise<void> {
    await this.#options.before?.(this.#started++, updates);
    if (this.#dead) return new Promise(() => undefined);
    this.#apply(updates);
  }

  export(partition: number): SnapshotExport | undefined {
    return this.#inner.export(partition);
  }

  async import(
    partition: number,
    position: SnapshotPosition,
    records: AsyncIterable<readonly SnapshotRecord[]>,
  ): Promise<void> {
    if (this.#dead) return new Promise(() => undefined);
    await this.#inner.import(partition, position, records);
  }

  clear(partition: number): Promise<void> {
    return this.#dead ? new Promise(() => undefined) : this.#inner.clear(partition);
  }

  sizeBytes(): number {
    return 0;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** At once: writes of the memory store are done when it returns. */
  #apply(updates: readonly SnapshotUpdate[]): void {
    this.writes.push(updates);
    this.#inner.write(updates).catch(() => undefined);
  }
}
