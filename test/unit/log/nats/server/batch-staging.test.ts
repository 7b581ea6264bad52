// Hunts: a stream whose batches go through the disk for good because one was there at the wrong moment, batches that
// cannot be made any more because memory was cleared, memory that is never given back, another's folder taken for ours.
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { systemClock } from '../../../../../src/core/clock.js';
import { BatchStaging, type StagingMemory } from '../../../../../src/log/nats/server/batch-staging.js';
import { isInMemory, SHARED_MEMORY } from '../../../../support/shared-memory.js';
import { until } from '../../../../support/until.js';

const hasMemory = isInMemory(SHARED_MEMORY);

let dir: string;
/** A folder that no other test has anything in. */
let memory: StagingMemory;
const opened: BatchStaging[] = [];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'gs-staging-'));
  mkdirSync(join(dir, 'streams'));
  memory = { dir: hasMemory ? mkdtempSync(join(SHARED_MEMORY, 'gs-test-')) : SHARED_MEMORY, freeBytesMin: 1 };
});
afterEach(async () => {
  for (const staging of opened.splice(0)) await staging.close();
  rmSync(dir, { recursive: true, force: true });
  if (hasMemory) rmSync(memory.dir, { recursive: true });
});

async function open(more: Partial<StagingMemory> = {}): Promise<BatchStaging> {
  const [streamsDir, foundBy] = [join(dir, 'streams'), join(dir, 'staging')];
  const staging = await BatchStaging.open({
    streamsDir,
    foundBy,
    clock: systemClock,
    memory: { ...memory, ...more },
  });
  opened.push(staging);
  return staging;
}

function folderOf({ place }: BatchStaging): string {
  if (place.kind === 'disk') throw new Error(place.why);
  return place.folder;
}

/** A stream's folder, as the server makes it. */
function stream(name: string): string {
  mkdirSync(join(dir, 'streams', name));
  return join(dir, 'streams', name, 'batches');
}

function leadsTo(link: string): string | undefined {
  return lstatSync(link, { throwIfNoEntry: false })?.isSymbolicLink() === true
    ? readlinkSync(link)
    : undefined;
}

describe.runIf(hasMemory)('the place of batches, in memory', () => {
  it('takes the streams that there are and those that come, each in a folder that only we can enter', async () => {
    const first = stream('GS_sf');
    const staging = await open();
    staging.keep();
    await until('the first', () => leadsTo(first) === join(folderOf(staging), 'GS_sf'));
    const second = stream('GS_sf_AGG');
    await until('the second', () => leadsTo(second) === join(folderOf(staging), 'GS_sf_AGG'));
    expect(statSync(folderOf(staging)).mode & 0o777).toBe(0o700);
    writeFileSync(join(second, 'block'), 'x');
    expect(readdirSync(join(folderOf(staging), 'GS_sf_AGG'))).toEqual(['block']);
  });

  it('is not for a stream that has batches on the disk: nobody could tell that none is about to be put there', async () => {
    const batches = stream('GS_sf');
    mkdirSync(batches);
    const other = stream('GS_zz');
    const staging = await open();
    await staging.stage();
    expect(leadsTo(batches)).toBeUndefined();
    expect(leadsTo(other)).toBe(join(folderOf(staging), 'GS_zz'));
  });

  it('is made again when others have cleared it', async () => {
    const batches = stream('GS_sf');
    const staging = await open();
    staging.keep();
    await until('the stream', () => leadsTo(batches) !== undefined);
    rmSync(folderOf(staging), { recursive: true });
    await until('the folder', () => existsSync(batches));
    expect(statSync(folderOf(staging)).mode & 0o777).toBe(0o700);
  });

  it('is given back when it is closed', async () => {
    const batches = stream('GS_sf');
    const staging = await open();
    staging.keep();
    await until('the stream', () => leadsTo(batches) !== undefined);
    await staging.close();
    expect(existsSync(folderOf(staging))).toBe(false);
    expect(existsSync(join(dir, 'staging'))).toBe(false);
  });

  it('of an earlier start is given back by the next, and nothing else of where its link leads', async () => {
    const left = folderOf(await open());
    const own = folderOf(await open());
    expect([existsSync(left), existsSync(own)]).toEqual([false, true]);

    rmSync(join(dir, 'staging'));
    symlinkSync(join(dir, 'streams'), join(dir, 'staging'));
    await open();
    expect(existsSync(join(dir, 'streams'))).toBe(true);
  });
});

describe('the place of batches, without memory for it', () => {
  it.runIf(hasMemory)(
    'is the disk when the next start could not find it, and leaves nothing in memory',
    async () => {
      mkdirSync(join(dir, 'staging'));
      const staging = await open();
      expect(staging.place).toEqual({ kind: 'disk', why: expect.stringContaining('EEXIST') as string });
      expect(readdirSync(memory.dir)).toEqual([]);
    },
  );

  it.each([
    ['too little is free', { freeBytesMin: Number.MAX_SAFE_INTEGER }, /bytes free|not in memory|ENOENT/],
    ['there is none', { dir: '/dev/shm/none' }, /ENOENT/],
  ])('is the disk, and it says why: %s', async (_, more, why) => {
    const batches = stream('GS_sf');
    const staging = await open(more);
    expect(staging.place).toEqual({ kind: 'disk', why: expect.stringMatching(why) as string });
    staging.keep();
    await staging.close();
    expect(existsSync(batches)).toBe(false);
  });

  it('is the disk where the folder is on one', async () => {
    const onDisk = isInMemory(dir) ? '/proc' : dir;
    const staging = await open({ dir: onDisk });
    expect(staging.place).toEqual({ kind: 'disk', why: `${onDisk} is not in memory` });
  });
});
