/** The embedded server's folder, `<data>/nats`: the names of its files, and how they are made ready for a start. */
import { chmod, mkdir, realpath, rename, rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { ENGINE_ACCOUNT } from './server-config.js';

export interface ServerFolder {
  readonly dir: string;
  readonly configFile: string;
  readonly pidFile: string;
  readonly logFile: string;
  readonly previousLogFile: string;
  readonly portsDir: string;
  /** The server's own folder of the engine's streams. */
  readonly streamsDir: string;
  /** A link to where batches are kept until they are whole. */
  readonly stagingLink: string;
}

export async function openServerFolder(dataDir: string): Promise<ServerFolder> {
  await mkdir(join(dataDir, 'nats'), { recursive: true, mode: 0o700 });
  // The real path, so that two names of one folder give one configuration file, by which a leftover is known.
  const dir = await realpath(join(dataDir, 'nats'));
  return {
    dir,
    configFile: join(dir, 'server.conf'),
    pidFile: join(dir, 'server.pid'),
    logFile: join(dir, 'server.log'),
    previousLogFile: join(dir, 'server.previous.log'),
    portsDir: join(dir, 'ports'),
    streamsDir: join(dir, 'jetstream', ENGINE_ACCOUNT, 'streams'),
    stagingLink: join(dir, 'staging'),
  };
}

/** Keeps the log of the last run as the previous one, and forgets the port it had. Only when no server runs. */
export async function clearLastRun(files: ServerFolder): Promise<void> {
  await rename(files.logFile, files.previousLogFile).catch(ignoreMissing);
  await rm(files.portsDir, { recursive: true, force: true });
  await mkdir(files.portsDir, { mode: 0o700 });
}

/** A limit of JetStream: not beyond the size of the disk, full or not, so that it is the same at every start. */
export async function boundedByDisk(dir: string, wantedBytes: number): Promise<number> {
  const disk = await statfs(dir);
  return Math.min(wantedBytes, disk.blocks * disk.bsize);
}

/** Never readable by others, not even for a moment: written aside and moved into place. */
export async function writeSecret(file: string, text: string): Promise<void> {
  const aside = `${file}.new`;
  await rm(aside, { force: true });
  await writeFile(aside, text, { mode: 0o600, flag: 'wx' });
  await chmod(aside, 0o600);
  await rename(aside, file);
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}
