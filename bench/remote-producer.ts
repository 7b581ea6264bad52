/** A producer in another process, as whoever measures sees it. */
import type { NatsTarget } from '../src/log/nats/connect.js';
import type { CanonicalSize } from './canonical.js';
import type { Market } from './market.js';
import type { Answer, Order } from './producer-process.js';
import { ToldProcess } from './told-process.js';

export class RemoteProducer {
  readonly #process = new ToldProcess<Order, Answer>(import.meta.url, 'producer-process');
  #latestMs = 0;
  /** Processor seconds that its process has used since it was ready. */
  cpuSeconds = 0;

  /** Resolves when it is connected, has the workload, and has sent nothing yet. */
  static async open(target: NatsTarget, market: Market, size: CanonicalSize): Promise<RemoteProducer> {
    const { partitions, windowsMs } = market.config;
    const producer = new RemoteProducer();
    await producer.#ask({ order: 'connect', target, partitions, windowsMs });
    await producer.#ask({ order: 'prepare', size });
    return producer;
  }

  /** Sends the whole workload. Resolves when the stream has it. */
  async produce(): Promise<this> {
    await this.#ask({ order: 'produce' });
    return this;
  }

  /** Event time of the last event, ms UTC. */
  get latestMs(): number {
    return this.#latestMs;
  }

  /** Moves the watermark: all partitions hear it. */
  advanceTo(watermarkMs: number): Promise<void> {
    return this.#ask({ order: 'advance', watermarkMs });
  }

  /** Says the last word. */
  async end(watermarkMs: number): Promise<void> {
    await this.#ask({ order: 'end', watermarkMs });
    this.#process.release();
  }

  async #ask(order: Order): Promise<void> {
    const { latestMs, cpuSeconds } = await this.#process.ask(order);
    this.#latestMs = latestMs;
    this.cpuSeconds = cpuSeconds;
  }
}
