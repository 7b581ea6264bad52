/** A log in memory: for unit and simulation tests. Passes the same suite as the NATS one. */
import type { Gauge, StreamLoad } from '../gauge.js';
import { messageMatches } from './match.js';
import type { AppendOutcome, Log, LogEntry, LogMessage, LogReader } from '../log.js';

export interface MemoryLogOptions {
  readonly payloadBytesMax?: number;
  /** Beyond that nothing is taken; without it there is no limit. Counts payloads alone. */
  readonly bytesMax?: number;
}

export class MemoryLog implements Log, Gauge {
  readonly payloadBytesMax: number;
  readonly #bytesMax: number | undefined;
  #bytes = 0;
  readonly batchEntriesMax = 1_000;
  readonly #messages: LogMessage[] = [];
  readonly #lastBySubject = new Map<string, LogMessage>();
  readonly #readers = new Set<MemoryReader>();
  #seq = 0;

  constructor(options: MemoryLogOptions = {}) {
    this.payloadBytesMax = options.payloadBytesMax ?? 1024 * 1024;
    this.#bytesMax = options.bytesMax;
  }

  append(entries: readonly LogEntry[]): Promise<AppendOutcome> {
    return Promise.resolve(this.appendNow(entries));
  }

  /** The same, at once: what a simulation drives. */
  appendNow(entries: readonly LogEntry[]): AppendOutcome {
    if (entries.length === 0 || entries.length > this.batchEntriesMax) {
      return {
        outcome: 'refused',
        cause: `a batch has 1 to ${this.batchEntriesMax} messages, not ${entries.length}`,
        retry: false,
      };
    }
    const written = new Set<string>();
    for (const { subject, payload, expectLastSeq, expectSubject = subject } of entries) {
      if (payload.byteLength > this.payloadBytesMax) {
        return {
          outcome: 'refused',
          cause: `maximum payload exceeded: ${payload.byteLength} bytes`,
          retry: false,
        };
      }
      const lastSeq = this.#lastBySubject.get(expectSubject)?.seq ?? 0;
      if (expectLastSeq !== undefined && (lastSeq !== expectLastSeq || written.has(expectSubject))) {
        return { outcome: 'stale', cause: `wrong last sequence: ${lastSeq} on ${expectSubject}` };
      }
      written.add(subject);
    }
    const bytes = bytesOf(entries);
    if (this.#bytesMax !== undefined && this.#bytes + bytes > this.#bytesMax)
      return { outcome: 'refused', cause: 'maximum bytes exceeded', retry: true };
    this.#bytes += bytes;
    const firstSeq = this.#seq + 1;
    for (const { subject, payload } of entries) {
      const message = { subject, payload: new Uint8Array(payload), seq: ++this.#seq };
      this.#messages.push(message);
      this.#lastBySubject.set(subject, message);
    }
    for (const reader of [...this.#readers]) reader.notify();
    return { outcome: 'committed', firstSeq };
  }

  read(subject: string, fromSeq: number, wake: () => void): Promise<LogReader> {
    const reader = new MemoryReader(this.#messages, subject, fromSeq, wake, () =>
      this.#readers.delete(reader),
    );
    this.#readers.add(reader);
    reader.notify();
    return Promise.resolve(reader);
  }

  last(subject: string): Promise<LogMessage | undefined> {
    return Promise.resolve(this.#lastBySubject.get(subject));
  }

  next(subject: string, fromSeq: number): Promise<LogMessage | undefined> {
    for (let i = indexOfSeq(this.#messages, fromSeq); i < this.#messages.length; i++) {
      if (messageMatches(subject, this.#messages[i]!.subject)) return Promise.resolve(this.#messages[i]);
    }
    return Promise.resolve(undefined);
  }

  purge(subject: string, belowSeq: number): Promise<void> {
    const kept = this.#messages.filter((m) => !messageMatches(subject, m.subject) || m.seq >= belowSeq);
    this.#messages.splice(0, this.#messages.length, ...kept);
    this.#bytes = bytesOf(kept);
    for (const [key, last] of this.#lastBySubject) {
      if (messageMatches(subject, key) && last.seq < belowSeq) this.#lastBySubject.delete(key);
    }
    return Promise.resolve();
  }

  lastSeq(): Promise<number> {
    return Promise.resolve(this.#seq);
  }

  load(pattern: string): Promise<StreamLoad> {
    return Promise.resolve({
      messages: this.#messages.length,
      bytes: this.#bytes,
      bytesMax: this.#bytesMax,
      present: [...this.#lastBySubject.keys()].filter((subject) => messageMatches(pattern, subject)),
      atMs: undefined,
    });
  }
}

class MemoryReader implements LogReader {
  readonly #messages: readonly LogMessage[];
  readonly #subject: string;
  readonly #wake: () => void;
  readonly #onClose: () => void;
  #nextSeq: number;
  readonly failure = undefined;
  /** Everything has come as soon as it is stored. */
  readonly pending = 0;

  constructor(
    messages: readonly LogMessage[],
    subject: string,
    fromSeq: number,
    wake: () => void,
    onClose: () => void,
  ) {
    this.#messages = messages;
    this.#subject = subject;
    this.#nextSeq = fromSeq;
    this.#wake = wake;
    this.#onClose = onClose;
  }

  get bufferedMessages(): number {
    return [...this.#waiting()].length;
  }

  get bufferedBytes(): number {
    let bytes = 0;
    for (const message of this.#waiting()) bytes += message.payload.byteLength;
    return bytes;
  }

  notify(): void {
    if (this.#waiting().next().done !== true) this.#wake();
  }

  take(bytesMax: number): LogMessage[] {
    const taken: LogMessage[] = [];
    let bytes = 0;
    for (const message of this.#waiting()) {
      if (taken.length > 0 && bytes + message.payload.byteLength > bytesMax) break;
      taken.push(message);
      bytes += message.payload.byteLength;
    }
    const last = taken.at(-1);
    if (last !== undefined) this.#nextSeq = last.seq + 1;
    return taken;
  }

  close(): Promise<void> {
    this.#onClose();
    return Promise.resolve();
  }

  *#waiting(): Generator<LogMessage> {
    for (let i = indexOfSeq(this.#messages, this.#nextSeq); i < this.#messages.length; i++) {
      if (messageMatches(this.#subject, this.#messages[i]!.subject)) yield this.#messages[i]!;
    }
  }
}

function bytesOf(list: readonly { readonly payload: Uint8Array }[]): number {
  return list.reduce((sum, { payload }) => sum + payload.byteLength, 0);
}

/** Place of the first message with a sequence at or after the given one: sequences ascend, so by bisection. */
function indexOfSeq(messages: readonly LogMessage[], seq: number): number {
  let low = 0;
  let high = messages.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (messages[middle]!.seq < seq) low = middle + 1;
    else high = middle;
  }
  return low;
}
