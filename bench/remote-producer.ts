/** A producer in another process, as whoever measures sees it. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { NatsTarget } from '../src/log/nats/connect.js';
import type { CanonicalSize } from './canonical.js';
import type { Market } from './market.js';
import type { Answer, Order } from './producer-process.js';
import { forkSibling } from './sibling-program.js';

export class RemoteProducer {
  readonly #child: ChildProcess;
  readonly #gone: Promise<never>;
  #latestMs = 0;
  /** Processor seconds that its process has used since it was ready. */
  cpuSeconds = 0;

  /** Resolves when it is connected, has the workload, and has sent nothing yet. */
  static async open(target: NatsTarget, market: Market, size: CanonicalSize): Promise<RemoteProducer> {
    const { partitions, windowsMs } = market.config;
    const producer = new RemoteProducer();
    const { url, user, password } = target;
    const access = user === undefined || password === undefined ? {} : { user, password };
    await producer.#ask({ order: 'connect', target: { url, ...access }, partitions, windowsMs });
    await producer.#ask({ order: 'prepare', size });
    return producer;
  }

  /** Sends the whole workload. Resolves when the stream has it. */
  async produce(): Promise<this> {
    await this.#ask({ order: 'produce' });
    return this;
  }

  private constructor() {
    const env = { ...process.env, GROUNDSWELL_BENCH_PRODUCER: '1' };
    this.#child = forkSibling(import.meta.url, 'producer-process', { env });
    this.#gone = once(this.#child, 'exit').then(([code, signal]: unknown[]) => {
      throw new Error(`the producer’s process ended (${String(signal ?? code)})`);
    });
    this.#gone.catch(() => undefined);
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
    this.#child.disconnect();
  }

  async #ask(order: Order): Promise<void> {
    const heard = once(this.#child, 'message') as Promise<[Answer]>;
    this.#child.send(order);
    const [answer] = await Promise.race([heard, this.#gone]);
    if ('failure' in answer) throw new Error(`the producer’s process failed: ${answer.failure}`);
    this.#latestMs = answer.latestMs;
    this.cpuSeconds = answer.cpuSeconds;
  }
}
