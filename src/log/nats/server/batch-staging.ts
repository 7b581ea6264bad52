/**
 * Where the embedded server keeps a batch until it is whole: in memory. For a stream in files that has one copy it makes a
 * store of files for each batch, reads it when the batch is whole, and removes it: on a disk that is most of a batch's time. It
 * forgets them all at its start, so nothing is lost with them. There is no setting for their place: the folder `batches` of
 * each stream is made a link to one in memory. Owns these links and where they lead; without memory for it, batches are kept
 * beside their stream, as ever.
 */
import { lstat, mkdir, mkdtemp, readdir, readlink, rm, statfs, symlink, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

import type { Clock } from '../../../core/clock.js';
import { messageOf } from '../../../core/errors.js';

/** A folder of memory, and what has to be free in it: several of the largest batches at once. */
export interface StagingMemory {
  readonly dir: string;
  readonly freeBytesMin: number;
}

/** Where batches are until they are whole: a folder in memory, or on the disk, and why. */
export type StagingPlace =
  { readonly kind: 'memory'; readonly folder: string } | { readonly kind: 'disk'; readonly why: string };

const SHARED_MEMORY: StagingMemory = { dir: '/dev/shm', freeBytesMin: 256 * 1024 ** 2 };
const PREFIX = 'groundswell-';
/** What `statfs` calls a file system in memory. */
const TMPFS = 0x01021994;
const LOOK_EVERY_MS = 250;

export class BatchStaging {
  readonly place: StagingPlace;
  readonly #streamsDir: string;
  readonly #foundBy: string;
  readonly #clock: Clock;
  #looking: Promise<void> = Promise.resolve();
  #cancel: () => void = () => undefined;
  #closed = false;

  /**
   * Makes the folder in memory, and removes that of an earlier start. Only when no server runs.
   * @param options.streamsDir where the server has a folder for each stream
   * @param options.foundBy a link that is kept there for the next start
   */
  static async open(options: {
    streamsDir: string;
    foundBy: string;
    clock: Clock;
    memory?: StagingMemory | undefined;
  }): Promise<BatchStaging> {
    const { foundBy, memory = SHARED_MEMORY } = options;
    await removeLeft(foundBy, memory);
    return new BatchStaging(options, await placeIn(memory, foundBy));
  }

  private constructor(
    { streamsDir, foundBy, clock }: { streamsDir: string; foundBy: string; clock: Clock },
    place: StagingPlace,
  ) {
    this.#streamsDir = streamsDir;
    this.#foundBy = foundBy;
    this.#clock = clock;
    this.place = place;
  }

  /** From now on, for the server runs: streams come, and a folder in memory may be cleared by others. */
  keep(): void {
    if (this.#closed || this.place.kind === 'disk') return;
    this.#looking = this.stage().then(() => {
      if (this.#closed) return;
      this.#cancel = this.#clock.after(LOOK_EVERY_MS, () => {
        this.keep();
      });
    });
  }

  /** Takes the streams that there are and that had no batch yet: one that had keeps to the disk until the server's next start. */
  async stage(): Promise<void> {
    if (this.place.kind === 'disk') return;
    // What cannot be taken is on the disk, and the next look tries again.
    await this.#take(this.place.folder).catch(ignore);
  }

  /** Removes what is in memory; the server is gone. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel();
    await this.#looking;
    if (this.place.kind === 'disk') return;
    await rm(this.place.folder, { recursive: true, force: true });
    await rm(this.#foundBy, { force: true });
  }

  async #take(folder: string): Promise<void> {
    await expectOwn(folder);
    for (const stream of await readdir(this.#streamsDir)) {
      const to = join(folder, stream);
      await mkdir(to, { recursive: true, mode: 0o700 });
      // Never in the place of a folder: nobody could tell that no batch is about to be put there.
      await symlink(to, join(this.#streamsDir, stream, 'batches')).catch(ignore);
    }
  }
}

async function placeIn({ dir, freeBytesMin }: StagingMemory, foundBy: string): Promise<StagingPlace> {
  try {
    const { type, bavail, bsize } = await statfs(dir);
    if (type !== TMPFS) return { kind: 'disk', why: `${dir} is not in memory` };
    if (bavail * bsize < freeBytesMin)
      return { kind: 'disk', why: `${dir} has ${bavail * bsize} bytes free, ${freeBytesMin} are needed` };
    const folder = await mkdtemp(join(dir, PREFIX));
    await symlink(folder, foundBy).catch(async (error: unknown) => {
      await rm(folder, { recursive: true });
      throw error;
    });
    return { kind: 'memory', folder };
  } catch (error) {
    return { kind: 'disk', why: messageOf(error) };
  }
}

/** Of a start whose server and watchdog were killed. */
async function removeLeft(foundBy: string, { dir }: StagingMemory): Promise<void> {
  const folder = await readlink(foundBy).catch(ignore);
  if (folder === undefined) return;
  if (dirname(folder) === dir && basename(folder).startsWith(PREFIX))
    await rm(folder, { recursive: true, force: true });
  await unlink(foundBy);
}

/** What others have cleared is made again, and nobody else's is taken for it. */
async function expectOwn(folder: string): Promise<void> {
  const found = await lstat(folder).catch(ignore);
  if (found === undefined) await mkdir(folder, { mode: 0o700 });
  else if (!found.isDirectory() || found.uid !== process.getuid?.()) throw new Error(`${folder} is not ours`);
}

function ignore(): undefined {
  return undefined;
}
