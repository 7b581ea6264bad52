/**
 * A node: owns partitions of a region and drives them, turn after turn, until it is stopped or fails. Wires its parts, which
 * do the work: `turn` fetches input and lets the partitions step, `commits` sends what they commit as one batch — the next
 * step is computed while the last batch is in flight — and hands acknowledged states to the snapshots. All I/O of the engine
 * is started here; all decisions are made in `partition/` and `membership/`.
 *
 * Alone it owns all partitions. With others it owns what `membership/` gives it: `shared-region` takes, follows and hands
 * over, and whoever lost a partition finds out at its next commit (P1).
 */
import { errorOf } from '../core/errors.js';
import { partitionOf } from '../core/hash.js';
import type { ActorId } from '../core/ids.js';
import { silent } from '../core/logger.js';
import { Wakeup } from '../core/wakeup.js';
import type { Partition } from '../partition/partition.js';
import { Bases } from './bases.js';
import { CommitPipeline } from './commit-pipeline.js';
import { Commits } from './commits.js';
import { GroupCommit } from './group-commit.js';
import { DEFAULT_LIMITS, type NodeLimits } from './limits.js';
import { LocalMail } from './local-mail.js';
import type { NodeOptions } from './node-options.js';
import { countersOf, partitionsOf, quarantinedOf } from './node-view.js';
import { OwnedPartitions } from './owned-partitions.js';
import { SharedRegion } from './shared-region.js';
import { Snapshotter } from './snapshotter.js';
import {
  zeroStats,
  type ActorView,
  type MemberStatus,
  type NodeState,
  type NodeStatus,
  type QuarantinedActors,
} from './status.js';
import { Turn } from './turn.js';
import { Upkeep } from './upkeep.js';

export { DEFAULT_LIMITS, type NodeLimits } from './limits.js';
export type { MembershipOptions, NodeOptions } from './node-options.js';

export class Node {
  readonly stats = zeroStats();
  readonly #options: NodeOptions;
  readonly #limits: NodeLimits;
  readonly #wakeup: Wakeup;
  readonly #pipeline: CommitPipeline;
  readonly #snapshotter: Snapshotter;
  readonly #bases: Bases | undefined;
  readonly #owned: OwnedPartitions;
  readonly #commits: Commits;
  readonly #turn: Turn;
  readonly #upkeep: Upkeep;
  readonly #shared: SharedRegion | undefined;
  #state: NodeState = 'starting';
  #stopping = false;
  #failure: Error | undefined;
  #running: Promise<void> | undefined;

  constructor(options: NodeOptions) {
    const { log, store, subjects, clock, partitions, partition, membership, logger = silent } = options;
    const limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#options = options;
    this.#limits = limits;
    this.#wakeup = new Wakeup(clock);
    const wake = (): void => {
      this.#wakeup.wake();
    };
    const onFailure = (thrown: unknown): void => {
      this.#failure ??= errorOf(thrown);
      this.#wakeup.wake();
    };
    const { writer } = partition;
    const groupCommit = new GroupCommit({ ...options, writer, attemptsMax: limits.commitAttemptsMax });
    const pipeline = new CommitPipeline({
      ...options,
      groupCommit,
      batchBytesMax: limits.batchBytesMax,
      onAcknowledged: (result, bytes) => {
        this.#commits.acknowledged(result, bytes);
        wake();
      },
      onFailure,
    });
    const snapshotter = new Snapshotter({
      store,
      clock,
      pendingActorsMax: limits.pendingSnapshotActorsMax,
      pauseMs: limits.snapshotEveryMs,
      ...(options.observer === undefined ? {} : { observer: options.observer }),
      onProgress: wake,
    });
    const ports = { log, subjects, store, clock };
    const bases =
      options.bases === undefined
        ? undefined
        : new Bases({ ...options.bases, ...ports, partitions, instance: writer, logger });
    const following = {
      ...ports,
      ...(bases === undefined ? {} : { restore: (id: number) => bases.restore(id) }),
    };
    const { stats } = this;
    const alone = membership === undefined;
    const localMail = new LocalMail(pipeline);
    const mine = { limits, groupCommit, pipeline, snapshotter, stats, localMail, alone, wake, onFailure };
    const parts = { ...options, ...mine };
    const owned = new OwnedPartitions({
      ...parts,
      following,
      onMoved: () => {
        this.#shared?.moved();
      },
    });
    const keeper = bases?.keeper;
    this.#pipeline = pipeline;
    this.#snapshotter = snapshotter;
    this.#bases = bases;
    this.#owned = owned;
    this.#commits = new Commits({ ...parts, owned, keeper });
    this.#turn = new Turn({ ...parts, owned, commits: this.#commits });
    this.#upkeep = new Upkeep({ ...parts, owned, keeper });
    if (membership !== undefined) {
      const { drainMs } = limits;
      const state = (): NodeState => this.#state;
      this.#shared = new SharedRegion({ ...parts, membership, following, owned, drainMs, state });
    }
  }

