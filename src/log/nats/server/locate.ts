/**
 * Finds a nats-server that groundswell can rely on, in a fixed order: the one that the environment names, the PATH,
 * the cache, the project's release, Debian's package. Owns the order and the message when none works; each way that
 * fetches is a file of its own.
 */
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { delimiter, join, resolve } from 'node:path';

import { systemClock, type Clock } from '../../../core/clock.js';
import { GroundswellError } from '../../../core/errors.js';
import { cacheFolder, cacheWay } from './cache.js';
import { debianWay } from './debian.js';
import { releaseWay } from './release.js';
import { isNewEnough, OLDEST_VERSION, readVersion } from './version.js';
import { failed, type Search, type Way } from './way.js';

export interface LocateOptions {
  /** Where GROUNDSWELL_NATS_SERVER, PATH, XDG_CACHE_HOME and HOME are read; `process.env` by default. */
  readonly env?: NodeJS.ProcessEnv;
  /** Called with a line for people before each step that takes time. */
  readonly onProgress?: (line: string) => void;
  readonly clock?: Clock;
  /** The ways after the environment's own, in order; all of them by default. */
  readonly ways?: readonly Way[];
}

export interface LocatedServer {
  /** Absolute path of the program. */
  readonly path: string;
  /** Its version, `2.15.1`. */
  readonly version: string;
  /** Name of the way that found it. */
  readonly way: string;
}

const VARIABLE = 'GROUNDSWELL_NATS_SERVER';

const pathWay: Way = {
  name: 'PATH',
  how: `Install nats-server ${OLDEST_VERSION} or newer.`,
  async look({ env }) {
    const whys: string[] = [];
    for (const folder of (env['PATH'] ?? '').split(delimiter)) {
      if (folder === '') continue;
      const path = resolve(join(folder, 'nats-server'));
      if (!(await isExecutable(path))) continue;
      const program = await readVersion(path);
      if (program.kind === 'unusable') whys.push(program.why);
      else if (isNewEnough(program.version)) return { kind: 'found', path, version: program.version };
      else whys.push(`${path} is ${program.version}, older than ${OLDEST_VERSION}`);
    }
    return failed(whys.length === 0 ? 'no nats-server on it' : whys.join('; '));
  },
};

/** In the order in which they are tried. */
export const WAYS: readonly Way[] = [pathWay, cacheWay, releaseWay, debianWay];

/** The ways that use nothing but this machine. */
export const LOCAL_WAYS: readonly Way[] = [pathWay, cacheWay];

/**
 * The path of a nats-server, fetched into the cache when the machine has none.
 *
 * Errors: GS_NATS_MISSING when no way works (the message lists them) or GROUNDSWELL_NATS_SERVER names none;
 * GS_NATS_OLD when GROUNDSWELL_NATS_SERVER names one that is too old.
 */
export async function locateNatsServer(options: LocateOptions = {}): Promise<LocatedServer> {
  const env = options.env ?? process.env;
  const named = env[VARIABLE];
  if (named !== undefined && named !== '') return locateNamed(resolve(named));

  const search: Search = {
    env,
    clock: options.clock ?? systemClock,
    cacheDir: cacheFolder(env),
    onProgress: options.onProgress ?? (() => undefined),
  };
  const lines = [`  ${VARIABLE}: not set. Set it to the path of a nats-server.`];
  for (const way of options.ways ?? WAYS) {
    const outcome = await way.look(search);
    if (outcome.kind === 'found') return { path: outcome.path, version: outcome.version, way: way.name };
    lines.push(`  ${way.name}: ${outcome.why}. ${way.how}`);
  }
  throw new GroundswellError(
    'GS_NATS_MISSING',
    `no nats-server ${OLDEST_VERSION} or newer was found. The ways tried, and how to make each work:\n${lines.join('\n')}`,
  );
}

/** What the user named is used or refused, never silently replaced by another. */
async function locateNamed(path: string): Promise<LocatedServer> {
  const program = await readVersion(path);
  if (program.kind === 'unusable') {
    throw new GroundswellError('GS_NATS_MISSING', `${VARIABLE} names no usable nats-server: ${program.why}`, {
      remedy: `Correct ${VARIABLE}, or unset it so that nats-server is looked for.`,
    });
  }
  if (!isNewEnough(program.version)) {
    throw new GroundswellError(
      'GS_NATS_OLD',
      `${VARIABLE} names ${path}, which is nats-server ${program.version}; ${OLDEST_VERSION} or newer is needed`,
    );
  }
  return { path, version: program.version, way: VARIABLE };
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}
