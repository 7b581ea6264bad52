/** Objects as files in a folder: a snapshot of a region on its way to another server, or kept where nobody looks after it. */
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { GroundswellError, messageOf } from '../core/errors.js';
import type { ObjectInfo, ObjectStore } from '../log/objects.js';

/** An object that is being written. */
const PART = '.part';

export class FolderObjects implements ObjectStore {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async put(name: string, chunks: AsyncIterable<Uint8Array>): Promise<ObjectInfo> {
    const file = this.#fileOf(name);
    try {
      if ((await statOf(file)) !== undefined) throw new Error('it is there already');
      await mkdir(dirname(file), { recursive: true });
      const handle = await open(`${file}${PART}`, 'w');
      try {
        for await (const chunk of chunks) await handle.writeFile(chunk);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(`${file}${PART}`, file);
      return (await this.#info(name))!;
    } catch (error) {
      await rm(`${file}${PART}`, { force: true });
      if (error instanceof GroundswellError) throw error;
      throw new GroundswellError('GS_OUTPUT', `${file} cannot be written: ${messageOf(error)}.`, {
        cause: error,
      });
    }
  }

  async get(name: string): Promise<AsyncIterable<Uint8Array> | undefined> {
    const file = this.#fileOf(name);
    return (await statOf(file)) === undefined ? undefined : createReadStream(file);
  }

  async list(): Promise<ObjectInfo[]> {
    const entries = await readdir(this.#folder, { recursive: true, withFileTypes: true }).catch(() => []);
    const infos = await Promise.all(
      entries
        .filter((entry) => entry.isFile() && !entry.name.endsWith(PART))
        .map(({ parentPath, name }) => {
          const path = relative(this.#folder, join(parentPath, name));
          return this.#info(path.split(sep).map(decodeURIComponent).join('/'));
        }),
    );
    return infos.filter((info) => info !== undefined);
  }

  remove(name: string): Promise<void> {
    return rm(this.#fileOf(name), { force: true });
  }

  async #info(name: string): Promise<ObjectInfo | undefined> {
    const found = await statOf(this.#fileOf(name));
    return found && { name, bytes: found.size, storedAtMs: Math.floor(found.mtimeMs) };
  }

  #fileOf(name: string): string {
    return join(this.#folder, ...name.split('/').map(encodeURIComponent));
  }
}

async function statOf(file: string): Promise<{ size: number; mtimeMs: number } | undefined> {
  try {
    return await stat(file);
  } catch {
    return undefined;
  }
}
