/**
 * Hunts: a raw event that takes effect twice or never because the pump died, was stopped, was given no answer or was not
 * alone; a watermark that is promised while older events still wait in the stream; a pump that stays down.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../../src/core/clock.js';
import { Cover } from '../../../src/core/geohash.js';
import { EventChecker } from '../../../src/ingest/check.js';
import { RawPump, type RawPumpOptions } from '../../../src/ingest/raw-pump.js';
import type { Log, LogReader } from '../../../src/log/log.js';
import { MemoryLog } from '../../../src/log/memory/memory-log.js';
import { FaultyLog, type Fault, type FaultyLogOptions } from '../../support/faulty-log.js';
import { at } from '../../support/market.js';
import { turns } from '../../support/until.js';
import {
  BOUND_MS,
  framesIn,
  NOW,
  PARTITIONS,
  partitionOfRider,
  pass,
  routes,
  subjects,
  taken,
} from './producing.js';

const encoder = new TextEncoder();
const cell = '9q8yyk';

interface World {
  readonly clock: VirtualClock;
  readonly log: MemoryLog;
  readonly raw: MemoryLog;
}

const newWorld = (): World => ({
  clock: new VirtualClock(NOW),
  log: new MemoryLog(),
  raw: new MemoryLog(),
});

let pumps = 0;
function newPump(
  { clock, log, raw }: World,
  more: Partial<RawPumpOptions> = {},
  through: Log = log,
): RawPump {
  return new RawPump({
    log: through,
    raw,
    subjects,
    routes,
    checker: new EventChecker({ cover: new Cover([cell.slice(0, 3)]), nowMs: () => clock.now() }),
    clock,
    partitions: PARTITIONS,
    outOfOrderBoundMs: BOUND_MS,
    frameEvents: 64,
    writer: `pump-${++pumps}`,
    ...more,
  });
}

/** Publishes sessions of riders, numbered, as anybody would. */
function publish({ raw, clock }: World, count: number, from = 0): void {
  for (let n = from; n < from + count; n++) {
    const body = { riderId: `r-${n % 7}`, ...at(cell), ts: clock.now(), n };
    raw.appendNow([
      { subject: subjects.ingest('session.opened'), payload: encoder.encode(JSON.stringify(body)) },
    ]);
  }
}

/** The numbers of the events that took effect, by partition, and what was counted as missing. */
async function effects(log: MemoryLog) {
  const { events, missing } = await taken(log, 'ingest');
  return { numbers: events.map((some) => some.map(({ n }) => n as number)), missing };
}

const expected = (count: number) => ({
  numbers: Array.from({ length: PARTITIONS }, (_, partition) =>
    Array.from({ length: count }, (_, n) => n).filter((n) => partitionOfRider(`r-${n % 7}`) === partition),
  ),
  missing: 0,
});

const cursorOf = async (log: Log): Promise<{ seq: number; writer: string }> =>
  JSON.parse(new TextDecoder().decode((await log.last(subjects.ingestCursor))!.payload)) as never;

