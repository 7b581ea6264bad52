/** How much flows through the node, and how far what it says is behind: for the eyes of people. */
import type { HttpFacts } from './facts.js';

const EVERY_MS = 1_000;
/** A rate is over the time since it was last asked for, but not over more than this. */
const SPAN_MS_MAX = 10_000;

export interface Rates {
  /** Events that the node took per second; null before it can be said. */
  readonly eventsPerSecond: number | null;
  /**
   * How long ago the events happened that are in by now: wall time less the lowest watermark and the bound that it keeps
   * for stragglers. Negative when event time runs ahead, as in a fast replay; null without a watermark.
   */
  readonly lagMs: number | null;
}

export class FlowRates {
  readonly #facts: Pick<HttpFacts, 'node' | 'clock' | 'region'>;
  #atMs: number | undefined;
  #events = 0;
  #rates: Rates = { eventsPerSecond: null, lagMs: null };

  constructor(facts: Pick<HttpFacts, 'node' | 'clock' | 'region'>) {
    this.#facts = facts;
  }

  /** Computed anew once a second at most. */
  now(): Rates {
    const { node, clock, region } = this.#facts;
    const atMs = clock.monotonic();
    const spanMs = this.#atMs === undefined ? Number.POSITIVE_INFINITY : atMs - this.#atMs;
    if (spanMs < EVERY_MS) return this.#rates;
    const { stats, partitions } = node.status();
    const watermarkMs = Math.min(...partitions.map((partition) => partition.watermarkMs));
    const known = Number.isFinite(watermarkMs) && watermarkMs > 0;
    this.#rates = {
      eventsPerSecond:
        spanMs > SPAN_MS_MAX
          ? null
          : Math.max(0, Math.round(((stats.events - this.#events) / spanMs) * 1000)),
      lagMs: known ? Math.round(clock.now() - watermarkMs - region.outOfOrderBoundMs) : null,
    };
    this.#atMs = atMs;
    this.#events = stats.events;
    return this.#rates;
  }
}
