/**
 * The partition: a pure step. Input frames and the wall time go in; a commit comes out. No I/O, no clock, no chance:
 * what it knows it was told, what it wants it says in the commit (P2, P4). It is thrown away and recovered when a
 * commit is refused, so it may run ahead of what is acknowledged.
 *
 * A call of a handler that fails leaves nothing but a dead letter. While all goes well nothing is spent on that: when one
 * fails, the partition goes back to its last commit and does again what it was told since (`step-log`), with calls that
 * can be taken back one by one (`careful-call`), and stays careful for some commits.
 *
 * Neighbours: `step` takes what comes, `actor-table` keeps the actors, `step-facts` where the partition stands, `timers` what
 * is due, `delivery` calls actors, `step-effects` gathers what they say; `node/` fetches frames, sends commits and stores
 * snapshots.
 */
import type { Registry } from '../actor/registry.js';
import { GroundswellError } from '../core/errors.js';
import type { ActorId } from '../core/ids.js';
import type { Times } from '../core/times.js';
import { decodeActor, resetDecoder } from './actor-record.js';
import { ActorTable, type ActorSource } from './actor-table.js';
import type { ActorView } from './actor-view.js';
import { Caution } from './caution.js';
import type { Changes } from './changes.js';
import { EVENT_ID_BYTES_MAX } from './event-ids.js';
import type { MailMessage } from './frame.js';
import type { HandlerGuard } from './handler-guard.js';
import type { BasePointer, Control, EntryToWrite } from './journal.js';
import type { Progress, ShownBlock, SideOutput } from './output.js';
import { DEFAULT_POISON_RULES, isPoison, type PoisonRules } from './poison.js';
import { viewOfQuarantine, type QuarantinedActor, type Trouble } from './quarantine.js';
import type { RowBlock } from './row-block.js';
import { Step, type StepParts } from './step.js';
import { StepFacts } from './step-facts.js';
import { StepLog, type HeardShare, type Operation } from './step-log.js';
import { TimerQueue } from './timers.js';
import type { SilentProducer, TimeRules } from './watermark.js';

export interface PartitionConfig {
  readonly region: string;
  readonly partition: number;
  readonly partitions: number;
  readonly registry: Registry;
  readonly time: TimeRules;
  /** Marks move by panes of this length, ms. */
  readonly paneMs: number;
  /** An event id is remembered for this long, event time ms. */
  readonly duplicateWindowMs: number;
  /** Bytes of the event ids that an actor remembers. */
  readonly eventIdBytesMax?: number;
  /** A name that no two processes share. */
  readonly writer: string;
  /** Limits of handlers, and what becomes of those that fail; each has its default. */
  readonly poison?: Partial<PoisonRules>;
  /** Breaks off handlers that do not return; without it, they are waited for. */
  readonly guard?: HandlerGuard;
  /** What it has said to others here since its last commit is not so: all who are `joined` are to `withdraw`. */
  onTakenBack?(): void;
}

/** What recovery found: the partition as of its last journal entry. */
export interface RecoveredPartition {
  readonly control: Control | undefined;
  /** Actors that have timers, with their due times by name; and those in quarantine. */
  readonly timers: Iterable<readonly [id: ActorId, timers: Times | undefined, trouble?: Trouble | undefined]>;
}

/** Everything one step changed and said: becomes visible together or not at all. */
export interface Commit {
  readonly partition: number;
  readonly number: number;
  readonly entry: EntryToWrite;
  /** Messages by destination partition. Marks go to all partitions when `marks` is set. */
  readonly mail: ReadonlyMap<number, readonly MailMessage[]>;
  readonly marks: readonly number[] | undefined;
  /** Partitions that have heard these marks, and commit them in the same batch. */
  readonly marksKnownBy: ReadonlySet<number>;
  /** It has heard other partitions of its process, or they it: it is stored with their commits, or they are not. */
  readonly joined: boolean;
  readonly blocks: readonly RowBlock[];
  /** Rows in the blocks. */
  readonly rows: number;
  readonly sides: readonly SideOutput[];
  readonly shown: readonly ShownBlock[];
  /** Set when there is something for the world to know. */
  readonly progress: Progress | undefined;
}

/** Actors that a sweep looks at in one step: it goes on from there at the next, so idle ones are found in time. */
const SWEEP_VISITS = 50;
/** Over the limit, so many for each that has to leave: most may not, for the snapshot does not hold them yet. */
const VISITS_A_LEAVER = 8;

