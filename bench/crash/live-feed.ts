/** A live producer: a simulated city whose events are sent when they happen, and kept in a file for the truth. */
import { createWriteStream } from 'node:fs';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { cityOptions } from '../../src/cli/city-options.js';
import { openProducer, type EventProducer } from '../../src/index.js';
import type { RegionConfig } from '../../src/ingest/region.js';
import { simulateCity, type MarketEvent } from '../../src/ingest/simulator/simulator.js';

export interface LiveFeedOptions {
  readonly nats: string;
  readonly region: RegionConfig;
  readonly seed: number;
  readonly eventsPerSecond: number;
  /** All events that were taken, in their order. */
  readonly file: string;
}

const TICK_MS = 5;
/** Drivers on shift, of all; each pings once in so many seconds. */
const ON_SHIFT = 0.75;
const PING_S = 5;
const DAY_MS = 86_400_000;

export class LiveFeed {
  readonly #producer: EventProducer;
  readonly #options: LiveFeedOptions;
  #stopping = false;
  #running: Promise<void> = Promise.resolve();
  sent = 0;
  /** Event time of the last event that was sent. */
  lastMs = 0;

  static async open(options: LiveFeedOptions): Promise<LiveFeed> {
    const { nats, region, seed } = options;
    const producer = await openProducer({ url: nats, region: region.name, id: `crash-${seed}` });
    const feed = new LiveFeed(options, producer);
    feed.#running = feed.#run();
    feed.#running.catch(() => undefined);
    return feed;
  }

  private constructor(options: LiveFeedOptions, producer: EventProducer) {
    this.#options = options;
    this.#producer = producer;
  }

  /** Rejects when it fails. */
  get finished(): Promise<void> {
    return this.#running;
  }

  /** Sends the rest, and its last word: time goes on without it. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#running;
    await this.#producer.flush();
    await this.#producer.close();
  }

  async #run(): Promise<void> {
    const file = createWriteStream(this.#options.file);
    try {
      for (const event of this.#events()) {
        while (event.ts > Date.now()) {
          if (this.#stopping) return;
          await sleep(TICK_MS);
        }
        if (this.#stopping) return;
        while (this.#offered(event) === 'full') await this.#producer.room();
        this.sent++;
        this.lastMs = event.ts;
        if (!file.write(`${JSON.stringify(event)}\n`)) await once(file, 'drain');
      }
    } finally {
      file.end();
      await once(file, 'finish');
    }
  }

  #offered(event: MarketEvent): 'full' | 'taken' {
    const answer = this.#producer.offer({ ...event });
    if (answer === 'full') return 'full';
    if (typeof answer === 'object') throw new Error(`the event was refused: ${JSON.stringify(answer)}`);
    return 'taken';
  }

  *#events(): Generator<MarketEvent> {
    const { region, seed, eventsPerSecond } = this.#options;
    const drivers = Math.round((eventsPerSecond * PING_S) / ON_SHIFT);
    const city = cityOptions(region, {
      seed,
      drivers,
      requestsPerMinute: drivers / 20,
      start: new Date(Date.now() + 1_000).toISOString(),
      durationMs: DAY_MS,
    });
    for (const second of simulateCity(city)) yield* second;
  }
}
