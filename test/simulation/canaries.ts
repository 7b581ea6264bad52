/**
 * Engines broken on purpose, one promise each: what the simulator must catch. They are put between the real node and its log
 * or its snapshots, so that no line of the engine knows of them.
 */
import type { AppendOutcome, Log, LogEntry, LogMessage, LogReader } from '../../src/log/log.js';
import type { ActorSource } from '../../src/partition/actor-table.js';
import { decodeControl, encodeControl } from '../../src/partition/journal.js';
import type { ActorId } from '../../src/core/ids.js';
import type {
  SnapshotExport,
  SnapshotPosition,
  SnapshotRecord,
  SnapshotStore,
  SnapshotUpdate,
} from '../../src/state/store.js';
import type { Canary } from './sim-node.js';

/** Hands everything on. */
class PassingLog implements Log {
  protected readonly inner: Log;

  constructor(inner: Log) {
    this.inner = inner;
  }
  get payloadBytesMax(): number {
    return this.inner.payloadBytesMax;
  }
  get batchEntriesMax(): number {
    return this.inner.batchEntriesMax;
  }
  append(entries: readonly LogEntry[]): Promise<AppendOutcome> {
    return this.inner.append(entries);
  }
  read(subject: string, fromSeq: number, wake: () => void): Promise<LogReader> {
    return this.inner.read(subject, fromSeq, wake);
  }
  last(subject: string): Promise<LogMessage | undefined> {
    return this.inner.last(subject);
  }
  next(subject: string, fromSeq: number): Promise<LogMessage | undefined> {
    return this.inner.next(subject, fromSeq);
  }
  purge(subject: string, belowSeq: number): Promise<void> {
    return this.inner.purge(subject, belowSeq);
  }
  lastSeq(): Promise<number> {
    return this.inner.lastSeq();
  }
}

/** P1: commits without the compare-and-set. */
class UnfencedLog extends PassingLog {
  override append(entries: readonly LogEntry[]): Promise<AppendOutcome> {
    const unfenced = ({ expectLastSeq: _unused, ...entry }: LogEntry): LogEntry => entry;
    return this.inner.append(entries.map(unfenced));
  }
}

/** P2: the mail of a commit goes after it, in a batch of its own. */
class TornLog extends PassingLog {
  override async append(entries: readonly LogEntry[]): Promise<AppendOutcome> {
    const mailAt = entries.findIndex(({ subject }) => subject.endsWith('.mail'));
    if (mailAt <= 0) return this.inner.append(entries);
    const outcome = await this.inner.append(entries.slice(0, mailAt));
    if (outcome.outcome === 'committed') await this.inner.append(entries.slice(mailAt));
    return outcome;
  }
}

/** P4: rows are shown before their commit is stored. */
class EagerLog extends PassingLog {
  override async append(entries: readonly LogEntry[]): Promise<AppendOutcome> {
    const early = entries.filter(({ subject }) => subject.endsWith('.out'));
    if (early.length > 0) await this.inner.append(early);
    // Something else in its place: the batch's own places stay as they are.
    const nothing = (entry: LogEntry): LogEntry =>
      entry.subject.endsWith('.out')
        ? { subject: entry.subject.replace(/out$/, 'shown'), payload: new Uint8Array(1) }
        : entry;
    return this.inner.append(entries.map(nothing));
  }
}

/** P6: a commit whose outcome is not known counts as failed, and is made again. */
class GuessingLog extends PassingLog {
  override async append(entries: readonly LogEntry[]): Promise<AppendOutcome> {
    const outcome = await this.inner.append(entries);
    if (outcome.outcome !== 'unknown') return outcome;
    const renewed: LogEntry[] = [];
    for (const entry of entries) {
      const { expectLastSeq, subject } = entry;
      if (expectLastSeq === undefined) renewed.push(entry);
      else renewed.push({ ...entry, expectLastSeq: (await this.inner.last(subject))?.seq ?? 0 });
    }
    return this.append(renewed);
  }
}

/** Hands everything on. */
class PassingStore implements SnapshotStore {
  protected readonly inner: SnapshotStore;

  constructor(inner: SnapshotStore) {
    this.inner = inner;
  }
  source(partition: number): ActorSource {
    return this.inner.source(partition);
  }
  position(partition: number): SnapshotPosition | undefined {
    return this.inner.position(partition);
  }
  timed(partition: number): Iterable<readonly [ActorId, Uint8Array]> {
    return this.inner.timed(partition);
  }
  write(updates: readonly SnapshotUpdate[]): Promise<void> {
    return this.inner.write(updates);
  }
  export(partition: number): SnapshotExport | undefined {
    return this.inner.export(partition);
  }
  import(
    partition: number,
    position: SnapshotPosition,
    records: AsyncIterable<readonly SnapshotRecord[]>,
  ): Promise<void> {
    return this.inner.import(partition, position, records);
  }
  clear(partition: number): Promise<void> {
    return this.inner.clear(partition);
  }
  sizeBytes(): number {
    return this.inner.sizeBytes();
  }
  close(): Promise<void> {
    return this.inner.close();
  }
}

/** P3: the input position comes back from the snapshot a little too low, so that input is taken twice. */
class ForgetfulStore extends PassingStore {
  override position(partition: number): SnapshotPosition | undefined {
    const position = this.inner.position(partition);
    if (position === undefined) return undefined;
    const control = decodeControl(position.control);
    const inputSeq = Math.max(0, control.inputSeq - 20);
    return { ...position, control: encodeControl({ ...control, inputSeq }) };
  }
}

/** P5: the position is written first, the states behind it. */
class LeadingStore extends PassingStore {
  override async write(updates: readonly SnapshotUpdate[]): Promise<void> {
    await this.inner.write(updates.map((update) => ({ ...update, commits: [] })));
    await this.inner.write(updates);
  }
}

export interface CanaryKind {
  readonly what: string;
  readonly breaks: () => Canary;
}

export const CANARIES = {
  P1: { what: 'commits without the compare-and-set', breaks: () => ({ log: (log) => new UnfencedLog(log) }) },
  P2: { what: 'mail goes in a batch of its own', breaks: () => ({ log: (log) => new TornLog(log) }) },
  P3: {
    what: 'input is taken again after a recovery',
    breaks: () => ({ store: (store) => new ForgetfulStore(store) }),
  },
  P4: {
    what: 'rows are shown before they are committed',
    breaks: () => ({ log: (log) => new EagerLog(log) }),
  },
  P5: {
    what: 'the snapshot’s position leads its states',
    breaks: () => ({ store: (store) => new LeadingStore(store) }),
  },
  P6: {
    what: 'an unknown outcome counts as a failure',
    breaks: () => ({ log: (log) => new GuessingLog(log) }),
  },
} as const satisfies Record<string, CanaryKind>;

export type CanaryName = keyof typeof CANARIES;
