/** A partition with its snapshots, driven by hand: events and mail in, commits out. For tests of behaviours and of the step itself. */
import type { ActorEvent } from '../../../src/actor/behaviour.js';
import { Registry, type AnyBehaviour } from '../../../src/actor/registry.js';
import type { Row } from '../../../src/actor/row.js';
import { decodeActor } from '../../../src/partition/actor-record.js';
import { actorId } from '../../../src/core/ids.js';
import {
  encodeEventFrame,
  encodeMailFrame,
  type EventFrame,
  type MailShare,
} from '../../../src/partition/frame.js';
import { decodeControl, encodeControl } from '../../../src/partition/journal.js';
import { Partition, type Commit, type PartitionConfig } from '../../../src/partition/partition.js';
import { rowsOf } from '../../../src/partition/row-block.js';
import type { SnapshotUpdate } from '../../../src/state/store.js';
import { MemoryStore } from '../../../src/state/memory/memory-store.js';

export const MINUTE = 60_000;

export class Driven {
  readonly commits: Commit[] = [];
  readonly store = new MemoryStore();
  readonly #config: PartitionConfig;
  partition: Partition;
  #inputSeq = 0;
  #eventSeq = 0;

  readonly #timersMax: number;
  /** Commits by which the snapshot is behind. */
  readonly #lag: number;
  #unsaved: SnapshotUpdate[] = [];

  constructor(
    behaviours: readonly AnyBehaviour[],
    { timersMax, lag, ...more }: Partial<PartitionConfig> & { timersMax?: number; lag?: number } = {},
  ) {
    this.#timersMax = timersMax ?? Number.POSITIVE_INFINITY;
    this.#lag = lag ?? 0;
    this.#config = {
      region: 'sf',
      partition: 0,
      partitions: 1,
      registry: new Registry(behaviours),
      time: { outOfOrderBoundMs: 5_000, idleTimeoutMs: 30_000 },
      paneMs: MINUTE,
      duplicateWindowMs: 15 * MINUTE,
      writer: 'test',
      ...more,
    };
    this.partition = new Partition(this.#config, this.store.source(this.#config.partition), {
      control: undefined,
      timers: [],
    });
  }

  /** Takes events with the producer's watermark after them. */
  accept(events: readonly ActorEvent[], watermarkMs: number, more: Partial<EventFrame> = {}): void {
    const seq = this.#eventSeq;
    this.#eventSeq += events.length;
    const frame = { producer: 'p', mode: 'replay' as const, seq, watermarkMs, end: false, events, ...more };
    this.partition.acceptEvents(encodeEventFrame(frame), ++this.#inputSeq, 0);
  }

  mail(...shares: MailShare[]): void {
    this.partition.acceptMail(encodeMailFrame(shares), ++this.#inputSeq);
  }

  /** Lets time pass and commits; the snapshot has it at once, or lags. */
  async commit(wallMs = 0): Promise<Commit | undefined> {
    this.partition.advance(wallMs, this.#timersMax);
    const commit = this.partition.takeCommit();
    if (commit === undefined) return undefined;
    this.commits.push(commit);
    const { control, changes } = commit.entry;
    this.#unsaved.push({
      partition: commit.partition,
      journalSeq: commit.number,
      control: encodeControl(control),
      commits: [changes],
    });
    await this.#save(this.#unsaved.length - this.#lag);
    return commit;
  }

  /** Number of the last commit that the snapshot holds. */
  get saved(): number {
    return (this.commits.at(-1)?.number ?? 0) - this.#unsaved.length;
  }

  #save(count: number): Promise<void> {
    return this.store.write(this.#unsaved.splice(0, Math.max(0, count)));
  }

  async step(events: readonly ActorEvent[], watermarkMs: number): Promise<Commit | undefined> {
    this.accept(events, watermarkMs);
    return this.commit();
  }

  /** Throws the partition away and makes it again from its journal and snapshot, as a recovery does. */
  recover(): void {
    const { partition } = this.#config;
    // Writes of the memory store are done when it returns.
    this.#save(this.#unsaved.length).catch(() => undefined);
    const position = this.store.position(partition);
    this.partition = new Partition(this.#config, this.store.source(partition), {
      control: position && decodeControl(position.control),
      timers: [...this.store.timed(partition)].map(([id, record]) => {
        const { timers, trouble } = decodeActor(record);
        return [id, timers, trouble] as const;
      }),
    });
  }

  get rows(): Row[] {
    return this.commits.flatMap(({ blocks }) => rowsOf(blocks));
  }

  get sides(): Commit['sides'][number][] {
    return this.commits.flatMap(({ sides }) => sides);
  }

  counter(name: string): number {
    return this.commits.at(-1)?.entry.control.counters.get(name) ?? 0;
  }

  /** The stored record of an actor; undefined when it has none. */
  record(type: string, key: string): Uint8Array | undefined {
    return this.store.source(this.#config.partition).get(actorId(type, key));
  }

  /** The stored state of an actor; undefined when it has none. */
  stored(type: string, key: string): unknown {
    const record = this.record(type, key);
    return record === undefined ? undefined : decodeActor(record).state;
  }
}
