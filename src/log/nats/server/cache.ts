/**
 * The folder of fetched nats-server programs, `nats-server-<version>` each. Owns that folder: looking into it, and
 * putting a program there so that several processes may do it at once and a failed try leaves nothing.
 */
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

import { messageOf } from '../../../core/errors.js';
import { compareVersions, isNewEnough, OLDEST_VERSION, readVersion } from './version.js';
import { failed, type Failed, type Found, type Search, type Way } from './way.js';

const PROGRAM = /^nats-server-(\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?)$/;
const TEMP_PREFIX = '.fetch-';
/** A fetch takes minutes at most: what is older was left by a process that was killed. */
const TEMP_AGE_MS_MAX = 3_600_000;

/** `$XDG_CACHE_HOME/groundswell`, or `~/.cache/groundswell`. */
export function cacheFolder(env: NodeJS.ProcessEnv): string {
  const base = env['XDG_CACHE_HOME'];
  if (base !== undefined && isAbsolute(base)) return join(base, 'groundswell');
  return join(env['HOME'] ?? homedir(), '.cache', 'groundswell');
}

export const cacheWay: Way = {
  name: 'cache',
  how: 'Put a nats-server there as nats-server-<version>.',
  async look({ cacheDir }) {
    const versions: string[] = [];
    for (const name of await namesIn(cacheDir)) {
      const version = PROGRAM.exec(name)?.[1];
      if (version !== undefined && isNewEnough(version)) versions.push(version);
    }
    versions.sort((a, b) => compareVersions(b, a));
    let why = `${cacheDir} holds none`;
    for (const named of versions) {
      const path = join(cacheDir, `nats-server-${named}`);
      const program = await readVersion(path);
      if (program.kind === 'unusable') why = program.why;
      else if (isNewEnough(program.version)) return { kind: 'found', path, version: program.version };
      else why = `${path} is ${program.version} in truth`;
    }
    return failed(why);
  },
};

export type Fetched = { readonly kind: 'fetched'; readonly program: string } | Failed;

/** Lets `fetch` make a program in a folder of its own, checks it, and moves it into the cache in one step. */
export async function fetchIntoCache(
  search: Search,
  fetch: (tempDir: string) => Promise<Fetched>,
): Promise<Found | Failed> {
  const { cacheDir, clock } = search;
  const tempDir = join(cacheDir, TEMP_PREFIX + randomBytes(6).toString('hex'));
  try {
    await mkdir(cacheDir, { recursive: true });
    await removeAbandoned(cacheDir, clock.now());
    await mkdir(tempDir, { mode: 0o700 });
    const fetched = await fetch(tempDir);
    if (fetched.kind === 'failed') return fetched;
    await chmod(fetched.program, 0o755);
    const program = await readVersion(fetched.program);
    if (program.kind === 'unusable') return failed(program.why.replace(fetched.program, 'what was fetched'));
    if (!isNewEnough(program.version))
      return failed(`it gives ${program.version}, older than ${OLDEST_VERSION}`);
    const path = join(cacheDir, `nats-server-${program.version}`);
    await rename(fetched.program, path);
    return { kind: 'found', path, version: program.version };
  } catch (thrown) {
    return failed(messageOf(thrown));
  } finally {
    await rm(tempDir, { recursive: true, force: true });
  }
}

async function removeAbandoned(cacheDir: string, nowMs: number): Promise<void> {
  for (const name of await namesIn(cacheDir)) {
    if (!name.startsWith(TEMP_PREFIX)) continue;
    const path = join(cacheDir, name);
    // It may vanish between the two calls: its owner, or another process that cleans up, removes it too.
    const modifiedMs = await stat(path).then(
      (found) => found.mtimeMs,
      () => nowMs,
    );
    if (nowMs - modifiedMs > TEMP_AGE_MS_MAX) await rm(path, { recursive: true, force: true });
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch {
    return [];
  }
}
