/** Where an engine keeps its data: the folder, which is its own as long as it runs, and a node's snapshots in it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../core/clock.js';
import { silent } from '../core/logger.js';
import type { RegionConfig } from '../ingest/region.js';
import { openDataFolder, type DataFolder } from '../node/data-folder.js';
import type { LmdbStore } from '../state/lmdb/lmdb-store.js';
import { openSnapshots } from '../state/lmdb/open-snapshots.js';
import type { EngineOptions } from './engine-options.js';
import type { Opened } from './opened.js';

export interface EngineFolder {
  readonly path: string;
  readonly locked: DataFolder;
  /** Of a node here. */
  readonly store: LmdbStore | undefined;
}

/** @param newId gives a UUID */
export async function openFolder(
  options: EngineOptions,
  { name, partitions }: RegionConfig,
  newId: () => string,
  opened: Opened,
): Promise<EngineFolder> {
  const { node: hasNode, logger = silent } = options;
  const path = await folderFor(options, opened);
  const locked = await openDataFolder(path, newId);
  opened.add('the data folder', () => locked.release());
  if (!hasNode) return { path, locked, store: undefined };
  const store = await openSnapshots({
    folder: locked.snapshots,
    identity: { region: name, partitions },
    clock: systemClock,
    onLost: (why) => {
      logger.warn({}, why);
    },
  });
  opened.add('the file of snapshots', () => store.close());
  store.expectWrites();
  return { path, locked, store };
}

/** The data folder; a temporary one is removed at the end. */
async function folderFor({ dataDir }: EngineOptions, opened: Opened): Promise<string> {
  if (dataDir !== undefined) return dataDir;
  const temporary = await mkdtemp(join(tmpdir(), 'groundswell-'));
  opened.add('the temporary data folder', () => rm(temporary, { recursive: true, force: true }));
  return temporary;
}
