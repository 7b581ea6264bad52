/** Objects as files in a folder: a snapshot of a region on its way to another server, or kept where nobody looks after it. */
import { createReadStream } from 'node:fs';
import { link, mkdir, open, readdir, rm, stat } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { GroundswellError, messageOf } from '../core/errors.js';
import type { ObjectInfo, ObjectStore } from '../log/objects.js';

/** An object that is being written. */
const PART = '.part';

export class FolderObjects implements ObjectStore {
  readonly #folder: string;
  #parts = 0;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async put(name: string, chunks: AsyncIterable<Uint8Array>): Promise<ObjectInfo> {
    const file = this.#fileOf(name);
    const part = `${file}.${++this.#parts}${PART}`;
    try {
      if ((await statOf(file)) !== undefined) throw taken(file);
      await mkdir(dirname(file), { recursive: true });
      const handle = await open(part, 'w');
      try {
        for await (const chunk of chunks) await handle.writeFile(chunk);
        await handle.sync();
      } finally {
        await handle.close();
      }
      // Unlike a rename, a link never replaces what is there.
      await link(part, file);
      return (await this.#info(name))!;
    } catch (error) {
      if (error instanceof GroundswellError) throw error;
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw taken(file);
      throw new GroundswellError('GS_OUTPUT', `${file} cannot be written: ${messageOf(error)}.`, {
        cause: error,
      });
    } finally {
      await rm(part, { force: true });
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
    const parts = name.split('/').map((part) => encodeURIComponent(part).replaceAll('.', '%2E'));
    return join(this.#folder, ...parts);
  }
}

function taken(file: string): GroundswellError {
  return new GroundswellError('GS_LOG', `There is a file ${file} already: objects are never changed.`, {
    remedy: 'Give another folder, or remove the file first.',
  });
}

async function statOf(file: string): Promise<{ size: number; mtimeMs: number } | undefined> {
  try {
    return await stat(file);
  } catch {
    return undefined;
  }
}
