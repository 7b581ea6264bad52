/**
 * One stream as its server keeps it: what is stored, by subject, and a record of every batch that ever was, for the
 * checkers. Nothing here fails or takes time; that is the server's and the network's.
 */
import type { AppendOutcome, LogEntry, LogMessage } from '../../src/log/log.js';
import { messageMatches } from '../../src/log/memory/match.js';

export interface StoredBatch {
  readonly from: string;
  readonly messages: readonly LogMessage[];
}

export const BATCH_ENTRIES_MAX = 1_000;

export class SimStream {
  readonly name: string;
  readonly payloadBytesMax: number;
  /** Every batch that was stored, purged or not. */
  readonly batches: StoredBatch[] = [];
  readonly #bySubject = new Map<string, LogMessage[]>();
  readonly #matching = new Map<string, string[]>();
  readonly #listeners = new Set<() => void>();
  lastSeq = 0;
  deleted = false;

  constructor(name: string, payloadBytesMax: number) {
    this.name = name;
    this.payloadBytesMax = payloadBytesMax;
  }

  /** @param wallMs by the server's clock */
  append(entries: readonly LogEntry[], from: string, wallMs: number): AppendOutcome {
    const refusal = this.#refusalOf(entries);
    if (refusal !== undefined) return refusal;
    const firstSeq = this.lastSeq + 1;
    const messages = entries.map(({ subject, payload }) => ({
      subject,
      seq: ++this.lastSeq,
      payload: new Uint8Array(payload),
      storedAtMs: wallMs,
    }));
    for (const message of messages) this.#subject(message.subject).push(message);
    this.batches.push({ from, messages });
    for (const listener of [...this.#listeners]) listener();
    return { outcome: 'committed', firstSeq };
  }

  last(subject: string): LogMessage | undefined {
    return this.#bySubject.get(subject)?.at(-1);
  }

  next(pattern: string, fromSeq: number): LogMessage | undefined {
    return this.from(pattern, fromSeq, 1, 0)[0];
  }

  /** Messages from a sequence on, in order: at most a number of bytes, but at least one when there is any. */
  from(
    pattern: string,
    fromSeq: number,
    bytesMax: number,
    countMax = Number.POSITIVE_INFINITY,
  ): LogMessage[] {
    const lists = this.#subjectsOf(pattern).map((subject) => this.#bySubject.get(subject)!);
    const at = lists.map((list) => indexOfSeq(list, fromSeq));
    const found: LogMessage[] = [];
    let bytes = 0;
    for (;;) {
      let lowest = -1;
      for (let i = 0; i < lists.length; i++) {
        const candidate = lists[i]![at[i]!];
        if (candidate === undefined) continue;
        if (lowest < 0 || candidate.seq < lists[lowest]![at[lowest]!]!.seq) lowest = i;
      }
      if (lowest < 0) return found;
      const message = lists[lowest]![at[lowest]!++]!;
      bytes += message.payload.byteLength;
      if (found.length > 0 && (bytes > bytesMax || found.length >= countMax)) return found;
      found.push(message);
    }
  }

  count(pattern: string, fromSeq: number): number {
    let count = 0;
    for (const subject of this.#subjectsOf(pattern)) {
      const list = this.#bySubject.get(subject)!;
      count += list.length - indexOfSeq(list, fromSeq);
    }
    return count;
  }

  purge(pattern: string, belowSeq: number): void {
    for (const subject of this.#subjectsOf(pattern)) {
      const list = this.#bySubject.get(subject)!;
      list.splice(0, indexOfSeq(list, belowSeq));
    }
  }

  /** Called after every batch; the returned function ends it. */
  listen(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  delete(): void {
    this.deleted = true;
    for (const listener of [...this.#listeners]) listener();
  }

  /** Every message that ever was on the subjects of a pattern, purged or not. */
  *everOn(pattern: string): Generator<LogMessage> {
    for (const { messages } of this.batches)
      for (const message of messages) if (messageMatches(pattern, message.subject)) yield message;
  }

  #refusalOf(entries: readonly LogEntry[]): AppendOutcome | undefined {
    if (entries.length === 0 || entries.length > BATCH_ENTRIES_MAX) {
      const cause = `a batch has 1 to ${BATCH_ENTRIES_MAX} messages, not ${entries.length}`;
      return { outcome: 'refused', cause, retry: false };
    }
    const written = new Set<string>();
    for (const { subject, payload, expectLastSeq, expectSubject = subject } of entries) {
      if (payload.byteLength > this.payloadBytesMax)
        return { outcome: 'refused', cause: `${payload.byteLength} bytes on ${subject}`, retry: false };
      const lastSeq = this.last(expectSubject)?.seq ?? 0;
      if (expectLastSeq !== undefined && (lastSeq !== expectLastSeq || written.has(expectSubject)))
        return { outcome: 'stale', cause: `wrong last sequence: ${lastSeq} on ${expectSubject}` };
      written.add(subject);
    }
    return undefined;
  }

  #subject(subject: string): LogMessage[] {
    let list = this.#bySubject.get(subject);
    if (list === undefined) {
      this.#bySubject.set(subject, (list = []));
      this.#matching.clear();
    }
    return list;
  }

  #subjectsOf(pattern: string): string[] {
    let subjects = this.#matching.get(pattern);
    if (subjects === undefined) {
      subjects = [...this.#bySubject.keys()].filter((subject) => messageMatches(pattern, subject));
      this.#matching.set(pattern, subjects);
    }
    return subjects;
  }
}

/** Place of the first message with a sequence at or after the given one. */
function indexOfSeq(list: readonly LogMessage[], seq: number): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle]!.seq < seq) low = middle + 1;
    else high = middle;
  }
  return low;
}
