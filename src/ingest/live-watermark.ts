/**
 * What a producer may promise about event time as it goes: the one rule for all that feed a region in live time.
 *
 * While events come, nothing older than the latest of them less the out-of-order bound; but never more than the wall clock
 * less the bound, for a client whose clock runs ahead must not close the windows of the others. When nothing has come for a
 * while, the wall clock less the bound, so that windows close on time in a quiet region. A replay, of whatever speed, has no
 * wall clock: only its events move it. Nor has a producer that never had an event: a region's time begins with the first.
 */
import type { Clock } from '../core/clock.js';
import type { ProducerMode } from '../partition/watermark.js';
import type { Producer } from './producer.js';

/** A producer that has got nothing for so long is quiet, ms. */
export const QUIET_MS = 1_000;
/** All partitions hear the watermark at least so often, ms, and at once when it reaches a pane: then windows close. */
export const TELL_EVERY_MS = 1_000;
const PANE_MS = 60_000;

/** True when a watermark stands in a later pane than one that was told. */
export function reachesPane(watermarkMs: number, toldMs: number | undefined): boolean {
  return toldMs === undefined || Math.floor(watermarkMs / PANE_MS) > Math.floor(toldMs / PANE_MS);
}

export interface LiveWatermarkOptions {
  readonly clock: Clock;
  readonly mode: ProducerMode;
  readonly outOfOrderBoundMs: number;
  readonly quietMs?: number;
}

export class LiveWatermark {
  readonly #options: LiveWatermarkOptions;
  #heardAtMs: number;

  constructor(options: LiveWatermarkOptions) {
    this.#options = options;
    this.#heardAtMs = options.clock.monotonic();
  }

  /** An event came. One that was refused is none: it says nothing about time, and must not hold it up. */
  heard(): void {
    this.#heardAtMs = this.#options.clock.monotonic();
  }

  /** Nothing has come for a while. */
  get quiet(): boolean {
    return this.#options.clock.monotonic() - this.#heardAtMs >= (this.#options.quietMs ?? QUIET_MS);
  }

  /** How long until a quiet producer's watermark reaches a pane that was not told, ms; not above 0 when it has. */
  paneInMs(toldMs: number | undefined): number {
    const { clock, mode, outOfOrderBoundMs, quietMs = QUIET_MS } = this.#options;
    if (mode === 'replay' || toldMs === undefined) return Number.POSITIVE_INFINITY;
    const reachedMs = clock.now() - outOfOrderBoundMs;
    const nextMs = (Math.floor(toldMs / PANE_MS) + 1) * PANE_MS;
    return Math.max(nextMs - reachedMs, this.#heardAtMs + quietMs - clock.monotonic());
  }

  /**
   * The watermark that may be told now, with all that was taken before; undefined when nothing can be promised yet.
   * @param producer event time of the latest event it has taken, and whether it or an earlier run ever had one
   * @param waiting events that came earlier still wait to be taken: then there is no quiet
   */
  after({ latestMs, begun }: Pick<Producer, 'latestMs' | 'begun'>, waiting = false): number | undefined {
    if (!begun) return undefined;
    const { clock, mode, outOfOrderBoundMs } = this.#options;
    if (mode === 'replay')
      return latestMs === undefined ? undefined : Math.max(0, latestMs - outOfOrderBoundMs);
    const wallMs = Math.floor(clock.now());
    const quiet = this.quiet && !waiting;
    if (latestMs === undefined && !quiet) return undefined;
    const reachedMs = quiet ? wallMs : Math.min(latestMs!, wallMs);
    return Math.max(0, reachedMs - outOfOrderBoundMs);
  }
}
