/** Objects in memory: for unit and simulation tests. Passes the same suite as the NATS ones. */
import { crc32 } from '../../core/crc32.js';
import type { Clock } from '../../core/clock.js';
import { GroundswellError } from '../../core/errors.js';
import type { ObjectInfo, ObjectStore } from '../objects.js';

interface Stored {
  readonly info: ObjectInfo;
  readonly chunks: Uint8Array[];
  readonly checksum: number;
}

export class MemoryObjects implements ObjectStore {
  readonly #clock: Pick<Clock, 'now'>;
  readonly #objects = new Map<string, Stored>();

  constructor(clock: Pick<Clock, 'now'>) {
    this.#clock = clock;
  }

  async put(name: string, chunks: AsyncIterable<Uint8Array>): Promise<ObjectInfo> {
    this.#expectFree(name);
    const kept: Uint8Array[] = [];
    for await (const chunk of chunks) kept.push(new Uint8Array(chunk));
    this.#expectFree(name);
    const bytes = kept.reduce((sum, { byteLength }) => sum + byteLength, 0);
    const info = { name, bytes, storedAtMs: this.#clock.now() };
    this.#objects.set(name, { info, chunks: kept, checksum: checksumOf(kept) });
    return info;
  }

  get(name: string): Promise<AsyncIterable<Uint8Array> | undefined> {
    const stored = this.#objects.get(name);
    return Promise.resolve(stored === undefined ? undefined : piecesOf(stored));
  }

  list(): Promise<ObjectInfo[]> {
    return Promise.resolve([...this.#objects.values()].map(({ info }) => info));
  }

  remove(name: string): Promise<void> {
    this.#objects.delete(name);
    return Promise.resolve();
  }

  /** Changes a byte of an object, as a disk might. */
  damage(name: string, at = 0): void {
    let before = 0;
    for (const chunk of this.#objects.get(name)?.chunks ?? []) {
      if (at < before + chunk.byteLength) {
        chunk[at - before]! ^= 0x10;
        return;
      }
      before += chunk.byteLength;
    }
  }

  #expectFree(name: string): void {
    if (!this.#objects.has(name)) return;
    throw new GroundswellError('GS_LOG', `There is an object ${name} already: objects are never changed.`, {
      remedy: 'Give another name, or remove the object first.',
    });
  }
}

async function* piecesOf({ info, chunks, checksum }: Stored): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield await Promise.resolve(new Uint8Array(chunk));
  if (checksumOf(chunks) !== checksum)
    throw new GroundswellError(
      'GS_DATA_CORRUPT',
      `The object ${info.name} is damaged: its digest is another.`,
      {
        remedy: 'Take an older object; this one can be deleted.',
      },
    );
}

function checksumOf(chunks: readonly Uint8Array[]): number {
  return chunks.reduce((crc, chunk) => crc32(chunk, crc), 0);
}
