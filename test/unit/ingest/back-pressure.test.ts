/**
 * Hunts: a stream filled to its last byte, so that nothing can be committed any more; a producer that waits for ever, or forgets
 * to; events that are late because they were turned away.
 */
import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../../src/core/clock.js';
import { BackPressure, overloadOf } from '../../../src/ingest/back-pressure.js';
import { LiveProducer } from '../../../src/ingest/live-producer.js';
import type { Gauge, StreamLoad } from '../../../src/log/gauge.js';
import { MemoryLog } from '../../../src/log/memory/memory-log.js';
import { turns } from '../../support/until.js';
import {
  BOUND_MS,
  framesIn,
  newProducer,
  NOW,
  opened,
  PARTITIONS,
  pass,
  subjects,
  taken,
} from './producing.js';

const load = (more: Partial<StreamLoad> = {}): StreamLoad => ({
  messages: 0,
  bytes: 0,
  bytesMax: undefined,
  present: [],
  atMs: undefined,
  ...more,
});

class FakeGauge implements Gauge {
  looks = 0;
  now: StreamLoad | 'away' = load();
  patterns = new Set<string>();
  load(pattern: string): Promise<StreamLoad> {
    this.looks++;
    this.patterns.add(pattern);
    return this.now === 'away' ? Promise.reject(new Error('test: away')) : Promise.resolve(this.now);
  }
}

const FULL = load({ bytes: 95, bytesMax: 100 });
const BEHIND = load({ present: ['gs.sf.p.000.hold'] });

describe('the verdict', () => {
  it('is full above 90 % of the limit, and again none at 85 %', () => {
    const at = (bytes: number) => load({ bytes, bytesMax: 100 });
    expect(overloadOf(at(90), undefined)).toBeUndefined();
    const full = overloadOf(at(91), undefined);
    expect(full).toMatchObject({ why: 'full', message: expect.stringContaining('91 %') as string });
    expect(overloadOf(at(86), full)?.why).toBe('full');
    expect(overloadOf(at(85), full)).toBeUndefined();
    expect(overloadOf(at(86), undefined)).toBeUndefined();
  });

  it('is behind while any partition is held, whatever the room', () => {
    expect(overloadOf(BEHIND, undefined)?.why).toBe('behind');
    expect(overloadOf({ ...BEHIND, bytes: 99, bytesMax: 100 }, undefined)?.why).toBe('full');
    expect(overloadOf(load({ bytes: 10 ** 12 }), undefined)).toBeUndefined();
  });
});

describe('looking', () => {
  it('asks once a second, sooner when much was sent, and never twice at a time', async () => {
    const clock = new VirtualClock(NOW);
    const gauge = new FakeGauge();
    gauge.now = load({ bytes: 0, bytesMax: 100 * 1024 * 1024 });
    const pressure = new BackPressure({ gauge, subjects, clock });
    await Promise.all([pressure.look(0), pressure.look(0)]);
    await pressure.look(128 * 1024 - 1);
    expect(gauge.looks).toBe(1);
    await pressure.look(128 * 1024);
    expect(gauge.looks).toBe(2);
    clock.advance(1_000);
    await pressure.look(128 * 1024);
    expect([gauge.looks, ...gauge.patterns]).toEqual([3, 'gs.sf.p.*.hold']);
  });

  it('keeps its verdict while the stream does not answer', async () => {
    const clock = new VirtualClock(NOW);
    const gauge = new FakeGauge();
    const pressure = new BackPressure({ gauge, subjects, clock });
    for (const [now, why] of [
      ['away', undefined],
      [BEHIND, 'behind'],
      ['away', 'behind'],
      [load(), undefined],
    ] as const) {
      gauge.now = now;
      clock.advance(1_000);
      expect((await pressure.look(0))?.why).toBe(why);
    }
  });

  it('tells how far apart the clocks are, when they are', async () => {
    const clock = new VirtualClock(NOW);
    const gauge = new FakeGauge();
    const pressure = new BackPressure({ gauge, subjects, clock });
    for (const [offMs, aheadMs] of [
      [500, 0],
      [-900, 0],
      [-3_600_000, -3_600_000],
      [60_000, 60_000],
    ] as const) {
      clock.advance(1_000);
      gauge.now = load({ atMs: clock.now() + offMs });
      await pressure.look(0);
      expect(pressure.aheadMs).toBe(aheadMs);
    }
  });
});

