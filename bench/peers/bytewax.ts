/**
 * A Bytewax dataflow (`bytewax/flow.py`): keyed state in Python over a Rust runtime. Fetched from PyPI into an environment of
 * its own in the cache when it is first asked for; no dependency of the project.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { systemClock } from '../../src/core/clock.js';
import { cacheFolder } from '../../src/log/nats/server/cache.js';
import { PeerUnavailable, type Peer } from './job.js';
import { openJetStream } from './jetstream.js';
import { sendElsewhere, targetOf } from './remote-sender.js';

/** Together as they were measured. */
const PACKAGES = ['bytewax==0.21.1', 'nats-py==2.16.0'];
const FOLDER = join(cacheFolder(process.env), 'peers', PACKAGES.join('-').replaceAll('==', '-'));
const FLOW = join(process.cwd(), 'bench/peers/bytewax');
/** Seconds between two snapshots of state. */
const SNAPSHOT_EVERY = 1;

const call = promisify(execFile);

export const bytewax: Peer = {
  name: 'bytewax',
  what: 'a Bytewax dataflow in one worker: state per driver, windows of a minute per cell, packed messages of pings',
  guarantees: `state and place in the stream go back together to a snapshot of up to ${SNAPSHOT_EVERY} s ago: state exactly once, rows written since then again; a producer that sends again counts twice`,
  eventsMax: 200_000,
  async run(size) {
    const python = await environment();
    const stream = await openJetStream();
    try {
      const recovery = join(stream.folder, 'recovery');
      await mkdir(recovery);
      await call(python, ['-m', 'bytewax.recovery', recovery, '1']);
      const { url, user, password } = stream.server;
      const startedMs = systemClock.monotonic();
      const args = [
        '-m',
        'bytewax.run',
        'flow:flow',
        '-r',
        recovery,
        '-s',
        String(SNAPSHOT_EVERY),
        '-b',
        '0',
      ];
      const env = { ...process.env, NATS_URL: url, NATS_USER: user, NATS_PASSWORD: password };
      await Promise.all([
        call(python, args, { cwd: FLOW, env: { ...env, PYTHONDONTWRITEBYTECODE: '1' } }),
        sendElsewhere({ how: 'packed', target: targetOf(stream.server), size }),
      ]);
      const seconds = (systemClock.monotonic() - startedMs) / 1000;
      return { events: size.events, seconds, rows: await stream.rows() };
    } finally {
      await stream.close();
    }
  },
};

/** Whether nothing needs to be fetched. */
export function hasBytewax(): boolean {
  return existsSync(FOLDER);
}

/** Path of a Python that has Bytewax. @throws PeerUnavailable when there is none to be had */
async function environment(): Promise<string> {
  const python = join(FOLDER, 'bin', 'python');
  if (hasBytewax()) return python;
  await mkdir(join(FOLDER, '..'), { recursive: true });
  // An environment holds its own path, so it is filled in its place, and moved aside when that fails.
  const broken = `${FOLDER}.broken-${process.pid}`;
  try {
    await call('python3', ['-m', 'venv', FOLDER]);
    await call(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...PACKAGES]);
    return python;
  } catch (error) {
    await rename(FOLDER, broken).catch(() => undefined);
    await rm(broken, { recursive: true, force: true });
    const { stderr } = error as { stderr?: string };
    const why = (stderr ?? String(error)).trim().split('\n').at(-1)!;
    throw new PeerUnavailable(
      `pip did not fetch Bytewax (${why}): run this once with Python 3.8 to 3.12 where PyPI is reachable.`,
    );
  }
}
