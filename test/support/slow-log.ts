/** A log that gives its readers only so much at a time: a node on it is as slow as a test wants it, whatever the machine. */
import type { Clock } from '../../src/core/clock.js';
import type { AppendOutcome, Log, LogEntry, LogMessage, LogReader } from '../../src/log/log.js';

export interface SlowLogOptions {
  readonly clock: Clock;
  /** Each reader gives one message in so much time, ms. */
  readonly messageEveryMs: number;
}

export class SlowLog implements Log {
  readonly #inner: Log;
  readonly #options: SlowLogOptions;
  /** Most bytes that any of its readers ever held. */
  bufferedBytesMax = 0;

  constructor(inner: Log, options: SlowLogOptions) {
    this.#inner = inner;
    this.#options = options;
  }

  get payloadBytesMax(): number {
    return this.#inner.payloadBytesMax;
  }

  get batchEntriesMax(): number {
    return this.#inner.batchEntriesMax;
  }

  append(entries: readonly LogEntry[]): Promise<AppendOutcome> {
    return this.#inner.append(entries);
  }

  async read(subject: string, fromSeq: number, wake: () => void): Promise<LogReader> {
    const inner = await this.#inner.read(subject, fromSeq, wake);
    const { clock, messageEveryMs } = this.#options;
    let nextMs = clock.monotonic();
    return {
      take: (): LogMessage[] => {
        this.bufferedBytesMax = Math.max(this.bufferedBytesMax, inner.bufferedBytes);
        if (clock.monotonic() < nextMs) return [];
        const taken = inner.take(1);
        if (taken.length === 0) return taken;
        nextMs = Math.max(nextMs, clock.monotonic() - messageEveryMs) + messageEveryMs;
        clock.after(messageEveryMs, wake);
        return taken;
      },
      get bufferedBytes() {
        return inner.bufferedBytes;
      },
      get bufferedMessages() {
        return inner.bufferedMessages;
      },
      get pending() {
        return inner.pending;
      },
      get failure() {
        return inner.failure;
      },
      close: () => inner.close(),
    };
  }

  last(subject: string): Promise<LogMessage | undefined> {
    return this.#inner.last(subject);
  }

  next(subject: string, fromSeq: number): Promise<LogMessage | undefined> {
    return this.#inner.next(subject, fromSeq);
  }

  purge(subject: string, belowSeq: number): Promise<void> {
    return this.#inner.purge(subject, belowSeq);
  }

  lastSeq(): Promise<number> {
    return this.#inner.lastSeq();
  }
}
