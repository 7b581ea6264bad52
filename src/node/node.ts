/**
 * A node: owns partitions of a region and drives them. Fetches input, lets the partitions step, sends their commits
 * as one batch — the next step is computed while the last batch is in flight — and hands acknowledged states to the
 * snapshots. All I/O of the engine is started here; all decisions are made in `partition/`.
 */
import type { Registry } from '../actor/registry.js';
import type { Clock } from '../core/clock.js';
import { GroundswellError, messageOf } from '../core/errors.js';
import { partitionOf } from '../core/hash.js';
import type { ActorId } from '../core/ids.js';
import type { Log } from '../log/log.js';
import type { Subjects } from '../log/subjects.js';
import { Partition, type PartitionConfig } from '../partition/partition.js';
import type { SnapshotStore } from '../state/store.js';
import { encodeCommit, type EncodedCommit } from './batch-assembly.js';
import { GroupCommit, type CommitResult } from './group-commit.js';
import { OwnedPartition } from './owned-partition.js';
import { recoverPartition } from './recover.js';
import { Retention } from './retention.js';
import { Snapshotter } from './snapshotter.js';
import type { ActorView, NodeObserver, NodeState, NodeStats, NodeStatus } from './status.js';
import { Wakeup } from '../core/wakeup.js';

export interface NodeLimits {
  /** Input bytes a partition takes in one turn. */
  readonly turnBytes: number;
  /** Events a partition may have taken and not committed. */
  readonly uncommittedEventsMax: number;
  /** Bytes of one batch, roughly. */
  readonly batchBytesMax: number;
  /** Timers that fire in one turn, over all partitions: a minute that closes leaves room for what comes meanwhile. */
  readonly turnTimersMax: number;
  /** The same in time, ms: a turn ends soon after it, however much there is to close. */
  readonly turnTimersMs: number;
  /** Actors in memory, over all partitions of the node. */
  readonly residentActorsMax: number;
  /** Steps after which an untouched actor is passivated. */
  readonly idleSteps: number;
  readonly pendingSnapshotActorsMax: number;
  /** At least so long between two snapshot transactions, ms. */
  readonly snapshotEveryMs: number;
  /**
   * While input keeps coming and the node is behind or a replay is attached, commits are at least so far apart, ms: what
   * is gathered costs less. Otherwise a commit follows as soon as the last one is acknowledged.
   */
  readonly commitEveryMs: number;
  /** While a minute closes, commits are at least so far apart, ms: cells are told by many, a little each time. */
  readonly closingCommitEveryMs: number;
  /** Input messages that were not taken yet: with more of them, the node counts as behind. */
  readonly behindMessages: number;
  /** Attempts to store a commit before the node gives up. */
  readonly commitAttemptsMax: number;
  /** How often time is looked at when nothing comes, ms. */
  readonly tickMs: number;
  /** How long committed inputs are kept, ms. */
  readonly historyMs: number;
}

export const DEFAULT_LIMITS: NodeLimits = {
  turnBytes: 256 * 1024,
  uncommittedEventsMax: 50_000,
  batchBytesMax: 16 * 1024 * 1024,
  turnTimersMax: 2_000,
  turnTimersMs: 15,
  residentActorsMax: 1_000_000,
  idleSteps: 10_000,
  pendingSnapshotActorsMax: 500_000,
  snapshotEveryMs: 5_000,
  commitEveryMs: 200,
  closingCommitEveryMs: 50,
  behindMessages: 64,
  commitAttemptsMax: 30,
  tickMs: 200,
  historyMs: 24 * 3_600_000,
};

export interface NodeOptions {
  readonly log: Log;
  readonly store: SnapshotStore;
  readonly subjects: Subjects;
  readonly clock: Clock;
  readonly registry: Registry;
  readonly partitions: number;
  readonly partition: Omit<PartitionConfig, 'region' | 'partition' | 'partitions' | 'registry'>;
  readonly limits?: Partial<NodeLimits>;
  readonly observer?: NodeObserver;
  onRetry?(cause: string, attempt: number): void;
}

const RETENTION_EVERY_MS = 60_000;
/** Timers that fire between two looks at the clock. */
const TIMERS_BITE = 200;

export class Node {
  readonly stats: NodeStats = {
    events: 0,
    frames: 0,
    mailFrames: 0,
    steps: 0,
    commits: 0,
    batches: 0,
    batchBytes: 0,
    rows: 0,
    entriesRecovered: 0,
    retentionFailures: 0,
  };
  readonly #options: NodeOptions;
  readonly #limits: NodeLimits;
  readonly #owned = new Map<number, OwnedPartition>();
  readonly #groupCommit: GroupCommit;
  readonly #snapshotter: Snapshotter;
  readonly #wakeup: Wakeup;
  readonly #retention: Retention;
  #tending: Promise<void> | undefined;
  #inFlight: Promise<void> | undefined;
  #committedAtMs = 0;
  #held: EncodedCommit[] = [];
  #state: NodeState = 'starting';
  #clockBehindMs = 0;
  /** No replay was attached at the last look. */
  #live = true;
  /** Whose turn it is to close first; until it has closed. */
  #first = 0;
  #stopping = false;
  #failure: Error | undefined;
  #running: Promise<void> | undefined;

