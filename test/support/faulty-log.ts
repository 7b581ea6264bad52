/**
 * A log between an engine and the memory log, with faults chosen per append, and with the engine's death: after `kill`
 * nothing of that engine reaches the log any more, and nothing of the log reaches it. The log itself lives on.
 */
import type { AppendOutcome, Log, LogEntry, LogMessage, LogReader } from '../../src/log/log.js';
import type { MemoryLog } from '../../src/log/memory/memory-log.js';

export type Fault =
  | 'none'
  /** Stored; the acknowledgement is lost. */
  | 'lose-ack'
  /** Lost on the way; nothing is stored. */
  | 'lose'
  /** No answer; stored only when the next append comes, just before it. */
  | 'delay'
  /** Refused for now. */
  | 'refuse'
  /** Refused for good. */
  | 'refuse-for-good'
  /** The engine dies before the log has it. */
  | 'die-before'
  /** The log has it; the engine dies before it hears so. */
  | 'die-after';

export interface FaultyLogOptions {
  /** The fault of the n-th append, counted from 0. */
  fault?(n: number, entries: readonly LogEntry[]): Fault;
  /** Awaited before an append is handed on. */
  before?(n: number, entries: readonly LogEntry[]): Promise<void>;
  /** Awaited between the log's answer and the engine's hearing of it. */
  beforeAnswer?(n: number, entries: readonly LogEntry[]): Promise<void>;
}

const never = <T>(): Promise<T> => new Promise<T>(() => undefined);

export class FaultyLog implements Log {
  readonly #inner: MemoryLog;
  readonly #options: FaultyLogOptions;
  readonly #readers = new Set<FaultyReader>();
  #delayed: readonly LogEntry[][] = [];
  #dead = false;
  appends = 0;
  /** Bytes and messages that were taken from readers. */
  taken = { bytes: 0, messages: 0 };

  constructor(inner: MemoryLog, options: FaultyLogOptions = {}) {
    this.#inner = inner;
    this.#options = options;
  }

  get payloadBytesMax(): number {
    return this.#inner.payloadBytesMax;
  }

  get batchEntriesMax(): number {
    return this.#inner.batchEntriesMax;
  }

  get dead(): boolean {
    return this.#dead;
  }

  /** The engine behind this log is gone, as after `kill -9`. */
  kill(): void {
    this.#dead = true;
    for (const reader of this.#readers) reader.kill();
  }

  async append(entries: readonly LogEntry[]): Promise<AppendOutcome> {
    if (this.#dead) return never();
    const n = this.appends++;
    await this.#options.before?.(n, entries);
    if (this.#dead) return never();
    for (const delayed of this.#delayed) this.#inner.appendNow(delayed);
    this.#delayed = [];
    const fault = this.#options.fault?.(n, entries) ?? 'none';
    const outcome = this.#outcome(fault, entries);
    await this.#options.beforeAnswer?.(n, entries);
    return this.#dead ? never() : outcome;
  }

  #outcome(fault: Fault, entries: readonly LogEntry[]): AppendOutcome {
    switch (fault) {
      case 'none':
        return this.#inner.appendNow(entries);
      case 'lose-ack':
        this.#inner.appendNow(entries);
        return { outcome: 'unknown', cause: 'test: the acknowledgement is lost' };
      case 'lose':
        return { outcome: 'unknown', cause: 'test: the batch is lost' };
      case 'delay':
        this.#delayed = [...this.#delayed, [...entries]];
        return { outcome: 'unknown', cause: 'test: the batch is under way' };
      case 'refuse':
        return { outcome: 'refused', cause: 'test: not now', retry: true };
      case 'refuse-for-good':
        return { outcome: 'refused', cause: 'test: never', retry: false };
      case 'die-before':
        this.kill();
        return { outcome: 'unknown', cause: 'dead' };
      case 'die-after':
        this.#inner.appendNow(entries);
        this.kill();
        return { outcome: 'unknown', cause: 'dead' };
    }
  }

  async read(subject: string, fromSeq: number, wake: () => void): Promise<LogReader> {
    if (this.#dead) return never();
    const reader = new FaultyReader(
      await this.#inner.read(subject, fromSeq, () => {
        if (!this.#dead) wake();
      }),
      wake,
      this.taken,
    );
    this.#readers.add(reader);
    return reader;
  }

  async last(subject: string): Promise<LogMessage | undefined> {
    return this.#dead ? never() : this.#inner.last(subject);
  }

  async next(subject: string, fromSeq: number): Promise<LogMessage | undefined> {
    return this.#dead ? never() : this.#inner.next(subject, fromSeq);
  }

  async purge(subject: string, belowSeq: number): Promise<void> {
    return this.#dead ? never() : this.#inner.purge(subject, belowSeq);
  }

  async lastSeq(): Promise<number> {
    return this.#dead ? never() : this.#inner.lastSeq();
  }
}

class FaultyReader implements LogReader {
  readonly #inner: LogReader;
  readonly #wake: () => void;
  readonly #taken: { bytes: number; messages: number };
  failure: Error | undefined;

  constructor(inner: LogReader, wake: () => void, taken: { bytes: number; messages: number }) {
    this.#inner = inner;
    this.#wake = wake;
    this.#taken = taken;
  }

  get bufferedMessages(): number {
    return this.#inner.bufferedMessages;
  }

  get bufferedBytes(): number {
    return this.#inner.bufferedBytes;
  }

  get pending(): number {
    return this.#inner.pending;
  }

  take(bytesMax: number): LogMessage[] {
    if (this.failure !== undefined) return [];
    const messages = this.#inner.take(bytesMax);
    this.#taken.messages += messages.length;
    for (const { payload } of messages) this.#taken.bytes += payload.byteLength;
    return messages;
  }

  kill(): void {
    this.failure = new Error('test: killed');
    this.#wake();
  }

  close(): Promise<void> {
    return this.#inner.close();
  }
}
