/** `groundswell repartition`: another number of partitions for a region at rest. */
import type { Command } from 'commander';
import { systemClock } from '../core/clock.js';
import { GroundswellError } from '../core/errors.js';
import { Subjects } from '../log/subjects.js';
import {
  chooseSnapshot,
  listSnapshots,
  snapshotId,
  type RegionSnapshot,
} from '../node/base/region-manifest.js';
import { reshapeSnapshot } from '../node/base/region-reshape.js';
import { verifySnapshot } from '../node/base/region-restore.js';
import { unpublished } from '../serve/unpublished.js';
import { wholeNumber } from './command.js';
import { RegionAccess, type AccessOptions } from './region-access.js';
import { collected, putInPlace } from './restore.js';
import { colors, count, say } from './screen.js';
import { summaryOf, takeSnapshot, withRegion } from './snapshot.js';
import { stoppable } from './stopping.js';

interface Options extends AccessOptions {
  region: string;
  partitions: number;
  at?: string;
  forget: string[];
  json: boolean;
}

export function repartitionCommand(program: Command): void {
  withRegion(program.command('repartition'))
    .description('give a region another number of partitions, while no node of it runs')
    .requiredOption('--partitions <n>', 'from then on', wholeNumber(1, 256))
    .option('--at <time|id>', 'go on from an earlier snapshot, and lose what came after it')
    .option(
      '--forget <producer>',
      'its place in its events may be lost: it never sends them again',
      collected,
      [],
    )
    .option('--json', 'as JSON', false)
    .addHelpText(
      'after',
      '\nThe region must be at rest: producers have ended, and no input waits. A snapshot is taken first and stays.\n' +
        '\nExample:\n  groundswell repartition --region sf --partitions 32 --data data/sf',
    )
    .action(repartition);
}

async function repartition(options: Options): Promise<void> {
  const made = await stoppable(
    () => RegionAccess.open(options),
    (access) => work(access, options),
  );
  if (options.json) say(JSON.stringify(summaryOf(made)));
  else for (const line of lines(made)) say(line);
}

async function work(access: RegionAccess, options: Options): Promise<RegionSnapshot> {
  const { region, partitions, at, forget } = options;
  await access.expectNoNodes(region);
  const { partitions: before } = await access.streams(region);
  if (before === partitions) {
    throw new GroundswellError('GS_USAGE', `The region ${region} has ${partitions} partitions already.`);
  }
  const objects = await access.objects(region);
  const snapshot =
    at === undefined
      ? await takeSnapshot(access, objects, region)
      : chooseSnapshot(await listSnapshots(objects), at);
  if (at === undefined) await expectPublished(access, region, snapshot.partitions);
  const made = await reshapeSnapshot({
    snapshot,
    objects,
    clock: systemClock,
    scratch: await access.scratch(region, partitions),
    id: snapshotId(systemClock.now(), `${access.writer.slice(0, 7)}p`),
    partitions,
    region,
    isOfRegion: () => false,
    forget: new Set(forget),
  });
  await verifySnapshot(made, objects);
  await access.expectNoNodes(region);
  await putInPlace(access, {
    snapshot: made,
    source: objects,
    published: at === undefined ? 'stays' : 'goes',
  });
  return made;
}

/** What was committed and is not published goes with the stream that it is in. */
async function expectPublished(access: RegionAccess, region: string, partitions: number): Promise<void> {
  const subjects = new Subjects(region);
  const waiting = await unpublished({
    source: access.log(subjects.engineStream),
    aggregates: access.log(subjects.aggregateStream),
    sides: access.log(subjects.sideStream),
    subjects,
    partitions,
    clock: systemClock,
  });
  if (waiting === 0) return;
  throw new GroundswellError(
    'GS_BUSY',
    `The region is not at rest: ${count(waiting)} output frames are not published yet.`,
    {
      remedy: 'Start a node, wait until groundswell status shows no publisher lag, stop it, and try again.',
    },
  );
}

function lines(made: RegionSnapshot): string[] {
  const { region, partitions, actors } = summaryOf(made);
  return [
    `${colors.bold(region)} has ${partitions} partitions now: ${count(actors)} actors were moved`,
    `  write partitions: ${partitions} into the region’s file, and start its nodes; those elsewhere on new data folders`,
    `  groundswell restore --region ${region} --at ${made.from ?? made.id} --yes-replace goes back`,
  ];
}
