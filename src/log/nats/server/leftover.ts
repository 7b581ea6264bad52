/**
 * A nats-server that an earlier groundswell left on the same data folder. Two servers on one store would ruin it, so a
 * start waits here until none is left. A process counts as left over only if its command line names this very
 * configuration file: pids are reused.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

import { sleep, type Clock } from '../../../core/clock.js';
import { GroundswellError } from '../../../core/errors.js';
import { KILL_AFTER_MS } from './watchdog.js';

export interface ServerFiles {
  readonly configFile: string;
  readonly pidFile: string;
}

const POLL_MS = 50;
/** Some time more than the watchdog takes to end a stubborn server. */
const PATIENCE_MS = KILL_AFTER_MS + 3_000;
const AFTER_KILL_MS = 2_000;
/** A process that was just killed is its children's parent for a moment longer. */
const HELD_MS = 500;

/**
 * Returns when no server runs on the folder. Errors: GS_DATA_LOCKED when its groundswell is alive, or the server
 * cannot be ended (another user's).
 */
export async function awaitNoLeftover(files: ServerFiles, clock: Clock): Promise<void> {
  let told = false;
  let heldSinceMs: number | undefined;
  const isGone = (): boolean => {
    const { parent, watchdog, server } = readPids(files.pidFile);
    const watched = isOurs(watchdog, files.configFile);
    if (watched && parentOf(watchdog!) === parent) {
      heldSinceMs ??= clock.monotonic();
      if (clock.monotonic() - heldSinceMs < HELD_MS) return false;
      throw new GroundswellError(
        'GS_DATA_LOCKED',
        `the nats-server of ${files.configFile} belongs to process ${parent!}, which is running`,
      );
    }
    const running = isOurs(server, files.configFile);
    // With a watchdog the server has been told already; without one nobody else will.
    if (running && !watched && !told) {
      told = true;
      signal(server!, 'SIGTERM');
    }
    return !watched && !running;
  };
  if (await waitFor(isGone, PATIENCE_MS, clock)) return;
  endNow(files);
  if (await waitFor(isGone, AFTER_KILL_MS, clock)) return;
  const { server } = readPids(files.pidFile);
  throw new GroundswellError(
    'GS_DATA_LOCKED',
    `a nats-server of an earlier run (pid ${server ?? 'unknown'}) uses ${files.configFile} and cannot be ended`,
  );
}

/** Ends what is left at once; for a server whose watchdog was killed. */
export function endNow(files: ServerFiles, serverPid?: number): void {
  const { watchdog, server } = readPids(files.pidFile);
  for (const pid of new Set([watchdog, server, serverPid])) {
    if (isOurs(pid, files.configFile)) signal(pid!, 'SIGKILL');
  }
}

/** Polls a condition until it holds (true) or the time is over (false). */
export async function waitFor(condition: () => boolean, timeoutMs: number, clock: Clock): Promise<boolean> {
  const deadlineMs = clock.monotonic() + timeoutMs;
  while (!condition()) {
    if (clock.monotonic() >= deadlineMs) return false;
    await sleep(clock, POLL_MS);
  }
  return true;
}

interface Pids {
  readonly parent: number | undefined;
  readonly watchdog: number | undefined;
  readonly server: number | undefined;
}

/** The pids that the watchdog wrote: groundswell's, its own, the server's. */
export function readPids(pidFile: string): Pids {
  let text = '';
  try {
    text = readFileSync(pidFile, 'utf8');
  } catch {
    // No file: no server, or one that ended in order.
  }
  const [parent, watchdog, server] = text
    .split(/\s+/)
    .map((word) => (/^[1-9]\d*$/.test(word) ? Number(word) : undefined));
  return { parent, watchdog, server };
}

/** True for a live process whose command line names the configuration file. */
export function isOurs(pid: number | undefined, configFile: string): boolean {
  if (pid === undefined) return false;
  if (existsSync('/proc/self/cmdline'))
    return textOf(`/proc/${pid}/cmdline`).split('\0').includes(configFile);
  return ps(pid, 'args').includes(configFile);
}

function parentOf(pid: number): number | undefined {
  // In stat the second field is the program's name in parentheses, which may itself hold anything.
  const stat = textOf(`/proc/${pid}/stat`);
  const parent = stat === '' ? ps(pid, 'ppid') : stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1];
  return parent === undefined || parent === '' ? undefined : Number(parent);
}

function ps(pid: number, field: 'args' | 'ppid'): string {
  try {
    return execFileSync('ps', ['-ww', '-o', `${field}=`, '-p', String(pid)], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return '';
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // Gone in the meantime, or not ours to signal; the caller looks again.
  }
}
