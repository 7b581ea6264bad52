/**
 * The partition: a pure step. Input frames and the wall time go in; a commit comes out. No I/O, no clock, no chance:
 * what it knows it was told, what it wants it says in the commit (P2, P4). It is thrown away and recovered when a
 * commit is refused, so it may run ahead of what is acknowledged.
 *
 * Neighbours: `actor-table` keeps the actors, `watermark` the time, `timers` what is due, `outbox` the mail;
 * `node/` fetches frames, sends commits and stores snapshots.
 */
import type { ActorEvent } from '../actor/behaviour.js';
import type { Registry } from '../actor/registry.js';
import { actorId, type ActorId } from '../core/ids.js';
import type { ActorView } from './actor-view.js';
import { ActorTable, type ActorSource, type Resident } from './actor-table.js';
import { Dispatcher } from './dispatcher.js';
import { decodeEventFrame, decodeMailFrame, type MailMessage, type RefusedEvent } from './frame.js';
import type { BasePointer, Control, JournalEntry } from './journal.js';
import { Outbox } from './outbox.js';
import type { Progress, ShownBlock, SideOutput } from './output.js';
import { RowBlocks, type RowBlock } from './row-block.js';
import { Shown } from './shown.js';
import { TimerQueue } from './timers.js';
import { ProducerTable, StageMarks, type TimeRules } from './watermark.js';

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
  /** A name that no two processes share. */
  readonly writer: string;
}

/** What recovery found: the partition as of its last journal entry. */
export interface RecoveredPartition {
  readonly control: Control | undefined;
  /** Actors that have timers, with their due times by name. */
  readonly timers: Iterable<readonly [id: ActorId, timers: ReadonlyMap<string, number>]>;
}

/** Everything one step changed and said: becomes visible together or not at all. */
export interface Commit {
  readonly partition: number;
  readonly number: number;
  readonly entry: JournalEntry;
  /** Messages by destination partition. Marks go to all partitions when `marks` is set. */
  readonly mail: ReadonlyMap<number, readonly MailMessage[]>;
  readonly marks: readonly number[] | undefined;
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
const POSITION_INPUTS_MAX = 1_000;
const POSITION_MS = 10_000;

export class Partition {
  readonly #config: PartitionConfig;
  readonly #actors: ActorTable;
  readonly #producers: ProducerTable;
  readonly #marks: StageMarks;
  readonly #timers: TimerQueue[];
  readonly #remote = new Outbox();
  /** Messages for actors here, by the receiver's stage: delivered within the step. */
  readonly #local: Outbox[];
  readonly #dispatch: Dispatcher;
  readonly #counters: Map<string, number>;
  /** Event time up to which each stage has closed: all its timers have fired. */
  readonly #closed: number[];
  /** Event time up to which each stage may close; what is due until then fires over several steps. */
  readonly #limits: number[];
  /** Stages with timers that are due and have not fired. */
  readonly #due: boolean[];
  readonly #rows = new RowBlocks();
  readonly #shown = new Shown();
  #sides: SideOutput[] = [];
  #watermarkMs: number;
  #inputSeq: number;
  #commit: number;
  #step = 0;
  /** Inputs since the last commit, and those that said more than how far time is. */
  #inputsTaken = 0;
  #inputsTold = 0;
  #committedWallMs = 0;
  #marksMoved = false;
  #closedMoved = false;
  #wallMs = 0;
  #base: BasePointer | undefined;
  #baseMoved = false;
  readonly #epoch: number;

