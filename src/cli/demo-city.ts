/**
 * A simulated city in live time: its last minutes at once, so that there is something to see, and then as time goes by.
 * Owns the pace; the events are the simulator's.
 */
import { Wakeup } from '../core/wakeup.js';
import type { Clock } from '../core/clock.js';
import { simulateCity, type CityOptions, type MarketEvent } from '../ingest/simulator/simulator.js';
import type { Feed, FeedBatch } from './feed.js';

export interface PaceOptions {
  /** How much of the city's time is sent at once in the beginning, ms. */
  readonly warmUpMs: number;
  /** Event time against wall time; it never runs ahead of the clock. */
  readonly speed: number;
  readonly clock: Clock;
  /** Called with the events that are sent. */
  onEvents?(events: readonly MarketEvent[]): Promise<void> | void;
}

/** How often events are sent, ms. */
const EVERY_MS = 50;

export class DemoCity implements Feed {
  readonly #city: CityOptions;
  readonly #pace: PaceOptions;
  readonly #wakeup: Wakeup;
  readonly #startedMs: number;
  #stopped = false;
  #line = 0;

  constructor(city: CityOptions, pace: PaceOptions) {
    this.#city = city;
    this.#pace = pace;
    this.#wakeup = new Wakeup(pace.clock);
    this.#startedMs = pace.clock.monotonic();
  }

  fraction(): undefined {
    return undefined;
  }

  /** Ends the feed after what is being sent. */
  stop(): void {
    this.#stopped = true;
    this.#wakeup.wake();
  }

  get batches(): AsyncIterable<FeedBatch> {
    return this.#batches();
  }

  async *#batches(): AsyncGenerator<FeedBatch> {
    for (const second of simulateCity(this.#city)) {
      for (let from = 0; from < second.length;) {
        if (this.#stopped) return;
        const untilMs = this.#reachedMs();
        let to = from;
        while (to < second.length && second[to]!.ts <= untilMs) to++;
        // Behind, full frames are better than quick ones.
        const atOnce = to < second.length;
        if (to > from) {
          const raws = second.slice(from, to);
          await this.#pace.onEvents?.(raws);
          yield { raws, lines: raws.map(() => ++this.#line), malformed: [], atOnce };
        }
        from = to;
        if (!atOnce) continue;
        this.#wakeup.arm();
        if (!this.#stopped) await this.#wakeup.wait(EVERY_MS);
      }
    }
  }

  /** Event time that may have been sent by now. */
  #reachedMs(): number {
    const { clock, warmUpMs, speed } = this.#pace;
    const elapsedMs = clock.monotonic() - this.#startedMs;
    const passedMs = elapsedMs === 0 ? 0 : elapsedMs * speed;
    return Math.min(clock.now(), this.#city.startMs + warmUpMs + passedMs);
  }
}
