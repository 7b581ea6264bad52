/** A process's way to the object store of base snapshots, over its connection. What is put is there whole or not at all. */
import { GroundswellError } from '../../src/core/errors.js';
import type { MemoryObjects } from '../../src/log/memory/memory-objects.js';
import type { ObjectInfo, ObjectStore } from '../../src/log/objects.js';
import type { SimConnection } from './sim-server.js';

const TIMEOUT_MS = 5_000;

export class SimObjects implements ObjectStore {
  readonly #connection: SimConnection;
  readonly #objects: MemoryObjects;

  constructor(connection: SimConnection, objects: MemoryObjects) {
    this.#connection = connection;
    this.#objects = objects;
  }

  async put(name: string, chunks: AsyncIterable<Uint8Array>): Promise<ObjectInfo> {
    const kept: Uint8Array[] = [];
    for await (const chunk of chunks) kept.push(new Uint8Array(chunk));
    // At once on the other side: an object that is half there is seen by nobody.
    const putting = await this.#ask(() => this.#objects.put(name, listed(kept)));
    return putting;
  }

  get(name: string): Promise<AsyncIterable<Uint8Array> | undefined> {
    return this.#ask(() => this.#objects.get(name));
  }

  list(): Promise<ObjectInfo[]> {
    return this.#ask(() => this.#objects.list());
  }

  async remove(name: string): Promise<void> {
    await this.#ask(() => this.#objects.remove(name));
  }

  async #ask<T>(question: () => Promise<T>): Promise<T> {
    const answer = await this.#connection.ask('objects', question, TIMEOUT_MS);
    if (answer === undefined) throw new GroundswellError('GS_LOG', 'The object store: no answer.');
    return answer.value;
  }
}

async function* listed(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield await Promise.resolve(chunk);
}
