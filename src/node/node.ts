/**
 * A node: owns partitions of a region and drives them. Fetches input, lets the partitions step, sends their commits
 * as one batch — the next step is computed while the last batch is in flight — and hands acknowledged states to the
 * snapshots. All I/O of the engine is started here; all decisions are made in `partition/` and `membership/`.
 *
 * Alone it owns all partitions. With others it owns what `membership/` gives it: `ownership-loop` takes, follows and hands
 * over, and whoever lost a partition finds out at its next commit (P1).
 */
import type { Registry } from '../actor/registry.js';
import type { Clock } from '../core/clock.js';
import { errorOf, GroundswellError, messageOf } from '../core/errors.js';
import { partitionOf } from '../core/hash.js';
import type { ActorId } from '../core/ids.js';
import { silent, type Logger } from '../core/logger.js';
import { Wakeup } from '../core/wakeup.js';
import type { Leases } from '../log/leases.js';
import type { Log, LogReader } from '../log/log.js';
import type { Subjects } from '../log/subjects.js';
import { Partition, type Commit, type PartitionConfig } from '../partition/partition.js';
import { DEFAULT_POISON_RULES } from '../partition/poison.js';
import type { SnapshotStore } from '../state/store.js';
import { Bases, type BasesOptions } from './bases.js';
import { CommitPipeline } from './commit-pipeline.js';
import { Follower, type FollowerOptions } from './follower.js';
import { GroupCommit, type CommitResult } from './group-commit.js';
import { DEFAULT_LIMITS, type NodeLimits } from './limits.js';
import { Membership } from './membership/membership.js';
import { OwnedPartition } from './owned-partition.js';
import { OwnershipLoop } from './ownership-loop.js';
import { recoverPartition, takePartition, type Recovery } from './recover.js';
import { Retention } from './retention.js';
import { Snapshotter } from './snapshotter.js';
import { underOneWatch, type TurnWatch } from './turn-watch.js';
import {
  zeroStats,
  type ActorView,
  type MemberStatus,
  type NodeObserver,
  type NodeState,
  type NodeStatus,
  type PartitionStatus,
  type QuarantinedActors,
} from './status.js';

export { DEFAULT_LIMITS, type NodeLimits } from './limits.js';

export interface NodeOptions {
  readonly log: Log;
  readonly store: SnapshotStore;
  readonly subjects: Subjects;
  readonly clock: Clock;
  readonly registry: Registry;
  readonly partitions: number;
  readonly partition: Omit<PartitionConfig, 'region' | 'partition' | 'partitions' | 'registry'>;
  readonly limits?: Partial<NodeLimits>;
  /** How it finds the region's other nodes; without it, it owns all partitions. */
  readonly membership?: MembershipOptions;
  /** Where base snapshots are kept; without it there are none, and journals stay whole. */
  readonly bases?: BasesOptions;
  readonly observer?: NodeObserver;
  readonly logger?: Logger;
  onRetry?(cause: string, attempt: number): void;
  /** Called when the node has begun, and has ceased, to own a partition. */
  onOwned?(partition: number): void;
  onDropped?(partition: number): void;
  /** Called when a node of the region has come, gone or said something new. */
  onMembers?(): void;
}

export interface MembershipOptions {
  readonly leases: Leases;
  /** Stays the same over restarts on the same data folder: its partitions come back to it. */
  readonly id: string;
  readonly name: string;
  /** Its share of the partitions, against the other nodes' weights. */
  readonly weight: number;
  /** Where its HTTP server answers. */
  readonly http?: string;
  readonly version: string;
  /** Further nodes that follow each partition. */
  readonly standbys: number;
  /** A node that is silent for longer counts as gone, ms: whole seconds. */
  readonly ttlMs?: number;
}

/** Nodes of a region, and what of it is done here. */
interface Shared {
  readonly membership: Membership;
  readonly ownership: OwnershipLoop;
}

interface Release {
  readonly to: string;
  /** Number of the partition's last commit here; undefined until it was made. */
  commit: number | undefined;
  done(): void;
}

