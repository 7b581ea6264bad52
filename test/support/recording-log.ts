/** A memory log that remembers its batches, so that a test can cut its history anywhere. */
import type { AppendOutcome, LogEntry } from '../../src/log/log.js';
import { MemoryLog } from '../../src/log/memory/memory-log.js';

export class RecordingLog extends MemoryLog {
  readonly batches: (readonly LogEntry[])[] = [];

  override appendNow(entries: readonly LogEntry[]): AppendOutcome {
    const outcome = super.appendNow(entries);
    if (outcome.outcome === 'committed') this.batches.push(entries);
    return outcome;
  }

  /** A log that has the first batches of this one and nothing else. */
  cutAfter(batches: number): RecordingLog {
    const log = new RecordingLog({ payloadBytesMax: this.payloadBytesMax });
    for (const entries of this.batches.slice(0, batches)) log.appendNow(entries);
    return log;
  }
}

/** True for a batch of a node's, false for a producer's. */
export const isCommit = (entries: readonly LogEntry[]): boolean =>
  entries.some(({ subject }) => subject.endsWith('.journal'));
