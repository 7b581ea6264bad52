/**
 * Writes acknowledged commits to the snapshots, behind the journal (P5). Coalesces: while a round is being written, later
 * commits gather, and an actor that changed often is written once. One partition after the other, so that whoever waits for
 * something else waits for a few ms. Bounded: `full` tells the node to wait (P8).
 */
import type { Changes } from '../partition/changes.js';
import { encodeControl, type Control } from '../partition/journal.js';
import type { Clock } from '../core/clock.js';
import { errorOf, GroundswellError } from '../core/errors.js';
import type { SnapshotStore } from '../state/store.js';
import type { Committed } from './group-commit.js';
import type { NodeObserver } from './status.js';

interface Pending {
  journalSeq: number;
  control: Control;
  /** Of each commit, one after the other, oldest first. */
  readonly commits: Changes[];
  /** Changes that were added, those of one actor counted each time. */
  added: number;
}

export interface SnapshotterOptions {
  readonly store: SnapshotStore;
  /** Changed actors that may wait to be written, those being written included. With half of them a round begins. */
  readonly pendingActorsMax: number;
  readonly clock: Clock;
  /** At least so long between two rounds, unless much waits: an actor that changes often is written once. */
  readonly pauseMs: number;
  readonly observer?: Pick<NodeObserver, 'snapshotWritten'>;
  /** Called when a partition is written, or could not be. */
  onProgress(): void;
}

/** A pause takes so many times what the round before it took: the less others have of disk and processor, the fewer rounds. */
const PAUSE_PER_ROUND = 2;

export class Snapshotter {
  readonly #options: SnapshotterOptions;
  #pending = new Map<number, Pending>();
  #pendingActors = 0;
  /** Of the round that is under way, those that are not written. */
  #writingActors = 0;
  #writing: Promise<void> | undefined;
  /** Ends the pause between two rounds; undefined while there is none. */
  #endPause: (() => void) | undefined;
  #flushing = false;
  readonly #writtenCommit = new Map<number, number>();
  failure: Error | undefined;

  constructor(options: SnapshotterOptions) {
    this.#options = options;
  }

  /** Changed actors that wait to be written, or are being written. */
  get pendingActors(): number {
    return this.#pendingActors + this.#writingActors;
  }

  get full(): boolean {
    return this.pendingActors >= this.#options.pendingActorsMax;
  }

  /** Number of the last commit of a partition that the snapshot holds. */
  writtenCommit(partition: number): number {
    return this.#writtenCommit.get(partition) ?? 0;
  }

  /** Says what the snapshot holds after a recovery. */
  track(partition: number, commit: number): void {
    this.#writtenCommit.set(partition, commit);
  }

  /**
   * Lets go of a partition that is not ours any more: what waits is dropped, since the journal has it. Resolves when no
   * write of it is under way.
   */
  async forget(partition: number): Promise<void> {
    this.#pendingActors -= this.#pending.get(partition)?.added ?? 0;
    this.#pending.delete(partition);
    this.#writtenCommit.delete(partition);
    await this.#writing;
    this.#writtenCommit.delete(partition);
  }

  add(committed: readonly Committed[]): void {
    for (const { partition, encoded, journalSeq } of committed) {
      const { control, changes } = encoded.commit.entry;
      let pending = this.#pending.get(partition);
      if (pending === undefined) {
        pending = { journalSeq, control, commits: [], added: 0 };
        this.#pending.set(partition, pending);
      }
      const { commits } = pending;
      if (commits.length > 0 && control.commit !== pending.control.commit + 1)
        throw notNext(partition, control);
      pending.journalSeq = journalSeq;
      pending.control = control;
      changes.replaceIn(commits);
      commits.push(changes);
      pending.added += changes.length;
      this.#pendingActors += changes.length;
    }
    this.#start();
  }

  /** Resolves when all that was added is written. */
  async flush(): Promise<void> {
    this.#flushing = true;
    this.#endPause?.();
    this.#endPause = undefined;
    this.#start();
    while (this.#writing !== undefined) await this.#writing;
    this.#flushing = false;
    if (this.failure !== undefined) throw this.failure;
  }

  /** Lets go of what waits, for the journal has it. Resolves when nothing is being written. */
  async stop(): Promise<void> {
    this.#pending = new Map();
    this.#pendingActors = 0;
    this.#flushing = true;
    this.#endPause?.();
    this.#endPause = undefined;
    await this.#writing;
  }

  #start(): void {
    if (this.#writing !== undefined || this.#pending.size === 0 || this.failure !== undefined) return;
    const much = this.#pendingActors >= this.#options.pendingActorsMax / 2;
    if (this.#endPause !== undefined && !much && !this.#flushing) return;
    const pending = this.#pending;
    const actors = this.#pendingActors;
    const startedMs = this.#options.clock.monotonic();
    this.#pending = new Map();
    this.#pendingActors = 0;
    this.#writingActors = actors;
    this.#writing = this.#write(pending).then(
      () => {
        this.#writing = undefined;
        const tookMs = this.#options.clock.monotonic() - startedMs;
        this.#options.observer?.snapshotWritten({ actors, seconds: tookMs / 1000 });
        this.#pause(tookMs);
        this.#start();
        this.#options.onProgress();
      },
      (error: unknown) => {
        this.failure = errorOf(error);
        this.#writing = undefined;
        this.#options.onProgress();
      },
    );
  }

  async #write(pending: ReadonlyMap<number, Pending>): Promise<void> {
    for (const [partition, { journalSeq, control, commits, added }] of pending) {
      await this.#options.store.write([{ partition, journalSeq, control: encodeControl(control), commits }]);
      this.#writtenCommit.set(partition, control.commit);
      this.#writingActors -= added;
      this.#options.onProgress();
    }
  }

  #pause(tookMs: number): void {
    const { clock, pauseMs } = this.#options;
    if (pauseMs === 0 || this.#endPause !== undefined || this.#flushing) return;
    this.#endPause = clock.after(Math.max(pauseMs, PAUSE_PER_ROUND * tookMs), () => {
      this.#endPause = undefined;
      this.#start();
    });
  }
}

function notNext(partition: number, { commit }: Control): GroundswellError {
  return new GroundswellError(
    'GS_INTERNAL',
    `Commit ${commit} of partition ${partition} does not follow the one before it.`,
  );
}
