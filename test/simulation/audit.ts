/**
 * Watches everything that is stored, as it is stored: the checks that need no end of the run. One journal is one chain of
 * commits (P1), what a commit says stands with it in one batch (P2, P4), and nothing that only grows ever goes back.
 */
import { messageOf } from '../../src/core/errors.js';
import type { LogMessage } from '../../src/log/log.js';
import { partitionOfSubject } from '../../src/log/subjects.js';
import { decodeEventFrame, decodeMailFrame } from '../../src/partition/frame.js';
import { JournalReader, type Control, type JournalEntry } from '../../src/partition/journal.js';
import type { SimStream, StoredBatch } from './sim-stream.js';

export type Check =
  | 'two-writers'
  | 'torn-batch'
  | 'early'
  | 'went-back'
  | 'rows'
  | 'repeated-row'
  | 'late'
  | 'effects'
  | 'bounds'
  | 'liveness'
  | 'failure'
  | 'owners'
  | 'lost-event';

export interface Violation {
  readonly check: Check;
  readonly atMs: number;
  readonly what: string;
}

/** More than so many say nothing new. */
const VIOLATIONS_MAX = 50;

export class Audit {
  readonly violations: Violation[] = [];
  readonly #journals = new Map<number, JournalReader>();
  readonly #last = new Map<number, Control>();
  readonly #retired = new Map<number, Set<string>>();
  /** Sequence of the last input of a partition that says more than how far time is. */
  readonly #toldSeq = new Map<number, number>();
  readonly #now: () => number;
  readonly #epochs: boolean;
  entries = 0;
  /** Entries by which a partition was taken, and those by which it was handed over. */
  taken = 0;
  handedOver = 0;
  /** When something was last stored that says more than how far time, or a base snapshot, is. */
  workedAtMs = 0;

  /** @param epochs each owner begins an epoch of its own */
  constructor(stream: SimStream, epochs: boolean, now: () => number) {
    this.#now = now;
    this.#epochs = epochs;
    let seen = 0;
    stream.listen(() => {
      while (seen < stream.batches.length) this.#batch(stream.batches[seen++]!);
    });
  }

  /** The last commit that is stored. */
  last(partition: number): Control | undefined {
    return this.#last.get(partition);
  }

  /** Every input of a partition that says anything is behind its last commit. */
  isConsumed(partition: number): boolean {
    return (this.#last.get(partition)?.inputSeq ?? 0) >= (this.#toldSeq.get(partition) ?? 0);
  }

  violate(check: Check, what: string): void {
    if (this.violations.length < VIOLATIONS_MAX) this.violations.push({ check, atMs: this.#now(), what });
  }

  #batch({ messages }: StoredBatch): void {
    const committed = new Set<number>();
    for (const message of messages) {
      if (!message.subject.endsWith('.journal')) continue;
      const partition = partitionOfSubject(message.subject);
      committed.add(partition);
      const entry = this.#read(partition, message.payload);
      if (entry === undefined) continue;
      if (entry.changes.length > 0) this.workedAtMs = this.#now();
      this.#entry(partition, entry.control);
    }
    for (const message of messages) {
      this.#saidWith(message, committed);
      this.#input(message);
    }
  }

  #input({ subject, payload, seq }: LogMessage): void {
    if (!subject.includes('.in.')) return;
    const tells = subject.endsWith('.mail')
      ? decodeMailFrame(payload).some(({ messages }) => messages.length > 0)
      : decodeEventFrame(payload).events.length > 0;
    if (!tells) return;
    this.workedAtMs = this.#now();
    this.#toldSeq.set(partitionOfSubject(subject), seq);
  }

  /** Gives an entry when its last frame has come. */
  #read(partition: number, payload: Uint8Array): JournalEntry | undefined {
    const reader = this.#journals.get(partition) ?? new JournalReader();
    this.#journals.set(partition, reader);
    try {
      return reader.push(payload);
    } catch (error) {
      this.#journals.delete(partition);
      this.violate('torn-batch', `the journal of partition ${partition}: ${messageOf(error)}`);
      return undefined;
    }
  }

  /** What is said of a commit stands in its batch: nobody reads it before the commit is stored. */
  #saidWith({ subject, payload, seq }: LogMessage, committed: ReadonlySet<number>): void {
    if (subject.endsWith('.out')) {
      const partition = partitionOfSubject(subject);
      if (!committed.has(partition))
        this.violate('early', `output ${seq} of partition ${partition} is not of a commit`);
    }
    if (!subject.endsWith('.in.mail')) return;
    for (const { from } of decodeMailFrame(payload))
      if (!committed.has(from))
        this.violate('torn-batch', `mail ${seq} of partition ${from} is not in its commit’s batch`);
  }

  #entry(partition: number, control: Control): void {
    this.entries++;
    const last = this.#last.get(partition);
    this.#last.set(partition, control);
    const retired = this.#retired.get(partition) ?? new Set();
    this.#retired.set(partition, retired);
    const where = `partition ${partition}, commit ${control.commit} of ${control.writer}`;
    if (control.commit !== (last?.commit ?? 0) + 1)
      this.violate(
        'two-writers',
        `${where} follows commit ${last?.commit ?? 0} of ${last?.writer ?? 'nobody'}`,
      );
    if (last === undefined) return;
    if (this.#epochs) this.#epoch(where, last, control);
    else if (control.writer !== last.writer) retired.add(last.writer);
    if (retired.has(control.writer)) this.violate('two-writers', `${where}: another had taken it`);
    this.#onlyGrows(where, 'watermark', [last.watermarkMs], [control.watermarkMs]);
    this.#onlyGrows(where, 'input position', [last.inputSeq], [control.inputSeq]);
    this.#onlyGrows(where, 'closed', last.closed, control.closed);
    this.#onlyGrows(where, 'mark', last.marks, control.marks);
  }

  #epoch(where: string, last: Control, control: Control): void {
    const taken = control.writer !== last.writer;
    if (control.epoch > last.epoch) this.taken++;
    if (control.handedTo !== undefined) this.handedOver++;
    if (control.epoch < last.epoch || (taken && control.epoch === last.epoch))
      this.violate('two-writers', `${where}: epoch ${control.epoch} after ${last.epoch} of ${last.writer}`);
    if (last.handedTo !== undefined && control.epoch === last.epoch)
      this.violate('two-writers', `${where}: it had handed the partition to ${last.handedTo}`);
  }

  #onlyGrows(where: string, what: string, before: readonly number[], after: readonly number[]): void {
    for (const [i, value] of before.entries())
      if (after[i]! < value)
        this.violate('went-back', `${where}: ${what} ${i} from ${value} to ${after[i]!}`);
  }
}
