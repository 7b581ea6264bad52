/**
 * The partitions that this node owns: recovers and takes them, begins to work on them, hands them over and lets them go.
 * Which they should be is decided in `membership/`; what they do in a turn is `turn`'s, what they commit `commits`'s.
 */
import { GroundswellError } from '../core/errors.js';
import type { LogReader } from '../log/log.js';
import { Partition } from '../partition/partition.js';
import type { CommitPipeline } from './commit-pipeline.js';
import type { Follower, FollowerOptions } from './follower.js';
import type { GroupCommit } from './group-commit.js';
import type { LocalMail } from './local-mail.js';
import type { NodeOptions } from './node-options.js';
import { OwnedPartition } from './owned-partition.js';
import { recoverPartition, takePartition, type Recovery } from './recover.js';
import type { Snapshotter } from './snapshotter.js';
import type { NodeStats } from './status.js';

/** What a partition is brought back from, and follows. */
export type Following = Omit<FollowerOptions, 'partition' | 'onProgress'>;

type Given =
  | 'log'
  | 'store'
  | 'subjects'
  | 'clock'
  | 'registry'
  | 'partitions'
  | 'partition'
  | 'logger'
  | 'onOwned'
  | 'onDropped';

export interface OwnedPartitionsOptions extends Pick<NodeOptions, Given> {
  readonly following: Following;
  readonly groupCommit: GroupCommit;
  readonly pipeline: CommitPipeline;
  readonly snapshotter: Snapshotter;
  readonly stats: NodeStats;
  readonly localMail: LocalMail;
  /** No other node may own partitions of the region. */
  readonly alone: boolean;
  /** Called when a partition has something to do. */
  wake(): void;
  /** Called when one was let go. */
  onMoved(): void;
  readonly onFailure: (thrown: unknown) => void;
}

/** A partition that is being handed over. */
interface Release {
  readonly to: string;
  /** Number of the partition's last commit here; undefined until it was made. */
  commit: number | undefined;
  done(): void;
}

export class OwnedPartitions {
  readonly #options: OwnedPartitionsOptions;
  readonly #owned = new Map<number, OwnedPartition>();
  readonly #releases = new Map<number, Release>();
  /** Not owned any more, and not put away yet. */
  readonly #leaving = new Set<number>();
  #clockBehindMs = 0;
  /** The node's last batch is stored. */
  #ended = false;

  constructor(options: OwnedPartitionsOptions) {
    this.#options = options;
  }

  get all(): ReadonlyMap<number, OwnedPartition> {
    return this.#owned;
  }

  /** How far the clock was behind the last commit of a partition that begun here, ms: the most of all. */
  get clockBehindMs(): number {
    return this.#clockBehindMs;
  }

  /** The handing over of a partition; undefined while it stays. */
  release(id: number): Pick<Release, 'to' | 'commit'> | undefined {
    return this.#releases.get(id);
  }

  /** Somebody waits for a partition. */
  get releasing(): boolean {
    return this.#releases.size > 0;
  }

  isLeaving(id: number): boolean {
    return this.#leaving.has(id);
  }

  /** A partition that nobody else can own. */
  async recover(partition: number): Promise<void> {
    const { store, following } = this.#options;
    const from = { partition, ...following };
    try {
      await this.#begin(partition, await recoverPartition(from));
    } catch (error) {
      if (!isDamage(error)) throw error;
      await store.clear(partition);
      await this.#begin(partition, await recoverPartition(from));
    }
  }

  /**
   * Takes a partition with the follower, which has ended afterwards. False when somebody else has it.
   * @param isAlive whether the writer of its last entry is a node that is there, and so most likely still the owner
   */
  async take(follower: Follower, isAlive: (writer: string) => boolean): Promise<boolean> {
    const { log, subjects, store, clock, registry, partitions, partition, stats } = this.#options;
    const { writer } = partition;
    const { stages } = registry;
    let reading: Promise<LogReader> | undefined;
    const taking = takePartition(follower, {
      log,
      subjects,
      store,
      clock,
      writer,
      partitions,
      stages,
      // Its cells stand still meanwhile: the input is opened while the snapshot is written.
      onTaken: ({ inputSeq }) => {
        reading = this.#readInput(follower.partition, inputSeq);
        reading.catch(() => undefined);
      },
      isAlive,
    });
    const recovery = await taking.catch(async (error: unknown) => {
      await closeReader(reading);
      throw error;
    });
    if (recovery === undefined) return false;
    stats.taken++;
    try {
      await this.#begin(follower.partition, recovery, reading);
    } catch (error) {
      await closeReader(reading);
      if (!isDamage(error)) throw error;
      // Taken again from its base snapshot and its journal.
      await store.clear(follower.partition);
      return false;
    }
    return true;
  }

