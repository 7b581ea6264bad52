/**
 * Restate's server and SDK from the npm registry, in a folder of their own in the cache: fetched when they are first asked
 * for, and no dependency of the project.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { cacheFolder } from '../../src/log/nats/server/cache.js';
import { PeerUnavailable } from './job.js';

/** Together as they were measured. */
const VERSIONS = { '@restatedev/restate-server': '1.7.12', '@restatedev/restate-sdk': '1.17.2' } as const;

const FOLDER = join(
  cacheFolder(process.env),
  'peers',
  `restate-${VERSIONS['@restatedev/restate-server']}-${VERSIONS['@restatedev/restate-sdk']}`,
);

export interface RestatePackages {
  /** Path of the server's program. */
  readonly server: string;
  /** The SDK's module, as `import` gives it. */
  readonly sdk: unknown;
}

/** Whether nothing needs to be fetched. */
export function hasRestate(): boolean {
  return existsSync(FOLDER);
}

/** @throws PeerUnavailable when the registry does not give them, or has no server for this machine */
export async function restatePackages(): Promise<RestatePackages> {
  if (!hasRestate()) await fetchPackages();
  const require = createRequire(join(FOLDER, 'package.json'));
  let server: string;
  try {
    server = require.resolve(
      `@restatedev/restate-server-${process.platform}-${process.arch}/bin/restate-server`,
    );
  } catch {
    throw new PeerUnavailable(
      `Restate has no server for ${process.platform} ${process.arch}: run this peer on Linux or macOS.`,
    );
  }
  withResolversHere();
  const sdk: unknown = await import(pathToFileURL(require.resolve('@restatedev/restate-sdk')).href);
  return { server, sdk };
}

/** The SDK is written for a newer Node than this project: this one thing of it is not in Node 20. */
function withResolversHere(): void {
  const promise = Promise as unknown as { withResolvers?: () => unknown };
  promise.withResolvers ??= () => {
    let resolve: unknown;
    let reject: unknown;
    const promise = new Promise((...both) => {
      [resolve, reject] = both;
    });
    return { promise, resolve, reject };
  };
}

/** Beside its place first, so that a fetch that is broken off leaves nothing that looks whole. */
async function fetchPackages(): Promise<void> {
  const parent = join(FOLDER, '..');
  await mkdir(parent, { recursive: true });
  const folder = await mkdtemp(join(parent, '.fetch-'));
  try {
    await writeFile(
      join(folder, 'package.json'),
      JSON.stringify({ name: 'restate-peer', private: true, dependencies: VERSIONS }),
    );
    // Without scripts: one of the packages' dependencies reports who installs it.
    const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund'];
    await promisify(execFile)('npm', args, { cwd: folder }).catch((error: unknown) => {
      const { stderr = String(error) } = error as { stderr?: string };
      const first = stderr.split('\n').find((line) => line.startsWith('npm error')) ?? stderr;
      throw new PeerUnavailable(
        `npm did not fetch Restate (${first.trim()}): run this once where the npm registry is reachable.`,
      );
    });
    await rename(folder, FOLDER).catch((error: unknown) => {
      // Another process was faster.
      if (!hasRestate()) throw error;
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
