// Hunts: a server that is too old taken in silence, a way tried out of order, an error that does not say what to do.
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { VirtualClock } from '../../../../../src/core/clock.js';
import { fetchIntoCache } from '../../../../../src/log/nats/server/cache.js';
import { LOCAL_WAYS, locateNatsServer, WAYS } from '../../../../../src/log/nats/server/locate.js';
import { failed, type Search, type Way } from '../../../../../src/log/nats/server/way.js';

let dir: string;
let env: NodeJS.ProcessEnv;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gs-locate-'));
  env = { HOME: join(dir, 'home'), PATH: `${join(dir, 'bin1')}:${join(dir, 'bin2')}` };
});
afterEach(() => rm(dir, { recursive: true }));

/** A program that answers `--version` as nats-server of that version does. */
async function fake(path: string, version: string): Promise<string> {
  await mkdir(join(path, '..'), { recursive: true });
  await writeFile(path, `#!/bin/sh\necho "nats-server: v${version}"\n`, { mode: 0o755 });
  return path;
}

const inCache = (version: string) => join(dir, 'home/.cache/groundswell', `nats-server-${version}`);
const locate = (more: Partial<NodeJS.ProcessEnv> = {}, ways: readonly Way[] = LOCAL_WAYS) =>
  locateNatsServer({ env: { ...env, ...more }, ways });

describe('nats-server is looked for', () => {
  it('first where GROUNDSWELL_NATS_SERVER says', async () => {
    await fake(join(dir, 'bin1/nats-server'), '2.15.1');
    const own = await fake(join(dir, 'own'), '2.14.5');
    expect(await locate({ GROUNDSWELL_NATS_SERVER: own })).toEqual({
      path: own,
      version: '2.14.5',
      way: 'GROUNDSWELL_NATS_SERVER',
    });
  });

  it('and nowhere else when that one is too old, missing, or no nats-server', async () => {
    await fake(join(dir, 'bin1/nats-server'), '2.15.1');
    const old = await fake(join(dir, 'old'), '2.10.29');
    await expect(locate({ GROUNDSWELL_NATS_SERVER: old })).rejects.toMatchObject({
      code: 'GS_NATS_OLD',
      message: expect.stringContaining(`${old}, which is nats-server 2.10.29; 2.14.5 or newer`) as string,
    });
    await expect(locate({ GROUNDSWELL_NATS_SERVER: join(dir, 'none') })).rejects.toMatchObject({
      code: 'GS_NATS_MISSING',
      message: expect.stringContaining('no such program') as string,
    });
    await expect(locate({ GROUNDSWELL_NATS_SERVER: '/bin/true' })).rejects.toMatchObject({
      code: 'GS_NATS_MISSING',
      message: expect.stringContaining('/bin/true is not a nats-server') as string,
    });
  });

  it('then on the PATH, passing over one that is too old', async () => {
    await fake(join(dir, 'bin1/nats-server'), '2.10.29');
    const path = await fake(join(dir, 'bin2/nats-server'), '2.15.0');
    await fake(inCache('2.15.1'), '2.15.1');
    expect(await locate()).toEqual({ path, version: '2.15.0', way: 'PATH' });
  });

  it('then in the cache, the newest that runs', async () => {
    await fake(join(dir, 'bin1/nats-server'), '2.10.29');
    await fake(inCache('2.14.6'), '2.14.6');
    await fake(inCache('2.15.1'), '2.15.1');
    await fake(inCache('2.9.0'), '2.9.0');
    await writeFile(inCache('2.16.0'), 'cut off in the mid', { mode: 0o755 });
    expect(await locate()).toEqual({ path: inCache('2.15.1'), version: '2.15.1', way: 'cache' });
  });

  it('with XDG_CACHE_HOME honoured, if absolute', async () => {
    const path = await fake(join(dir, 'xdg/groundswell/nats-server-2.15.1'), '2.15.1');
    expect((await locate({ XDG_CACHE_HOME: join(dir, 'xdg') })).path).toBe(path);
    await expect(locate({ XDG_CACHE_HOME: 'xdg' })).rejects.toMatchObject({ code: 'GS_NATS_MISSING' });
  });

  it('in the order PATH, cache, release, Debian, each tried only if those before failed', async () => {
    expect(WAYS.map((way) => way.name)).toEqual([
      'PATH',
      'cache',
      'GitHub release',
      'Debian package (forky)',
    ]);
    const tried: string[] = [];
    const way = (name: string, works: boolean): Way => ({
      name,
      how: `Make ${name} work.`,
      look: (search) => {
        tried.push(name);
        search.onProgress(`trying ${name}`);
        return Promise.resolve(
          works ? { kind: 'found', path: `/${name}`, version: '2.15.1' } : failed(`${name} is broken`),
        );
      },
    });
    const lines: string[] = [];
    const found = await locateNatsServer({
      env,
      ways: [way('a', false), way('b', true), way('c', true)],
      onProgress: (line) => lines.push(line),
    });
    expect(found).toEqual({ path: '/b', version: '2.15.1', way: 'b' });
    expect(tried).toEqual(['a', 'b']);
    expect(lines).toEqual(['trying a', 'trying b']);
  });

  it('and when no way works the error has one line for each, with why and how', async () => {
    const old = await fake(join(dir, 'bin1/nats-server'), '2.10.29');
    const error = await locate().then(
      () => undefined,
      (thrown: unknown) => thrown as Error & { code: string },
    );
    expect(error?.code).toBe('GS_NATS_MISSING');
    expect(error?.message.split('\n')).toEqual([
      'no nats-server 2.14.5 or newer was found. The ways tried, and how to make each work:',
      '  GROUNDSWELL_NATS_SERVER: not set. Set it to the path of a nats-server.',
      `  PATH: ${old} is 2.10.29, older than 2.14.5. Install nats-server 2.14.5 or newer.`,
      `  cache: ${join(dir, 'home/.cache/groundswell')} holds none. Put a nats-server there as nats-server-<version>.`,
    ]);
  });
});

