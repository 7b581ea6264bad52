/**
 * Keeps the base snapshots of the partitions that a node owns: makes them one at a time while the partitions go on, has
 * their owner name them in the journal, and cleans up behind a name once it is committed. A failure is told and tried
 * again: nothing is lost by it but disk space.
 */
import { sleep, type Clock } from '../../core/clock.js';
import { messageOf } from '../../core/errors.js';
import { silent, type Logger } from '../../core/logger.js';
import type { Log } from '../../log/log.js';
import type { ObjectStore } from '../../log/objects.js';
import type { Subjects } from '../../log/subjects.js';
import type { BasePointer, Control } from '../../partition/journal.js';
import type { SnapshotStore } from '../../state/store.js';
import { clean, ORPHAN_MS } from './base-cleaner.js';
import { makeBase } from './base-maker.js';
import { dueForBase, isOverBudget, isOverdue, type BaseFacts } from './base-schedule.js';

export interface BaseKeeperOptions {
  readonly log: Log;
  readonly subjects: Subjects;
  readonly store: SnapshotStore;
  readonly objects: ObjectStore;
  readonly clock: Clock;
  readonly partitions: number;
  /** A name that no two processes share. */
  readonly instance: string;
  /** A partition gets a base at least so often, ms. */
  readonly everyMs: number;
  /** Bytes that the journals of all partitions may have since their bases. */
  readonly journalBytesMax: number;
  /** Bases of each partition that stay, the newest included. */
  readonly keep: number;
  readonly logger?: Logger;
}

/** What is owned now, and as of which commit that was acknowledged. */
export interface OwnedForBase {
  readonly control: Control | undefined;
  readonly journalSeq: number;
  readonly epoch: number;
}

export type SetBase = (partition: number, pointer: BasePointer) => void;

export interface BaseStatus {
  readonly base: BasePointer | undefined;
  /** Since the last base was made, ms; since the partition was first owned here while it has none. */
  readonly ageMs: number;
  /** Bytes committed here since the base. */
  readonly journalBytes: number;
  readonly making: boolean;
  /** Its base is much older than it should be. */
  readonly overdue: boolean;
  /** Its journal since the base has outgrown its share of `journalBytesMax`. */
  readonly journalOverBudget: boolean;
  /** Why the last attempt failed; undefined once one has succeeded. */
  readonly failure: string | undefined;
}

interface Tracked {
  base: BasePointer | undefined;
  epoch: number;
  /** Monotonic time from which its age counts. */
  sinceMs: number;
  journalBytes: number;
  /** Bytes that the base being made, or waiting for its commit, does not hold. */
  bytesAfter: number;
  /** Monotonic time before which it is not tried again. */
  notBeforeMs: number;
  waiting: BasePointer | undefined;
  failure: string | undefined;
}

/** So often it is looked whether anything is due. */
const LOOK_MS = 1_000;
const AGAIN_MS = 30_000;
const SWEEP_MS = 3_600_000;

