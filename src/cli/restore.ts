/** `groundswell restore`: a region as it was: on a new server, under another name, or in place of what it has become. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { systemClock } from '../core/clock.js';
import { GroundswellError } from '../core/errors.js';
import { encodeCursor, type RawCursor } from '../ingest/raw-cursor.js';
import { ensureStreams } from '../log/nats/streams.js';
import { removeRegionStreams } from '../log/nats/region-streams.js';
import type { ObjectStore } from '../log/objects.js';
import { Subjects } from '../log/subjects.js';
import {
  chooseSnapshot,
  copySnapshot,
  listSnapshots,
  readSnapshot,
  snapshotId,
  type RegionSnapshot,
} from '../node/base/region-manifest.js';
import { reshapeSnapshot } from '../node/base/region-reshape.js';
import { restoreRegion, verifySnapshot } from '../node/base/region-restore.js';
import { loadEngineConfig } from './engine.js';
import { FolderObjects } from './folder-objects.js';
import { regionName, RegionAccess, type AccessOptions } from './region-access.js';
import { colors, count, note, say } from './screen.js';
import { summaryOf, withRegion } from './snapshot.js';
import { stoppable } from './stopping.js';

interface Options extends AccessOptions {
  region: string;
  at: string;
  from?: string;
  into?: string;
  config?: string;
  forget: string[];
  yesReplace: boolean;
  json: boolean;
}

export function restoreCommand(program: Command): void {
  withRegion(program.command('restore'))
    .description('bring a region back as it was when a snapshot of it was taken')
    .requiredOption('--at <time|id>', 'the last snapshot at or before a time, or the one of this id')
    .option(
      '--from <dir>',
      'a folder that groundswell snapshot --out has written, instead of the object store',
    )
    .option('--into <name>', 'under another name; the region must have been at rest', regionName)
    .option('--config <file>', 'region file of the new name instead of config/regions/<name>.yaml')
    .option('--forget <producer>', 'with --into: its place in its events may be lost', collected, [])
    .option('--yes-replace', 'replace what the region has become since: its streams are removed', false)
    .option('--json', 'as JSON', false)
    .addHelpText(
      'after',
      '\nNo node of the region may run meanwhile. Rows that were published since are removed with the streams.\n' +
        '\nExample:\n  groundswell restore --region sf --from backup --at 2100-01-01T00:00:00Z --data data/sf-2',
    )
    .action(restore);
}

export function collected(value: string, before: string[]): string[] {
  return [...before, value];
}

async function restore(options: Options): Promise<void> {
  const restored = await stoppable(
    () => RegionAccess.open(options),
    (access) => work(access, options),
  );
  if (options.json) say(JSON.stringify(summaryOf(restored)));
  else for (const line of restoredLines(restored)) say(line);
}

async function work(access: RegionAccess, options: Options): Promise<RegionSnapshot> {
  const { region, at, from, into = region } = options;
  const source = from === undefined ? await access.objects(region) : new FolderObjects(resolve(from));
  const chosen = chooseSnapshot(await listSnapshots(source), at);
  await access.expectNoNodes(into);
  const { messages } = await access.streams(into);
  if (messages > 0 && !options.yesReplace) throw notEmpty(into, messages);
  await verifySnapshot(chosen, source);
  if (chosen.region === into) {
    await putInPlace(access, { snapshot: chosen, source, published: 'goes' });
    return chosen;
  }
  const objects = await access.objects(into);
  if ((await readSnapshot(objects, chosen.id)) === undefined) await copySnapshot(chosen, source, objects);
  const snapshot = await renamed(access, objects, chosen, options);
  await putInPlace(access, { snapshot, source: objects, published: 'goes' });
  return snapshot;
}

async function renamed(
  access: RegionAccess,
  objects: ObjectStore,
  snapshot: RegionSnapshot,
  { into = snapshot.region, config, forget }: Options,
): Promise<RegionSnapshot> {
  const { partitions } = snapshot;
  const { registry } = await loadEngineConfig({ region: into, configFile: config, live: true });
  return reshapeSnapshot({
    snapshot,
    objects,
    clock: systemClock,
    scratch: await access.scratch(into, partitions),
    id: snapshotId(systemClock.now(), `${access.writer.slice(0, 7)}r`),
    partitions,
    region: into,
    // Actors that receive events have the keys of their events.
    isOfRegion: (type) => (registry.types.get(type)?.stage ?? 0) > 0,
    forget: new Set(forget),
  });
}

/**
 * Makes the region what the snapshot says. Removes its streams first: all that can fail for another reason than the server
 * has been tried by then.
 */
export async function putInPlace(
  access: RegionAccess,
  options: { snapshot: RegionSnapshot; source: ObjectStore; published: 'stays' | 'goes' },
): Promise<void> {
  const { snapshot, source, published } = options;
  const { region, partitions } = snapshot;
  const subjects = new Subjects(region);
  const objects = await access.objects(region);
  await access.forgetLocal();
  await removeRegionStreams(access.jsm, subjects, { published, partitions });
  await ensureStreams(access.jsm, subjects, partitions);
  const cursor = cursorFor(snapshot, (await access.streams(region)).ingest);
  await restoreRegion({
    snapshot,
    source,
    log: access.log(subjects.engineStream),
    subjects,
    objects,
    clock: systemClock,
    writer: `restore-${access.writer}`,
    ...(cursor === undefined ? {} : { cursor }),
    onProgress: (done) => {
      if (done % 16 === 0 || done === partitions) note(`restored ${done} of ${partitions} partitions`);
    },
  });
}

/** Raw events are taken on where the snapshot was, in the stream that they were in; in another one, from its beginning. */
export function cursorFor(
  { cursor, ingest, partitions }: RegionSnapshot,
  ingestNow: string | undefined,
): Uint8Array | undefined {
  if (cursor === null) return undefined;
  const { seq, lanes, writer, round } = JSON.parse(cursor) as RawCursor;
  return encodeCursor({
    writer,
    round,
    seq: ingestNow !== undefined && ingestNow === ingest ? seq : 0,
    lanes: lanes.length === partitions ? lanes : new Array<number>(partitions).fill(0),
  });
}

function notEmpty(region: string, messages: number): GroundswellError {
  return new GroundswellError(
    'GS_STREAM_CONFIG',
    `The region ${region} is there: its streams hold ${count(messages)} messages.`,
    {
      remedy:
        'Give --yes-replace to remove what it has become, or --into another name. Take a snapshot first: groundswell snapshot.',
    },
  );
}

function restoredLines(restored: RegionSnapshot): string[] {
  const { id, region, partitions, actors, inputs } = summaryOf(restored);
  return [
    `${colors.bold(region)} is as it was in ${id}: ${partitions} partitions, ${count(actors)} actors, ${count(inputs)} input frames to take`,
    '  start its nodes; those elsewhere, that ran it before, on new data folders',
  ];
}
