/**
 * Takes a snapshot of a whole region while it works: a cut through the stream between two batches. The stream has one
 * order over all partitions, so each partition's state there, with the inputs that are stored up to there and not
 * committed, is all that the region was at that moment; mail under way is among these inputs.
 *
 * A state at the cut is a base with the journal after it, put together here: partitions need not do anything for it.
 */
import { sleep, type Clock } from '../../core/clock.js';
import { GroundswellError } from '../../core/errors.js';
import type { Log } from '../../log/log.js';
import type { ObjectStore } from '../../log/objects.js';
import { readRange } from '../../log/read-range.js';
import { isEventSubject, type Subjects } from '../../log/subjects.js';
import { decodeActor } from '../../partition/actor-record.js';
import { decodeControl, type Control } from '../../partition/journal.js';
import type { SnapshotRecord, SnapshotStore } from '../../state/store.js';
import { encodeBase } from './base-format.js';
import { encodeInputs, type WaitingInput } from './input-archive.js';
import { fillStateAt, lastControl } from './journal-tail.js';
import {
  inputsName,
  recordsName,
  REGION_SNAPSHOT_FORMAT,
  removeSnapshot,
  writeManifest,
  type RegionSnapshot,
  type SnapshotPart,
} from './region-manifest.js';
import { withHold } from './snapshot-hold.js';

export interface TakeSnapshotOptions {
  readonly log: Log;
  readonly subjects: Subjects;
  readonly objects: ObjectStore;
  readonly clock: Clock;
  readonly partitions: number;
  /** A store that nobody else uses: states are put together in it, one partition at a time. */
  readonly scratch: SnapshotStore;
  /** Of this snapshot: `snapshotId` gives one. */
  readonly id: string;
  /** Names the stream of raw events, as long as it is the same one. */
  readonly ingest?: string;
  readonly onProgress?: (partitionsDone: number) => void;
}

/** Inputs that are behind the journal stay for at least so long: what was not committed at first is there until then. */
const LOOK_WITHIN_MS = 60_000;
const CUT_ATTEMPTS = 20;
const AGAIN_MS = 250;

/** Where the stream is cut, and what was so just before. */
interface Cut {
  readonly seq: number;
  /** Control records from before the cut, by partition. */
  readonly controls: readonly (Control | undefined)[];
  readonly cursor: Uint8Array | undefined;
}

/** @throws GroundswellError GS_LOG when it could not be taken now */
export async function takeRegionSnapshot(options: TakeSnapshotOptions): Promise<RegionSnapshot> {
  const { log, subjects, objects, clock, id } = options;
  return withHold(objects, clock, id, async () => {
    const cut = await makeCut(options);
    try {
      const snapshot = await copyAt(cut, options);
      await writeManifest(objects, snapshot);
      return snapshot;
    } catch (error) {
      await removeSnapshot(objects, id).catch(() => undefined);
      throw error;
    } finally {
      await log.purge(subjects.snapshotCut, cut.seq + 1);
    }
  });
}

/** A message of our own marks the place: no other message stands within a batch. */
async function makeCut({ log, subjects, clock, partitions, id }: TakeSnapshotOptions): Promise<Cut> {
  const payload = new TextEncoder().encode(JSON.stringify({ snapshot: id }));
  for (let attempt = 1; attempt <= CUT_ATTEMPTS; attempt++) {
    const controls = await Promise.all(
      Array.from({ length: partitions }, (_, partition) => lastControl(log, subjects.journal(partition))),
    );
    const cursorBefore = await log.last(subjects.ingestCursor);
    const outcome = await log.append([{ subject: subjects.snapshotCut, payload }]);
    if (outcome.outcome === 'committed') {
      const seq = outcome.firstSeq;
      const cursor = await cursorAt(log, subjects.ingestCursor, cursorBefore?.seq, seq, clock);
      if (cursor.outcome === 'found') return { seq, controls, cursor: cursor.payload };
    }
    await sleep(clock, AGAIN_MS);
  }
  throw new GroundswellError('GS_LOG', 'The stream took no mark at which it could be cut.');
}

/** The last cursor up to the cut. It moves on, and older ones are removed: then another cut has to be made. */
async function cursorAt(
  log: Log,
  subject: string,
  beforeSeq: number | undefined,
  cutSeq: number,
  clock: Clock,
): Promise<{ outcome: 'found'; payload: Uint8Array | undefined } | { outcome: 'gone' }> {
  let payload: Uint8Array | undefined;
  for await (const message of readRange(log, subject, { fromSeq: beforeSeq ?? 1, throughSeq: cutSeq, clock }))
    payload = message.payload;
  if (payload === undefined && beforeSeq !== undefined) return { outcome: 'gone' };
  return { outcome: 'found', payload };
}