  /** Works on a partition from where its journal ends. */
  async #begin(
    id: number,
    { recovered, journalSeq, entriesApplied }: Recovery,
    reading?: Promise<LogReader>,
  ): Promise<void> {
    const { log, store, subjects, registry, partitions, clock } = this.#options;
    const { groupCommit, snapshotter, stats, localMail } = this.#options;
    stats.entriesRecovered += entriesApplied;
    const partition = new Partition(
      {
        ...this.#options.partition,
        region: subjects.region,
        partition: id,
        partitions,
        registry,
        onTakenBack: () => {
          this.#takeBack();
        },
      },
      store.source(id),
      recovered,
    );
    groupCommit.track(id, journalSeq, partition.inputSeq);
    snapshotter.track(id, recovered.control?.commit ?? 0);
    const reader = await (reading ?? this.#readInput(id, partition.inputSeq));
    await localMail.begin(id, (to) => log.last(subjects.mail(to)));
    const committed = recovered.control;
    const aheadMs = (committed?.wallMs ?? 0) - clock.now();
    this.#clockBehindMs = Math.max(this.#clockBehindMs, aheadMs);
    this.#owned.set(id, new OwnedPartition({ partition, reader, clock, committed, journalSeq }));
    this.#options.wake();
    this.#options.onOwned?.(id);
  }

  /** The input of a partition behind what it has taken. */
  #readInput(id: number, inputSeq: number): Promise<LogReader> {
    const { log, subjects } = this.#options;
    return log.read(subjects.inputs(id), inputSeq + 1, () => {
      this.#options.wake();
    });
  }

  /** Lets the last entry of a partition name its next owner. Resolves when the partition is not ours any more. */
  async handOver(id: number, to: string): Promise<void> {
    if (!this.#owned.has(id) || this.#ended) return;
    await new Promise<void>((resolve) => {
      this.#releases.set(id, { to, commit: undefined, done: resolve });
      this.#options.wake();
    });
  }

  /** A partition is not ours any more: nothing of it is done here from now on. */
  async drop(id: number, why: string, forget = false): Promise<void> {
    const { store, pipeline, groupCommit, snapshotter, localMail } = this.#options;
    const owned = this.#owned.get(id);
    if (owned === undefined) return;
    this.#owned.delete(id);
    localMail.end(id);
    if (owned.partition.joined) this.#takeBack();
    this.#leaving.add(id);
    pipeline.drop(id);
    try {
      await owned.close(
        new GroundswellError('GS_FENCED', `Partition ${id} is not owned here any more: ${why}.`),
      );
      // A batch on its way goes by what is known of the partition here: nobody takes it again before that is settled.
      await pipeline.clear(id);
      groupCommit.untrack(id);
      await snapshotter.forget(id);
      if (forget) await store.clear(id);
    } finally {
      this.#leaving.delete(id);
    }
    this.#options.onDropped?.(id);
    this.#releases.get(id)?.done();
    this.#releases.delete(id);
    this.#options.onMoved();
  }

  /** A partition takes back what it has said since its last commit: so do all who may have heard it. */
  #takeBack(): void {
    for (const [id, { partition }] of [...this.#owned]) {
      if (!partition.joined) continue;
      try {
        partition.withdraw();
      } catch (error) {
        if (!isDamage(error)) throw error;
        this.rebuild(id).catch(this.#options.onFailure);
      }
    }
  }

  /** What the snapshots hold of a partition is damaged: it begins anew, from its base snapshot and its journal (P5). */
  async rebuild(id: number): Promise<void> {
    const { logger, alone } = this.#options;
    logger?.warn({ partition: id }, 'the snapshot of a partition is damaged, and is made anew');
    await this.drop(id, 'its snapshot is damaged', true);
    if (alone) await this.recover(id);
  }

  /** Nothing is committed any more: whoever waits for a hand-over waits in vain. */
  endHandOvers(): void {
    this.#ended = true;
    for (const release of this.#releases.values()) release.done();
  }

  async close(): Promise<void> {
    const ended = new GroundswellError('GS_LOG', 'The node has ended.');
    for (const owned of this.#owned.values()) await owned.close(ended);
  }
}

/** What is read from the local snapshots is not what was written. */
export function isDamage(error: unknown): boolean {
  return error instanceof GroundswellError && error.code === 'GS_DATA_CORRUPT';
}

/** Closes one that may never have come to be. */
async function closeReader(reading: Promise<LogReader> | undefined): Promise<void> {
  const reader = await reading?.catch(() => undefined);
  await reader?.close();
}