  /** Recovers its partitions and starts to work. `finished` says how it ended. */
  async start(): Promise<void> {
    const { partitions } = this.#options;
    if (this.#shared === undefined) {
      await Promise.all(Array.from({ length: partitions }, (_, partition) => this.#owned.recover(partition)));
    } else {
      await this.#shared.join();
    }
    this.#state = 'running';
    this.#shared?.decide();
    this.#running = this.#loop();
    // Whoever awaits `finished` sees the failure; until then it must not count as unhandled.
    this.#running.catch(() => undefined);
  }

  /** Resolves when the node was stopped; rejects with what made it fail. */
  get finished(): Promise<void> {
    return this.#running ?? Promise.resolve();
  }

  /** Hands its partitions to other nodes, as far as there are any; finishes the step, commits, writes the snapshots. */
  async stop(): Promise<void> {
    if (this.#state === 'running') this.#state = 'draining';
    if (this.#running !== undefined) await this.#shared?.handOverAll();
    this.#stopping = true;
    this.#wakeup.wake();
    await this.#running;
  }

  /** While it is on, the node hands over all that it owns and takes nothing; it goes on running. Without effect when alone. */
  drain(on: boolean): void {
    this.#shared?.drain(on);
  }

  status(): NodeStatus {
    const { subjects, partitions, store } = this.#options;
    const owned = this.#owned.all;
    return {
      state: this.#state,
      serving: this.serving,
      region: subjects.region,
      partitionCount: partitions,
      partitions: partitionsOf(owned.values(), this.#bases?.keeper),
      followed: this.#shared?.followed() ?? [],
      members: this.members,
      counters: countersOf(owned.values()),
      stats: { ...this.stats },
      snapshot: { pendingActors: this.#snapshotter.pendingActors, fileBytes: store.sizeBytes() },
      clockBehindMs: this.#owned.clockBehindMs,
    };
  }

  /** It works, and its lease is fresh: what it tells of its partitions is so. */
  get serving(): boolean {
    if (this.#state !== 'running' && this.#state !== 'draining') return false;
    return this.#shared === undefined || this.#shared.fresh;
  }

  /** The region's nodes, as far as they are known here; none when this one is alone by configuration. */
  get members(): readonly MemberStatus[] {
    return this.#shared?.members ?? [];
  }

  /** The node that says that it owns an actor's partition. */
  ownerOf(id: ActorId): MemberStatus | undefined {
    const partition = partitionOf(id, this.#options.partitions);
    return this.members.find(({ alive, owned }) => alive && owned.includes(partition));
  }

  owns(id: ActorId): boolean {
    return this.#owned.all.has(partitionOf(id, this.#options.partitions));
  }

  /**
   * One actor of a partition that is owned here, told when what is seen of it is committed. Undefined when nothing is
   * known of it.
   * @throws GroundswellError when the node ends, or loses the partition, before that
   */
  async inspect(id: ActorId): Promise<ActorView | undefined> {
    return this.#owned.all.get(partitionOf(id, this.#options.partitions))?.inspect(id);
  }

  /** Actors in quarantine of the partitions that are owned here; of very many, the first. */
  quarantined(): QuarantinedActors {
    return quarantinedOf(this.#owned.all.values());
  }

  partition(partition: number): Partition | undefined {
    return this.#owned.all.get(partition)?.partition;
  }

  get residentActors(): number {
    let count = 0;
    for (const { partition } of this.#owned.all.values()) count += partition.resident;
    return count;
  }

  async #loop(): Promise<void> {
    try {
      while (!this.#stopping) {
        this.#wakeup.arm();
        const may = this.#mayStep() || (await this.#shared?.resume()) === true;
        const worked = may && this.#step();
        this.#throwFailure();
        if (worked) await immediate();
        else await this.#wakeup.wait(this.#limits.tickMs);
      }
      await this.#pipeline.idle();
      this.#throwFailure();
      if (this.#mayStep()) this.#commits.start();
      await this.#pipeline.idle();
      this.#throwFailure();
      await (this.#options.temporary === true ? this.#snapshotter.stop() : this.#snapshotter.flush());
      this.#state = 'stopped';
    } catch (error) {
      this.#state = 'failed';
      throw error;
    } finally {
      await this.#end();
    }
  }

  /** Whether what is owned here is so for certain. */
  #mayStep(): boolean {
    return this.#shared === undefined || this.#shared.mayStep();
  }

  /** True when anything was done. */
  #step(): boolean {
    const worked = this.#turn.run();
    this.#upkeep.tend();
    return worked;
  }

  async #end(): Promise<void> {
    this.#shared?.ending();
    await this.#pipeline.idle();
    await this.#upkeep.stop();
    this.#owned.endHandOvers();
    await this.#shared?.stop();
    await this.#owned.close();
    await this.#shared?.leave();
  }

  #throwFailure(): void {
    const failure = this.#failure ?? this.#snapshotter.failure;
    if (failure !== undefined) throw failure;
  }
}

function immediate(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