describe('the raw pump', () => {
  it('P8: while the region is overloaded leaves raw events in their stream, and time where it is; then takes them all', async () => {
    const world = newWorld();
    const none = { messages: 1, bytes: 1, bytesMax: undefined, present: [] as string[], atMs: undefined };
    let load = none;
    const pump = newPump(world, { gauge: { load: () => Promise.resolve(load) } });
    publish(world, 10);
    pump.start();
    await pass(world.clock, 1_500);
    expect(await effects(world.log)).toEqual(expected(10));
    load = { ...none, present: [subjects.hold(1)] };
    await pass(world.clock, 1_500);
    publish(world, 500, 10);
    await pass(world.clock, 60_000, 50);
    expect(await effects(world.log)).toEqual(expected(10));
    expect(pump.lag).toBe(500);
    const heldAtMs = (await framesIn(world.log)).at(-1)!;
    // It goes on saying that it is there, and promises nothing about what waits.
    expect(heldAtMs.watermarkMs).toBeLessThanOrEqual(world.clock.now() - 60_000 - BOUND_MS);
    load = none;
    await pass(world.clock, 2_000);
    expect(await effects(world.log)).toEqual(expected(510));
    await pump.stop();
  });

  it('takes raw events in rounds that are bounded, and moves its cursor with them', async () => {
    const world = newWorld();
    publish(world, 1_300);
    const batches: number[] = [];
    const watched = new FaultyLog(world.log, {
      fault(_n, entries) {
        expect(entries.filter(({ subject }) => subject === subjects.ingestCursor)).toHaveLength(1);
        batches.push(entries.length);
        return 'none';
      },
    });
    const pump = newPump(world, {}, watched);
    pump.start();
    await pass(world.clock, 300);
    expect(batches.length).toBeGreaterThanOrEqual(3);
    expect(Math.max(...batches)).toBeLessThanOrEqual(1 + PARTITIONS * Math.ceil(512 / 64));
    expect(await effects(world.log)).toEqual(expected(1_300));
    expect([pump.state, pump.lag, pump.counters]).toEqual([
      'working',
      0,
      { taken: 1_300, refused: {}, missing: 0 },
    ]);
    expect(await cursorOf(world.log)).toMatchObject({ seq: 1_300 });
    await pump.stop();
    expect(pump.state).toBe('stopped');
    expect(
      (await framesIn(world.log)).some(({ end }) => end),
      'it comes back',
    ).toBe(false);
  });

  it('refuses what is no event, with a reason that is counted, and goes on behind it', async () => {
    const world = newWorld();
    publish(world, 2);
    for (const [subject, body] of [
      ['gs.sf.ingest.session_opened', '{'],
      ['gs.sf.ingest.session_opened', '{}'],
      ['gs.sf.ingest.foo', '{"x":1}'],
      ['gs.sf.ingest.ride_requested', JSON.stringify({ rideId: 'a', riderId: 'b', ts: NOW, ...at(cell) })],
      ['gs.sf.ingest.session_opened', 'x'.repeat(70_000)],
    ] as const)
      world.raw.appendNow([{ subject, payload: encoder.encode(body) }]);
    publish(world, 2, 2);
    const pump = newPump(world);
    pump.start();
    await pass(world.clock, 50);
    expect(pump.counters).toEqual({
      taken: 4,
      refused: { malformed: 1, missing_field: 1, unknown_type: 1, unneeded: 1, too_large: 1 },
      missing: 0,
    });
    const { events } = await taken(world.log, 'ingest');
    const refused = events.flat().filter(({ type }) => type === 'refused');
    expect(refused.map(({ claimed, reason }) => `${claimed as string} ${reason as string}`).sort()).toEqual([
      'ride.requested unneeded',
      'session.opened malformed',
      'session.opened missing_field',
      'session.opened too_large',
      'unknown unknown_type',
    ]);
    await pump.stop();
  });

  it.each<Fault>(['die-before', 'die-after'])(
    'P3: when it dies (%s its batch is stored) at any batch, the next one takes each event once',
    async (fault) => {
      for (let batch = 0; ; batch++) {
        const world = newWorld();
        publish(world, 40);
        const dying = new FaultyLog(world.log, { fault: (n) => (n === batch ? fault : 'none') });
        newPump(world, { roundMessagesMax: 7 }, dying).start();
        await pass(world.clock, 100);
        publish(world, 20, 40);
        await pass(world.clock, 100);
        const heir = newPump(world, { roundMessagesMax: 9 });
        heir.start();
        await pass(world.clock, 200);
        expect(await effects(world.log), `died at batch ${batch}`).toEqual(expected(60));
        await heir.stop();
        if (!dying.dead) {
          expect(batch).toBeGreaterThan(8);
          return;
        }
      }
    },
  );

  it('P3: property: whatever becomes of its batches, and however often it is stopped, each event takes effect once', async () => {
    const faults = fc.array(
      fc.constantFrom<Fault>('none', 'lose', 'lose-ack', 'delay', 'refuse', 'refuse-for-good'),
      {
        maxLength: 25,
      },
    );
    const steps = fc.array(
      fc.record({ count: fc.nat(12), ms: fc.constantFrom(0, 5, 60, 700), restart: fc.boolean() }),
      { maxLength: 12 },
    );
    await fc.assert(
      fc.asyncProperty(faults, steps, async (chosen, todo) => {
        const world = newWorld();
        let appends = 0;
        const options: FaultyLogOptions = { fault: () => chosen[appends++] ?? 'none' };
        const small = { roundMessagesMax: 5, patienceMs: 100 };
        let pump = newPump(world, small, new FaultyLog(world.log, options));
        pump.start();
        let published = 0;
        for (const { count, ms, restart } of todo) {
          publish(world, count, published);
          published += count;
          await pass(world.clock, ms, ms > 60 ? 50 : 5);
          if (!restart) continue;
          const stopping = pump.stop();
          await pass(world.clock, 12_000, 500);
          await stopping;
          pump = newPump(world, small, new FaultyLog(world.log, options));
          pump.start();
        }
        // Long enough for all faults, the pauses after them, and the time that a pump stands by.
        await pass(world.clock, 60_000, 500);
        expect(await effects(world.log)).toEqual(expected(published));
        expect([pump.failure, pump.lag, pump.state]).toEqual([undefined, 0, 'working']);
        await pump.stop();
      }),
      { numRuns: 40 },
    );
  });

  it('P6: takes a batch whose answer was lost for what it is, and goes on where it stands', async () => {
    const world = newWorld();
    publish(world, 30);
    const pump = newPump(
      world,
      { roundMessagesMax: 5 },
      new FaultyLog(world.log, { fault: (n) => (n % 2 === 0 ? 'lose-ack' : 'none') }),
    );
    pump.start();
    await pass(world.clock, 2_000);
    expect([pump.counters.taken, pump.state]).toEqual([30, 'working']);
    expect(await effects(world.log)).toEqual(expected(30));
    await pump.stop();
  });

  it('P1: of two, one works and the other stands by; it takes over when the first is gone', async () => {
    const world = newWorld();
    const dying = new FaultyLog(world.log);
    const two = [newPump(world, {}, dying), newPump(world)];
    for (const pump of two) pump.start();
    let published = 0;
    for (let i = 0; i < 40; i++) {
      publish(world, 3, published);
      published += 3;
      await pass(world.clock, 100);
    }
    expect(two.map(({ state }) => state).sort()).toEqual(['standby', 'working']);
    expect(await effects(world.log)).toEqual(expected(published));
    const working = two.findIndex(({ state }) => state === 'working');
    if (working === 0) dying.kill();
    else await two[1]!.stop();
    publish(world, 5, published);
    await pass(world.clock, 12_000, 50);
    expect([two[1 - working]!.state, two[1 - working]!.lag]).toEqual(['working', 0]);
    expect(await effects(world.log)).toEqual(expected(published + 5));
    await two[1 - working]!.stop();
  });

  it('P1: one that was held up and comes back cannot promise a time over the head of the one that works', async () => {
    const world = newWorld();
    let release: () => void = () => undefined;
    let hold = false;
    const held = new FaultyLog(world.log, {
      before: () => (hold ? new Promise<void>((resolve) => (release = resolve)) : Promise.resolve()),
    });
    const first = newPump(world, {}, held);
    first.start();
    publish(world, 3);
    await pass(world.clock, 3_000, 50);
    hold = true;
    await pass(world.clock, 20_000, 50);
    const second = newPump(world);
    second.start();
    publish(world, 3, 3);
    await pass(world.clock, 100);
    hold = false;
    const before = await world.log.last(subjects.ingestCursor);
    release();
    await turns();
    expect((await world.log.last(subjects.ingestCursor))!.seq, 'its batch is refused whole').toBe(
      before!.seq,
    );
    await pass(world.clock, 1_000);
    expect([first.state, second.state]).toEqual(['standby', 'working']);
    expect(await effects(world.log)).toEqual(expected(6));
    await Promise.all([first.stop(), second.stop()]);
  });

  it('follows the wall clock when nothing comes any more, and not while older events wait in the stream', async () => {
    const world = newWorld();
    const latest = async (): Promise<number> =>
      Math.max(0, ...(await framesIn(world.log)).map(({ watermarkMs }) => watermarkMs));
    let delivering = true;
    // A reader that lost its connection: the stream has messages, and they do not come.
    const raw = Object.create(world.raw, {
      read: {
        value: async (...args: Parameters<Log['read']>) => {
          const reader = await world.raw.read(...args);
          return Object.create(reader, {
            take: { value: (bytesMax: number) => (delivering ? reader.take(bytesMax) : []) },
            close: { value: () => reader.close() },
            failure: { value: undefined },
          }) as LogReader;
        },
      },
      lastSeq: { value: () => world.raw.lastSeq() },
    }) as Log;
    const pump = newPump(world, { raw });
    pump.start();
    await pass(world.clock, 60_000, 50);
    expect(await framesIn(world.log), 'nobody was ever heard').toEqual([]);
    publish(world, 1);
    await pass(world.clock, 3_000, 50);
    expect(await latest()).toBeGreaterThan(world.clock.now() - BOUND_MS - 1_100);
    delivering = false;
    publish(world, 3);
    const publishedMs = world.clock.now();
    await pass(world.clock, 60_000, 50);
    expect(pump.lag).toBe(3);
    expect(await latest(), 'they are not late').toBeLessThanOrEqual(publishedMs - BOUND_MS + 250);
    delivering = true;
    await pass(world.clock, 3_000, 50);
    expect([pump.lag, pump.counters.taken]).toEqual([0, 4]);
    expect(await latest()).toBeGreaterThan(world.clock.now() - BOUND_MS - 1_100);
    expect(await latest()).toBeLessThanOrEqual(world.clock.now() - BOUND_MS);
    await pump.stop();
  });

  it('fails, says why, and begins again by itself', async () => {
    const world = newWorld();
    publish(world, 10);
    let fault: Fault = 'refuse-for-good';
    const pump = newPump(world, {}, new FaultyLog(world.log, { fault: () => fault }));
    pump.start();
    await pass(world.clock, 3_000);
    expect([pump.state, pump.failure]).toEqual(['failing', expect.objectContaining({ code: 'GS_LOG' })]);
    fault = 'none';
    await pass(world.clock, 3_000);
    expect([pump.state, pump.failure]).toEqual(['working', undefined]);
    expect(await effects(world.log)).toEqual(expected(10));
    await pump.stop();
  });

  it('counts raw events that the stream had removed before they were taken', async () => {
    const world = newWorld();
    publish(world, 10);
    await world.raw.purge('gs.sf.ingest.*', 5);
    const pump = newPump(world);
    pump.start();
    await pass(world.clock, 50);
    expect(pump.counters).toEqual({ taken: 6, refused: {}, missing: 4 });
    await pump.stop();
  });

  it('does not take a new stream of raw events for the old one', async () => {
    const world = newWorld();
    publish(world, 10);
    const first = newPump(world);
    first.start();
    await pass(world.clock, 50);
    await first.stop();
    const anew = { ...world, raw: new MemoryLog() };
    publish(anew, 3);
    const pump = newPump(anew);
    pump.start();
    await pass(world.clock, 50);
    expect(pump.failure).toMatchObject({ code: 'GS_STREAM_LOST' });
    await pump.stop();
    expect(await effects(world.log)).toEqual(expected(10));
  });

  it('P8: leaves neither cursors that were overtaken behind, nor raw events that were taken', async () => {
    const world = newWorld();
    const pump = newPump(world);
    pump.start();
    for (let i = 0; i < 130; i++) {
      publish(world, 2, 2 * i);
      await pass(world.clock, 1_000, 50);
    }
    const count = async (log: Log, subject: string): Promise<number> =>
      (await log.read(subject, 1, () => undefined)).take(Number.POSITIVE_INFINITY).length;
    expect(await count(world.log, subjects.ingestCursor)).toBeLessThan(100);
    expect(await count(world.raw, subjects.ingestSubjects)).toBeLessThan(30);
    await pump.stop();
    const heir = newPump(world);
    heir.start();
    publish(world, 5, 260);
    await pass(world.clock, 1_000);
    expect(await effects(world.log)).toEqual(expected(265));
    expect(heir.counters.missing).toBe(0);
    await heir.stop();
  });
});
