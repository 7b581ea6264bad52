/**
 * Makes a region of a snapshot: base snapshots, the inputs that wait, and one journal entry per partition, all of these in
 * one batch that must find every journal empty. Until that batch is stored the region has no journal, and with it
 * all that it was at the cut.
 *
 * Commits are numbered on far above where they were: so nobody can take a local snapshot of the region's former life for one
 * of this life.
 */
import { sleep, type Clock } from '../../core/clock.js';
import { GroundswellError } from '../../core/errors.js';
import type { Log, LogEntry } from '../../log/log.js';
import type { ObjectStore } from '../../log/objects.js';
import type { Subjects } from '../../log/subjects.js';
import { Changes } from '../../partition/changes.js';
import {
  decodeControl,
  encodeControl,
  encodeJournalEntry,
  type BasePointer,
  type Control,
} from '../../partition/journal.js';
import { encodeOutput } from '../../partition/output.js';
import { baseName, parseBaseName } from './base-name.js';
import { decodeBase, encodeBase, type DecodedBase } from './base-format.js';
import { decodeInputs } from './input-archive.js';
import { lastControl } from './journal-tail.js';
import {
  incomplete,
  inputsName,
  recordsName,
  type RegionSnapshot,
  type SnapshotPart,
} from './region-manifest.js';

export interface RestoreOptions {
  readonly snapshot: RegionSnapshot;
  /** Where the snapshot is. */
  readonly source: ObjectStore;
  /** An empty stream with the snapshot's number of partitions. */
  readonly log: Log;
  readonly subjects: Subjects;
  /** Where the region's bases shall be. */
  readonly objects: ObjectStore;
  readonly clock: Clock;
  /** A name that no two processes share. */
  readonly writer: string;
  /** The cursor of raw events as it shall be; by default none. */
  readonly cursor?: Uint8Array;
  readonly onProgress?: (partitionsDone: number) => void;
}

/** More than a partition ever commits. */
const COMMITS_AHEAD = 1e12;
const BATCH_BYTES = 4 * 1024 * 1024;
const PATIENCE_MS = 30_000;
const AGAIN_MS = 250;

/** Reads a snapshot whole. @throws GroundswellError GS_DATA_CORRUPT when anything of it is missing or damaged */
export async function verifySnapshot(snapshot: RegionSnapshot, source: ObjectStore): Promise<void> {
  for (const part of snapshot.parts) {
    if (part.commit > 0) {
      const { records } = await openRecords(snapshot, part, source);
      let count = 0;
      for await (const group of records) count += group.length;
      if (count !== part.records) throw incomplete(snapshot, `${part.records - count} records`);
    }
    let inputs = 0;
    for await (const input of openInputs(snapshot, part, source)) if (input.seq > 0) inputs++;
    if (inputs !== part.inputs) throw incomplete(snapshot, `${part.inputs - inputs} inputs`);
  }
}

/** @throws GroundswellError GS_STREAM_CONFIG when the stream is not empty, GS_LOG, GS_DATA_CORRUPT */
export async function restoreRegion(options: RestoreOptions): Promise<void> {
  const { snapshot, source, subjects, objects, cursor, onProgress } = options;
  await expectEmpty(options);
  for (const { name } of await objects.list())
    if (parseBaseName(name) !== undefined) await objects.remove(name);
  const entries: LogEntry[] = [];
  for (const part of snapshot.parts) {
    const append = new OnceAppender(options);
    for await (const { seq, events, payload } of openInputs(snapshot, part, source)) {
      // Copied from before the cut was made: these were committed by then.
      if (seq <= part.inputSeq) continue;
      const subject = events ? subjects.events(part.partition) : subjects.mail(part.partition);
      await append.add({ subject, payload });
    }
    await append.flush();
    if (part.commit > 0) entries.push(...(await restorePart(part, options)));
    onProgress?.(part.partition + 1);
  }
  if (cursor !== undefined)
    entries.push({ subject: subjects.ingestCursor, payload: cursor, expectLastSeq: 0 });
  if (entries.length > 0) await appendAll(entries, options);
}

/** Puts the partition's base; gives what its journal and its outputs begin with. */
async function restorePart(part: SnapshotPart, options: RestoreOptions): Promise<LogEntry[]> {
  const { snapshot, source, subjects, objects, clock, writer, log } = options;
  const { partition } = part;
  const { header, records } = await openRecords(snapshot, part, source);
  const before = decodeControl(header.control);
  const control: Control = {
    ...before,
    writer,
    commit: before.commit + COMMITS_AHEAD,
    epoch: before.epoch + 1,
    // Only what was not committed is in the stream.
    inputSeq: 0,
    handedTo: undefined,
    base: undefined,
  };
  const name = baseName({ partition, journalSeq: 0, epoch: control.epoch, instance: writer });
  const place = { region: subjects.region, partitions: snapshot.partitions, partition };
  const base = { ...place, journalSeq: 0, control: encodeControl(control) };
  const { bytes } = await objects.put(name, encodeBase(base, records, clock));
  const pointer: BasePointer = { name, journalSeq: 0, madeAtMs: clock.now(), bytes };
  const entry = {
    control: { ...control, commit: control.commit + 1, base: pointer },
    changes: Changes.of([]),
  };
  const progress = {
    partition,
    commit: entry.control.commit,
    watermarkMs: control.watermarkMs,
    closed: control.closed,
    latestTimerMs: part.latestTimerMs,
    counters: Object.fromEntries(control.counters),
  };
  const out = { progress, blocks: [], sides: [], shown: [] };
  return [
    ...encodeJournalEntry(entry, log.payloadBytesMax).map((payload, i): LogEntry => {
      const subject = subjects.journal(partition);
      return i === 0 ? { subject, payload, expectLastSeq: 0 } : { subject, payload };
    }),
    ...encodeOutput(out, log.payloadBytesMax).map((payload) => ({
      subject: subjects.out(partition),
      payload,
    })),
  ];
}

