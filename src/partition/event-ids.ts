/**
 * Ids of events that an actor has taken: a second event with one of them, within the duplicate window, is dropped. Bounded,
 * for whoever sends events chooses their ids: when there is no room for another one, no event with an id is taken.
 */

/** Bytes of one beside its text, as it is stored. */
const ENTRY_BYTES = 10;
/** What is older than the window goes when it is older by this share of it too: so few are looked at for each event. */
const STALE_SHARE = 1 / 8;

/** How long ids are remembered, and how many. */
export interface EventIdRules {
  /** Event time, ms. */
  readonly duplicateWindowMs: number;
  /** Bytes of an actor's ids, as they are stored. */
  readonly eventIdBytesMax: number;
}

export class EventIds implements Iterable<[id: string, ms: number]> {
  /** From when on each id is remembered, ms UTC. */
  readonly #times = new Map<string, number>();
  #bytes = 0;
  /** Nothing older is there; all that is may be younger. */
  #prunedMs = Number.NEGATIVE_INFINITY;

  constructor(times: Iterable<readonly [id: string, ms: number]> = []) {
    for (const [id, ms] of times) this.#set(id, ms);
  }

  get size(): number {
    return this.#times.size;
  }

  /** @param watermarkMs event time: the window ends there */
  has(id: string, watermarkMs: number, { duplicateWindowMs }: EventIdRules): boolean {
    return (this.#times.get(id) ?? Number.NEGATIVE_INFINITY) >= watermarkMs - duplicateWindowMs;
  }

  /** Whether another one may be added. */
  hasRoom(watermarkMs: number, { duplicateWindowMs, eventIdBytesMax }: EventIdRules): boolean {
    const fromMs = watermarkMs - duplicateWindowMs;
    const staleMs = fromMs - this.#prunedMs;
    const isFull = this.#bytes >= eventIdBytesMax;
    if (staleMs > duplicateWindowMs * STALE_SHARE || (isFull && staleMs > 0)) this.#prune(fromMs);
    return this.#bytes < eventIdBytesMax;
  }

  /** An event is remembered from its time on, or, when it is late, from when it was taken: it may be sent again as any other. */
  add(id: string, ms: number, watermarkMs: number): void {
    this.#set(id, Math.max(ms, watermarkMs));
  }

  forEach(see: (ms: number, id: string) => void): void {
    this.#times.forEach(see);
  }

  [Symbol.iterator](): Iterator<[id: string, ms: number]> {
    return this.#times[Symbol.iterator]();
  }

  #set(id: string, ms: number): void {
    if (!this.#times.has(id)) this.#bytes += Buffer.byteLength(id) + ENTRY_BYTES;
    this.#times.set(id, ms);
  }

  #prune(fromMs: number): void {
    for (const [id, ms] of this.#times) {
      if (ms >= fromMs) continue;
      this.#times.delete(id);
      this.#bytes -= Buffer.byteLength(id) + ENTRY_BYTES;
    }
    this.#prunedMs = fromMs;
  }
}
