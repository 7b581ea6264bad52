/**
 * Event-time timers of one stage of a partition, in buckets by due time and name: actors of one minute fire together, and the
 * number of buckets is the number of distinct times, not of timers. Owns only the order; the actor's own timer map is
 * the truth, and an entry that no longer agrees with it is skipped when its time comes.
 */
import type { ActorId } from '../core/ids.js';
import type { ResidentOrId } from './actor-record.js';

/** Actors whose timers of one name stand at one time. An entry is no object of its own: each driver has one. */
interface Bucket {
  readonly atMs: number;
  readonly name: string;
  readonly actors: ResidentOrId[];
}

export class TimerQueue {
  /** By due time; of one time there are as many as there are names. */
  readonly #buckets = new Map<number, Bucket[]>();
  /** Binary min-heap of the buckets' times. */
  readonly #heap: number[] = [];
  /** Taken since the last `settle`: to go back to it. */
  #taken: Bucket[] = [];
  /** Where the last timer was put: most often the next one goes there too. */
  #last: Bucket | undefined;

  add(atMs: number, name: string, actor: ResidentOrId): void {
    const last = this.#last;
    if (last !== undefined && last.atMs === atMs && last.name === name) {
      last.actors.push(actor);
      return;
    }
    const buckets = this.#buckets.get(atMs);
    const bucket = buckets?.find((one) => one.name === name);
    if (bucket !== undefined) {
      this.#last = bucket;
      bucket.actors.push(actor);
      return;
    }
    const added = { atMs, name, actors: [actor] };
    this.#last = added;
    if (buckets !== undefined) {
      buckets.push(added);
      return;
    }
    this.#buckets.set(atMs, [added]);
    this.#push(atMs);
  }

  /** Takes entries of one name, of the earliest time at or before the limit: all of them, or as many as asked for at most. */
  takeDue(limitMs: number, max: number): Bucket | undefined {
    const atMs = this.#heap[0];
    if (atMs === undefined || atMs > limitMs) return undefined;
    const buckets = this.#buckets.get(atMs)!;
    const bucket = buckets.at(-1)!;
    const { name, actors } = bucket;
    const whole = actors.length <= max;
    // From the end: a bucket may hold every driver there is, and is taken in many bites. Their order says nothing.
    const due = whole ? bucket : { atMs, name, actors: actors.slice(actors.length - max) };
    // Noted first: who is broken off here has them twice, which does no harm.
    this.#taken.push(due);
    if (!whole) {
      actors.length -= max;
      return due;
    }
    if (bucket === this.#last) this.#last = undefined;
    buckets.pop();
    if (buckets.length > 0) return due;
    this.#buckets.delete(atMs);
    this.#pop();
    return due;
  }

  get earliestMs(): number | undefined {
    return this.#heap[0];
  }

  /** Latest time any entry stands at (entries that were replaced count until their time comes). */
  get latestMs(): number | undefined {
    return this.#heap.length === 0 ? undefined : this.#heap.reduce((a, b) => Math.max(a, b));
  }

  /** What was taken will not be asked for again. */
  settle(): void {
    if (this.#taken.length > 0) this.#taken = [];
  }

  /**
   * Puts back what was taken since `settle`, and takes out all entries of some actors, whose records say what they have.
   * Relies on nothing but the buckets: whatever was being done may have been broken off.
   */
  goBack(without: ReadonlySet<ActorId>): void {
    const all = [...this.#buckets.values()].flat();
    all.push(...this.#taken);
    this.#buckets.clear();
    this.#heap.length = 0;
    this.#taken = [];
    this.#last = undefined;
    for (const { atMs, name, actors } of all) {
      for (const actor of actors) {
        const id = typeof actor === 'string' ? actor : actor.id;
        if (!without.has(id)) this.add(atMs, name, actor);
      }
    }
  }

  #push(value: number): void {
    const heap = this.#heap;
    let i = heap.push(value) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (heap[parent]! <= value) break;
      heap[i] = heap[parent]!;
      i = parent;
    }
    heap[i] = value;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1]! < heap[child]!) child++;
      if (heap[child]! >= last) break;
      heap[i] = heap[child]!;
      i = child;
    }
    heap[i] = last;
  }
}