describe('a replay', () => {
  it('waits with its events until there is room, says so once, and then sends all of them', async () => {
    const clock = new VirtualClock(NOW);
    const gauge = new FakeGauge();
    gauge.now = FULL;
    const waits: string[] = [];
    const log = new MemoryLog();
    const producer = newProducer(log, { mode: 'replay', clock, gauge, onWait: ({ why }) => waits.push(why) });
    producer.offer(opened('r-1', NOW));
    let sent = false;
    const flushing = producer.flush().then(() => (sent = true));
    await pass(clock, 5_000, 100);
    expect([sent, waits, await framesIn(log)]).toEqual([false, ['full'], []]);
    gauge.now = load({ bytes: 86, bytesMax: 100 });
    await pass(clock, 2_000, 100);
    expect(sent).toBe(false);
    gauge.now = load({ bytes: 80, bytesMax: 100 });
    await pass(clock, 2_000, 100);
    await flushing;
    expect((await taken(log)).events.flat()).toHaveLength(1);
  });

  it('says how far time is all the same: that costs nothing, and closes windows', async () => {
    const gauge = new FakeGauge();
    gauge.now = FULL;
    const log = new MemoryLog();
    const producer = newProducer(log, { mode: 'replay', gauge });
    await producer.end(NOW);
    expect(await framesIn(log)).toHaveLength(PARTITIONS);
  });

  it('fails with GS_OVERLOAD when the stream stays full; nodes that are behind it waits for', async () => {
    const clock = new VirtualClock(NOW);
    const gauge = new FakeGauge();
    gauge.now = BEHIND;
    const producer = newProducer(new MemoryLog(), { mode: 'replay', clock, gauge });
    producer.offer(opened('r-1', NOW));
    const flushing = producer.flush().then(
      () => 'sent',
      (error: unknown) => (error as { code: string }).code,
    );
    await pass(clock, 3_600_000, 1_000);
    gauge.now = FULL;
    await pass(clock, 11 * 60_000, 1_000);
    expect(await flushing).toBe('GS_OVERLOAD');
  });
});

describe('a live producer', () => {
  function setUp() {
    const clock = new VirtualClock(NOW);
    const gauge = new FakeGauge();
    const log = new MemoryLog();
    const live = new LiveProducer({
      producer: newProducer(log, { clock, gauge }),
      clock,
      outOfOrderBoundMs: BOUND_MS,
    });
    live.start();
    return { clock, gauge, log, live };
  }

  it('takes nothing while the region is overloaded, sends what it has, and tells when there is room again', async () => {
    const { clock, gauge, log, live } = setUp();
    live.offer(opened('r-1', NOW));
    gauge.now = BEHIND;
    await pass(clock, 1_100, 10);
    expect([live.overload?.why, live.queued, live.free.events]).toEqual(['behind', 0, 0]);
    expect(live.offer(opened('r-1', NOW + 1))).toBe('full');
    expect((await taken(log)).events.flat()).toHaveLength(1);
    let room = false;
    live.room().then(
      () => (room = true),
      () => undefined,
    );
    await pass(clock, 2_000, 10);
    expect(room).toBe(false);
    gauge.now = load();
    await pass(clock, 1_100, 10);
    expect([room, live.overload, live.offer(opened('r-1', NOW + 1))]).toEqual([true, undefined, 'taken']);
    await live.stop();
    expect((await taken(log)).events.flat()).toHaveLength(2);
  });

  it('waits with its watermark for those it turned away: what they bring later is not late', async () => {
    const { clock, gauge, log, live } = setUp();
    live.offer(opened('r-1', NOW));
    gauge.now = FULL;
    await pass(clock, 1_100, 10);
    for (let s = 0; s < 60; s += 5) {
      live.turnedAway();
      await pass(clock, 5_000, 50);
    }
    const last = (await framesIn(log)).at(-1)!;
    expect(last.watermarkMs).toBeLessThanOrEqual(NOW + 1_100 - BOUND_MS);
    // It still says that it is there, or it would be taken for silent.
    expect((await framesIn(log)).length).toBeGreaterThan(50 * PARTITIONS);
    gauge.now = load();
    await pass(clock, 20_000, 50);
    expect((await framesIn(log)).at(-1)!.watermarkMs).toBeGreaterThan(clock.now() - BOUND_MS - 2_000);
    await live.stop();
  });

  it('whom nobody comes to any more tells time as ever', async () => {
    const { clock, gauge, log, live } = setUp();
    live.offer(opened('r-1', NOW));
    gauge.now = FULL;
    await pass(clock, 30_000, 50);
    await turns();
    expect((await framesIn(log)).at(-1)!.watermarkMs).toBeGreaterThan(clock.now() - BOUND_MS - 2_000);
    await live.stop();
  });
});