async function expectEmpty({ log, subjects, snapshot }: RestoreOptions): Promise<void> {
  for (let partition = 0; partition < snapshot.partitions; partition++) {
    for (const subject of [subjects.journal(partition), subjects.inputs(partition)])
      if ((await log.next(subject, 1)) !== undefined) throw notEmpty(subjects);
  }
}

function notEmpty(subjects: Subjects): GroundswellError {
  return new GroundswellError(
    'GS_STREAM_CONFIG',
    `The stream ${subjects.engineStream} is not empty: the region ${subjects.region} has a life of its own.`,
    {
      remedy: 'Restore into another region, or replace this one with --yes-replace while no node of it runs.',
    },
  );
}

export async function openRecords(
  snapshot: RegionSnapshot,
  { partition }: SnapshotPart,
  source: ObjectStore,
): Promise<DecodedBase> {
  const name = recordsName(snapshot.id, partition);
  const chunks = await source.get(name);
  if (chunks === undefined) throw incomplete(snapshot, name);
  return decodeBase(`The object ${name}`, chunks);
}

export async function* openInputs(
  snapshot: RegionSnapshot,
  { partition, inputs }: SnapshotPart,
  source: ObjectStore,
): ReturnType<typeof decodeInputs> {
  if (inputs === 0) return;
  const name = inputsName(snapshot.id, partition);
  const chunks = await source.get(name);
  if (chunks === undefined) throw incomplete(snapshot, name);
  yield* decodeInputs(`The object ${name}`, chunks);
}

/** Appends in batches, each stored once, whatever becomes of its answer. */
class OnceAppender {
  readonly #options: RestoreOptions;
  readonly #lastSeq = new Map<string, number>();
  #entries: LogEntry[] = [];
  #bytes = 0;

  constructor(options: RestoreOptions) {
    this.#options = options;
  }

  async add(entry: LogEntry): Promise<void> {
    this.#entries.push(entry);
    this.#bytes += entry.payload.byteLength;
    const isFull = this.#entries.length >= this.#options.log.batchEntriesMax;
    if (isFull || this.#bytes >= BATCH_BYTES) await this.flush();
  }

  async flush(): Promise<void> {
    if (this.#entries.length === 0) return;
    const seen = new Set<string>();
    const entries = this.#entries.map((entry) => {
      if (seen.has(entry.subject)) return entry;
      seen.add(entry.subject);
      return { ...entry, expectLastSeq: this.#lastSeq.get(entry.subject) ?? 0 };
    });
    const firstSeq = await appendOnce(entries, this.#options);
    entries.forEach(({ subject }, i) => this.#lastSeq.set(subject, firstSeq + i));
    this.#entries = [];
    this.#bytes = 0;
  }
}

/** The first entry has an expectation. Gives its sequence. */
async function appendOnce(
  entries: readonly LogEntry[],
  { log, clock, subjects }: RestoreOptions,
): Promise<number> {
  const deadlineMs = clock.monotonic() + PATIENCE_MS;
  const [first] = entries as [LogEntry];
  let isUnknown = false;
  for (;;) {
    const outcome = await log.append(entries);
    if (outcome.outcome === 'committed') return outcome.firstSeq;
    if (outcome.outcome === 'refused' && !outcome.retry)
      throw new GroundswellError('GS_LOG', `The stream did not take the snapshot: ${outcome.cause}.`);
    // Somebody else is there; unless it was ours, whose answer was lost (P6).
    if (outcome.outcome === 'stale' && !isUnknown) throw notEmpty(subjects);
    if (outcome.outcome !== 'refused') {
      isUnknown = true;
      const next = await log.next(first.subject, (first.expectLastSeq ?? 0) + 1);
      if (next !== undefined) {
        if (Buffer.compare(next.payload, first.payload) === 0) return next.seq;
        throw notEmpty(subjects);
      }
    }
    if (clock.monotonic() >= deadlineMs)
      throw new GroundswellError('GS_LOG', `The stream did not take the snapshot: ${outcome.cause}.`);
    await sleep(clock, AGAIN_MS);
  }
}

async function appendAll(entries: readonly LogEntry[], options: RestoreOptions): Promise<void> {
  const { log, subjects, snapshot, writer } = options;
  await appendOnce(entries, options);
  for (const { partition, commit } of snapshot.parts) {
    const control = commit === 0 ? undefined : await lastControl(log, subjects.journal(partition));
    if (commit > 0 && control?.writer !== writer) throw notEmpty(subjects);
  }
}
