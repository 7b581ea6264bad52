/**
 * Whether a producer may put events into the region's stream now. Two things say no: the stream is nearly full, or a node asks
 * to wait (`node/input-hold.ts`). Both are in one answer of the stream, asked once a second, or sooner by who sends much.
 *
 * It is for producers to keep: what they send all the same is taken as long as the stream has room. What they took before is
 * still sent, for that is bounded; the rest of the room is for the engine's commits, without which no room is ever made.
 */
import type { Clock } from '../core/clock.js';
import type { Gauge, StreamLoad } from '../log/gauge.js';
import type { Subjects } from '../log/subjects.js';

/** Why no more events are taken. */
export interface Overload {
  /** `full`: the stream is; `behind`: nodes have more to do than they can. */
  readonly why: 'full' | 'behind';
  readonly message: string;
}

export interface BackPressureOptions {
  readonly gauge: Gauge;
  readonly subjects: Subjects;
  readonly clock: Clock;
}

const LOOK_EVERY_MS = 1_000;
/** Producers stop at so much of the stream's limit, and go on at so much. */
const FULL_AT = 0.9;
const GO_ON_AT = 0.85;
/** Who sends looks again after so much of the room that was left, within bounds. */
const LOOK_AFTER_SHARE = 1 / 8;
const LOOK_AFTER_BYTES_MIN = 64 * 1024;
const LOOK_AFTER_BYTES_MAX = 128 * 1024;
/** Clocks that are no further apart are the same, ms. */
const SAME_CLOCK_MS = 1_000;

/** The verdict on what the stream says; `before` is the last one: what stopped goes on a little later than it stopped. */
export function overloadOf(load: StreamLoad, before: Overload | undefined): Overload | undefined {
  const { bytes, bytesMax, present } = load;
  const share = bytesMax === undefined ? 0 : bytes / bytesMax;
  if (share > (before?.why === 'full' ? GO_ON_AT : FULL_AT)) {
    const message = `The region's stream is ${Math.floor(share * 100)} % full: the rest is kept for the engine's commits.`;
    return { why: 'full', message };
  }
  if (present.length === 0) return undefined;
  return { why: 'behind', message: `The region's nodes are behind in ${present.length} partitions.` };
}

export class BackPressure {
  readonly #options: BackPressureOptions;
  #overload: Overload | undefined;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #lookedAtBytes = 0;
  #bytesUntilLook = LOOK_AFTER_BYTES_MAX;
  #looking: Promise<Overload | undefined> | undefined;
  /** How far the stream's clock is ahead of this machine's, ms; 0 while it is not known. */
  aheadMs = 0;

  constructor(options: BackPressureOptions) {
    this.#options = options;
  }

  /** As of the last look. */
  get overload(): Overload | undefined {
    return this.#overload;
  }

  /**
   * Looks, if it is time. While the stream does not answer the last verdict stands: whether it takes anything, it says itself.
   * @param bytesSent what this producer has sent since it was made
   */
  look(bytesSent: number): Promise<Overload | undefined> {
    const nowMs = this.#options.clock.monotonic();
    const due =
      nowMs - this.#lookedAtMs >= LOOK_EVERY_MS || bytesSent - this.#lookedAtBytes >= this.#bytesUntilLook;
    if (!due) return this.#looking ?? Promise.resolve(this.#overload);
    this.#looking ??= this.#look(bytesSent).finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #look(bytesSent: number): Promise<Overload | undefined> {
    const { gauge, subjects, clock } = this.#options;
    const askedAtMs = clock.now();
    try {
      const load = await gauge.load(subjects.allHolds);
      this.#overload = overloadOf(load, this.#overload);
      if (load.atMs !== undefined) this.aheadMs = apart(load.atMs, askedAtMs, clock.now());
      const room = (load.bytesMax ?? Number.POSITIVE_INFINITY) * FULL_AT - load.bytes;
      const some = Math.min(LOOK_AFTER_BYTES_MAX, room * LOOK_AFTER_SHARE);
      this.#bytesUntilLook = Math.max(LOOK_AFTER_BYTES_MIN, some);
    } catch {
      // No answer: the next look asks again.
    }
    this.#lookedAtMs = clock.monotonic();
    this.#lookedAtBytes = bytesSent;
    return this.#overload;
  }
}

/** How far a clock that was read between two readings of ours is ahead of it, ms; 0 when it may well be the same. */
function apart(atMs: number, beforeMs: number, afterMs: number): number {
  if (atMs < beforeMs - SAME_CLOCK_MS) return atMs - beforeMs;
  return atMs > afterMs + SAME_CLOCK_MS ? atMs - afterMs : 0;
}
