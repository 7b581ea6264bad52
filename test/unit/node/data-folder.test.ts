/** Hunts two processes on one folder, and locks that outlive their process. */
import { randomUUID } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openDataFolder } from '../../../src/node/data-folder.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'groundswell-test-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('the data folder', () => {
  it('is for one process at a time', async () => {
    const held = await openDataFolder(folder, randomUUID);
    await expect(openDataFolder(folder, randomUUID)).rejects.toMatchObject({
      code: 'GS_DATA_LOCKED',
      exitCode: 2,
    });
    await held.release();
    await (await openDataFolder(folder, randomUUID)).release();
  });

  it('is not held by a process that is gone', async () => {
    const { pid } = spawnSync(process.execPath, ['--version']);
    await writeFile(join(folder, 'groundswell.lock'), JSON.stringify({ pid, started: '1' }));
    await (await openDataFolder(folder, randomUUID)).release();
  });

  it('is not held by another process that has got the same id', async () => {
    const held = await openDataFolder(folder, randomUUID);
    const lock = join(folder, 'groundswell.lock');
    const holder = JSON.parse(await readFile(lock, 'utf8')) as { pid: number; started: string };
    await writeFile(lock, JSON.stringify({ ...holder, started: `${holder.started}0` }));
    await (await openDataFolder(folder, randomUUID)).release();
    await held.release();
  });

  it('is not held by a lock that was never written whole', async () => {
    await writeFile(join(folder, 'groundswell.lock'), '{"pid":');
    await (await openDataFolder(folder, randomUUID)).release();
  });

  it('says so when it cannot be made', async () => {
    await writeFile(join(folder, 'file'), '');
    await expect(openDataFolder(join(folder, 'file', 'below'), randomUUID)).rejects.toMatchObject({
      code: 'GS_OUTPUT',
    });
  });
});
