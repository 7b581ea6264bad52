/**
 * Follows the journal of a partition into the local snapshot: how a partition comes back here after a start, how a
 * standby keeps near the owner, and how a successor gets ready. Applies whole entries only, in order, with none missing
 * (P5); what it holds that is not written yet is bounded (P8).
 */
import type { Clock } from '../core/clock.js';
import { errorOf, GroundswellError } from '../core/errors.js';
import type { ActorId } from '../core/ids.js';
import { Wakeup } from '../core/wakeup.js';
import type { Log, LogReader } from '../log/log.js';
import type { Subjects } from '../log/subjects.js';
import { Changes, type ActorChange } from '../partition/changes.js';
import {
  decodeControl,
  encodeControl,
  journalHead,
  JournalReader,
  type Control,
  type JournalEntry,
} from '../partition/journal.js';
import { decideRecovery } from '../partition/recovery.js';
import type { SnapshotStore } from '../state/store.js';

export interface FollowerOptions {
  readonly partition: number;
  readonly log: Log;
  readonly subjects: Subjects;
  readonly store: SnapshotStore;
  readonly clock: Clock;
  /**
   * Fills the store from the newest base snapshot: called when the journal begins after what the store holds. False when
   * there is none.
   */
  restore?(partition: number): Promise<boolean>;
  /** Called when it has come further, or failed. */
  onProgress?(follower: Follower): void;
}

interface Waiter {
  readonly seq: number;
  resolve(): void;
  reject(error: Error): void;
}

/** Changed actors are written to the snapshot in groups of about so many bytes (P8), or after so long. */
const WRITE_BYTES = 16 * 1024 * 1024;
const WRITE_EVERY_MS = 1_000;
const TAKE_BYTES = 4 * 1024 * 1024;
/** A base snapshot is restored so often, when each turns out to be too old already. */
const RESTORES_MAX = 3;
const IDLE_MS = 1_000;

export class Follower {
  readonly #options: FollowerOptions;
  readonly #reader: LogReader;
  readonly #wakeup: Wakeup;
  readonly #journal = new JournalReader();
  #control: Control | undefined;
  #journalSeq: number;
  #changes = new Map<ActorId, ActorChange>();
  #bytes = 0;
  #writtenSeq: number;
  #writtenAtMs: number;
  #waiters: Waiter[] = [];
  #closed = false;
  #closing: Promise<void> | undefined;
  #running: Promise<void> = Promise.resolve();
  entriesApplied = 0;
  failure: Error | undefined;

  /** @throws GroundswellError GS_STREAM_LOST when journal and snapshot do not fit together and no base snapshot helps */
  static async open(options: FollowerOptions): Promise<Follower> {
    const { partition, log, subjects, store } = options;
    const journal = subjects.journal(partition);
    await checkPosition(options);
    for (let restores = 0; await beginsLater(options); restores++) {
      // While one was restored its owner may have made newer ones, and let go of the journal behind it.
      const restored = restores < RESTORES_MAX && ((await options.restore?.(partition)) ?? false);
      if (!restored) {
        throw new GroundswellError(
          'GS_STREAM_LOST',
          `The journal of partition ${partition} begins after what is known here, and ${restores > 0 ? 'the base snapshot does not reach it' : 'there is no base snapshot'}: entries are missing.`,
        );
      }
    }
    const position = store.position(partition);
    const wakeup = new Wakeup(options.clock);
    const reader = await log.read(journal, (position?.journalSeq ?? 0) + 1, () => {
      wakeup.wake();
    });
    const follower = new Follower(options, { reader, wakeup, position });
    follower.#running = follower.#loop();
    return follower;
  }

  private constructor(
    options: FollowerOptions,
    at: { reader: LogReader; wakeup: Wakeup; position: ReturnType<SnapshotStore['position']> },
  ) {
    this.#options = options;
    this.#reader = at.reader;
    this.#wakeup = at.wakeup;
    this.#control = at.position === undefined ? undefined : decodeControl(at.position.control);
    this.#journalSeq = at.position?.journalSeq ?? 0;
    this.#writtenSeq = this.#journalSeq;
    this.#writtenAtMs = options.clock.monotonic();
  }

  get partition(): number {
    return this.#options.partition;
  }
  /** Control record of the last entry that was applied; undefined while the partition never committed. */
  get control(): Control | undefined {
    return this.#control;
  }
  /** Log sequence of the last journal message that was applied. */
  get journalSeq(): number {
    return this.#journalSeq;
  }
  /** Journal messages in the stream that were not applied yet. */
  get lagMessages(): number {
    return this.#reader.pending + this.#reader.bufferedMessages;
  }

  /** Resolves when all is applied that the journal holds now, as the stream's leader has it. */
  async catchUp(): Promise<void> {
    const { log, subjects, partition } = this.#options;
    const last = await log.last(subjects.journal(partition));
    await this.reach(last?.seq ?? 0);
  }