async function copyAt(cut: Cut, options: TakeSnapshotOptions): Promise<RegionSnapshot> {
  const { subjects, clock, partitions, id, ingest, onProgress } = options;
  const waiting = await archiveInputs(cut, options);
  const parts: SnapshotPart[] = [];
  for (let partition = 0; partition < partitions; partition++) {
    parts.push({ ...waiting[partition]!, ...(await copyState(partition, cut, options)) });
    onProgress?.(partition + 1);
  }
  return {
    format: REGION_SNAPSHOT_FORMAT,
    id,
    region: subjects.region,
    partitions,
    takenAtMs: clock.now(),
    cutSeq: cut.seq,
    cursor: cut.cursor === undefined ? null : new TextDecoder().decode(cut.cursor),
    ingest: ingest ?? null,
    from: null,
    parts,
  };
}

type Waiting = Pick<SnapshotPart, 'inputs' | 'inputBytes'>;

/**
 * Inputs are removed once they have been behind the journal for the region's history. Those that were not committed
 * before the cut are there for that long at least; it is made sure that they still are when they have been copied.
 */
async function archiveInputs(cut: Cut, options: TakeSnapshotOptions): Promise<Waiting[]> {
  const { log, subjects, clock, partitions } = options;
  const firstOf = async (partition: number): Promise<readonly (number | undefined)[]> => {
    const fromSeq = (cut.controls[partition]?.inputSeq ?? 0) + 1;
    const both = [subjects.events(partition), subjects.mail(partition)];
    return Promise.all(both.map(async (subject) => (await log.next(subject, fromSeq))?.seq));
  };
  const startedMs = clock.monotonic();
  const all = Array.from({ length: partitions }, (_, partition) => partition);
  const before = await Promise.all(all.map(firstOf));
  const isLate = clock.monotonic() - startedMs > LOOK_WITHIN_MS;
  const waiting: Waiting[] = [];
  for (const partition of all) {
    waiting.push(await archive(partition, cut, options));
    const after = await firstOf(partition);
    const isGone = before[partition]!.some((seq, i) => seq !== undefined && after[i] !== seq);
    if (!isLate && !isGone) continue;
    throw new GroundswellError(
      'GS_LOG',
      `Inputs of partition ${partition} were removed while they were copied.`,
      {
        remedy: 'Try again, with a longer history in the region’s configuration if it happens once more.',
      },
    );
  }
  return waiting;
}

async function archive(
  partition: number,
  cut: Cut,
  { log, subjects, objects, clock, id }: TakeSnapshotOptions,
): Promise<Waiting> {
  const fromSeq = (cut.controls[partition]?.inputSeq ?? 0) + 1;
  const range = { fromSeq, throughSeq: cut.seq, clock };
  const messages = readRange(log, subjects.inputs(partition), range);
  const first = await messages.next();
  if (first.done === true) return { inputs: 0, inputBytes: 0 };
  let inputs = 0;
  async function* all(): AsyncGenerator<WaitingInput> {
    for (let next = first; next.done !== true; next = await messages.next()) {
      const { seq, subject, payload } = next.value;
      inputs++;
      yield { seq, events: isEventSubject(subject), payload };
    }
  }
  const { bytes } = await objects.put(inputsName(id, partition), encodeInputs(all()));
  return { inputs, inputBytes: bytes };
}

type State = Omit<SnapshotPart, keyof Waiting>;

async function copyState(
  partition: number,
  { seq, controls }: Cut,
  options: TakeSnapshotOptions,
): Promise<State> {
  const { scratch, id, partitions, subjects, objects, clock } = options;
  await fillStateAt(partition, controls[partition]?.base, seq, { ...options, store: scratch });
  const exported = scratch.export(partition);
  if (exported === undefined)
    return { partition, commit: 0, inputSeq: 0, records: 0, bytes: 0, latestTimerMs: 0 };
  try {
    const tally = { records: 0, latestTimerMs: 0 };
    const header = { region: subjects.region, partitions, partition, ...exported.position };
    const encoded = encodeBase(header, counted(exported.bites, tally), clock);
    const { bytes } = await objects.put(recordsName(id, partition), encoded);
    const { commit, inputSeq } = decodeControl(exported.position.control);
    return { partition, commit, inputSeq, bytes, ...tally };
  } finally {
    exported.close();
    await scratch.clear(partition);
  }
}

/** The same bites; counts records, and finds the latest timer. */
export function* counted(
  bites: Iterable<readonly SnapshotRecord[]>,
  tally: { records: number; latestTimerMs: number },
): Generator<readonly SnapshotRecord[]> {
  for (const bite of bites) {
    tally.records += bite.length;
    for (const [, bytes, timed] of bite) {
      if (!timed) continue;
      for (const [, atMs] of decodeActor(bytes).timers ?? [])
        tally.latestTimerMs = Math.max(tally.latestTimerMs, atMs);
    }
    yield bite;
  }
}