const RETENTION_EVERY_MS = 60_000;
/** Actors in quarantine that are listed. */
const QUARANTINED_MAX = 1_000;
/** Timers that fire between two looks at the clock. */
const TIMERS_BITE = 200;

export class Node {
  readonly stats = zeroStats();
  readonly #options: NodeOptions;
  readonly #limits: NodeLimits;
  readonly #owned = new Map<number, OwnedPartition>();
  readonly #releases = new Map<number, Release>();
  /** Not owned any more, and not put away yet. */
  readonly #leaving = new Set<number>();
  readonly #groupCommit: GroupCommit;
  readonly #pipeline: CommitPipeline;
  readonly #snapshotter: Snapshotter;
  readonly #wakeup: Wakeup;
  /** Woken when a partition or a member comes or goes. */
  readonly #moves: Wakeup;
  readonly #retention: Retention;
  readonly #watch: TurnWatch;
  readonly #shared: Shared | undefined;
  readonly #bases: Bases | undefined;
  #tending: Promise<void> | undefined;
  #state: NodeState = 'starting';
  #clockBehindMs = 0;
  /** No replay was attached at the last look. */
  #live = true;
  /** Whose turn it is to close first; until it has closed. */
  #first = 0;
  /** The lease was not fresh at the last look. */
  #paused = false;
  #stopping = false;
  /** Its last batch is stored. */
  #ended = false;
  #failure: Error | undefined;
  #running: Promise<void> | undefined;

