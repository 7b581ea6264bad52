/**
 * A partition that this node owns: the pure core with its reader, how far it is committed, and what is waiting. Takes
 * input into the core; when to step and what to commit is the node's.
 */
import type { Clock } from '../core/clock.js';
import type { ActorId } from '../core/ids.js';
import type { LogMessage, LogReader } from '../log/log.js';
import { isEventSubject } from '../log/subjects.js';
import type { Control } from '../partition/journal.js';
import type { Partition } from '../partition/partition.js';
import type { ActorView, NodeStats, PartitionStatus, QuarantinedActor } from './status.js';

/** How far input is taken in one turn. */
export interface TakeUntil {
  /** By the monotonic clock, ms. */
  readonly monotonicMs: number;
  /** Event time, ms UTC. */
  readonly eventMs: number;
}

export interface TakeLimits {
  /** Input bytes a partition takes in one turn. */
  readonly turnBytes: number;
  /** Events a partition may have taken and not committed. */
  readonly uncommittedEventsMax: number;
}

interface Waiter {
  readonly commit: number;
  resolve(): void;
  reject(error: Error): void;
}

export class OwnedPartition {
  readonly partition: Partition;
  readonly reader: LogReader;
  uncommittedEvents = 0;
  readonly #clock: Clock;
  /** Taken from the reader, and to be accepted when the partition has caught up with its timers. */
  #waiting: LogMessage[] = [];
  #accepting = false;
  #committed: Control | undefined;
  #journalSeq: number;
  #waiters: Waiter[] = [];

  constructor(parts: {
    partition: Partition;
    reader: LogReader;
    clock: Clock;
    committed: Control | undefined;
    journalSeq: number;
  }) {
    this.partition = parts.partition;
    this.reader = parts.reader;
    this.#clock = parts.clock;
    this.#committed = parts.committed;
    this.#journalSeq = parts.journalSeq;
  }

  /** Control record of the last commit that was acknowledged. */
  get committed(): Control | undefined {
    return this.#committed;
  }

  get lagMessages(): number {
    return this.reader.pending + this.reader.bufferedMessages + this.#waiting.length;
  }

  /** Looks what has come, for `accept`, within limits. True when there is something that may be accepted now. */
  fetch(limits: TakeLimits): boolean {
    if (this.reader.failure !== undefined) throw this.reader.failure;
    this.#accepting = this.uncommittedEvents < limits.uncommittedEventsMax && !this.partition.backlogged;
    if (this.#accepting && this.#waiting.length === 0) this.#waiting = this.reader.take(limits.turnBytes);
    return this.hasInput;
  }

  /** There is input that was fetched and may be taken now. */
  get hasInput(): boolean {
    return this.#accepting && this.#waiting.length > 0;
  }

  /**
   * Has the partition take what was fetched up to an event time, the first message whatever the clock says: nothing but
   * operations of the partition, for it may be broken off.
   */
  accept(wallMs: number, { monotonicMs, eventMs }: TakeUntil, stats: NodeStats): void {
    const { partition } = this;
    if (!this.#accepting) return;
    for (const { subject, seq, payload, storedAtMs } of this.#waiting) {
      if (partition.watermarkMs >= eventMs) break;
      if (isEventSubject(subject)) {
        const events = partition.acceptEvents(payload, seq, wallMs, storedAtMs);
        this.uncommittedEvents += events;
        stats.events += events;
        stats.frames++;
      } else {
        partition.acceptMail(payload, seq);
        stats.mailFrames++;
      }
      if (partition.backlogged || this.#clock.monotonic() >= monotonicMs) break;
    }
  }

  /** Lets go of what the partition has taken since it was fetched. Gives the number of messages. */
  settleInput(): number {
    this.#accepting = false;
    const rest = this.#waiting.findIndex(({ seq }) => seq > this.partition.inputSeq);
    const taken = rest === -1 ? this.#waiting.length : rest;
    this.#waiting = this.#waiting.slice(taken);
    return taken;
  }

  acknowledged(control: Control, journalSeq: number): void {
    this.#committed = control;
    this.#journalSeq = journalSeq;
    if (this.#waiters.length === 0) return;
    const waiting = this.#waiters;
    this.#waiters = waiting.filter(({ commit }) => commit > control.commit);
    for (const waiter of waiting) if (waiter.commit <= control.commit) waiter.resolve();
  }

  /** An actor as it is now, told when the commit that it is as of was acknowledged (P4). */
  async inspect(id: ActorId): Promise<ActorView | undefined> {
    const view = this.partition.look(id);
    if (view === undefined) return undefined;
    const committed = this.#committed?.commit ?? 0;
    if (view.commit > committed) {
      await new Promise<void>((resolve, reject) => {
        this.#waiters.push({ commit: view.commit, resolve, reject });
      });
    }
    return { ...view, commit: Math.max(view.commit, committed) };
  }

  /** Actors in quarantine, as far as their commit was acknowledged (P4). */
  *quarantined(): Iterable<QuarantinedActor> {
    const committed = this.#committed?.commit ?? 0;
    for (const actor of this.partition.quarantined) if (actor.commit <= committed) yield actor;
  }

  status(): PartitionStatus {
    const { partition } = this;
    const control = this.#committed;
    return {
      partition: partition.partition,
      watermarkMs: partition.watermarkMs,
      closedMs: control?.closed ?? partition.closedMs.map(() => 0),
      holder: partition.holder(this.#clock.now()),
      silent: partition.silent(this.#clock.now()),
      commit: control?.commit ?? 0,
      committedAtMs: control?.wallMs,
      epoch: control?.epoch ?? 0,
      base: control?.base,
      inputSeq: control?.inputSeq ?? 0,
      journalSeq: this.#journalSeq,
      lagMessages: this.lagMessages,
      quarantined: partition.quarantinedCount,
      residentActors: partition.resident,
      activations: partition.activations,
      passivations: partition.passivations,
    };
  }

  /** Lets go: whoever waits for a commit hears that it will not come. */
  async close(reason: Error): Promise<void> {
    for (const waiter of this.#waiters.splice(0)) waiter.reject(reason);
    await this.reader.close();
  }
}