  constructor(config: PartitionConfig, source: ActorSource, recovered: RecoveredPartition) {
    const { registry, partitions } = config;
    const { control } = recovered;
    this.#config = config;
    this.#actors = new ActorTable(registry, source);
    this.#producers = new ProducerTable(
      config.time,
      new Map([...(control?.producers ?? [])].map(([id, p]) => [id, { ...p }])),
    );
    this.#marks = new StageMarks(registry.stages, partitions, control?.marks);
    this.#closed = control ? [...control.closed] : new Array<number>(registry.stages).fill(0);
    this.#counters = new Map(control?.counters);
    this.#watermarkMs = control?.watermarkMs ?? 0;
    this.#inputSeq = control?.inputSeq ?? 0;
    this.#commit = control?.commit ?? 0;
    this.#committedWallMs = control?.wallMs ?? 0;
    this.#epoch = control?.epoch ?? 1;
    this.#base = control?.base;
    this.#timers = Array.from({ length: registry.stages }, () => new TimerQueue());
    this.#local = Array.from({ length: registry.stages }, () => new Outbox());
    this.#limits = [...this.#closed];
    this.#due = new Array<boolean>(registry.stages).fill(false);
    for (const [id, timers] of recovered.timers) {
      const stage = registry.types.get(id.slice(0, id.indexOf('/')))?.stage ?? 0;
      for (const [name, atMs] of timers) this.#timers[stage]!.add(atMs, { actor: id, name });
    }
    for (let stage = 0; stage < registry.stages; stage++) this.#raiseLimit(stage);
    this.#dispatch = new Dispatcher({
      region: config.region,
      partition: config.partition,
      partitions,
      registry,
      marks: this.#marks,
      limits: this.#limits,
      timers: this.#timers,
      local: this.#local,
      remote: this.#remote,
      counters: this.#counters,
      emitRow: (row) => {
        this.#rows.add(row);
      },
      emitSide: (side) => this.#sides.push(side),
      show: (actor, values) => {
        this.#shown.put(actor, values);
      },
      markDirty: (actor) => {
        this.#actors.markDirty(actor);
      },
    });
  }

  get partition(): number {
    return this.#config.partition;
  }
  /** Log sequence of the last input taken: read on after it (P3). */
  get inputSeq(): number {
    return this.#inputSeq;
  }
  get watermarkMs(): number {
    return this.#watermarkMs;
  }
  get resident(): number {
    return this.#actors.size;
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
    return this.#closed;
  }
  /** No replay is attached here. */
  get live(): boolean {
    return this.#producers.live;
  }
  get counters(): ReadonlyMap<string, number> {
    return this.#counters;
  }
  /** Timers are due that no step had the budget for. */
  get moreDue(): boolean {
    return this.#due.includes(true);
  }
  /** Closing is more than a pane behind what it may: let it catch up before it takes more input (P8). */
  get backlogged(): boolean {
    const { paneMs } = this.#config;
    return this.#due.some((due, stage) => due && this.#limits[stage]! - this.#closed[stage]! > paneMs);
  }

  /**
   * Takes one event frame. Gives the number of events it held. Time passes after every frame: what is late must not
   * depend on how many frames a step happens to take (P7).
   */
  acceptEvents(bytes: Uint8Array, seq: number, wallMs: number): number {
    const frame = decodeEventFrame(bytes);
    const { events } = frame;
    const known =
      this.#producers.producers.get(frame.producer)?.seq ?? (frame.mode === 'live' ? frame.seq : 0);
    if (frame.seq > known) this.#dispatch.count('missing', frame.seq - known);
    const seen = this.#producers.hear({ ...frame, count: events.length }, wallMs);
    if (seen > 0) this.#dispatch.count('repeated', seen);
    for (let i = seen; i < events.length; i++) this.#event(events[i]!);
    this.#took(seq, events.length > 0 || frame.end);
    this.#observe(wallMs);
    return events.length;
  }

  /** Takes one mail frame. */
  acceptMail(bytes: Uint8Array, seq: number): void {
    let told = false;
    for (const share of decodeMailFrame(bytes)) {
      if (share.messages.length > 0) told = true;
      for (const [to, name, atMs, body] of share.messages) this.#message(to as ActorId, name, atMs, body);
      for (let stage = 0; stage < share.marks.length; stage++)
        this.#marks.raise(stage, share.from, share.marks[stage]!);
    }
    this.#took(seq, told);
    for (let stage = 1; stage < this.#marks.stages; stage++) this.#raiseLimit(stage);
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
    this.#step++;
    this.#observe(wallMs);
    let fired = 0;
    for (let stage = 0; stage < this.#marks.stages; stage++) {
      for (const [to, name, atMs, body] of this.#local[stage]!.take())
        this.#message(to as ActorId, name, atMs, body);
      this.#raiseLimit(stage);
      const limitMs = this.#limits[stage]!;
      const queue = this.#timers[stage]!;
      while (fired < timersMax) {
        const due = queue.takeDue(limitMs, timersMax - fired);
        if (due === undefined) break;
        for (const { actor, name } of due.entries) this.#timer(actor, name, due.atMs);
        fired += due.entries.length;
      }
      const leftMs = queue.earliestMs ?? Number.POSITIVE_INFINITY;
      this.#due[stage] = leftMs <= limitMs;
      const closedMs = Math.min(limitMs, leftMs - 1);
      if (closedMs > this.#closed[stage]!) {
        this.#closed[stage] = closedMs;
        this.#closedMoved = true;
      }
      this.#giveMark(stage);
    }
    return fired;
  }

  /**
   * The commit of all steps since the last one; undefined when nothing happened.
   * @param handedTo the node that may take the partition after this commit, which is then made in any case
   */
  takeCommit(handedTo?: string): Commit | undefined {
    const last = this.#marks.stages - 1;
    const worldHears =
      this.#rows.count > 0 ||
      this.#sides.length > 0 ||
      this.#shown.count > 0 ||
      (this.#closedMoved && this.#marksMoved);
    const changed =
      this.#inputsTold > 0 ||
      this.#actors.dirtyCount > 0 ||
      this.#marksMoved ||
      this.#baseMoved ||
      worldHears;
    if (!changed && handedTo === undefined && !this.#isPositionDue()) return undefined;
    const { partition, partitions, writer } = this.#config;
    const number = ++this.#commit;
    const mail = this.#remote.takeByPartition(partitions);
    const commit: Commit = {
      partition,
      number,
      entry: {
        control: {
          writer,
          commit: number,
          inputSeq: this.#inputSeq,
          watermarkMs: this.#watermarkMs,
          producers: new Map([...this.#producers.producers].map(([id, p]) => [id, { ...p }])),
          marks: [...this.#marks.marks],
          closed: [...this.#closed],
          counters: new Map(this.#counters),
          wallMs: this.#wallMs,
          epoch: this.#epoch,
          handedTo,
          base: this.#base,
        },
        changes: this.#actors.takeChanges(number),
      },
      mail,
      marks: this.#marksMoved
        ? Array.from({ length: last + 1 }, (_, stage) => this.#marks.get(stage, partition))
        : undefined,
      rows: this.#rows.count,
      blocks: this.#rows.take(),
      sides: this.#sides,
      shown: this.#shown.take(),
      progress: worldHears ? this.#progress(number) : undefined,
    };
    this.#sides = [];
    this.#inputsTaken = 0;
    this.#inputsTold = 0;
    this.#committedWallMs = this.#wallMs;
    this.#marksMoved = false;
    this.#closedMoved = false;
    this.#baseMoved = false;
    return commit;
  }

  /** The base snapshot that recovery may begin with from the next commit on. */
  setBase(base: BasePointer): void {
    this.#base = base;
    this.#baseMoved = true;
  }

  /** Lets idle actors go, and over the limit any that the snapshot already has (P5, P8). */
  passivate(options: { snapshotCommit: number; idleSteps: number; residentMax: number }): void {
    const over = this.#actors.size > options.residentMax;
    this.#actors.passivate({
      untouchedSince: over ? this.#step : this.#step - options.idleSteps,
      snapshotCommit: options.snapshotCommit,
      maxVisits: over ? this.#actors.size : SWEEP_VISITS,
    });
  }

  /** An actor as it is now, resident or stored; undefined when nothing is known of it. */
  look(id: ActorId): ActorView | undefined {
    return this.#actors.look(id, { partition: this.#config.partition, nextCommit: this.#commit + 1 });
  }

  /** The producer that holds back this partition's watermark. */
  holder(wallMs: number): string | undefined {
    return this.#producers.holder(wallMs);
  }

  /** Moves stage 0's limit with the watermark that producers and the clock allow. */
  #observe(wallMs: number): void {
    this.#wallMs = wallMs;
    const watermarkMs = this.#producers.watermarkMs(wallMs);
    if (watermarkMs === undefined || watermarkMs <= this.#watermarkMs) return;
    this.#watermarkMs = watermarkMs;
    this.#raiseLimit(0);
  }

  #raiseLimit(stage: number): void {
    const limitMs = stage === 0 ? this.#watermarkMs : this.#marks.limitMs(stage);
    if (limitMs > this.#limits[stage]!) this.#limits[stage] = limitMs;
    this.#due[stage] = (this.#timers[stage]!.earliestMs ?? Number.POSITIVE_INFINITY) <= this.#limits[stage]!;
  }

  #took(seq: number, told: boolean): void {
    this.#inputSeq = seq;
    this.#inputsTaken++;
    if (told) this.#inputsTold++;
  }

  /**
   * Whether to commit for the sake of the input position alone: inputs that only say how far time is are read again after a
   * crash, and say the same. An idle region then writes a few commits a minute.
   */
  #isPositionDue(): boolean {
    if (this.#inputsTaken === 0) return false;
    const silentMs = this.#wallMs - this.#committedWallMs;
    return this.#inputsTaken >= POSITION_INPUTS_MAX || silentMs >= POSITION_MS || silentMs < 0;
  }

  #event(event: ActorEvent): void {
    if (event.type === 'refused') {
      const refused = event as RefusedEvent;
      this.#sides.push({
        kind: 'dead',
        type: refused.claimed,
        body: { reason: refused.reason, message: refused.message, ts: refused.ts, body: refused.body },
      });
      this.#dispatch.count(`refused.${refused.reason}`, 1);
      return;
    }
    const route = this.#config.registry.routes.get(event.type);
    if (route === undefined) {
      this.#dispatch.count('unrouted', 1);
      return;
    }
    const actor = this.#activate(actorId(route.type.behaviour.type, event[route.keyField] as string));
    if (event.id !== undefined && this.#isDuplicate(actor, event.id, event.ts)) return;
    this.#catchUp(actor);
    this.#dispatch.event(actor, event);
  }

  /** Events with an id take effect once within the duplicate window, per entity. */
  #isDuplicate(actor: Resident, id: string, ts: number): boolean {
    const seen = (actor.seen ??= new Map<string, number>());
    if (seen.has(id)) {
      this.#dispatch.count('duplicates', 1);
      return true;
    }
    const horizonMs = this.#watermarkMs - this.#config.duplicateWindowMs;
    for (const [old, oldTs] of seen) if (oldTs < horizonMs) seen.delete(old);
    seen.set(id, ts);
    return false;
  }

  #message(to: ActorId, name: string, atMs: number, body: unknown): void {
    const actor = this.#activate(to);
    this.#catchUp(actor);
    this.#dispatch.message(actor, name, atMs, body);
  }

  /** Fires what is due of an actor before it takes anything else, while its stage is still closing. */
  #catchUp(actor: Resident): void {
    const { stage } = actor.type;
    if (!this.#due[stage] || actor.timers === undefined) return;
    for (;;) {
      let first: [name: string, atMs: number] | undefined;
      for (const timer of actor.timers ?? [])
        if (timer[1] <= this.#limits[stage]! && (first === undefined || timer[1] < first[1])) first = timer;
      if (first === undefined) break;
      this.#dispatch.timer(actor, ...first);
    }
    revive(actor);
  }

  #timer(actorOrId: Resident | ActorId, name: string, atMs: number): void {
    const actor =
      typeof actorOrId === 'string' || !actorOrId.resident
        ? this.#activate(typeof actorOrId === 'string' ? actorOrId : actorOrId.id)
        : actorOrId;
    actor.touchedIn = this.#step;
    if (actor.timers?.get(name) === atMs) this.#dispatch.timer(actor, name, atMs);
  }

  #activate(id: ActorId): Resident {
    const actor = this.#actors.activate(id, this.#step);
    revive(actor);
    return actor;
  }

  #giveMark(stage: number): void {
    const { paneMs, partition } = this.#config;
    const markMs = Math.floor(this.#closed[stage]! / paneMs) * paneMs;
    if (markMs <= this.#marks.get(stage, partition)) return;
    this.#marks.raise(stage, partition, markMs);
    this.#marksMoved = true;
  }

  #progress(commit: number): Progress {
    return {
      partition: this.#config.partition,
      commit,
      watermarkMs: this.#watermarkMs,
      closed: [...this.#closed],
      latestTimerMs: Math.max(0, ...this.#timers.map((queue) => queue.latestMs ?? 0)),
      counters: Object.fromEntries(this.#counters),
    };
  }
}

/** An actor that was forgotten in this step and is addressed again begins anew. */
function revive(actor: Resident): void {
  if (!actor.forgotten) return;
  actor.forgotten = false;
  actor.state = actor.type.behaviour.state(actor.key);
}
