/**
 * Snapshots on a simulated disk that outlives its process: a write takes a while and is there whole or not at all, whatever
 * happens to the process meanwhile. The disk may be full, and what is on it may be damaged.
 */
import { GroundswellError } from '../../src/core/errors.js';
import type { ActorId } from '../../src/core/ids.js';
import type { ActorSource } from '../../src/partition/actor-table.js';
import { MemoryStore } from '../../src/state/memory/memory-store.js';
import type {
  SnapshotExport,
  SnapshotPosition,
  SnapshotRecord,
  SnapshotStore,
  SnapshotUpdate,
} from '../../src/state/store.js';
import type { Dice } from './dice.js';
import type { SimProcess } from './sim-clock.js';

/** The disk of a node: it stays when the process is gone. */
export class SimDisk {
  content = new MemoryStore();
  full = false;
  /** What the next process that opens it will find: `corrupt` is seen at once, `gone` is a disk with nothing on it. */
  damage: 'corrupt' | 'gone' | undefined;
  /** Partitions with a byte that is not what was written: seen when it is read, and gone with the partition's records. */
  readonly flipped = new Set<number>();
  /** How long a transaction takes, ms, at least and at most. */
  writeMs: readonly [number, number] = [0.5, 5];

  /** Moves what is there away: what an operator does when it is damaged. */
  wipe(): void {
    this.content = new MemoryStore();
    this.damage = undefined;
    this.flipped.clear();
  }
}

/** Share of the records that one flipped byte makes unreadable. */
const FLIPPED_SHARE = 0.2;

export interface SimStoreOptions {
  readonly disk: SimDisk;
  readonly process: SimProcess;
  readonly dice: Dice;
  /** Asked at each transaction: whether the process dies there, and when. */
  dies?(): 'before' | 'during' | 'after' | undefined;
}

export class SimStore implements SnapshotStore {
  readonly #options: SimStoreOptions;
  readonly #content: MemoryStore;
  #freeAtMs = 0;

  /** @throws GroundswellError GS_DATA_CORRUPT when the disk is damaged, and that can be seen */
  static open(options: SimStoreOptions): SimStore {
    const { disk } = options;
    if (disk.damage === 'corrupt') throw corrupt();
    if (disk.damage === 'gone') disk.wipe();
    return new SimStore(options);
  }

  private constructor(options: SimStoreOptions) {
    this.#options = options;
    this.#content = options.disk.content;
  }

  source(partition: number): ActorSource {
    const source = this.#content.source(partition);
    return {
      get: (id) => {
        const record = source.get(id);
        if (record !== undefined) this.#read(partition);
        return record;
      },
    };
  }

  position(partition: number): SnapshotPosition | undefined {
    return this.#content.position(partition);
  }

  *timed(partition: number): Iterable<readonly [ActorId, Uint8Array]> {
    for (const entry of this.#content.timed(partition)) {
      this.#read(partition);
      yield entry;
    }
  }

  write(updates: readonly SnapshotUpdate[]): Promise<void> {
    const { disk, process, dice } = this.#options;
    const copy = updates.map((update) => ({
      ...update,
      control: new Uint8Array(update.control),
      commits: [...update.commits],
    }));
    const step = this.#options.dies?.();
    const die = (): void => {
      process.kill();
    };
    if (step === 'before') process.after(0, 'dies before a snapshot', die);
    return new Promise((resolve, reject) => {
      // One after the other, in the order of the calls.
      const { nowMs } = process.scheduler;
      this.#freeAtMs = Math.max(this.#freeAtMs, nowMs) + dice.between(...disk.writeMs);
      const delayMs = this.#freeAtMs - nowMs;
      if (step === 'during') process.after(delayMs / 2, 'dies during a snapshot', die);
      process.after(delayMs, 'snapshot', () => {
        if (step === 'before') return;
        if (disk.full) {
          reject(new GroundswellError('GS_DATA_WRITE', 'The snapshots could not be written: no space left.'));
          return;
        }
        this.#apply(copy);
        if (step === 'after') die();
        else resolve();
      });
    });
  }

  export(partition: number): SnapshotExport | undefined {
    return this.#content.export(partition);
  }

  import(
    partition: number,
    position: SnapshotPosition,
    records: AsyncIterable<readonly SnapshotRecord[]>,
  ): Promise<void> {
    this.#options.disk.flipped.delete(partition);
    return this.#content.import(partition, position, records);
  }

  clear(partition: number): Promise<void> {
    this.#options.disk.flipped.delete(partition);
    return this.#content.clear(partition);
  }

  sizeBytes(): number {
    return 0;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #read(partition: number): void {
    const { disk, dice } = this.#options;
    if (disk.flipped.has(partition) && dice.chance(FLIPPED_SHARE)) throw corrupt();
  }

  /** At once: writes of the memory store are done when it returns. */
  #apply(updates: readonly SnapshotUpdate[]): void {
    this.#content.write(updates).catch(() => undefined);
  }
}

function corrupt(): GroundswellError {
  return new GroundswellError('GS_DATA_CORRUPT', 'The snapshots are damaged.');
}