describe('a program comes into the cache', () => {
  const clock = new VirtualClock(1_700_000_000_000);
  const search = (): Search => ({ env, clock, cacheDir: join(dir, 'cache'), onProgress: () => undefined });

  it('whole, under its true version, from several processes at once', async () => {
    const fetch = async (tempDir: string) => ({
      kind: 'fetched' as const,
      program: await fake(join(tempDir, 'x/nats-server'), '2.15.1'),
    });
    const outcomes = await Promise.all(Array.from({ length: 8 }, () => fetchIntoCache(search(), fetch)));
    const path = join(dir, 'cache/nats-server-2.15.1');
    expect(outcomes).toEqual(Array.from({ length: 8 }, () => ({ kind: 'found', path, version: '2.15.1' })));
    expect(await readdir(join(dir, 'cache'))).toEqual(['nats-server-2.15.1']);
  });

  it.each([
    ['fails', () => Promise.resolve(failed('no room')), 'no room'],
    ['throws', () => Promise.reject(new Error('disk full')), 'disk full'],
    [
      'gives an old one',
      async (t: string) => ({ kind: 'fetched' as const, program: await fake(join(t, 'p'), '2.10.0') }),
      'it gives 2.10.0',
    ],
    [
      'gives nothing',
      (t: string) => Promise.resolve({ kind: 'fetched' as const, program: join(t, 'none') }),
      'ENOENT',
    ],
  ])('or not at all: a fetch that %s leaves nothing', async (_name, fetch, why) => {
    expect(await fetchIntoCache(search(), fetch)).toEqual({
      kind: 'failed',
      why: expect.stringContaining(why) as string,
    });
    expect(await readdir(join(dir, 'cache'))).toEqual([]);
  });

  it('after sweeping what a killed process left long ago, and nothing younger', async () => {
    const [old, young] = [join(dir, 'cache/.fetch-old'), join(dir, 'cache/.fetch-young')];
    for (const folder of [old, young]) await mkdir(folder, { recursive: true });
    await utimes(old, clock.now() / 1000 - 7200, clock.now() / 1000 - 7200);
    await utimes(young, clock.now() / 1000 - 60, clock.now() / 1000 - 60);
    await fetchIntoCache(search(), () => Promise.resolve(failed('no')));
    expect(await readdir(join(dir, 'cache'))).toEqual(['.fetch-young']);
  });
});
