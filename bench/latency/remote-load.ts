/** The load's process, as whoever measures latency sees it. */
import type { NatsTarget } from '../../src/log/nats/connect.js';
import type { MarketOptions } from '../market.js';
import { ToldProcess } from '../told-process.js';
import type { Answer, Order } from './load-process.js';
import type { LoadOptions, Measured } from './schedule.js';

export class RemoteLoad {
  readonly #process = new ToldProcess<Order, Answer>(import.meta.url, 'load-process');

  /**
   * Resolves when it is connected and knows where drivers go; nothing is offered yet.
   * @param seconds that it is offered for, about
   */
  static async open(
    target: NatsTarget,
    market: MarketOptions,
    options: LoadOptions,
    seconds: number,
  ): Promise<RemoteLoad> {
    const remote = new RemoteLoad();
    const load = loadOf(options);
    const events = Math.ceil(load.eventsPerSecond * seconds);
    await remote.#process.ask({ order: 'prepare', target, market, load, events });
    return remote;
  }

  /** Rejects when its process ends; never resolves. */
  get failed(): Promise<never> {
    return this.#process.gone;
  }

  /** From a time on; resolves when it was told to stop and all is in the stream. @throws Error when the rate was not kept */
  offer(startedMs: number, measured: Measured, aheadMs: number): Promise<Answer> {
    return this.#process.ask({ order: 'offer', startedMs, measured, aheadMs });
  }

  /** Offers nothing more. */
  stop(): void {
    // Whoever waits for `offer` hears of a failure.
    this.#process.ask({ order: 'stop' }).catch(() => undefined);
  }

  /** The cells that drivers were in for any time, of each of so many minutes. */
  async cells(firstMinuteMs: number, minutes: number): Promise<readonly number[]> {
    const { cells } = await this.#process.ask({ order: 'cells', firstMinuteMs, minutes });
    return cells;
  }

  close(): void {
    this.#process.release();
  }
}

/** What can be sent to another process. */
function loadOf(options: LoadOptions): LoadOptions {
  const { eventsPerSecond, drivers, seed, probesPerSecond, probeCells, cover } = options;
  return { eventsPerSecond, drivers, seed, probesPerSecond, probeCells, cover };
}