  constructor(options: NodeOptions) {
    this.#options = options;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#wakeup = new Wakeup(options.clock);
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
  }

  /** Recovers all partitions and starts to work. `run` says how it ended. */
  async start(): Promise<void> {
    const { partitions } = this.#options;
    await Promise.all(Array.from({ length: partitions }, (_, partition) => this.#own(partition)));
    this.#state = 'running';
    this.#running = this.#loop();
    // Whoever awaits `finished` sees the failure; until then it must not count as unhandled.
    this.#running.catch(() => undefined);
  }

  /** Resolves when the node was stopped; rejects with what made it fail. */
  get finished(): Promise<void> {
    return this.#running ?? Promise.resolve();
  }

  /** Finishes the step, commits, writes the snapshots, lets go of the readers. */
  async stop(): Promise<void> {
    this.#stopping = true;
    if (this.#state === 'running') this.#state = 'draining';
    this.#wakeup.wake();
    await this.#running;
  }

  status(): NodeStatus {
    const partitions = [...this.#owned.values()].map((owned) => owned.status());
    const counters: Record<string, number> = {};
    for (const { committed } of this.#owned.values())
      for (const [name, n] of committed?.counters ?? []) counters[name] = (counters[name] ?? 0) + n;
    return {
      state: this.#state,
      region: this.#options.subjects.region,
      partitionCount: this.#options.partitions,
      partitions: partitions.sort((a, b) => a.partition - b.partition),
      counters,
      stats: { ...this.stats },
      snapshot: {
        pendingActors: this.#snapshotter.pendingActors,
        fileBytes: this.#options.store.sizeBytes(),
      },
      clockBehindMs: this.#clockBehindMs,
    };
  }

  /**
   * One actor, told when what is seen of it is committed. Undefined when nothing is known of it.
   * @throws GroundswellError when the node ends before that
   */
  async inspect(id: ActorId): Promise<ActorView | undefined> {
    return this.#owned.get(partitionOf(id, this.#options.partitions))?.inspect(id);
  }

  partition(partition: number): Partition | undefined {
    return this.#owned.get(partition)?.partition;
  }

  get residentActors(): number {
    let count = 0;
    for (const { partition } of this.#owned.values()) count += partition.resident;
    return count;
  }

  async #own(id: number): Promise<void> {
    const { log, store, subjects, registry, partitions } = this.#options;
    const { recovered, journalSeq, entriesApplied } = await recoverPartition(id, log, subjects, store);
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
    const reader = await log.read(subjects.inputs(id), partition.inputSeq + 1, () => {
      this.#wakeup.wake();
    });
    const committed = recovered.control;
    const aheadMs = (committed?.wallMs ?? 0) - this.#options.clock.now();
    this.#clockBehindMs = Math.max(this.#clockBehindMs, aheadMs);
    this.#owned.set(
      id,
      new OwnedPartition({ partition, reader, clock: this.#options.clock, committed, journalSeq }),
    );
  }

  async #loop(): Promise<void> {
    try {
      while (!this.#stopping) {
        this.#wakeup.arm();
        const worked = this.#turn();
        this.#throwFailure();
        if (worked) await immediate();
        else await this.#wakeup.wait(this.#limits.tickMs);
      }
      await this.#inFlight;
      this.#throwFailure();
      this.#startCommit();
      await this.#inFlight;
      this.#throwFailure();
      await this.#snapshotter.flush();
      this.#state = 'stopped';
    } catch (error) {
      this.#state = 'failed';
      throw error;
    } finally {
      await this.#inFlight;
      await this.#tending;
      const ended = new GroundswellError('GS_LOG', 'The node has ended.');
      for (const owned of this.#owned.values()) await owned.close(ended);
    }
  }

  #throwFailure(): void {
    const failure = this.#failure ?? this.#snapshotter.failure;
    if (failure !== undefined) throw failure;
  }

  /** One turn: input and time for every partition, then a commit if none is in flight. True when anything was done. */
  #turn(): boolean {
    const wallMs = this.#options.clock.now();
    let worked = false;
    let timersLeft = this.#limits.turnTimersMax;
    let live = true;
    let closing = false;
    const { clock } = this.#options;
    // Nobody waits for a replay's next value: what it closes, it closes in large pieces.
    const deadlineMs = this.#live ? clock.monotonic() + this.#limits.turnTimersMs : Number.POSITIVE_INFINITY;
    const owned = [...this.#owned.values()];
    // One partition after the other: then what it tells others about a minute goes out in a commit or two, and is merged.
    if (owned[this.#first]?.partition.moreDue !== true)
      this.#first = (this.#first + 1) % Math.max(1, owned.length);
    for (let i = 0; i < owned.length; i++) {
      const one = owned[(this.#first + i) % owned.length]!;
      if (!this.#snapshotter.full && one.takeInput(this.#limits, wallMs, this.stats) > 0) worked = true;
      // Whose turn it is closes something in every turn, however long input took.
      const untilMs = i === 0 ? Math.max(deadlineMs, clock.monotonic() + 1) : deadlineMs;
      timersLeft -= this.#advance(one.partition, wallMs, timersLeft, untilMs);
      this.stats.steps++;
      if (one.partition.moreDue) closing = true;
      live &&= one.partition.live;
    }
    this.#live = live;
    // While there is more to take, gather: an actor that changes again is then committed once. Unless somebody waits.
    const prompt = live && lagOf(owned) <= this.#limits.behindMessages;
    const { commitEveryMs, closingCommitEveryMs } = this.#limits;
    const everyMs = !prompt ? commitEveryMs : closing ? Math.min(commitEveryMs, closingCommitEveryMs) : 0;
    const due = clock.monotonic() - this.#committedAtMs >= everyMs;
    if (closing) worked = true;
    if ((!worked || due) && this.#startCommit()) worked = true;
    this.#passivate();
    this.#tend();
    return worked;
  }

  /** Lets time pass in a partition, a bite at a time, as far as the turn's share goes. Gives how many timers fired. */
  #advance(partition: Partition, wallMs: number, timersMax: number, deadlineMs: number): number {
    const late = (): boolean => this.#options.clock.monotonic() >= deadlineMs;
    let fired = partition.advance(wallMs, late() ? 0 : Math.min(TIMERS_BITE, timersMax));
    while (partition.moreDue && fired > 0 && fired < timersMax && !late())
      fired += partition.advance(wallMs, Math.min(TIMERS_BITE, timersMax - fired));
    return fired;
  }

  /** Sends what the partitions have to commit; what does not fit the batch is held for the next. */
  #startCommit(): boolean {
    if (this.#inFlight !== undefined) return false;
    const { log, partitions } = this.#options;
    const commits = this.#held;
    const held = new Set(commits.map(({ commit }) => commit.partition));
    for (const [id, owned] of this.#owned) {
      if (held.has(id)) continue;
      const commit = owned.partition.takeCommit();
      owned.uncommittedEvents = 0;
      if (commit !== undefined) commits.push(encodeCommit(commit, log.payloadBytesMax));
    }
    if (commits.length === 0) return false;
    this.#committedAtMs = this.#options.clock.monotonic();
    const batch: EncodedCommit[] = [];
    this.#held = [];
    let bytes = 0;
    let entries = 0;
    // Mail adds at most a frame per destination, a few more when it is large: leave room for that.
    const entriesMax = log.batchEntriesMax - 2 * partitions;
    for (const encoded of commits) {
      const count = encoded.journal.length + encoded.out.length;
      const fits = bytes + encoded.bytes <= this.#limits.batchBytesMax && entries + count <= entriesMax;
      if (!fits && batch.length === 0 && entries + count > entriesMax) {
        throw new GroundswellError(
          'GS_BATCH_TOO_LARGE',
          `One step of partition ${encoded.commit.partition} takes ${count} messages; a batch holds ${entriesMax}.`,
        );
      }
      if (fits || batch.length === 0) {
        batch.push(encoded);
        bytes += encoded.bytes;
        entries += count;
      } else {
        this.#held.push(encoded);
      }
    }
    const sentAtMs = this.#committedAtMs;
    this.#inFlight = this.#groupCommit.commit(batch).then(
      (result) => {
        this.#inFlight = undefined;
        const seconds = (this.#options.clock.monotonic() - sentAtMs) / 1000;
        this.#options.observer?.committed({ bytes, messages: entries, partitions: batch.length, seconds });
        this.#acknowledged(result, bytes);
        this.#wakeup.wake();
      },
      (error: unknown) => {
        this.#inFlight = undefined;
        this.#failure = error instanceof Error ? error : new Error(String(error));
        this.#wakeup.wake();
      },
    );
    return true;
  }

  #acknowledged({ committed, fenced }: CommitResult, bytes: number): void {
    this.stats.batches++;
    this.stats.batchBytes += bytes;
    this.stats.commits += committed.length;
    for (const { partition, encoded, journalSeq } of committed) {
      this.stats.rows += encoded.commit.rows;
      this.#owned.get(partition)?.acknowledged(encoded.commit.entry.control, journalSeq);
    }
    this.#snapshotter.add(committed);
    if (fenced.length > 0) {
      this.#failure = new GroundswellError(
        'GS_FENCED',
        `Another process committed to partition ${fenced.join(', ')} of ${this.#options.subjects.region}.`,
      );
    }
  }

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

function lagOf(owned: readonly OwnedPartition[]): number {
  return owned.reduce((sum, { lagMessages }) => sum + lagMessages, 0);
}

function immediate(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
