/**
 * Makes another snapshot of one: with another number of partitions, or under another name of the region. Only of a region at
 * rest (`region-rest.ts`): then an actor is its record, wherever it lies.
 */
import type { Clock } from '../../core/clock.js';
import { partitionOf } from '../../core/hash.js';
import { actorId, actorKey, actorType, type ActorId } from '../../core/ids.js';
import type { ObjectStore } from '../../log/objects.js';
import { Changes, type ActorChange } from '../../partition/changes.js';
import { decodeControl, encodeControl, type Control } from '../../partition/journal.js';
import type { ProducerState } from '../../partition/watermark.js';
import type { SnapshotStore } from '../../state/store.js';
import { encodeBase } from './base-format.js';
import {
  recordsName,
  removeSnapshot,
  writeManifest,
  type RegionSnapshot,
  type SnapshotPart,
} from './region-manifest.js';
import { expectRest, type Rest } from './region-rest.js';
import { openRecords } from './region-restore.js';
import { counted } from './region-snapshot.js';

export interface ReshapeOptions {
  readonly snapshot: RegionSnapshot;
  /** Where the snapshot is, and where the new one is put. */
  readonly objects: ObjectStore;
  readonly clock: Clock;
  /** A store for the new number of partitions that nobody else uses. */
  readonly scratch: SnapshotStore;
  readonly id: string;
  readonly partitions: number;
  readonly region: string;
  /** Whether actors of a type are of the region as a whole: their key is its name. */
  readonly isOfRegion: (type: string) => boolean;
  /** Producers whose place may be lost. */
  readonly forget?: ReadonlySet<string>;
}

/** More events than a producer ever sends: all of one that has ended were seen. */
const ALL_EVENTS = 2 ** 52;

/** @throws GroundswellError GS_BUSY when the region was not at rest, naming why */
export async function reshapeSnapshot(options: ReshapeOptions): Promise<RegionSnapshot> {
  const { snapshot, objects, clock, id, partitions, region, forget = new Set() } = options;
  const rest = await expectRest(snapshot, objects, forget);
  const controls = Array.from({ length: partitions }, (_, partition) =>
    controlOf(partition, rest, partitions),
  );
  try {
    await moveRecords(controls, options);
    const parts: SnapshotPart[] = [];
    for (let partition = 0; partition < partitions; partition++)
      parts.push(await putPart(partition, options));
    const made: RegionSnapshot = {
      ...snapshot,
      id,
      region,
      partitions,
      takenAtMs: clock.now(),
      from: snapshot.id,
      parts,
    };
    await writeManifest(objects, made);
    return made;
  } catch (error) {
    await removeSnapshot(objects, id).catch(() => undefined);
    throw error;
  }
}

/** What a partition is that was never one: at the time of all, with the region's sums in the first. */
function controlOf(partition: number, rest: Rest, partitions: number): Control {
  const { controls, marks, closed, watermarkMs } = rest;
  return {
    ...controls[0]!,
    commit: Math.max(...controls.map(({ commit }) => commit)),
    epoch: Math.max(...controls.map(({ epoch }) => epoch)),
    wallMs: Math.max(...controls.map(({ wallMs }) => wallMs)),
    inputSeq: 0,
    watermarkMs,
    producers: endedOf(controls),
    marks: marks.flatMap((mark) => new Array<number>(partitions).fill(mark)),
    closed,
    counters: partition === 0 ? summed(controls) : new Map<string, number>(),
    handedTo: undefined,
    base: undefined,
  };
}

/**
 * A replay that has ended stays so, whoever starts it again: all that it could send was seen. One that feeds live begins anew
 * when it comes back.
 */
function endedOf(controls: readonly Control[]): Map<string, ProducerState> {
  const ended = new Map<string, ProducerState>();
  for (const { producers } of controls) {
    for (const [id, state] of producers)
      if (state.ended && state.mode === 'replay') ended.set(id, { ...state, seq: ALL_EVENTS });
  }
  return ended;
}

function summed(controls: readonly Control[]): Map<string, number> {
  const sums = new Map<string, number>();
  for (const { counters } of controls)
    for (const [name, n] of counters) sums.set(name, (sums.get(name) ?? 0) + n);
  return sums;
}

async function moveRecords(controls: readonly Control[], options: ReshapeOptions): Promise<void> {
  const { snapshot, objects, scratch, partitions } = options;
  const encoded = controls.map(encodeControl);
  for (let partition = 0; partition < partitions; partition++) {
    await scratch.clear(partition);
    await scratch.write([{ partition, journalSeq: 0, control: encoded[partition]!, commits: [] }]);
  }
  for (const part of snapshot.parts) {
    if (part.commit === 0) continue;
    const { records } = await openRecords(snapshot, part, objects);
    for await (const group of records) {
      const byPartition = new Map<number, ActorChange[]>();
      for (const [oldId, bytes, timed] of group) {
        const id = renamed(oldId, options);
        const partition = partitionOf(id, partitions);
        const changes = byPartition.get(partition) ?? [];
        byPartition.set(partition, changes);
        changes.push({ id, bytes, timed });
      }
      await scratch.write(
        [...byPartition].map(([partition, changes]) => {
          const commits = [Changes.of(changes)];
          return { partition, journalSeq: 0, control: encoded[partition]!, commits };
        }),
      );
    }
  }
}

function renamed(id: ActorId, { snapshot, region, isOfRegion }: ReshapeOptions): ActorId {
  if (region === snapshot.region || actorKey(id) !== snapshot.region) return id;
  return isOfRegion(actorType(id)) ? actorId(actorType(id), region) : id;
}

async function putPart(partition: number, options: ReshapeOptions): Promise<SnapshotPart> {
  const { scratch, objects, clock, id, partitions, region } = options;
  const exported = scratch.export(partition)!;
  try {
    const tally = { records: 0, latestTimerMs: 0 };
    const header = { region, partitions, partition, ...exported.position };
    const { bytes } = await objects.put(
      recordsName(id, partition),
      encodeBase(header, counted(exported.bites, tally), clock),
    );
    const { commit } = decodeControl(exported.position.control);
    return { partition, commit, inputSeq: 0, bytes, inputs: 0, inputBytes: 0, ...tally };
  } finally {
    exported.close();
    await scratch.clear(partition);
  }
}
