/**
 * The port to large immutable things: base snapshots. An object is there whole or not at all, and is never changed.
 * `nats/` keeps them in an object store; `memory/` is for unit and simulation tests.
 */

export interface ObjectInfo {
  readonly name: string;
  readonly bytes: number;
  /** Wall time at which it was stored, ms UTC. */
  readonly storedAtMs: number;
}

export interface ObjectStore {
  /** Stores an object under a new name. Resolves when all of it is acknowledged; a failure leaves nothing to be seen. */
  put(name: string, chunks: AsyncIterable<Uint8Array>): Promise<ObjectInfo>;
  /**
   * An object's bytes, in pieces; its digest is checked at the end. Undefined when there is none of that name.
   * @throws GroundswellError GS_LOG, or GS_DATA_CORRUPT when the bytes are not those that were stored
   */
  get(name: string): Promise<AsyncIterable<Uint8Array> | undefined>;
  list(): Promise<ObjectInfo[]>;
  /** Without effect when there is none. */
  remove(name: string): Promise<void>;
  /** Removes what was left, longer ago than this, by a `put` whose process died. Gives how many objects that were begun. */
  sweep?(olderThanMs: number): Promise<number>;
}
