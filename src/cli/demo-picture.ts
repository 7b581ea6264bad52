/** What the terminal shows of a running node: totals, top cells, and how fast and how far it is. */
import { systemClock } from '../core/clock.js';
import type { LivePicture } from './live-picture.js';
import type { RunningNode } from './running-node.js';

const TOP = 20;
/** Throughput is that of the last so many ms. */
const RATE_MS = 5_000;

export class DemoPicture {
  readonly #node: RunningNode;
  #events = 0;
  #samples: { atMs: number; events: number }[] = [];

  constructor(node: RunningNode) {
    this.#node = node;
  }

  /** Events that were sent so far. */
  get events(): number {
    return this.#events;
  }

  /** Tells how many events were sent so far. */
  sent(events: number): void {
    this.#events = events;
  }

  now(): LivePicture {
    const { view, engine, url, latency } = this.#node;
    const { config } = engine;
    return {
      region: config.name,
      timezone: config.timezone,
      watermark: view.watermarkMs,
      total: view.total(),
      liveTotal: view.liveTotal(),
      topCells: view
        .top(TOP)
        .map(({ multiplier, raw, ...cell }) => ({ ...cell, multiplier: multiplier ?? 1, raw: raw ?? 0 })),
      throughput: this.#throughput(),
      latencyMs: latency.quantilesMs(),
      lagMs: view.watermarkMs > 0 ? systemClock.now() - view.watermarkMs : undefined,
      address: url,
      notes: engine.nats().connected ? [] : ['nats-server is away: trying again'],
    };
  }

  /** The same for programs. */
  facts(picture: LivePicture): Record<string, unknown> {
    const { throughput, topCells, ...rest } = picture;
    return {
      atMs: systemClock.now(),
      events: this.#events,
      eventsPerSecond: Math.round(throughput ?? 0),
      ...rest,
      topCells: topCells.slice(0, 5).map(({ key, multiplier, raw }) => ({ key, multiplier, raw })),
    };
  }

  #throughput(): number {
    const nowMs = systemClock.monotonic();
    this.#samples = this.#samples.filter(({ atMs }) => nowMs - atMs <= RATE_MS);
    const first = this.#samples[0];
    this.#samples.push({ atMs: nowMs, events: this.#events });
    return first === undefined
      ? 0
      : ((this.#events - first.events) * 1_000) / Math.max(1, nowMs - first.atMs);
  }
}
