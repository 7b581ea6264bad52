/**
 * The row file of a replay: NDJSON, written beside its final name and moved there when it is whole, so that a file of
 * that name is never half-written.
 */
import { createWriteStream, type WriteStream } from 'node:fs';
import { rename, rm, stat } from 'node:fs/promises';
import { once } from 'node:events';
import { GroundswellError, messageOf } from '../core/errors.js';
import type { RowBlock } from '../partition/row-block.js';
import { renderRows } from '../serve/row-json.js';

const CHUNK_CHARS = 256 * 1024;

export class RowFile {
  readonly path: string;
  readonly #partial: string;
  readonly #stream: WriteStream;
  readonly #opened: Promise<unknown>;
  #chunk = '';
  #failure: unknown;

  static async create(path: string): Promise<RowFile> {
    const there = await stat(path).catch(() => undefined);
    if (there?.isDirectory() === true)
      throw new GroundswellError('GS_OUTPUT', `${path} is a folder, not a file.`);
    const file = new RowFile(path);
    try {
      await file.#opened;
    } catch (error) {
      throw new GroundswellError('GS_OUTPUT', `${path} cannot be written: ${messageOf(error)}.`, {
        cause: error,
      });
    }
    return file;
  }

  private constructor(path: string) {
    this.path = path;
    this.#partial = `${path}.partial`;
    this.#stream = createWriteStream(this.#partial);
    this.#stream.on('error', (error) => {
      this.#failure = error;
    });
    this.#opened = once(this.#stream, 'open');
  }

  /** Writes the rows of blocks whose windows ended after a time. */
  async write(blocks: readonly RowBlock[], afterMs: number): Promise<void> {
    for (const block of blocks) {
      renderRows(block, afterMs, (json) => {
        this.#chunk += json + '\n';
      });
      if (this.#chunk.length >= CHUNK_CHARS) await this.#flush();
    }
  }

  /** Writes the rest and gives the file its name. */
  async finish(): Promise<void> {
    await this.#flush();
    await new Promise<void>((resolve) => {
      this.#stream.end(resolve);
    });
    this.#check();
    await rename(this.#partial, this.path).catch((error: unknown) => {
      this.#failure = error;
    });
    this.#check();
  }

  /** Leaves nothing behind. */
  async discard(): Promise<void> {
    this.#stream.destroy();
    await rm(this.#partial, { force: true });
  }

  async #flush(): Promise<void> {
    this.#check();
    if (this.#chunk.length === 0) return;
    const ok = this.#stream.write(this.#chunk);
    this.#chunk = '';
    if (!ok) await once(this.#stream, 'drain').catch(() => undefined);
    this.#check();
  }

  #check(): void {
    if (this.#failure === undefined) return;
    throw new GroundswellError('GS_OUTPUT', `${this.path} cannot be written: ${messageOf(this.#failure)}.`, {
      cause: this.#failure,
    });
  }
}
