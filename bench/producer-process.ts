/**
 * The canonical workload's producer in a process of its own, as producers are: who measures end to end tells it what to do
 * (`remote-producer.ts`), one order at a time, and hears when the stream has it.
 */
import type { Producer } from '../src/ingest/producer.js';
import type { NatsTarget } from '../src/log/nats/connect.js';
import type { CanonicalSize } from './canonical.js';
import { cpuSecondsSoFar } from './machine.js';
import { canonicalMarket } from './market.js';
import { openProducer } from './open-producer.js';
import { RecordedWorkload } from './recorded-workload.js';
import { obey } from './told-process.js';

export type Order =
  | {
      readonly order: 'connect';
      readonly target: NatsTarget;
      readonly partitions: number;
      readonly windowsMs: readonly number[];
    }
  | { readonly order: 'prepare'; readonly size: CanonicalSize }
  | { readonly order: 'produce' }
  | { readonly order: 'advance'; readonly watermarkMs: number }
  | { readonly order: 'end'; readonly watermarkMs: number };

/** What it says when an order is done. */
export interface Answer {
  readonly latestMs: number;
  readonly cpuSeconds: number;
}

/** Sends the whole workload. Resolves when the stream has it. */
export async function produceAll(producer: Producer, workload: RecordedWorkload): Promise<void> {
  for (const pings of workload.ticks()) {
    for (const ping of pings) producer.offer(ping);
    if (producer.full) await producer.flush();
  }
  await producer.flush();
}

let producer: Producer | undefined;
let cover: readonly string[] = [];
let workload: RecordedWorkload | undefined;

/** Processor seconds until it was ready. */
let usedBefore = 0;

async function carryOut(order: Order): Promise<void> {
  if (order.order === 'advance') return producer!.advanceTo(order.watermarkMs);
  if (order.order === 'end') return producer!.end(order.watermarkMs);
  if (order.order === 'prepare') {
    workload = new RecordedWorkload({ ...order.size, cover });
    usedBefore = cpuSecondsSoFar();
    return;
  }
  if (order.order === 'produce') return produceAll(producer!, workload!);
  const market = canonicalMarket({ partitions: order.partitions, windowsMs: order.windowsMs });
  producer = await openProducer(order.target, market);
  cover = market.config.cover;
}

obey<Order, Answer>('producer-process', async (order) => {
  await carryOut(order);
  return { latestMs: producer!.latestMs ?? 0, cpuSeconds: cpuSecondsSoFar() - usedBefore };
});
