/** Snapshots in memory: for unit and simulation tests. Passes the same suite as the LMDB one. */
import type { ActorId } from '../../core/ids.js';
import { PackedReader, packChanges } from '../../partition/changes.js';
import type { ActorSource } from '../../partition/actor-table.js';
import type {
  SnapshotExport,
  SnapshotPosition,
  SnapshotRecord,
  SnapshotStore,
  SnapshotUpdate,
} from '../store.js';

interface PartitionData {
  readonly actors: Map<ActorId, Uint8Array>;
  readonly timed: Set<ActorId>;
  position: SnapshotPosition | undefined;
}

const BITE_RECORDS = 500;

export class MemoryStore implements SnapshotStore {
  readonly #partitions = new Map<number, PartitionData>();

  source(partition: number): ActorSource {
    return { get: (id) => this.#partition(partition).actors.get(id) };
  }

  position(partition: number): SnapshotPosition | undefined {
    return this.#partition(partition).position;
  }

  *timed(partition: number): Iterable<readonly [ActorId, Uint8Array]> {
    const { actors, timed } = this.#partition(partition);
    for (const id of timed) yield [id, actors.get(id)!];
  }

  write(updates: readonly SnapshotUpdate[]): Promise<void> {
    for (const { partition, journalSeq, control, commits } of updates) {
      const data = this.#partition(partition);
      for (const { id, bytes, timed, timedAsBefore } of new PackedReader(packChanges(commits))) {
        if (bytes === undefined) data.actors.delete(id);
        else data.actors.set(id, new Uint8Array(bytes));
        if (timedAsBefore === true) continue;
        if (timed) data.timed.add(id);
        else data.timed.delete(id);
      }
      data.position = { journalSeq, control: new Uint8Array(control) };
    }
    return Promise.resolve();
  }

  export(partition: number): SnapshotExport | undefined {
    const { actors, timed, position } = this.#partition(partition);
    if (position === undefined) return undefined;
    // Records are replaced, never changed: a copy of the list is a copy of the state.
    const records = [...actors].map(([id, bytes]): SnapshotRecord => [id, bytes, timed.has(id)]);
    function* bites(): Generator<readonly SnapshotRecord[]> {
      for (let i = 0; i < records.length; i += BITE_RECORDS) yield records.slice(i, i + BITE_RECORDS);
    }
    return { position, bites: bites(), close: () => undefined };
  }

  async import(
    partition: number,
    { journalSeq, control }: SnapshotPosition,
    records: AsyncIterable<readonly SnapshotRecord[]>,
  ): Promise<void> {
    await this.clear(partition);
    const data = this.#partition(partition);
    for await (const bite of records) {
      for (const [id, bytes, timed] of bite) {
        data.actors.set(id, new Uint8Array(bytes));
        if (timed) data.timed.add(id);
      }
    }
    data.position = { journalSeq, control: new Uint8Array(control) };
  }

  clear(partition: number): Promise<void> {
    const data = this.#partition(partition);
    data.position = undefined;
    data.actors.clear();
    data.timed.clear();
    return Promise.resolve();
  }

  sizeBytes(): number {
    return 0;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #partition(partition: number): PartitionData {
    let data = this.#partitions.get(partition);
    if (data === undefined) {
      data = { actors: new Map(), timed: new Set(), position: undefined };
      this.#partitions.set(partition, data);
    }
    return data;
  }
}
