/** A producer of the bench's region with a connection of its own, for processes that send from elsewhere. */
import { randomUUID } from 'node:crypto';
import { systemClock } from '../src/core/clock.js';
import { Producer, type ProducerOptions } from '../src/ingest/producer.js';
import { connectNats, type NatsTarget } from '../src/log/nats/connect.js';
import { NatsLog } from '../src/log/nats/nats-log.js';
import { Subjects } from '../src/log/subjects.js';
import type { Market } from './market.js';

/** A replay's unless told otherwise. */
export async function openProducer(
  target: NatsTarget,
  { config, registry }: Market,
  { mode = 'replay', clock = systemClock }: Partial<Pick<ProducerOptions, 'mode' | 'clock'>> = {},
): Promise<Producer> {
  const subjects = new Subjects(config.name);
  const { connection, jsm } = await connectNats(target, 'groundswell bench producer');
  return new Producer({
    log: new NatsLog(connection, jsm, { stream: subjects.engineStream, writer: randomUUID() }),
    subjects,
    routes: registry.routes,
    clock,
    partitions: config.partitions,
    id: 'bench',
    mode,
    outOfOrderBoundMs: config.outOfOrderBoundMs,
    frameEvents: config.limits.frameEvents,
  });
}