  /** Resolves when all is applied up to a message of the journal. */
  reach(seq: number): Promise<void> {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    if (this.#journalSeq >= seq) return Promise.resolve();
    return new Promise((resolve, reject) => this.#waiters.push({ seq, resolve, reject }));
  }

  /**
   * Writes what was applied to the snapshot, and stops following. The snapshot is then as of `journalSeq`. Whoever waits for
   * the partition does not wait until the server has heard that the reader is gone.
   */
  async finish(): Promise<void> {
    await this.#stop();
    this.#closing ??= this.#reader.close();
    this.#closing.catch(() => undefined);
    if (this.failure !== undefined) throw this.failure;
    await this.#write();
  }

  /** Stops following. What was not written yet is in the journal. */
  async close(): Promise<void> {
    await this.#stop();
    await (this.#closing ??= this.#reader.close());
  }

  async #stop(): Promise<void> {
    this.#closed = true;
    this.#wakeup.wake();
    await this.#running;
    this.#tellWaiters(new GroundswellError('GS_LOG', 'The follower has ended.'));
  }

  async #loop(): Promise<void> {
    const { clock } = this.#options;
    try {
      while (!this.#closed) {
        this.#wakeup.arm();
        const before = this.#journalSeq;
        const full = this.#takeSome();
        const due = clock.monotonic() - this.#writtenAtMs >= WRITE_EVERY_MS;
        if (this.#bytes >= WRITE_BYTES || (due && this.#journalSeq > this.#writtenSeq)) await this.#write();
        if (this.#journalSeq > before) {
          this.#tellWaiters();
          this.#options.onProgress?.(this);
        }
        if (!full) await this.#wakeup.wait(IDLE_MS);
      }
    } catch (error) {
      this.failure = await this.#failureOf(error);
      this.#tellWaiters(this.failure);
      this.#options.onProgress?.(this);
    }
  }

  /**
   * Entries that are missing went behind a base snapshot while they were read: whoever opens it anew begins with that. What
   * was applied is written first, so that it is then seen at once when there is none.
   */
  async #failureOf(error: unknown): Promise<Error> {
    const failure = errorOf(error);
    const missing = failure instanceof GroundswellError && failure.code === 'GS_STREAM_LOST';
    if (!missing || this.#reader.failure !== undefined) return failure;
    try {
      await this.#write();
    } catch (cause) {
      return errorOf(cause);
    }
    return new GroundswellError('GS_LOG', failure.message, { cause: failure });
  }

  /** Applies what has come, within a bound. True when there may be more. */
  #takeSome(): boolean {
    const messages = this.#reader.take(TAKE_BYTES);
    if (this.#reader.failure !== undefined) throw this.#reader.failure;
    for (const { seq, payload } of messages) {
      const entry = this.#journal.push(payload);
      if (entry !== undefined) this.#apply(entry, seq);
    }
    return messages.length > 0;
  }

  #apply({ control, changes }: JournalEntry, seq: number): void {
    const expected = (this.#control?.commit ?? 0) + 1;
    if (control.commit !== expected) {
      throw new GroundswellError(
        'GS_STREAM_LOST',
        `The journal of partition ${this.partition} goes from commit ${expected - 1} to ${control.commit}: entries are missing.`,
      );
    }
    this.#control = control;
    this.#journalSeq = seq;
    this.entriesApplied++;
    for (const change of changes) {
      this.#changes.set(change.id, change);
      this.#bytes += change.bytes?.byteLength ?? 0;
    }
  }

  async #write(): Promise<void> {
    this.#writtenAtMs = this.#options.clock.monotonic();
    if (this.#control === undefined || this.#journalSeq === this.#writtenSeq) return;
    const { partition, store } = this.#options;
    const journalSeq = this.#journalSeq;
    const commits = [Changes.of(this.#changes.values())];
    this.#changes = new Map();
    this.#bytes = 0;
    await store.write([{ partition, journalSeq, control: encodeControl(this.#control), commits }]);
    this.#writtenSeq = journalSeq;
  }

  #tellWaiters(failure?: Error): void {
    const waiting = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiting) {
      if (this.#journalSeq >= waiter.seq) waiter.resolve();
      else if (failure !== undefined) waiter.reject(failure);
      else this.#waiters.push(waiter);
    }
  }
}

async function checkPosition({ partition, log, subjects, store }: FollowerOptions): Promise<void> {
  const last = await log.last(subjects.journal(partition));
  const decision = decideRecovery({
    snapshot: store.position(partition),
    journal: last === undefined ? undefined : { lastSeq: last.seq },
  });
  if (decision.recover === 'impossible')
    throw new GroundswellError(
      'GS_STREAM_LOST',
      `Partition ${partition} cannot be recovered: ${decision.why}.`,
    );
}

/** Whether the journal's next message is not the entry that follows what the store holds. */
async function beginsLater({ partition, log, subjects, store }: FollowerOptions): Promise<boolean> {
  const position = store.position(partition);
  const next = await log.next(subjects.journal(partition), (position?.journalSeq ?? 0) + 1);
  if (next === undefined) return false;
  const { part, control } = journalHead(next.payload);
  const known = position === undefined ? 0 : decodeControl(position.control).commit;
  return part !== 0 || control?.commit !== known + 1;
}
