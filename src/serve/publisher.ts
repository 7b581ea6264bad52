/**
 * Publishes what partitions said to the world: one message per row on the aggregate subjects, surge multipliers on
 * theirs, late and dead events on the side subjects. Each target stream has a cursor per partition, written in the
 * same atomic batch as the messages and compared-and-set: every output goes out once, whatever crashes (P3), and only
 * what was committed is ever read here (P4).
 */
import type { Clock } from '../core/clock.js';
import { sleep } from '../core/clock.js';
import { GroundswellError } from '../core/errors.js';
import type { Log, LogEntry, LogMessage } from '../log/log.js';
import type { Subjects } from '../log/subjects.js';
import { decodeOutput, type OutputFrame } from '../partition/output.js';
import { rowsOf } from '../partition/row-block.js';
import type { OwnOutputs, PartitionOutputs } from './own-outputs.js';
import { renderRows } from './row-json.js';
import { surgeOf } from './row-schema.js';

/** Where one kind of output goes: a stream, a cursor, and the messages of a frame. */
export interface PublishTarget {
  readonly log: Log;
  cursor(partition: number): string;
  messagesOf(frame: OutputFrame): LogEntry[];
}

const encoder = new TextEncoder();
const json = (value: unknown): Uint8Array => encoder.encode(JSON.stringify(value));

export function aggregateTarget(log: Log, subjects: Subjects): PublishTarget {
  return {
    log,
    cursor: (partition) => subjects.aggregateCursor(partition),
    messagesOf(frame) {
      const messages: LogEntry[] = [];
      for (const block of frame.blocks) {
        const { level, window } = block.kind;
        renderRows(block, 0, (text, key) => {
          messages.push({ subject: subjects.aggregate(window, level, key), payload: encoder.encode(text) });
        });
      }
      for (const row of rowsOf(frame.blocks.filter(({ kind }) => kind.model !== null))) {
        const surge = surgeOf(row);
        if (surge !== undefined) messages.push({ subject: subjects.surge(row.key), payload: json(surge) });
      }
      return messages;
    },
  };
}

export function sideTarget(log: Log, subjects: Subjects): PublishTarget {
  return {
    log,
    cursor: (partition) => subjects.sideCursor(partition),
    messagesOf: (frame) =>
      frame.sides.map(({ kind, type, body }) => ({
        subject: subjects.side(kind, type),
        payload: json(body),
      })),
  };
}

/** Position in a partition's outputs: the frame being published, and how many of its messages are out. */
interface Cursor {
  seq: number;
  messages: number;
}

export interface PublisherOptions {
  readonly outputs: OwnOutputs;
  readonly target: PublishTarget;
  readonly subjects: Subjects;
  readonly partition: number;
  readonly clock: Clock;
}

const TAKE_BYTES = 512 * 1024;
const RETRY_MS = 250;

