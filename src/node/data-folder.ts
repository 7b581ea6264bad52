/**
 * The data folder of a node: one process at a time. The lock is a file with the process id and the time that process
 * started, so that a lock left by a killed process, even if its id is used again, holds nobody up.
 */
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { GroundswellError, messageOf } from '../core/errors.js';

export interface DataFolder {
  readonly path: string;
  readonly snapshots: string;
  /** Of the node that works on this folder: made once. */
  readonly nodeId: string;
  release(): Promise<void>;
}

interface Holder {
  readonly pid: number;
  readonly started: string;
}

/**
 * @param newId gives a UUID: the id of the node, in a folder that has none
 * @throws GroundswellError GS_DATA_LOCKED when another process holds the folder, GS_OUTPUT when it cannot be made
 */
export async function openDataFolder(path: string, newId: () => string): Promise<DataFolder> {
  const lock = join(path, 'groundswell.lock');
  const holder: Holder = { pid: process.pid, started: (await startOf(process.pid)) ?? '' };
  let nodeId: string;
  try {
    await mkdir(path, { recursive: true });
    await take(lock, JSON.stringify(holder), path);
    nodeId = await idOf(path, newId);
  } catch (error) {
    if (error instanceof GroundswellError) throw error;
    throw new GroundswellError('GS_OUTPUT', `The data folder ${path} cannot be used: ${messageOf(error)}.`, {
      cause: error,
    });
  }
  return { path, nodeId, snapshots: join(path, 'snapshots'), release: () => rm(lock, { force: true }) };
}

/** The id in the folder; a new one where there is none, or none that is whole. */
async function idOf(path: string, newId: () => string): Promise<string> {
  const file = join(path, 'node-id');
  const known = await readFile(file, 'utf8').catch(() => '');
  if (/^[0-9a-f]{32}$/.test(known.trim())) return known.trim();
  const made = newId().replaceAll('-', '');
  await writeFile(`${file}.new`, `${made}\n`);
  await rename(`${file}.new`, file);
  return made;
}

async function take(lock: string, text: string, path: string): Promise<void> {
  for (let attempt = 0; attempt < 3; attempt++) {
    try {
      await writeFile(lock, text, { flag: 'wx' });
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const holder = await readHolder(lock);
    if (holder !== undefined && (await startOf(holder.pid)) === holder.started) {
      throw new GroundswellError(
        'GS_DATA_LOCKED',
        `The data folder ${path} is in use by process ${holder.pid}.`,
      );
    }
    await rm(lock, { force: true });
  }
  throw new GroundswellError('GS_DATA_LOCKED', `The data folder ${path} is being taken by another process.`);
}

async function readHolder(lock: string): Promise<Holder | undefined> {
  try {
    return JSON.parse(await readFile(lock, 'utf8')) as Holder;
  } catch {
    return undefined;
  }
}

/** When a process started, in words of the system; '' where the system does not tell; undefined when there is none. */
async function startOf(pid: number): Promise<string | undefined> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return undefined;
  }
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    // Field 22 (starttime); the second field, the name, may hold spaces and ends with the last parenthesis.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // A zombie is gone: only its parent has not looked yet.
    return fields[0] === 'Z' ? undefined : (fields[19] ?? '');
  } catch {
    return '';
  }
}
