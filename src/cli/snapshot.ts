/** `groundswell snapshot`: a whole region at one moment, taken while it works; and what there is of such. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { systemClock } from '../core/clock.js';
import { GroundswellError } from '../core/errors.js';
import type { ObjectStore } from '../log/objects.js';
import { Subjects } from '../log/subjects.js';
import {
  copySnapshot,
  listSnapshots,
  namesOf,
  removeSnapshot,
  snapshotId,
  type RegionSnapshot,
} from '../node/base/region-manifest.js';
import { takeRegionSnapshot } from '../node/base/region-snapshot.js';
import { FolderObjects } from './folder-objects.js';
import { regionName, RegionAccess, type AccessOptions } from './region-access.js';
import { colors, count, note, say, table } from './screen.js';
import { stoppable } from './stopping.js';

interface Options extends AccessOptions {
  region: string;
  out?: string;
  list: boolean;
  remove?: string;
  json: boolean;
}

/** Adds the flags that say where a region is. */
export function withRegion(command: Command): Command {
  return command
    .requiredOption('--region <name>', 'region', regionName)
    .option('--nats <url>', 'nats-server of the region (also NATS_URL)')
    .option('--data <dir>', 'without --nats: data folder of its embedded server, while no node runs on it');
}

export function snapshotCommand(program: Command): void {
  withRegion(program.command('snapshot'))
    .description('take a snapshot of a whole region while it works; list those there are')
    .option('--out <dir>', 'also as files in this folder, to be restored elsewhere')
    .option('--list', 'list the snapshots instead', false)
    .option('--remove <id>', 'remove a snapshot instead')
    .option('--json', 'as JSON', false)
    .addHelpText(
      'after',
      '\nIt stays in the region’s object store until it is removed, beside the base snapshots.\n' +
        '\nExample:\n  groundswell snapshot --region sf --data data/sf --out backup',
    )
    .action(snapshot);
}

async function snapshot(options: Options): Promise<void> {
  await stoppable(
    () => RegionAccess.open(options),
    async (access) => {
      const objects = await access.objects(options.region);
      if (options.list) await list(objects, options);
      else if (options.remove !== undefined) await remove(objects, options.remove);
      else await take(access, objects, options);
    },
  );
}

async function take(access: RegionAccess, objects: ObjectStore, options: Options): Promise<void> {
  const taken = await takeSnapshot(access, objects, options.region);
  if (options.out !== undefined) await copySnapshot(taken, objects, new FolderObjects(resolve(options.out)));
  if (options.json) say(JSON.stringify(summaryOf(taken)));
  else for (const line of takenLines(taken, options.out)) say(line);
}

/** @throws GroundswellError GS_NOT_FOUND when there is no such region on the server */
export async function takeSnapshot(
  access: RegionAccess,
  objects: ObjectStore,
  region: string,
): Promise<RegionSnapshot> {
  const { partitions, ingest } = await access.streams(region);
  if (partitions === undefined) {
    throw new GroundswellError('GS_NOT_FOUND', `There is no region ${region} on this nats-server.`, {
      remedy: 'Check the name and the server: groundswell start makes a region.',
    });
  }
  const subjects = new Subjects(region);
  return takeRegionSnapshot({
    log: access.log(subjects.engineStream),
    subjects,
    objects,
    clock: systemClock,
    partitions,
    scratch: await access.scratch(region, partitions),
    id: snapshotId(systemClock.now(), access.writer),
    ...(ingest === undefined ? {} : { ingest }),
    onProgress: (done) => {
      if (done % 16 === 0 || done === partitions) note(`copied ${done} of ${partitions} partitions`);
    },
  });
}

async function list(objects: ObjectStore, { region, json }: Options): Promise<void> {
  const all = await listSnapshots(objects);
  if (json) say(JSON.stringify(all.map(summaryOf)));
  else for (const line of listLines(all, region)) say(line);
}

async function remove(objects: ObjectStore, id: string): Promise<void> {
  const all = await listSnapshots(objects);
  if (!all.some((each) => each.id === id)) {
    throw new GroundswellError('GS_NOT_FOUND', `No snapshot has the id ${id}.`, {
      remedy: 'groundswell snapshot --list shows those there are.',
    });
  }
  await removeSnapshot(objects, id);
  say(`removed ${id}`);
}

interface Summary {
  readonly id: string;
  readonly region: string;
  readonly partitions: number;
  readonly takenAtMs: number;
  readonly actors: number;
  /** Input frames that wait in it. */
  readonly inputs: number;
  readonly bytes: number;
  /** Of which other snapshot it was made; null when it was taken. */
  readonly from: string | null;
}

export function summaryOf({ id, region, partitions, takenAtMs, from, parts }: RegionSnapshot): Summary {
  const sum = (of: (part: RegionSnapshot['parts'][number]) => number): number =>
    parts.reduce((total, part) => total + of(part), 0);
  return {
    ...{ id, region, partitions, takenAtMs, from },
    actors: sum(({ records }) => records),
    inputs: sum(({ inputs }) => inputs),
    bytes: sum(({ bytes, inputBytes }) => bytes + inputBytes),
  };
}

function takenLines(taken: RegionSnapshot, out: string | undefined): string[] {
  const { id, actors, inputs, bytes } = summaryOf(taken);
  return [
    `${colors.bold(id)}: ${count(actors)} actors, ${count(inputs)} input frames under way, ${count(bytes)} bytes in ${namesOf(taken).length} objects`,
    ...(out === undefined ? [] : [`  and as files in ${colors.bold(out)}`]),
    `  groundswell restore --region ${taken.region} --at ${id} brings it back`,
  ];
}

export function listLines(all: readonly RegionSnapshot[], region: string): string[] {
  if (all.length === 0) return [`There is no snapshot of ${region}.`];
  return table([
    ['id', 'taken', 'partitions', 'actors', 'bytes', 'made of'],
    ...all.map((each) => {
      const { id, takenAtMs, partitions, actors, bytes, from } = summaryOf(each);
      return [id, new Date(takenAtMs).toISOString(), partitions, actors, bytes, from ?? '–'];
    }),
  ]);
}