export class BaseKeeper {
  readonly #options: BaseKeeperOptions;
  readonly #tracked = new Map<number, Tracked>();
  readonly #logger: Logger;
  #setBase: SetBase = () => undefined;
  #nextLookMs = Number.NEGATIVE_INFINITY;
  #nextSweepMs: number;
  #making: number | undefined;
  /** What is under way, one after the other. */
  #work: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(options: BaseKeeperOptions) {
    this.#options = options;
    this.#logger = options.logger ?? silent;
    this.#nextSweepMs = options.clock.monotonic() + SWEEP_MS;
  }

  /** Called each turn: looks now and then whether a base is due, and begins to make it. Cheap. */
  tend(owned: ReadonlyMap<number, OwnedForBase>, setBase: SetBase): void {
    this.#setBase = setBase;
    const nowMs = this.#options.clock.monotonic();
    if (this.#stopped || nowMs < this.#nextLookMs) return;
    this.#nextLookMs = nowMs + LOOK_MS;
    this.#follow(owned, nowMs);
    if (this.#making !== undefined) return;
    const facts = [...this.#tracked].map(([partition, tracked]) => this.#factsOf(partition, tracked, nowMs));
    const due = dueForBase(facts, this.#options);
    if (due !== undefined) this.#begin(due);
    else if (nowMs >= this.#nextSweepMs) this.#sweep(nowMs);
  }

  /**
   * A commit of an owned partition was acknowledged.
   * @param bytes of its journal entry
   */
  committed(partition: number, control: Control, bytes = 0): void {
    const tracked = this.#tracked.get(partition);
    if (tracked === undefined) return;
    tracked.journalBytes += bytes;
    tracked.bytesAfter += bytes;
    const { base } = control;
    if (base === undefined || base.name === tracked.base?.name) return;
    tracked.base = base;
    tracked.waiting = undefined;
    tracked.journalBytes = tracked.bytesAfter;
    tracked.sinceMs = this.#options.clock.monotonic();
    this.#enqueue(() => this.#clean(partition, base));
  }

  /** What there is to tell of an owned partition. */
  status(partition: number): BaseStatus {
    const tracked = this.#tracked.get(partition);
    if (tracked === undefined) return NOTHING;
    const facts = this.#factsOf(partition, tracked, this.#options.clock.monotonic());
    return {
      base: tracked.base,
      ageMs: facts.ageMs,
      journalBytes: facts.journalBytes,
      making: this.#making === partition,
      overdue: isOverdue(facts, this.#options),
      journalOverBudget: isOverBudget(facts, this.#options),
      failure: tracked.failure,
    };
  }

  /** Begins nothing more; resolves when what was under way has ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#work;
  }

  #follow(owned: ReadonlyMap<number, OwnedForBase>, nowMs: number): void {
    for (const [partition, tracked] of this.#tracked)
      if (owned.get(partition)?.epoch !== tracked.epoch) this.#tracked.delete(partition);
    for (const [partition, { control, epoch }] of owned) {
      if (this.#tracked.has(partition)) continue;
      this.#tracked.set(partition, {
        base: control?.base,
        epoch,
        sinceMs: nowMs - this.#ageOf(control?.base),
        journalBytes: 0,
        bytesAfter: 0,
        notBeforeMs: nowMs,
        waiting: undefined,
        failure: undefined,
      });
    }
  }

  /** By the wall clock, which may have jumped since: never negative, and never more than makes it due. */
  #ageOf(base: BasePointer | undefined): number {
    if (base === undefined) return 0;
    return Math.min(Math.max(0, this.#options.clock.now() - base.madeAtMs), this.#options.everyMs);
  }

  #factsOf(partition: number, tracked: Tracked, nowMs: number): BaseFacts {
    return {
      partition,
      ageMs: nowMs - tracked.sinceMs,
      hasBase: tracked.base !== undefined,
      journalBytes: tracked.journalBytes,
      waitMs: tracked.waiting === undefined ? tracked.notBeforeMs - nowMs : Number.POSITIVE_INFINITY,
    };
  }

  #begin(partition: number): void {
    this.#making = partition;
    this.#enqueue(async () => {
      try {
        await this.#make(partition);
      } finally {
        this.#making = undefined;
      }
    });
  }

  async #make(partition: number): Promise<void> {
    const { store, objects, clock, subjects, partitions, instance } = this.#options;
    const tracked = this.#tracked.get(partition);
    if (tracked === undefined || this.#stopped) return;
    const { epoch } = tracked;
    const unwanted = (): boolean => this.#stopped || this.#tracked.get(partition) !== tracked;
    const place = { region: subjects.region, partitions, partition, epoch, instance };
    try {
      tracked.bytesAfter = 0;
      const pointer = await makeBase({ store, objects, clock, ...place, unwanted });
      // Lost meanwhile: nobody names it, and the next owner removes it.
      if (unwanted()) return;
      tracked.failure = undefined;
      if (pointer === undefined || pointer.journalSeq <= (tracked.base?.journalSeq ?? -1)) {
        // Nothing was committed since the last one.
        tracked.sinceMs = clock.monotonic();
        tracked.notBeforeMs = clock.monotonic() + AGAIN_MS;
        return;
      }
      tracked.waiting = pointer;
      this.#setBase(partition, pointer);
    } catch (error) {
      if (unwanted()) return;
      tracked.failure = messageOf(error);
      tracked.notBeforeMs = clock.monotonic() + AGAIN_MS;
      this.#logger.warn(
        { partition, err: error },
        'a base snapshot could not be made now, and is tried again',
      );
    }
  }

  async #clean(partition: number, pointer: BasePointer): Promise<void> {
    try {
      await clean(partition, pointer, this.#options);
    } catch (error) {
      this.#logger.warn({ partition, err: error }, 'what a base snapshot replaces could not be removed now');
    }
  }

  #sweep(nowMs: number): void {
    this.#nextSweepMs = nowMs + SWEEP_MS;
    this.#enqueue(async () => {
      try {
        await this.#options.objects.sweep?.(ORPHAN_MS);
      } catch (error) {
        this.#logger.warn({ err: error }, 'what broken uploads have left could not be removed now');
      }
    });
  }

  #enqueue(work: () => Promise<void>): void {
    // A turn of its own: whoever called goes on first.
    this.#work = this.#work.then(() => sleep(this.#options.clock, 0)).then(work);
  }
}

const NOTHING: BaseStatus = {
  base: undefined,
  ageMs: 0,
  journalBytes: 0,
  making: false,
  overdue: false,
  journalOverBudget: false,
  failure: undefined,
};
