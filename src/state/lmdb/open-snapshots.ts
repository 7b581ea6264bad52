/**
 * Opens a node's snapshots, whatever happened to them: they are a copy (P5), so a damaged one is set aside for whoever wants
 * to know why, and an empty one takes its place, to be filled from base snapshot and journal.
 */
import { existsSync } from 'node:fs';
import { readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Clock } from '../../core/clock.js';
import { GroundswellError, messageOf } from '../../core/errors.js';
import type { StoreIdentity } from '../store.js';
import { LmdbStore } from './lmdb-store.js';

export interface OpenSnapshotsOptions {
  readonly folder: string;
  readonly identity: StoreIdentity;
  readonly clock: Pick<Clock, 'now'>;
  /** Called with what happened, in words, when what was there does not count. */
  readonly onLost: (why: string) => void;
}

/** Damaged ones that are kept; older ones are removed. */
const KEPT = 2;
const MARK = '.damaged-';

/** @throws GroundswellError GS_DATA_FOREIGN, GS_DATA_NEWER, GS_DATA_WRITE */
export async function openSnapshots(options: OpenSnapshotsOptions): Promise<LmdbStore> {
  const { folder, identity, onLost } = options;
  if (existsSync(folder) && !existsSync(join(folder, 'data.mdb')))
    onLost(`The snapshots in ${folder} are gone: they are filled again from base snapshots and journals.`);
  try {
    return await LmdbStore.open(folder, identity);
  } catch (error) {
    if (!(error instanceof GroundswellError) || error.code !== 'GS_DATA_CORRUPT') throw error;
    const aside = await setAside(options);
    onLost(`${error.message} They are kept in ${aside}, and filled again from base snapshots and journals.`);
  }
  return LmdbStore.open(folder, identity);
}

/** Renames the folder. Gives its new name. */
async function setAside({ folder, clock }: OpenSnapshotsOptions): Promise<string> {
  try {
    const time = new Date(clock.now()).toISOString().replaceAll(/[-:]/g, '').replace(/\.\d+/, '');
    const before = await setAsideBefore(folder);
    for (const name of before.slice(0, Math.max(0, before.length - KEPT + 1)))
      await rm(join(dirname(folder), name), { recursive: true, force: true });
    let aside = `${folder}${MARK}${time}`;
    for (let n = 2; existsSync(aside); n++) aside = `${folder}${MARK}${time}-${n}`;
    await rename(folder, aside);
    return aside;
  } catch (cause) {
    throw new GroundswellError(
      'GS_DATA_WRITE',
      `The damaged snapshots in ${folder} cannot be set aside: ${messageOf(cause)}.`,
      { cause, remedy: 'Move the folder away: it is filled again from base snapshots and journals.' },
    );
  }
}

/** Folders that were set aside, oldest first: their names have the time in them. */
async function setAsideBefore(folder: string): Promise<string[]> {
  const names = await readdir(dirname(folder));
  return names.filter((name) => name.startsWith(`${basename(folder)}${MARK}`)).sort();
}
