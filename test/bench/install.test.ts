/** Hunts: a measurement of the first output that rots, or adds up a folder wrongly. No time is asserted, and nothing is downloaded. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { MAIN, ROOT } from '../../bench/crash/command.js';
import { diskUsage, firstOutput } from '../../bench/install.js';

it('hears a demo speak, name its address, and end by itself', async () => {
  const heard = await firstOutput(process.execPath, [MAIN, 'demo', '--for', '1s', '--http', '0'], ROOT);
  expect(heard.code).toBe(0);
  expect(heard.firstLine).toMatch(/\w/);
  expect(heard.firstSeconds).toBeGreaterThan(0);
  expect(heard.addressSeconds).toBeGreaterThanOrEqual(heard.firstSeconds);
});

it('says what a command said that failed', async () => {
  await expect(
    firstOutput(process.execPath, ['-e', 'console.log("no"); process.exit(3)'], ROOT),
  ).rejects.toThrow(/exit code 3, and it said: no/);
});

it('adds up whole blocks of all files of a folder', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'gs-install-'));
  try {
    const empty = await diskUsage(folder);
    await mkdir(join(folder, 'a'));
    const folders = await diskUsage(folder);
    await writeFile(join(folder, 'a', 'one'), Buffer.alloc(100_000));
    await writeFile(join(folder, 'two'), Buffer.alloc(50_000));
    const whole = await diskUsage(folder);
    expect(folders).toBeGreaterThanOrEqual(empty);
    expect(whole - folders).toBeGreaterThanOrEqual(150_000);
    expect(whole - folders).toBeLessThan(150_000 + 4 * 65_536);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