/** Publishes the outputs of one partition to one target. */
export class Publisher {
  readonly #options: PublisherOptions;
  #reader: PartitionOutputs | undefined;
  #cursor: Cursor = { seq: 0, messages: 0 };
  #cursorSeq = 0;
  #running: Promise<void> = Promise.resolve();
  #stopping = false;
  #gaveUp = false;
  /** Sequence of the last output looked at, and of the one after which a stop may end the loop. */
  #readThrough = 0;
  #stopAfter = 0;
  #wake: () => void = () => undefined;
  published = 0;

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    await this.#loadCursor();
    await this.#open();
    this.#running = this.#loop();
    this.#running.catch(() => undefined);
  }

  /** Reads on from the cursor. */
  async #open(): Promise<void> {
    const { outputs, subjects, partition } = this.#options;
    await this.#reader?.close();
    this.#readThrough = this.publishedThrough;
    const from = this.#cursor.messages > 0 ? this.#cursor.seq : this.#cursor.seq + 1;
    this.#reader = await outputs.read(subjects.out(partition), from, () => {
      this.#wake();
    });
  }

  /** Rejects with what made it fail; resolves when stopped. */
  get finished(): Promise<void> {
    return this.#running;
  }

  /** Publishes what is committed by now, then ends. */
  async stop(): Promise<void> {
    try {
      this.#stopAfter = (await this.#reader?.lastSeq()) ?? 0;
    } finally {
      this.#stopping = true;
      this.#wake();
      await this.#running.finally(() => this.#reader?.close());
    }
  }

  get partition(): number {
    return this.#options.partition;
  }

  /** Outputs in the stream that were not looked at yet. */
  get lagMessages(): number {
    const { pending = 0, bufferedMessages = 0 } = this.#reader ?? {};
    return pending + bufferedMessages;
  }

  /** Sequence in the engine's stream up to which all outputs of this partition are out. */
  get publishedThrough(): number {
    return this.#cursor.messages > 0 ? this.#cursor.seq - 1 : this.#cursor.seq;
  }

  async #loop(): Promise<void> {
    while (!this.#stopping || this.#readThrough < this.#stopAfter) {
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      const reader = this.#reader!;
      const messages = reader.take(TAKE_BYTES);
      if (reader.failure !== undefined) throw reader.failure;
      if (messages.length === 0) await woken;
      else if (!(await this.#publishAll(messages))) {
        // What could not be published is the next one's to do: nothing that comes behind it may go out before.
        if (this.#gaveUp) return;
        await this.#open();
      }
    }
  }

  /** False when another publisher has come further meanwhile, and ours then goes on from there; or when it gave up. */
  async #publishAll(messages: readonly LogMessage[]): Promise<boolean> {
    let entries: LogEntry[] = [];
    for (const { seq, payload } of messages) {
      const all = this.#options.target.messagesOf(decodeOutput(payload));
      const outBefore = seq === this.#cursor.seq ? this.#cursor.messages : 0;
      for (let i = outBefore; i < all.length; i++) {
        entries.push(all[i]!);
        if (entries.length < this.#options.target.log.batchEntriesMax - 1) continue;
        const cursor = i + 1 < all.length ? { seq, messages: i + 1 } : { seq, messages: 0 };
        if (!(await this.#publish(entries, cursor))) return false;
        entries = [];
      }
    }
    // Frames are gathered into one batch; its cursor stands behind the last of them.
    const lastSeq = messages.at(-1)!.seq;
    if (entries.length > 0 && !(await this.#publish(entries, { seq: lastSeq, messages: 0 }))) return false;
    this.#readThrough = lastSeq;
    return true;
  }

  /** False when the cursor is not where this publisher left it, or it gave up: it is stopped, and the target takes nothing now. */
  async #publish(entries: readonly LogEntry[], cursor: Cursor): Promise<boolean> {
    const { target, partition, clock } = this.#options;
    const payload = json(cursor);
    for (;;) {
      const subject = target.cursor(partition);
      const outcome = await target.log.append([
        { subject, payload, expectLastSeq: this.#cursorSeq },
        ...entries,
      ]);
      if (outcome.outcome === 'committed') {
        this.#cursor = cursor;
        this.#cursorSeq = outcome.firstSeq;
        this.published += entries.length;
        return true;
      }
      if (outcome.outcome === 'refused' && !outcome.retry) {
        throw new GroundswellError('GS_LOG', `Rows could not be published: ${outcome.cause}.`);
      }
      // Ours, somebody else's, or nothing? The cursor in the stream tells (P6).
      const before = this.#cursorSeq;
      await this.#loadCursor().catch(unlessPassing);
      if (this.#cursorSeq !== before) {
        // At the same place it may also be the partition's old owner's doing: the messages are out either way.
        const out = this.#cursor.seq === cursor.seq && this.#cursor.messages === cursor.messages;
        if (out) this.published += entries.length;
        return out;
      }
      if (this.#stopping) {
        this.#gaveUp = true;
        return false;
      }
      await sleep(clock, RETRY_MS);
    }
  }

  async #loadCursor(): Promise<void> {
    const { target, partition } = this.#options;
    const last = await target.log.last(target.cursor(partition));
    if (last === undefined) return;
    this.#cursorSeq = last.seq;
    this.#cursor = JSON.parse(new TextDecoder().decode(last.payload)) as Cursor;
  }
}

/** A log that does not answer now may do so later: then it is asked again. */
function unlessPassing(error: unknown): void {
  if (!(error instanceof GroundswellError) || error.code !== 'GS_LOG') throw error;
}
