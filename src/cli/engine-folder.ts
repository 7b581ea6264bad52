/** Where an engine keeps its data: the folder, which is its own as long as it runs. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDataFolder, type DataFolder } from '../node/data-folder.js';
import type { EngineOptions } from './engine-options.js';
import type { Opened } from './opened.js';

/** @param newId gives a UUID */
export async function openFolder(
  options: EngineOptions,
  newId: () => string,
  opened: Opened,
): Promise<DataFolder> {
  const folder = await openDataFolder(await pathFor(options, opened), newId);
  opened.add('the data folder', () => folder.release());
  return folder;
}

/** The data folder; a temporary one is removed at the end. */
async function pathFor({ dataDir }: EngineOptions, opened: Opened): Promise<string> {
  if (dataDir !== undefined) return dataDir;
  const temporary = await mkdtemp(join(tmpdir(), 'groundswell-'));
  opened.add('the temporary data folder', () => rm(temporary, { recursive: true, force: true }));
  return temporary;
}
