/**
 * A snapshot of a whole region: what it is made of, under which names, and how one is found. Its manifest is written last:
 * a snapshot that is listed is whole.
 */
import { GroundswellError } from '../../core/errors.js';
import { partitionToken } from '../../core/ids.js';
import type { ObjectStore } from '../../log/objects.js';

export const REGION_SNAPSHOT_FORMAT = 1;

export interface SnapshotPart {
  readonly partition: number;
  /** Number of its last commit at the cut; 0 when it had none: then it has no object of records. */
  readonly commit: number;
  /** Its last input that was committed, in the sequences of the stream that the snapshot is of. */
  readonly inputSeq: number;
  readonly records: number;
  readonly bytes: number;
  /** Inputs that wait: stored up to the cut, and not committed. */
  readonly inputs: number;
  readonly inputBytes: number;
  /** Latest time at which any timer stands, event time ms; 0 when none is set. */
  readonly latestTimerMs: number;
}

export interface RegionSnapshot {
  readonly format: number;
  readonly id: string;
  readonly region: string;
  readonly partitions: number;
  /** Wall time, ms UTC. */
  readonly takenAtMs: number;
  /** Place in the stream between two batches: all up to there is in the snapshot, and nothing after. */
  readonly cutSeq: number;
  /** The cursor of raw events at the cut; null when there was none. */
  readonly cursor: string | null;
  /** Names the stream of raw events that the cursor is of. */
  readonly ingest: string | null;
  /** The snapshot that this one was made of; null for one that was taken. */
  readonly from: string | null;
  readonly parts: readonly SnapshotPart[];
}

const PREFIX = 'region/';

/** `20260302T084105Z-` and eight characters that make it one of its kind. */
export function snapshotId(atMs: number, instance: string): string {
  const time = new Date(atMs).toISOString().replaceAll(/[-:]/g, '').replace(/\.\d+/, '');
  return `${time}-${instance.replaceAll(/[^A-Za-z0-9]/g, '').slice(0, 8)}`;
}

export const manifestName = (id: string): string => `${PREFIX}${id}/manifest`;
export const recordsName = (id: string, partition: number): string =>
  `${PREFIX}${id}/records/${partitionToken(partition)}`;
export const inputsName = (id: string, partition: number): string =>
  `${PREFIX}${id}/inputs/${partitionToken(partition)}`;

/** All objects of a snapshot but its manifest. */
export function namesOf({ id, parts }: RegionSnapshot): string[] {
  return parts.flatMap(({ partition, commit, inputs }) => [
    ...(commit > 0 ? [recordsName(id, partition)] : []),
    ...(inputs > 0 ? [inputsName(id, partition)] : []),
  ]);
}

/** Those that are whole, oldest first. */
export async function listSnapshots(objects: ObjectStore): Promise<RegionSnapshot[]> {
  const found: RegionSnapshot[] = [];
  for (const { name } of await objects.list()) {
    const id = /^region\/([^/]+)\/manifest$/.exec(name)?.[1];
    const snapshot = id === undefined ? undefined : await readSnapshot(objects, id);
    if (snapshot !== undefined) found.push(snapshot);
  }
  return found.sort((a, b) => a.takenAtMs - b.takenAtMs || (a.id < b.id ? -1 : 1));
}

/** @throws GroundswellError GS_DATA_CORRUPT, GS_DATA_NEWER */
export async function readSnapshot(objects: ObjectStore, id: string): Promise<RegionSnapshot | undefined> {
  const chunks = await objects.get(manifestName(id));
  if (chunks === undefined) return undefined;
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of chunks) text += decoder.decode(chunk, { stream: true });
  const snapshot = JSON.parse(text) as RegionSnapshot;
  if (snapshot.format > REGION_SNAPSHOT_FORMAT) {
    throw new GroundswellError(
      'GS_DATA_NEWER',
      `The snapshot ${id} has format ${snapshot.format}; this version reads ${REGION_SNAPSHOT_FORMAT}.`,
      { remedy: 'It was taken by a newer groundswell: run that version.' },
    );
  }
  return snapshot;
}

export async function writeManifest(objects: ObjectStore, snapshot: RegionSnapshot): Promise<void> {
  async function* text(): AsyncGenerator<Uint8Array> {
    yield await Promise.resolve(new TextEncoder().encode(JSON.stringify(snapshot)));
  }
  await objects.put(manifestName(snapshot.id), text());
}

/**
 * The snapshot of an id, or the last one at or before a time.
 * @throws GroundswellError GS_NOT_FOUND naming what there is
 */
export function chooseSnapshot(all: readonly RegionSnapshot[], at: string): RegionSnapshot {
  const named = all.find(({ id }) => id === at);
  if (named !== undefined) return named;
  const atMs = Date.parse(at);
  const ids = all.length === 0 ? 'there is none' : `there are ${all.map(({ id }) => id).join(', ')}`;
  if (Number.isNaN(atMs)) {
    throw new GroundswellError('GS_NOT_FOUND', `No snapshot has the id ${at}: ${ids}.`, {
      remedy: 'Give the id of one, or a time such as 2026-03-02T08:41:05Z.',
    });
  }
  const last = all.filter(({ takenAtMs }) => takenAtMs <= atMs).at(-1);
  if (last !== undefined) return last;
  throw new GroundswellError(
    'GS_NOT_FOUND',
    `No snapshot was taken at or before ${new Date(atMs).toISOString()}: ${ids}.`,
    {
      remedy: 'Give a later time, or the id of a snapshot.',
    },
  );
}

/** Copies a snapshot to another object store, the manifest last. */
export async function copySnapshot(
  snapshot: RegionSnapshot,
  from: ObjectStore,
  to: ObjectStore,
): Promise<void> {
  for (const name of namesOf(snapshot)) {
    const chunks = await from.get(name);
    if (chunks === undefined) throw incomplete(snapshot, name);
    await to.put(name, chunks);
  }
  await writeManifest(to, snapshot);
}

/** Removes a snapshot, the manifest first. */
export async function removeSnapshot(objects: ObjectStore, id: string): Promise<void> {
  await objects.remove(manifestName(id));
  for (const { name } of await objects.list())
    if (name.startsWith(`${PREFIX}${id}/`)) await objects.remove(name);
}

export function incomplete({ id }: RegionSnapshot, name: string): GroundswellError {
  return new GroundswellError('GS_DATA_CORRUPT', `The snapshot ${id} lacks ${name}.`, {
    remedy: 'Take another snapshot: groundswell snapshot --list shows them.',
  });
}
