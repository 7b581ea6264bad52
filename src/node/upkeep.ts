/**
 * What is tidied after a turn, in the background and a little at a time: actors that nobody needs leave memory, inputs that
 * history no longer holds leave the stream, partitions get base snapshots. How each is done is its own module's.
 */
import { messageOf } from '../core/errors.js';
import type { BaseKeeper } from './base/base-keeper.js';
import type { GroupCommit } from './group-commit.js';
import { Idle } from './idle.js';
import type { NodeLimits } from './limits.js';
import type { NodeOptions } from './node-options.js';
import type { OwnedPartitions } from './owned-partitions.js';
import { Retention } from './retention.js';
import type { Snapshotter } from './snapshotter.js';
import type { NodeStats } from './status.js';

export interface UpkeepOptions extends Pick<NodeOptions, 'log' | 'subjects' | 'clock' | 'onRetry'> {
  readonly limits: NodeLimits;
  readonly owned: OwnedPartitions;
  readonly groupCommit: GroupCommit;
  readonly snapshotter: Snapshotter;
  readonly keeper: BaseKeeper | undefined;
  readonly stats: NodeStats;
  /** Called when a partition has something to commit. */
  wake(): void;
}

const RETENTION_EVERY_MS = 60_000;

export class Upkeep {
  readonly #options: UpkeepOptions;
  readonly #retention: Retention;
  readonly #idle: Idle;
  #tending: Promise<void> | undefined;
  /** Place of the partition whose turn it is to look for idle actors. */
  #looking = 0;

  constructor(options: UpkeepOptions) {
    this.#options = options;
    const { log, subjects, clock, limits } = options;
    const { historyMs, idleMs } = limits;
    this.#idle = new Idle(clock, idleMs);
    this.#retention = new Retention({ log, subjects, clock, historyMs, everyMs: RETENTION_EVERY_MS });
  }

  /** Does what is due, as far as nothing has to be waited for. */
  tend(): void {
    this.#passivate();
    this.#tendInputs();
    this.#tendBases();
  }

  /** Resolves when nothing of it is under way. */
  async stop(): Promise<void> {
    await this.#tending;
    await this.#options.keeper?.stop();
  }

  /** One partition a turn looks for idle actors; one that has too many, in every turn. */
  #passivate(): void {
    const { limits, owned, snapshotter } = this.#options;
    const residentMax = Math.ceil(limits.residentActorsMax / Math.max(1, owned.all.size));
    this.#looking = (this.#looking + 1) % Math.max(1, owned.all.size);
    let place = 0;
    for (const [id, { partition }] of owned.all) {
      const snapshotCommit = snapshotter.writtenCommit(id);
      partition.saved(snapshotCommit);
      if (place++ !== this.#looking && partition.resident <= residentMax) continue;
      partition.passivate({
        snapshotCommit,
        untouchedSince: this.#idle.since(partition),
        residentMax,
      });
    }
  }

  /** Removes inputs that history no longer holds; what cannot be removed now is at the next time. */
  #tendInputs(): void {
    if (this.#tending !== undefined) return;
    const { owned, groupCommit, stats } = this.#options;
    const committed = new Map([...owned.all.keys()].map((id) => [id, groupCommit.inputSeq(id)]));
    this.#tending = this.#retention.tend(committed).then(
      () => (this.#tending = undefined),
      (error: unknown) => {
        this.#tending = undefined;
        stats.retentionFailures++;
        this.#options.onRetry?.(messageOf(error), 1);
      },
    );
  }

  #tendBases(): void {
    const { owned, groupCommit, keeper } = this.#options;
    if (keeper === undefined) return;
    const facts = new Map(
      [...owned.all].map(([id, { committed }]) => [
        id,
        { control: committed, journalSeq: groupCommit.journalSeq(id), epoch: committed?.epoch ?? 0 },
      ]),
    );
    keeper.tend(facts, (id, pointer) => {
      owned.all.get(id)?.partition.setBase(pointer);
      this.#options.wake();
    });
  }
}
