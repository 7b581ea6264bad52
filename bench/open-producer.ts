/** Producers of the bench's region: on a log that is there, or with a connection of its own, for processes that send from elsewhere. */
import { randomUUID } from 'node:crypto';
import { systemClock } from '../src/core/clock.js';
import { Producer, type ProducerOptions } from '../src/ingest/producer.js';
import { connectNats, type NatsTarget } from '../src/log/nats/connect.js';
import { NatsLog } from '../src/log/nats/nats-log.js';
import { Subjects } from '../src/log/subjects.js';
import type { Market } from './market.js';

type Choices = Partial<Pick<ProducerOptions, 'mode' | 'clock'>>;

export async function openProducer(
  target: NatsTarget,
  market: Market,
  choices: Choices = {},
): Promise<Producer> {
  const { engineStream } = new Subjects(market.config.name);
  const { connection, jsm } = await connectNats(target, 'groundswell bench producer');
  const log = new NatsLog(connection, jsm, { stream: engineStream, writer: randomUUID() });
  return producerOn(log, market, choices);
}

/** A replay's unless told otherwise. */
export function producerOn(
  log: NatsLog,
  { config, registry }: Market,
  { mode = 'replay', clock = systemClock }: Choices = {},
): Producer {
  return new Producer({
    log,
    subjects: new Subjects(config.name),
    routes: registry.routes,
    clock,
    partitions: config.partitions,
    id: 'bench',
    mode,
    outOfOrderBoundMs: config.outOfOrderBoundMs,
    frameEvents: config.limits.frameEvents,
  });
}
