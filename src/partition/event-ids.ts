/**
 * Ids of events that an actor has taken: a second event with one of them, within the duplicate window, is dropped. Bounded,
 * for whoever sends events chooses their ids: when there is no room for another one, no event with an id is taken.
 */

/** How long ids are remembered, and how many. */
export interface EventIdRules {
  /** Event time, ms, back from the watermark. */
  readonly windowMs: number;
  /** Bytes of an actor's ids, as they are stored. */
  readonly bytesMax: number;
}

export const EVENT_ID_BYTES_MAX = 256 * 1024;
/** Bytes of one beside its text, as it is stored. */
const ENTRY_BYTES = 10;
/** What is older than the window is let go of when this share of it has passed since the last time: few are looked at for each event. */
const STALE_SHARE = 1 / 8;

/** To ask changes nothing: it is asked for actors that may have to be as they were. */
export class EventIds implements Iterable<[id: string, ms: number]> {
  /** From when on each id is remembered, ms UTC. */
  readonly #times = new Map<string, number>();
  #bytes = 0;
  /** Those from before this time were let go of. */
  #prunedMs = Number.NEGATIVE_INFINITY;
  /** What was found of a full set the last time. */
  #found: { readonly fromMs: number; readonly hasRoom: boolean } | undefined;

  constructor(times: Iterable<readonly [id: string, ms: number]> = []) {
    for (const [id, ms] of times) this.#set(id, ms);
  }

  /** Those that are older than the window and not let go of yet are counted. */
  get size(): number {
    return this.#times.size;
  }

  has(id: string, watermarkMs: number, { windowMs }: EventIdRules): boolean {
    return (this.#times.get(id) ?? Number.NEGATIVE_INFINITY) >= watermarkMs - windowMs;
  }

  /** Whether those of the window leave room for another one. */
  hasRoom(watermarkMs: number, { windowMs, bytesMax }: EventIdRules): boolean {
    if (this.#bytes < bytesMax) return true;
    const fromMs = watermarkMs - windowMs;
    if (this.#found?.fromMs !== fromMs)
      this.#found = { fromMs, hasRoom: this.#bytes - this.#bytesBefore(fromMs) < bytesMax };
    return this.#found.hasRoom;
  }

  /** An event is remembered from its time on, or, when it is late, from when it was taken: it may be sent again as any other. */
  add(id: string, ms: number, watermarkMs: number, { windowMs, bytesMax }: EventIdRules): void {
    const fromMs = watermarkMs - windowMs;
    if (fromMs - this.#prunedMs > windowMs * STALE_SHARE || this.#bytes >= bytesMax) this.#prune(fromMs);
    this.#set(id, Math.max(ms, watermarkMs));
    this.#found = undefined;
  }

  forEach(see: (ms: number, id: string) => void): void {
    this.#times.forEach(see);
  }

  [Symbol.iterator](): Iterator<[id: string, ms: number]> {
    return this.#times[Symbol.iterator]();
  }

  #set(id: string, ms: number): void {
    if (!this.#times.has(id)) this.#bytes += bytesOf(id);
    this.#times.set(id, ms);
  }

  #bytesBefore(fromMs: number): number {
    let bytes = 0;
    for (const [id, ms] of this.#times) if (ms < fromMs) bytes += bytesOf(id);
    return bytes;
  }

  #prune(fromMs: number): void {
    for (const [id, ms] of this.#times) {
      if (ms >= fromMs) continue;
      this.#times.delete(id);
      this.#bytes -= bytesOf(id);
    }
    this.#prunedMs = fromMs;
  }
}

function bytesOf(id: string): number {
  return Buffer.byteLength(id) + ENTRY_BYTES;
}
