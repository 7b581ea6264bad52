/** Producers over a log in memory and in virtual time: what tests of the doors share. */
import type { ActorEvent } from '../../../src/actor/behaviour.js';
import { VirtualClock } from '../../../src/core/clock.js';
import { partitionOf } from '../../../src/core/hash.js';
import { Producer, type ProducerOptions } from '../../../src/ingest/producer.js';
import type { Routes } from '../../../src/ingest/routes.js';
import type { Log } from '../../../src/log/log.js';
import type { MemoryLog } from '../../../src/log/memory/memory-log.js';
import { Subjects } from '../../../src/log/subjects.js';
import { decodeEventFrame, type EventFrame } from '../../../src/partition/frame.js';
import { turns } from '../../support/until.js';

export const subjects = new Subjects('sf');
export const PARTITIONS = 3;
export const BOUND_MS = 5_000;
/** Wall time at which virtual clocks begin. */
export const NOW = 1_700_000_000_000;

export const routes: Routes = new Map([
  ['session.opened', { actorType: 'rider', keyField: 'riderId' }],
  ['driver.location', { actorType: 'driver', keyField: 'driverId' }],
]);

export const opened = (riderId: string, ts: number, more: object = {}): ActorEvent => ({
  type: 'session.opened',
  riderId,
  ts,
  ...more,
});

export const partitionOfRider = (riderId: string): number => partitionOf(`rider/${riderId}`, PARTITIONS);

export function newProducer(log: Log, more: Partial<ProducerOptions> = {}): Producer {
  return new Producer({
    log,
    subjects,
    routes,
    clock: new VirtualClock(NOW),
    partitions: PARTITIONS,
    id: 'p',
    mode: 'live',
    outOfOrderBoundMs: BOUND_MS,
    frameEvents: 4,
    ...more,
  });
}

export interface StoredFrame extends EventFrame {
  readonly partition: number;
  readonly logSeq: number;
}

/** All event frames of a log, in stream order. */
export async function framesIn(log: MemoryLog, partitions = PARTITIONS): Promise<StoredFrame[]> {
  const frames: StoredFrame[] = [];
  for (let partition = 0; partition < partitions; partition++) {
    const reader = await log.read(subjects.events(partition), 1, () => undefined);
    for (const { payload, seq } of reader.take(Number.POSITIVE_INFINITY))
      frames.push({ ...decodeEventFrame(payload), partition, logSeq: seq });
    await reader.close();
  }
  return frames.sort((one, other) => one.logSeq - other.logSeq);
}

/** What the partitions take of a producer's frames: each event once, by its sequence, as `ProducerTable` has it (P3). */
export async function taken(log: MemoryLog, id = 'p'): Promise<{ events: ActorEvent[][]; missing: number }> {
  const events: ActorEvent[][] = Array.from({ length: PARTITIONS }, () => []);
  let missing = 0;
  for (const { partition, producer, seq, events: some } of await framesIn(log)) {
    if (producer !== id) continue;
    const known = events[partition]!;
    missing += Math.max(0, seq - known.length);
    known.push(...some.slice(Math.max(0, known.length - seq)));
  }
  return { events, missing };
}

/** Lets virtual time pass in small steps, and everybody do what is due in each. */
export async function pass(clock: VirtualClock, ms: number, stepMs = 5): Promise<void> {
  for (let gone = 0; gone < ms; gone += stepMs) {
    clock.advance(Math.min(stepMs, ms - gone));
    await turns(4);
  }
}