export class Partition {
  readonly #config: PartitionConfig;
  readonly #rules: PoisonRules;
  readonly #actors: ActorTable;
  readonly #timers: readonly TimerQueue[];
  readonly #quarantined = new Map<ActorId, QuarantinedActor>();
  readonly #log = new StepLog();
  readonly #caution: Caution;
  readonly #parts: StepParts;
  /** The step that is being made. */
  #step: Step;
  /** Where it stood at the last commit. */
  #saved: StepFacts;
  #commit: number;
  /** What is being done is watched already. */
  #watching = false;
  #base: BasePointer | undefined;
  #baseMoved = false;
  #joined = false;
  /** Which of its marks others here have heard: of each, the sum of them. */
  readonly #marksHeard = new Map<number, number>();
  /** Encoded for the commit that is to be taken. */
  #prepared: Changes | undefined;
  readonly #epoch: number;

  constructor(config: PartitionConfig, source: ActorSource, recovered: RecoveredPartition) {
    const { region, partition, partitions, registry, time, paneMs, duplicateWindowMs, guard } = config;
    const { control } = recovered;
    this.#config = config;
    this.#rules = { ...DEFAULT_POISON_RULES, ...config.poison };
    this.#caution = new Caution(this.#rules);
    this.#actors = new ActorTable(registry, source);
    this.#commit = control?.commit ?? 0;
    this.#epoch = control?.epoch ?? 1;
    this.#base = control?.base;
    this.#timers = Array.from({ length: registry.stages }, () => new TimerQueue());
    for (const [id, timers, trouble] of recovered.timers) this.#waits(id, timers, trouble);
    // Named one by one: what is asked for every event is then at one place in all partitions. Copies that are spread differ in shape.
    this.#parts = {
      region,
      partition,
      partitions,
      registry,
      paneMs,
      ids: { windowMs: duplicateWindowMs, bytesMax: config.eventIdBytesMax ?? EVENT_ID_BYTES_MAX },
      rules: this.#rules,
      guard,
      caution: this.#caution,
      actors: this.#actors,
      timers: this.#timers,
      quarantined: this.#quarantined,
      nextCommit: () => this.#commit + 1,
      onQuiet: (operation) => {
        this.#log.wasQuiet(operation);
      },
    };
    const facts = StepFacts.recovered(control, { time, stages: registry.stages, partitions });
    this.#step = new Step(this.#parts, facts);
    this.#saved = facts.copy();
  }

  get partition(): number {
    return this.#config.partition;
  }
  /** Log sequence of the last input taken: read on after it (P3). */
  get inputSeq(): number {
    return this.#facts().inputSeq;
  }
  get watermarkMs(): number {
    return this.#facts().watermarkMs;
  }
  get resident(): number {
    return this.#actors.size;
  }
  /** Steps that it has made: by them it tells how long an actor was not touched. */
  get step(): number {
    return this.#actors.step;
  }
  get activations(): number {
    return this.#actors.activations;
  }
  get passivations(): number {
    return this.#actors.passivations;
  }
  /** Number of the last commit that was taken. */
  get commit(): number {
    return this.#commit;
  }
  /** Event time up to which each stage has closed. */
  get closedMs(): readonly number[] {
    return this.#facts().closed;
  }
  /** No replay is attached here. */
  get live(): boolean {
    return this.#facts().producers.live;
  }
  /** It was fed, and never live: what it does is not of now. */
  get replayed(): boolean {
    return this.#facts().producers.replayed;
  }
  /** Its marks, by stage. */
  get marks(): number[] {
    return this.#timers.map((_, stage) => this.#facts().marks.get(stage, this.partition));
  }
  get counters(): ReadonlyMap<string, number> {
    return this.#facts().counters;
  }
  /** Timers are due that no step had the budget for. */
  get moreDue(): boolean {
    return this.#facts().due.includes(true);
  }
  /** Closing is more than a pane behind what it may: let it catch up before it takes more input (P8). */
  get backlogged(): boolean {
    const { paneMs } = this.#config;
    const { due, limits, closed } = this.#facts();
    return due.some((isDue, stage) => isDue && limits[stage]! - closed[stage]! > paneMs);
  }
  /** It has heard other partitions of its process since its last commit, or they it: they commit together. */
  get joined(): boolean {
    return this.#joined;
  }
  /** Somebody waits for the next commit: another partition, or the world. Otherwise it only changes states. */
  get hasNews(): boolean {
    const { facts, effects } = this.#step;
    return effects.leaves || effects.tells || (facts.marksMoved && !this.#allKnowMarks());
  }
  /** Actors that are not called, for their calls had failed one after the other. */
  get quarantined(): Iterable<QuarantinedActor> {
    return this.#quarantined.values();
  }
  get quarantinedCount(): number {
    return this.#quarantined.size;
  }
  /** Calls can be taken back one by one, at a cost: some failed not long ago. */
  get careful(): boolean {
    return this.#caution.careful;
  }

  /**
   * Takes one event frame. Gives the number of events it held; none when it was taken before. Time passes after every
   * frame: what is late must not depend on how many frames a step happens to take (P7).
   * @param storedMs when the stream stored the frame, ms UTC by its own clock: a live event is of a time that has not come
   *   only when it is ahead of that and of ours, for either of the two clocks may be behind
   */
  acceptEvents(bytes: Uint8Array, seq: number, wallMs: number, storedMs = wallMs): number {
    if (seq <= this.#facts().inputSeq) return 0;
    return this.#do({ kind: 'events', bytes, seq, wallMs, storedMs });
  }

  /** Takes one mail frame, unless it was taken before. */
  acceptMail(bytes: Uint8Array, seq: number): void {
    if (seq > this.#facts().inputSeq) this.#do({ kind: 'mail', bytes, seq });
  }

  /**
   * Hears what partitions of this process have said to it, before any of them has committed: messages, and marks that have
   * moved. They then commit in one batch (P2), and who goes back takes the others along. False when nothing was said.
   */
  hear(others: Iterable<Partition>): boolean {
    const said: HeardShare[] = [];
    for (const from of others) {
      const share = from.#sayTo(this);
      if (share !== undefined) said.push(share);
    }
    if (said.length === 0) return false;
    this.#do({ kind: 'heard', said });
    return true;
  }

  /** What another partition of this process has not been told: marks only when they have moved. */
  #sayTo(to: Partition): HeardShare | undefined {
    const { facts, effects } = this.#step;
    const marks = facts.marksMoved && to !== this ? this.marks : [];
    const moved = marks.length > 0 && this.#marksHeard.get(to.partition) !== sumOf(marks);
    const outbox = effects.mail[to.partition]!;
    if (outbox.size === 0 && !moved) return undefined;
    // First of all: it may be broken off anywhere behind this, and what was taken is then said again.
    this.#joined = true;
    to.#joined = true;
    if (moved) this.#marksHeard.set(to.partition, sumOf(marks));
    return { from: this.partition, marks: moved ? marks : [], messages: outbox.take() };
  }

  /** Goes back to the last commit and does all again but what it has heard of others here: they go back too. */
  withdraw(): void {
    this.#part();
    try {
      this.#redo();
    } catch (error) {
      if (!isPoison(error)) throw error;
      this.#again(error);
    }
  }

  /**
   * Lets time pass: fires what is due, stage by stage, and gives the marks that this allows. Called after the input
   * of a step, and when the wall clock may have moved a live watermark. What is over the budget fires in later steps;
   * until then an actor's own due timers fire before it takes anything else, so that input need not wait for a minute
   * to close, and nobody can tell the difference.
   * @param timersMax at most so many timers fire
   * @returns how many did
   */
  advance(wallMs: number, timersMax = Number.POSITIVE_INFINITY): number {
    return this.#do({ kind: 'time', wallMs, timersMax });
  }

  /** Each call is watched by itself: no other watch may be around them. */
  get watchesEach(): boolean {
    return this.#caution.each;
  }

  /**
   * Several operations, all under a watch of the caller's, which costs less than one for each. What a call throws that
   * fails comes out of here: then, and when its watch ends it where it stands, the caller tells `brokenOff`.
   */
  watchedByCaller(what: () => void): void {
    this.#watching = true;
    what();
    this.#watching = false;
  }

  /**
   * `watchedByCaller` was broken off. The operations that it had begun are done all the same, and those that had not been
   * begun are not: who called goes by `inputSeq`.
   * @throws what was no call's failure
   */
  brokenOff(error: unknown): void {
    this.#watching = false;
    if (!isPoison(error)) throw error;
    this.#again(error);
  }

  /**
   * Makes ready what `takeCommit` gives, when nothing else is done before that. Here it may be found that a state is too large; those
   * who are joined do this all before any of them commits, for none can go back afterwards.
   */
  prepareCommit(): void {
    if (this.#prepared !== undefined) return;
    // What was said to actors here is theirs before the commit, which does not hold it.
    if (this.#step.effects.waits) this.advance(this.#facts().wallMs, 0);
    this.#prepared = this.#changes();
  }

  /** The commit is ready to be taken. */
  get isPrepared(): boolean {
    return this.#prepared !== undefined;
  }

  /**
   * The commit of all steps since the last one; undefined when nothing happened.
   * @param handedTo the node that may take the partition after this commit, which is then made in any case
   */
  takeCommit(handedTo?: string): Commit | undefined {
    this.prepareCommit();
    const changes = this.#prepared!;
    this.#prepared = undefined;
    const { facts, effects } = this.#step;
    const worldHears = effects.tells || (facts.closedMoved && facts.marksMoved);
    const changed =
      facts.inputsTold > 0 ||
      changes.length > 0 ||
      facts.marksMoved ||
      this.#baseMoved ||
      this.#joined ||
      worldHears;
    if (!changed && handedTo === undefined && !facts.isPositionDue) {
      if (!this.#log.isEmpty) this.#settle();
      return undefined;
    }
    const number = ++this.#commit;
    const { marksMoved } = facts;
    const marks = marksMoved ? this.marks : undefined;
    const joined = this.#joined;
    this.#joined = false;
    this.#actors.committedChanges(number, changes);
    facts.settle();
    this.#baseMoved = false;
    this.#settle();
    const { partition } = this.#config;
    const commit: Commit = {
      partition,
      number,
      entry: { control: this.#control(number, handedTo), changes },
      mail: effects.takeMail(),
      marks,
      marksKnownBy: marks === undefined ? new Set() : this.#marksKnownBy(marks),
      joined,
      rows: effects.rows.count,
      blocks: effects.rows.take(),
      sides: effects.takeSides(),
      shown: effects.shown.take(),
      progress: worldHears ? this.#progress(number) : undefined,
    };
    if (this.#caution.committed()) this.#step = new Step(this.#parts, facts);
    return commit;
  }

  /** The base snapshot that recovery may begin with from the next commit on. */
  setBase(base: BasePointer): void {
    this.#base = base;
    this.#baseMoved = true;
  }

  /** The snapshot holds what was changed up to a commit. */
  saved(snapshotCommit: number): void {
    this.#actors.saved(snapshotCommit);
  }

  /**
   * Lets idle actors go, and over the limit any that the snapshot already has (P5, P8).
   * @param options.untouchedSince a step: who was not touched since then is idle
   */
  passivate({
    snapshotCommit,
    untouchedSince,
    residentMax,
  }: {
    snapshotCommit: number;
    untouchedSince: number;
    residentMax: number;
  }): void {
    const actors = this.#actors;
    const over = actors.size - residentMax;
    if (over <= 0) {
      actors.passivate({ untouchedSince, snapshotCommit, maxVisits: SWEEP_VISITS });
      return;
    }
    actors.passivate({
      untouchedSince: actors.step,
      snapshotCommit,
      maxVisits: Math.max(SWEEP_VISITS, over * VISITS_A_LEAVER),
      maxLeaving: over,
    });
  }

  /** An actor as it is now, resident or stored; undefined when nothing is known of it. */
  look(id: ActorId): ActorView | undefined {
    return this.#actors.look(id, { partition: this.#config.partition, nextCommit: this.#commit + 1 });
  }

  /** The producer that holds back this partition's watermark. */
  holder(wallMs: number): string | undefined {
    return this.#facts().producers.holder(wallMs);
  }

  /** Live producers that fell silent without a last word. */
  silent(wallMs: number): SilentProducer[] {
    return this.#facts().producers.silent(wallMs);
  }

  #facts(): StepFacts {
    return this.#step.facts;
  }

  #allKnowMarks(): boolean {
    return this.#marksKnownBy(this.marks).size === this.#config.partitions - 1;
  }

  #marksKnownBy(marks: readonly number[]): Set<number> {
    const sum = sumOf(marks);
    return new Set(
      [...this.#marksHeard].filter(([, heard]) => heard === sum).map(([partition]) => partition),
    );
  }

  /** Does an operation, and notes it before, so that it can be done again. */
  #do(operation: Operation): number {
    this.#prepared = undefined;
    this.#log.add(operation);
    // Others are under the same watch: it is not left before what failed has thrown everything over.
    if (this.#watching) return this.#step.perform(operation);
    try {
      if (this.#step.callsNobody(operation)) return this.#step.perform(operation);
      return this.#watched(() => this.#step.perform(operation));
    } catch (error) {
      if (!isPoison(error)) throw error;
      return this.#again(error);
    }
  }

  /** Breaks off what takes too long, unless each call is watched by itself. @throws HandlerTimeout */
  #watched<T>(what: () => T): T {
    const { guard } = this.#config;
    if (guard === undefined || this.#caution.each) return what();
    this.#watching = true;
    try {
      return guard.run(this.#rules.operationTimeMaxMs, what);
    } finally {
      this.#watching = false;
    }
  }

  /**
   * A call failed: back to the last commit, and all that came since again, more carefully. Nobody has seen any of it.
   * @returns what the last operation gives
   */
  #again(error: unknown): number {
    if (this.#joined) {
      this.#part();
      this.#config.onTakenBack?.();
    }
    for (let cause = error; ;) {
      if (!isPoison(cause)) throw cause;
      if (!this.#caution.raise(cause))
        throw new GroundswellError('GS_INTERNAL', 'A call that can be taken back was not.', { cause });
      try {
        return this.#redo();
      } catch (again) {
        cause = again;
      }
    }
  }

  /** Back to the last commit, and all operations since then. Gives what the last one gives. */
  #redo(): number {
    this.#prepared = undefined;
    this.#goBack();
    let done = 0;
    for (const operation of this.#log.operations) done = this.#watched(() => this.#step.perform(operation));
    return done;
  }

  /** What it has heard of others here, and they of it, was never said. */
  #part(): void {
    this.#joined = false;
    this.#marksHeard.clear();
  }

  /** Relies on nothing that a call may have left half done. */
  #goBack(): void {
    resetDecoder();
    const dropped = this.#actors.dropChanged();
    for (const queue of this.#timers) queue.goBack(dropped);
    for (const id of dropped) {
      this.#quarantined.delete(id);
      const record = this.#actors.committed(id);
      if (record === undefined) continue;
      const { timers, trouble } = decodeActor(record);
      this.#waits(id, timers, trouble);
    }
    this.#step = new Step(this.#parts, this.#saved.copy());
  }

  /** Notes what an actor waits for: the time of its timers, or its release. */
  #waits(id: ActorId, timers: Times | undefined, trouble: Trouble | undefined): void {
    const stage = this.#config.registry.types.get(id.slice(0, id.indexOf('/')))?.stage ?? 0;
    for (const [name, atMs] of timers ?? []) this.#timers[stage]!.add(atMs, name, id);
    if (trouble?.quarantine === undefined) return;
    const { failures, quarantine } = trouble;
    const view = viewOfQuarantine(quarantine);
    this.#quarantined.set(id, { actor: id, failures, ...view, commit: this.#commit });
  }

  /** The changed actors, encoded: too large a state is found here, and the step made again without what made it so. */
  #changes(): Changes {
    if (!this.#caution.careful) {
      try {
        return this.#actors.encodeChanges(this.#rules.actorStateBytesMax);
      } catch (error) {
        this.#again(error);
      }
    }
    return this.#actors.encodeChanges(Number.POSITIVE_INFINITY);
  }

  /** What was done since the last commit is done: one goes back to here. */
  #settle(): void {
    this.#log.clear();
    this.#saved = this.#facts().copy();
    for (const queue of this.#timers) queue.settle();
    this.#step.settle();
  }

  /** As of the commit: of what is saved, which nobody changes any more. */
  #control(commit: number, handedTo: string | undefined): Control {
    const { producers, marks, closed, counters, inputSeq, watermarkMs, wallMs } = this.#saved;
    return {
      writer: this.#config.writer,
      commit,
      inputSeq,
      watermarkMs,
      producers: producers.producers,
      marks: marks.marks,
      closed,
      counters,
      wallMs,
      epoch: this.#epoch,
      handedTo,
      base: this.#base,
    };
  }

  #progress(commit: number): Progress {
    const { watermarkMs, closed, counters } = this.#saved;
    return {
      partition: this.#config.partition,
      commit,
      watermarkMs,
      closed,
      latestTimerMs: Math.max(0, ...this.#timers.map((queue) => queue.latestMs ?? 0)),
      counters: Object.fromEntries(counters),
    };
  }
}

/** Tells marks of one partition apart, for none ever goes back. */
function sumOf(marks: readonly number[]): number {
  return marks.reduce((a, b) => a + b, 0);
}