  constructor(options: NodeOptions) {
    this.#options = options;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    const { guard, poison } = options.partition;
    const { operationTimeMaxMs } = { ...DEFAULT_POISON_RULES, ...poison };
    this.#watch = { guard, clock: options.clock, limitMs: operationTimeMaxMs };
    this.#wakeup = new Wakeup(options.clock);
    this.#moves = new Wakeup(options.clock);
    this.#retention = new Retention({
      ...options,
      historyMs: this.#limits.historyMs,
      everyMs: RETENTION_EVERY_MS,
    });
    this.#groupCommit = new GroupCommit({
      ...options,
      writer: options.partition.writer,
      attemptsMax: this.#limits.commitAttemptsMax,
    });
    this.#pipeline = new CommitPipeline({
      ...options,
      groupCommit: this.#groupCommit,
      batchBytesMax: this.#limits.batchBytesMax,
      onAcknowledged: (result, bytes) => {
        this.#acknowledged(result, bytes);
        this.#wakeup.wake();
      },
      onFailure: (error) => {
        this.#fail(error);
      },
    });
    this.#snapshotter = new Snapshotter({
      store: options.store,
      pendingActorsMax: this.#limits.pendingSnapshotActorsMax,
      clock: options.clock,
      pauseMs: this.#limits.snapshotEveryMs,
      ...(options.observer === undefined ? {} : { observer: options.observer }),
      onProgress: () => {
        this.#wakeup.wake();
      },
    });
    this.#shared = options.membership === undefined ? undefined : this.#share(options.membership);
    if (options.bases !== undefined) {
      const { log, subjects, store, clock, partitions, partition, logger = silent, bases } = options;
      const { writer: instance } = partition;
      this.#bases = new Bases({ ...bases, log, subjects, store, clock, partitions, instance, logger });
    }
  }

  /** Recovers its partitions and starts to work. `finished` says how it ended. */
  async start(): Promise<void> {
    const { partitions } = this.#options;
    if (this.#shared === undefined) {
      await Promise.all(Array.from({ length: partitions }, (_, partition) => this.#recover(partition)));
    } else {
      await this.#shared.membership.start();
    }
    this.#state = 'running';
    this.#shared?.ownership.wake();
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
    await this.#handOver();
    this.#stopping = true;
    this.#wakeup.wake();
    await this.#running;
  }

  /** While it is on, the node hands over all that it owns and takes nothing; it goes on running. Without effect when alone. */
  drain(on: boolean): void {
    this.#shared?.ownership.drain(on);
  }

  status(): NodeStatus {
    const counters: Record<string, number> = {};
    for (const { committed } of this.#owned.values())
      for (const [name, n] of committed?.counters ?? []) counters[name] = (counters[name] ?? 0) + n;
    return {
      state: this.#state,
      serving: this.serving,
      region: this.#options.subjects.region,
      partitionCount: this.#options.partitions,
      partitions: [...this.#owned.values()]
        .map((owned) => this.#statusOf(owned))
        .sort((a, b) => a.partition - b.partition),
      followed: this.#followed(),
      members: this.members,
      counters,
      stats: { ...this.stats },
      snapshot: {
        pendingActors: this.#snapshotter.pendingActors,
        fileBytes: this.#options.store.sizeBytes(),
      },
      clockBehindMs: this.#clockBehindMs,
    };
  }

  /** It works, and its lease is fresh: what it tells of its partitions is so. */
  get serving(): boolean {
    if (this.#state !== 'running' && this.#state !== 'draining') return false;
    return this.#shared === undefined || (!this.#paused && this.#shared.membership.fresh);
  }

  /** The region's nodes, as far as they are known here; none when this one is alone by configuration. */
  get members(): readonly MemberStatus[] {
    return this.#shared?.membership.members() ?? [];
  }

  /** The node that says that it owns an actor's partition. */
  ownerOf(id: ActorId): MemberStatus | undefined {
    const partition = partitionOf(id, this.#options.partitions);
    return this.members.find(({ alive, owned }) => alive && owned.includes(partition));
  }

  owns(id: ActorId): boolean {
    return this.#owned.has(partitionOf(id, this.#options.partitions));
  }

  /**
   * One actor of a partition that is owned here, told when what is seen of it is committed. Undefined when nothing is
   * known of it.
   * @throws GroundswellError when the node ends, or loses the partition, before that
   */
  async inspect(id: ActorId): Promise<ActorView | undefined> {
    return this.#owned.get(partitionOf(id, this.#options.partitions))?.inspect(id);
  }

  /** Actors in quarantine of the partitions that are owned here; of very many, the first. */
  quarantined(): QuarantinedActors {
    const all = [...this.#owned.values()].flatMap((owned) => [...owned.quarantined()]);
    const actors = all.sort((a, b) => a.sinceMs - b.sinceMs).slice(0, QUARANTINED_MAX);
    return { count: all.length, actors };
  }

  partition(partition: number): Partition | undefined {
    return this.#owned.get(partition)?.partition;
  }

  get residentActors(): number {
    let count = 0;
    for (const { partition } of this.#owned.values()) count += partition.resident;
    return count;
  }

  #share({ leases, ttlMs, standbys, ...self }: MembershipOptions): Shared {
    const { clock, partitions, partition, logger = silent } = this.#options;
    const membership = new Membership({
      leases,
      clock,
      self: { ...self, http: self.http, instance: partition.writer, startedAtMs: clock.now() },
      ...(ttlMs === undefined ? {} : { ttlMs }),
      onChange: () => {
        if (membership.failure !== undefined) this.#fail(membership.failure);
        // Before it has heard of the others, it would take what is theirs.
        if (this.#state === 'starting') return;
        if (this.#isDisputed()) this.#paused = true;
        ownership.wake();
        this.#moves.wake();
        this.#wakeup.wake();
        this.#options.onMembers?.();
      },
    });
    const ownership = new OwnershipLoop({
      membership,
      self: self.id,
      partitions,
      standbys,
      clock,
      logger,
      owned: () => new Set(this.#owned.keys()),
      isLeaving: (id) => this.#leaving.has(id),
      openFollower: (id) => this.#openFollower(id),
      take: (follower, insists) => this.#take(follower, insists),
      release: (id, to) => this.#release(id, to),
      onFailure: (error) => {
        this.#fail(error);
      },
    });
    return { membership, ownership };
  }

  #followed(): NodeStatus['followed'] {
    const { ownership } = this.#shared ?? {};
    if (ownership === undefined) return [];
    return ownership.followers().map(({ partition, lagMessages, journalSeq, control }) => ({
      partition,
      lagMessages,
      journalSeq,
      commit: control?.commit ?? 0,
      epoch: control?.epoch ?? 0,
      ready: ownership.isReady(partition),
    }));
  }

  #statusOf(owned: OwnedPartition): PartitionStatus {
    const status = owned.status();
    if (this.#bases === undefined) return status;
    return { ...status, upkeep: this.#bases.keeper.status(status.partition) };
  }

  async #openFollower(partition: number): Promise<Follower> {
    const { log, subjects, store, clock } = this.#options;
    return Follower.open({
      partition,
      log,
      subjects,
      store,
      clock,
      ...this.#restoring,
      onProgress: ({ control, failure }) => {
        if (control?.handedTo !== undefined || failure !== undefined) this.#shared?.ownership.wake();
      },
    });
  }

  /** A partition that nobody else can own. */
  async #recover(partition: number): Promise<void> {
    const { log, subjects, store, clock } = this.#options;
    const from = { partition, log, subjects, store, clock, ...this.#restoring };
    try {
      await this.#begin(partition, await recoverPartition(from));
    } catch (error) {
      if (!isDamage(error)) throw error;
      await store.clear(partition);
      await this.#begin(partition, await recoverPartition(from));
    }
  }

  /** How a partition begins of which too little is known here. */
  get #restoring(): Pick<FollowerOptions, 'restore'> {
    const bases = this.#bases;
    return bases === undefined ? {} : { restore: (id) => bases.restore(id) };
  }

  /** @param insists also when the last entry's writer is there: it does not say that it owns the partition */
  async #take(follower: Follower, insists: boolean): Promise<boolean> {
    const { log, subjects, store, clock, registry, partitions, partition } = this.#options;
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
      isAlive: (other) =>
        !insists && this.members.some(({ alive, self, instance }) => alive && !self && instance === other),
    });
    const recovery = await taking.catch(async (error: unknown) => {
      await closeReader(reading);
      throw error;
    });
    if (recovery === undefined) return false;
    this.stats.taken++;
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
    const { store, subjects, registry, partitions, clock } = this.#options;
    this.stats.entriesRecovered += entriesApplied;
    const partition = new Partition(
      {
        ...this.#options.partition,
        region: subjects.region,
        partition: id,
        partitions,
        registry,
      },
      store.source(id),
      recovered,
    );
    this.#groupCommit.track(id, journalSeq, partition.inputSeq);
    this.#snapshotter.track(id, recovered.control?.commit ?? 0);
    const reader = await (reading ?? this.#readInput(id, partition.inputSeq));
    const committed = recovered.control;
    const aheadMs = (committed?.wallMs ?? 0) - clock.now();
    this.#clockBehindMs = Math.max(this.#clockBehindMs, aheadMs);
    this.#owned.set(id, new OwnedPartition({ partition, reader, clock, committed, journalSeq }));
    this.#wakeup.wake();
    this.#options.onOwned?.(id);
  }

  /** The input of a partition behind what it has taken. */
  #readInput(id: number, inputSeq: number): Promise<LogReader> {
    const { log, subjects } = this.#options;
    return log.read(subjects.inputs(id), inputSeq + 1, () => {
      this.#wakeup.wake();
    });
  }

  /** Lets the last entry of a partition name its next owner. Resolves when the partition is not ours any more. */
  async #release(id: number, to: string): Promise<void> {
    if (!this.#owned.has(id) || this.#ended) return;
    await new Promise<void>((resolve) => {
      this.#releases.set(id, { to, commit: undefined, done: resolve });
      this.#wakeup.wake();
    });
  }

  /** A partition is not ours any more: nothing of it is done here from now on. */
  async #drop(id: number, why: string, forget = false): Promise<void> {
    const owned = this.#owned.get(id);
    if (owned === undefined) return;
    this.#owned.delete(id);
    this.#leaving.add(id);
    this.#pipeline.drop(id);
    try {
      await owned.close(
        new GroundswellError('GS_FENCED', `Partition ${id} is not owned here any more: ${why}.`),
      );
      // A batch on its way goes by what is known of the partition here: nobody takes it again before that is settled.
      await this.#pipeline.clear(id);
      this.#groupCommit.untrack(id);
      await this.#snapshotter.forget(id);
      if (forget) await this.#options.store.clear(id);
    } finally {
      this.#leaving.delete(id);
    }
    this.#options.onDropped?.(id);
    this.#releases.get(id)?.done();
    this.#releases.delete(id);
    this.#moves.wake();
    this.#shared?.ownership.wake();
  }

  /** What the snapshots hold of a partition is damaged: it begins anew, from its base snapshot and its journal (P5). */
  async #rebuild(id: number): Promise<void> {
    this.#options.logger?.warn({ partition: id }, 'the snapshot of a partition is damaged, and is made anew');
    await this.#drop(id, 'its snapshot is damaged', true);
    if (this.#shared === undefined) await this.#recover(id);
  }

  /** Hands over what is owned here, as long as there is somebody to take it and time is left. */
  async #handOver(): Promise<void> {
    if (this.#shared === undefined || this.#running === undefined) return;
    const { clock } = this.#options;
    const { ownership } = this.#shared;
    ownership.drain(true);
    const deadlineMs = clock.monotonic() + this.#limits.drainMs;
    const successors = (): boolean =>
      this.members.some(({ alive, self, draining }) => alive && !self && !draining);
    for (;;) {
      this.#moves.arm();
      const leftMs = deadlineMs - clock.monotonic();
      if (this.#owned.size === 0 || this.#state !== 'draining' || !successors() || leftMs <= 0) return;
      await this.#moves.wait(leftMs);
    }
  }

  async #loop(): Promise<void> {
    try {
      while (!this.#stopping) {
        this.#wakeup.arm();
        const worked = (this.#mayStep() || (await this.#resume())) && this.#turn();
        this.#throwFailure();
        if (worked) await immediate();
        else await this.#wakeup.wait(this.#limits.tickMs);
      }
      await this.#pipeline.idle();
      this.#throwFailure();
      if (this.#mayStep()) this.#startCommit();
      await this.#pipeline.idle();
      this.#throwFailure();
      await this.#snapshotter.flush();
      this.#state = 'stopped';
    } catch (error) {
      this.#state = 'failed';
      throw error;
    } finally {
      await this.#end();
    }
  }

  async #end(): Promise<void> {
    this.#moves.wake();
    await this.#pipeline.idle();
    await this.#tending;
    await this.#bases?.keeper.stop();
    this.#ended = true;
    // Nothing is committed any more: whoever waits for a hand-over waits in vain.
    for (const release of this.#releases.values()) release.done();
    await this.#shared?.ownership.stop();
    const ended = new GroundswellError('GS_LOG', 'The node has ended.');
    for (const owned of this.#owned.values()) await owned.close(ended);
    // Last: whoever hears that we are gone may take what we had.
    await this.#shared?.membership.stop();
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#wakeup.wake();
  }

  #throwFailure(): void {
    const failure = this.#failure ?? this.#snapshotter.failure;
    if (failure !== undefined) throw failure;
  }

  /** Another node says that it owns what is owned here: the journals tell whose it is. */
  #isDisputed(): boolean {
    const isOurs = (id: number): boolean => this.#owned.has(id) && !this.#releases.has(id);
    return this.members.some(({ alive, self, owned }) => alive && !self && owned.some(isOurs));
  }

  /** Whether the lease is good, and was since the journals were looked at. */
  #mayStep(): boolean {
    if (this.#shared === undefined) return true;
    if (!this.#shared.membership.fresh) this.#paused = true;
    return !this.#paused;
  }

  /**
   * Goes on after the lease had run out, once it is good again: the process may have hung for long, and others have what
   * was ours. True when it may step.
   */
  async #resume(): Promise<boolean> {
    if (this.#shared?.membership.fresh !== true || this.#pipeline.busy) return false;
    const { log, subjects } = this.#options;
    try {
      for (const id of [...this.#owned.keys()]) {
        const last = await log.last(subjects.journal(id));
        if ((last?.seq ?? 0) === this.#groupCommit.journalSeq(id)) continue;
        this.stats.fenced++;
        await this.#drop(id, 'another node has taken it');
      }
    } catch (error) {
      if (error instanceof GroundswellError && error.code === 'GS_LOG') return false;
      throw error;
    }
    this.#paused = !this.#shared.membership.fresh;
    return !this.#paused;
  }

  /** One turn: input and time for every partition, then a commit if none is in flight. True when anything was done. */
  #turn(): boolean {
    const wallMs = this.#options.clock.now();
    let worked = false;
    let live = true;
    let closing = false;
    const { clock } = this.#options;
    // What is being handed over stands still: its last commit says all.
    const owned = this.#inTurn();
    let waiting = false;
    for (const one of owned) {
      const fetched = !this.#snapshotter.full && one.fetch(this.#limits);
      waiting ||= fetched || one.partition.moreDue;
    }
    // Where nothing waits, no watch: a partition watches by itself what it has to call all the same.
    const damaged = this.#work(owned, wallMs, waiting ? this.#watch : { ...this.#watch, guard: undefined });
    for (const one of owned) {
      if (one.settleInput() > 0) worked = true;
      this.stats.steps++;
      if (one.partition.moreDue) closing = true;
      live &&= one.partition.live;
    }
    for (const { partition } of damaged) this.#rebuild(partition.partition).catch(this.#onError);
    this.#live = live;
    // While there is more to take, gather: an actor that changes again is then committed once. Unless somebody waits.
    const prompt = live && lagOf(owned) <= this.#limits.behindMessages;
    const { commitEveryMs, closingCommitEveryMs } = this.#limits;
    const everyMs = !prompt ? commitEveryMs : closing ? Math.min(commitEveryMs, closingCommitEveryMs) : 0;
    const due = clock.monotonic() - this.#pipeline.startedAtMs >= everyMs || this.#releases.size > 0;
    if (closing) worked = true;
    if ((!worked || due) && this.#startCommit()) worked = true;
    this.#passivate();
    this.#tend();
    this.#tendBases();
    return worked;
  }

  /** Input that was fetched, and time, for each. Gives those whose snapshots are damaged. */
  #work(owned: readonly OwnedPartition[], wallMs: number, watch: TurnWatch): Set<OwnedPartition> {
    const { clock } = this.#options;
    const { turnTimersMax, turnTimersMs } = this.#limits;
    // Nobody waits for a replay's next value: what it closes, it closes in large pieces.
    const deadlineMs = this.#live ? clock.monotonic() + turnTimersMs : Number.POSITIVE_INFINITY;
    let timersLeft = turnTimersMax;
    const damaged = new Set<OwnedPartition>();
    const unlessDamaged =
      <T>(what: (one: OwnedPartition, more: T) => void) =>
      (one: OwnedPartition, more: T): void => {
        try {
          what(one, more);
        } catch (error) {
          if (!isDamage(error)) throw error;
          damaged.add(one);
        }
      };
    underOneWatch(watch, owned, {
      work: unlessDamaged((one, i: number) => {
        one.accept(wallMs, this.stats);
        // Whose turn it is closes something in every turn, however long input took.
        const untilMs = i === 0 ? Math.max(deadlineMs, clock.monotonic() + 1) : deadlineMs;
        timersLeft -= this.#advance(one.partition, wallMs, timersLeft, untilMs);
      }),
      brokenOff: unlessDamaged((one, error: unknown) => {
        one.partition.brokenOff(error);
      }),
    });
    return damaged;
  }

  /**
   * The partitions that take part in a turn. One closes after the other: then what it tells others about a minute goes out in a
   * commit or two, and is merged.
   */
  #inTurn(): OwnedPartition[] {
    const owned = [...this.#owned.values()].filter(
      ({ partition }) => !this.#releases.has(partition.partition),
    );
    if (owned[this.#first]?.partition.moreDue !== true)
      this.#first = (this.#first + 1) % Math.max(1, owned.length);
    return [...owned.slice(this.#first), ...owned.slice(0, this.#first)];
  }

  /** Lets time pass in a partition, a bite at a time, as far as the turn's share goes. Gives how many timers fired. */
  #advance(partition: Partition, wallMs: number, timersMax: number, deadlineMs: number): number {
    const late = (): boolean => this.#options.clock.monotonic() >= deadlineMs;
    let fired = partition.advance(wallMs, late() ? 0 : Math.min(TIMERS_BITE, timersMax));
    while (partition.moreDue && fired > 0 && fired < timersMax && !late())
      fired += partition.advance(wallMs, Math.min(TIMERS_BITE, timersMax - fired));
    return fired;
  }

  #startCommit(): boolean {
    return this.#pipeline.start(() => this.#takeCommits());
  }

  #takeCommits(): Commit[] {
    const commits: Commit[] = [];
    for (const [id, owned] of this.#owned) {
      const release = this.#releases.get(id);
      if (this.#pipeline.holds(id) || release?.commit !== undefined) continue;
      const commit = owned.partition.takeCommit(release?.to);
      owned.uncommittedEvents = 0;
      if (commit === undefined) continue;
      if (release !== undefined) release.commit = commit.number;
      commits.push(commit);
    }
    return commits;
  }

  #acknowledged({ committed, fenced }: CommitResult, bytes: number): void {
    this.stats.batches++;
    this.stats.batchBytes += bytes;
    this.stats.commits += committed.length;
    for (const { partition, encoded, journalSeq } of committed) {
      this.stats.rows += encoded.commit.rows;
      const { control } = encoded.commit.entry;
      this.#owned.get(partition)?.acknowledged(control, journalSeq);
      const journalBytes = encoded.journal.reduce((sum, { byteLength }) => sum + byteLength, 0);
      this.#bases?.keeper.committed(partition, control, journalBytes);
    }
    this.#snapshotter.add(committed.filter(({ partition }) => this.#owned.has(partition)));
    for (const { partition, encoded } of committed) {
      if (this.#releases.get(partition)?.commit !== encoded.commit.number) continue;
      this.stats.handedOver++;
      this.#drop(partition, 'it was handed over').catch(this.#onError);
    }
    for (const partition of fenced) this.#fenced(partition);
  }

  #fenced(partition: number): void {
    this.stats.fenced++;
    if (this.#shared === undefined) {
      const { region } = this.#options.subjects;
      this.#fail(
        new GroundswellError(
          'GS_FENCED',
          `Another process committed to partition ${partition} of ${region}.`,
        ),
      );
      return;
    }
    this.#options.logger?.warn({ partition }, 'another node has taken this partition');
    this.#drop(partition, 'another node has taken it').catch(this.#onError);
  }

  readonly #onError = (error: unknown): void => {
    this.#fail(errorOf(error));
  };

  /** Removes inputs that history no longer holds; what cannot be removed now is at the next time. */
  #tend(): void {
    if (this.#tending !== undefined) return;
    const committed = new Map([...this.#owned.keys()].map((id) => [id, this.#groupCommit.inputSeq(id)]));
    this.#tending = this.#retention.tend(committed).then(
      () => (this.#tending = undefined),
      (error: unknown) => {
        this.#tending = undefined;
        this.stats.retentionFailures++;
        this.#options.onRetry?.(messageOf(error), 1);
      },
    );
  }

  #tendBases(): void {
    if (this.#bases === undefined) return;
    const owned = new Map(
      [...this.#owned].map(([id, { committed }]) => [
        id,
        { control: committed, journalSeq: this.#groupCommit.journalSeq(id), epoch: committed?.epoch ?? 0 },
      ]),
    );
    this.#bases.keeper.tend(owned, (id, pointer) => {
      this.#owned.get(id)?.partition.setBase(pointer);
      this.#wakeup.wake();
    });
  }

  #passivate(): void {
    const residentMax = Math.ceil(this.#limits.residentActorsMax / Math.max(1, this.#owned.size));
    for (const [id, { partition }] of this.#owned) {
      partition.passivate({
        snapshotCommit: this.#snapshotter.writtenCommit(id),
        idleSteps: this.#limits.idleSteps,
        residentMax,
      });
    }
  }
}

/** What is read from the local snapshots is not what was written. */
function isDamage(error: unknown): boolean {
  return error instanceof GroundswellError && error.code === 'GS_DATA_CORRUPT';
}

/** Closes one that may never have come to be. */
async function closeReader(reading: Promise<LogReader> | undefined): Promise<void> {
  const reader = await reading?.catch(() => undefined);
  await reader?.close();
}

function lagOf(owned: readonly OwnedPartition[]): number {
  return owned.reduce((sum, { lagMessages }) => sum + lagMessages, 0);
}

function immediate(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
