/** Commits as partitions make them, and a log that does what a test tells it to. */
import { actorId } from '../../../src/core/ids.js';
import { Changes } from '../../../src/partition/changes.js';
import { encodeCommit, type EncodedCommit } from '../../../src/node/batch-assembly.js';
import { MemoryLog } from '../../../src/log/memory/memory-log.js';
import type { AppendOutcome, LogEntry } from '../../../src/log/log.js';
import type { MailMessage } from '../../../src/partition/frame.js';
import type { Commit } from '../../../src/partition/partition.js';

export interface CommitParts {
  writer?: string;
  mail?: Record<number, MailMessage[]>;
  marks?: number[];
  marksKnownBy?: number[];
  joined?: boolean;
  /** Number of changed actors, and bytes of each record. */
  actors?: [count: number, bytes: number];
  progress?: boolean;
  key?: string;
  /** Whether the actors are timed, and whether they were at the commit before. */
  timed?: [now: boolean, before: boolean];
}

export function commitOf(partition: number, number: number, parts: CommitParts = {}): Commit {
  const [count, size] = parts.actors ?? [1, 8];
  const [timed, before] = parts.timed ?? [false, false];
  return {
    partition,
    number,
    entry: {
      control: {
        writer: parts.writer ?? 'us',
        commit: number,
        inputSeq: number * 10,
        watermarkMs: 0,
        producers: new Map(),
        marks: [],
        closed: [],
        counters: new Map(),
        wallMs: 0,
        epoch: 1,
        handedTo: undefined,
        base: undefined,
      },
      changes: Changes.of(
        Array.from({ length: count }, (_, i) => ({
          id: actorId('cell', `${parts.key ?? 'k'}${i}`),
          bytes: new Uint8Array(size).fill(number),
          timed,
          timedAsBefore: timed === before,
        })),
      ),
    },
    mail: new Map(Object.entries(parts.mail ?? {}).map(([to, messages]) => [Number(to), messages])),
    marks: parts.marks,
    marksKnownBy: new Set(parts.marksKnownBy),
    joined: parts.joined ?? false,
    blocks: [],
    rows: 0,
    sides: [],
    shown: [],
    progress: parts.progress
      ? { partition, commit: number, watermarkMs: 0, closed: [], latestTimerMs: 0, counters: {} }
      : undefined,
  };
}

export const encoded = (partition: number, number: number, parts?: CommitParts): EncodedCommit =>
  encodeCommit(commitOf(partition, number, parts), 4_096);

type Script = (entries: readonly LogEntry[], log: MemoryLog) => AppendOutcome | undefined;

/** A log in memory whose next answers are scripted; undefined in a script, or the end of it, is the true answer. */
export class ScriptedLog extends MemoryLog {
  readonly appended: (readonly LogEntry[])[] = [];
  readonly script: Script[] = [];

  override append(entries: readonly LogEntry[]): Promise<AppendOutcome> {
    this.appended.push(entries);
    const outcome = this.script.shift()?.(entries, this);
    return Promise.resolve(outcome ?? this.appendNow(entries));
  }
}
