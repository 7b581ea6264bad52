/**
 * A node: owns partitions of a region and drives them. Fetches input, lets the partitions step, sends their commits
 * as one batch — the next step is computed while the last batch is in flight — and hands acknowledged states to the
 * snapshots. All I/O of the engine is started here; all decisions are made in `partition/`.
 */
import type { Registry } from '../actor/registry.js';
import type { Clock } from '../core/clock.js';
import { GroundswellError, messageOf } from '../core/errors.js';
import type { Log, LogMessage, LogReader } from '../log/log.js';
import { isEventSubject, type Subjects } from '../log/subjects.js';
import { Partition, type PartitionConfig } from '../partition/partition.js';
import type { SnapshotStore } from '../state/store.js';
import { encodeCommit, type EncodedCommit } from './batch-assembly.js';
import { GroupCommit, type CommitResult } from './group-commit.js';
import { recoverPartition } from './recover.js';
import { Retention } from './retention.js';
import { Snapshotter } from './snapshotter.js';
import { Wakeup } from './wakeup.js';

export interface NodeLimits {
  /** Input bytes a partition takes in one turn. */
  readonly turnBytes: number;
  /** Events a partition may have taken and not committed. */
  readonly uncommittedEventsMax: number;
  /** Bytes of one batch, roughly. */
  readonly batchBytesMax: number;
  readonly stepTimersMax: number;
  /** Actors in memory, over all partitions of the node. */
  readonly residentActorsMax: number;
  /** Steps after which an untouched actor is passivated. */
  readonly idleSteps: number;
  readonly pendingSnapshotActorsMax: number;
  /** At least so long between two snapshot transactions, ms. */
  readonly snapshotEveryMs: number;
  /** While input keeps coming, commits are at least so far apart, ms; when there is none left, at once. */
  readonly commitEveryMs: number;
  /** How often time is looked at when nothing comes, ms. */
  readonly tickMs: number;
  /** How long committed inputs are kept, ms. */
  readonly historyMs: number;
}

export const DEFAULT_LIMITS: NodeLimits = {
  turnBytes: 256 * 1024,
  uncommittedEventsMax: 50_000,
  batchBytesMax: 16 * 1024 * 1024,
  stepTimersMax: 20_000,
  residentActorsMax: 1_000_000,
  idleSteps: 10_000,
  pendingSnapshotActorsMax: 500_000,
  snapshotEveryMs: 1_000,
  commitEveryMs: 200,
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
  readonly partition: Omit<
    PartitionConfig,
    'region' | 'partition' | 'partitions' | 'registry' | 'stepTimersMax'
  >;
  readonly limits?: Partial<NodeLimits>;
  onRetry?(cause: string, attempt: number): void;
}

/** What a node has done since it started. */
export interface NodeStats {
  events: number;
  frames: number;
  mailFrames: number;
  steps: number;
  commits: number;
  batches: number;
  batchBytes: number;
  rows: number;
  entriesRecovered: number;
  retentionFailures: number;
}

const RETENTION_EVERY_MS = 60_000;

interface Owned {
  readonly partition: Partition;
  readonly reader: LogReader;
  /** Taken from the reader, and to be accepted once the timers that are due have fired. */
  waiting: LogMessage[];
  uncommittedEvents: number;
}

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
  readonly #owned = new Map<number, Owned>();
  readonly #groupCommit: GroupCommit;
  readonly #snapshotter: Snapshotter;
  readonly #wakeup: Wakeup;
  readonly #retention: Retention;
  #tending: Promise<void> | undefined;
  #inFlight: Promise<void> | undefined;
  #committedAtMs = 0;
  #held: EncodedCommit[] = [];
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
    this.#groupCommit = new GroupCommit({ ...options, writer: options.partition.writer });
    this.#snapshotter = new Snapshotter({
      store: options.store,
      pendingActorsMax: this.#limits.pendingSnapshotActorsMax,
      pause: { clock: options.clock, ms: this.#limits.snapshotEveryMs },
      onProgress: () => {
        this.#wakeup.wake();
      },
    });
  }

  /** Recovers all partitions and starts to work. `run` says how it ended. */
  async start(): Promise<void> {
    const { partitions } = this.#options;
    await Promise.all(Array.from({ length: partitions }, (_, partition) => this.#own(partition)));
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
    this.#wakeup.wake();
    await this.#running;
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
        stepTimersMax: this.#limits.stepTimersMax,
      },
      store.source(id),
      recovered,
    );
    this.#groupCommit.track(id, journalSeq, partition.inputSeq);
    this.#snapshotter.track(id, recovered.control?.commit ?? 0);
    const reader = await log.read(subjects.inputs(id), partition.inputSeq + 1, () => {
      this.#wakeup.wake();
    });
    this.#owned.set(id, { partition, reader, waiting: [], uncommittedEvents: 0 });
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
    } finally {
      await this.#inFlight;
      await this.#tending;
      for (const { reader } of this.#owned.values()) await reader.close();
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
    for (const owned of this.#owned.values()) {
      if (owned.reader.failure !== undefined) throw owned.reader.failure;
      if (this.#takeInput(owned, wallMs)) worked = true;
      owned.partition.advance(wallMs);
      this.stats.steps++;
      if (owned.partition.moreDue) worked = true;
    }
    // While there is more to take, gather: an actor that changes again is then committed once.
    const due = this.#options.clock.monotonic() - this.#committedAtMs >= this.#limits.commitEveryMs;
    if ((!worked || due) && this.#startCommit()) worked = true;
    this.#passivate();
    this.#tend();
    return worked;
  }

  #takeInput(owned: Owned, wallMs: number): boolean {
    if (
      owned.uncommittedEvents >= this.#limits.uncommittedEventsMax ||
      this.#snapshotter.full ||
      owned.partition.moreDue
    )
      return false;
    const { partition } = owned;
    if (owned.waiting.length === 0) owned.waiting = owned.reader.take(this.#limits.turnBytes);
    let taken = 0;
    for (const { subject, seq, payload } of owned.waiting) {
      taken++;
      if (!isEventSubject(subject)) {
        partition.acceptMail(payload, seq);
        this.stats.mailFrames++;
        continue;
      }
      const events = partition.acceptEvents(payload, seq, wallMs);
      owned.uncommittedEvents += events;
      this.stats.events += events;
      this.stats.frames++;
      // Time passes after every frame: what is late must not depend on how many frames a turn happens to take (P7).
      partition.advance(wallMs);
      if (partition.moreDue) break;
    }
    owned.waiting = owned.waiting.slice(taken);
    return taken > 0;
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
    this.#inFlight = this.#groupCommit.commit(batch).then(
      (result) => {
        this.#inFlight = undefined;
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
    for (const { encoded } of committed) this.stats.rows += encoded.commit.rows;
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

function immediate(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
