/**
 * The canonical workload's producer in a process of its own, as producers are: who measures end to end tells it what to do
 * (`remote-producer.ts`), one order at a time, and hears when the stream has it.
 */
import { randomUUID } from 'node:crypto';
import { systemClock } from '../src/core/clock.js';
import { Producer } from '../src/ingest/producer.js';
import { connectNats, type NatsTarget } from '../src/log/nats/connect.js';
import { NatsLog } from '../src/log/nats/nats-log.js';
import { Subjects } from '../src/log/subjects.js';
import type { CanonicalSize } from './canonical.js';
import { canonicalMarket } from './market.js';
import { RecordedWorkload } from './recorded-workload.js';

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
export type Answer =
  { readonly latestMs: number; readonly cpuSeconds: number } | { readonly failure: string };

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

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

async function obey(order: Order): Promise<void> {
  if (order.order === 'advance') return producer!.advanceTo(order.watermarkMs);
  if (order.order === 'end') return producer!.end(order.watermarkMs);
  if (order.order === 'prepare') {
    workload = new RecordedWorkload({ ...order.size, cover });
    usedBefore = cpuSeconds();
    return;
  }
  if (order.order === 'produce') return produceAll(producer!, workload!);
  const { target, partitions, windowsMs } = order;
  const { config, registry } = canonicalMarket({ partitions, windowsMs });
  const subjects = new Subjects(config.name);
  const { connection, jsm } = await connectNats(target, 'groundswell bench producer');
  producer = new Producer({
    log: new NatsLog(connection, jsm, { stream: subjects.engineStream, writer: randomUUID() }),
    subjects,
    routes: registry.routes,
    clock: systemClock,
    partitions,
    id: 'bench',
    mode: 'replay',
    outOfOrderBoundMs: config.outOfOrderBoundMs,
    frameEvents: config.limits.frameEvents,
  });
  cover = config.cover;
}

async function answer(order: Order): Promise<Answer> {
  try {
    await obey(order);
    return { latestMs: producer!.latestMs ?? 0, cpuSeconds: cpuSeconds() - usedBefore };
  } catch (error) {
    return { failure: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

// Only where it was started as a process of its own.
if (process.send !== undefined && process.env['GROUNDSWELL_BENCH_PRODUCER'] !== undefined) {
  const parent = process.send.bind(process);
  process.on('message', (order: Order) => {
    answer(order).then(parent, parent);
  });
  // Whoever asked is gone.
  process.on('disconnect', () => process.exit(0));
}
