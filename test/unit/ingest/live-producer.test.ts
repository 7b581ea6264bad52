/**
 * Hunts: an event that is said to be in the stream and is not, or is taken and vanishes; a queue without a bound; a
 * watermark that runs ahead of the wall or stands still in a quiet region; a stream that comes back and finds nobody
 * sending.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ActorEvent } from '../../../src/actor/behaviour.js';
import { VirtualClock } from '../../../src/core/clock.js';
import { LiveProducer, type LiveProducerOptions } from '../../../src/ingest/live-producer.js';
import type { ProducerOptions } from '../../../src/ingest/producer.js';
import { MemoryLog } from '../../../src/log/memory/memory-log.js';
import { FaultyLog, type Fault, type FaultyLogOptions } from '../../support/faulty-log.js';
import { turns } from '../../support/until.js';
import {
  BOUND_MS,
  framesIn,
  newProducer,
  NOW,
  opened,
  PARTITIONS,
  partitionOfRider,
  pass,
  taken,
} from './producing.js';

interface Setup extends Partial<Omit<LiveProducerOptions, 'producer' | 'clock'>> {
  readonly faults?: FaultyLogOptions;
  readonly log?: MemoryLog;
  readonly producer?: Partial<ProducerOptions>;
}

function setUp({ faults, log = new MemoryLog(), producer: more, ...options }: Setup = {}) {
  const clock = new VirtualClock(NOW);
  const faulty = new FaultyLog(log, faults);
  const producer = newProducer(faulty, { clock, ...more });
  const live = new LiveProducer({ producer, clock, outOfOrderBoundMs: BOUND_MS, ...options });
  live.start();
  return { clock, log, faulty, live, producer };
}

/** What became of a promise, for looking at it without waiting. */
function watch(promise: Promise<unknown>): { state: 'open' | 'resolved' | 'rejected'; code?: unknown } {
  const seen: { state: 'open' | 'resolved' | 'rejected'; code?: unknown } = { state: 'open' };
  promise.then(
    () => (seen.state = 'resolved'),
    (error: unknown) => {
      seen.state = 'rejected';
      seen.code = (error as { code?: unknown }).code;
    },
  );
  return seen;
}

const refusal = {
  type: 'refused' as const,
  ts: 0,
  claimed: 'unknown',
  reason: 'malformed',
  message: 'no event',
  body: '{',
};

describe('what is taken', () => {
  it('gathers for the linger, and is sent as one batch', async () => {
    const { clock, live, faulty } = setUp({ lingerMs: 10, watermarkEveryMs: 1_000 });
    live.offer(opened('r-1', NOW));
    await pass(clock, 9, 1);
    live.offer(opened('r-2', NOW));
    expect(faulty.appends).toBe(0);
    await pass(clock, 1, 1);
    expect(faulty.appends).toBe(1);
    await pass(clock, 100);
    expect([faulty.appends, live.queued]).toEqual([1, 0]);
    await live.stop();
  });

  it('gathers further while a batch is in flight: there is never a second one', async () => {
    let answer: () => void = () => undefined;
    let inFlight = 0;
    let most = 0;
    const { clock, live, log } = setUp({
      faults: {
        async before() {
          most = Math.max(most, ++inFlight);
          await new Promise<void>((resolve) => (answer = resolve));
          inFlight--;
        },
      },
    });
    for (let i = 0; i < 5; i++) {
      live.offer(opened('r-1', NOW + i));
      await pass(clock, 50);
    }
    expect(most).toBe(1);
    answer();
    await pass(clock, 50);
    answer();
    await pass(clock, 50);
    expect([most, live.queued, (await taken(log)).events.flat().length]).toEqual([1, 0, 5]);
    const stopping = live.stop();
    answer();
    await stopping;
  });

  it('is in the stream before `flushed` says so, and only what was taken before counts', async () => {
    let answer: () => void = () => undefined;
    const { clock, live } = setUp({
      watermarkEveryMs: 10_000,
      faults: { beforeAnswer: () => new Promise<void>((resolve) => (answer = resolve)) },
    });
    expect(watch(live.flushed()).state, 'nothing to wait for').toBe('open');
    await live.flushed();
    live.offer(opened('r-1', NOW));
    const first = watch(live.flushed());
    await pass(clock, 50);
    live.offer(opened('r-2', NOW));
    const second = watch(live.flushed());
    await pass(clock, 50);
    expect([first.state, second.state]).toEqual(['open', 'open']);
    answer();
    await pass(clock, 50);
    expect([first.state, second.state]).toEqual(['resolved', 'open']);
    answer();
    await pass(clock, 50);
    expect(second.state).toBe('resolved');
    await live.stop();
  });

  it('says what no behaviour receives, and refused events travel the same way', async () => {
    const { clock, live, log } = setUp();
    expect(live.offer({ type: 'ride.requested', riderId: 'r', ts: NOW })).toBe('unneeded');
    expect(live.queued).toBe(0);
    expect(live.refuse(refusal)).toBe('taken');
    await pass(clock, 20);
    expect((await taken(log)).events.flat()).toEqual([refusal]);
    await live.stop();
  });

  it('is bounded in events and in bytes (P8); `room` tells when there is some again', async () => {
    for (const bound of [{ queueEventsMax: 10 }, { queueBytesMax: 500 }]) {
      let fault: Fault = 'lose';
      const { clock, live, log } = setUp({ ...bound, faults: { fault: () => fault } });
      let count = 0;
      while (live.offer(opened('r-1', NOW + count)) === 'taken') count++;
      expect(count).toBeGreaterThan(3);
      expect(count).toBeLessThanOrEqual(10);
      const room = watch(live.room());
      await pass(clock, 3_000);
      expect([live.offer(opened('r-1', NOW)), live.refuse(refusal), room.state]).toEqual([
        'full',
        'full',
        'open',
      ]);
      fault = 'none';
      await pass(clock, 6_000);
      expect(room.state).toBe('resolved');
      expect(live.offer(opened('r-1', NOW))).toBe('taken');
      await live.room();
      await live.stop();
      expect((await taken(log)).events.flat()).toHaveLength(count + 1);
    }
  });
});

describe('a stream that does not answer', () => {
  it('is told to those who wait after the patience, and found again by itself; nothing is lost, nothing is there twice', async () => {
    let fault: Fault = 'lose';
    const { clock, live, log } = setUp({ patienceMs: 2_000, faults: { fault: () => fault } });
    live.offer(opened('r-1', NOW));
    const first = watch(live.flushed());
    await pass(clock, 1_000);
    expect([first.state, live.failure]).toEqual(['open', undefined]);
    await pass(clock, 4_000);
    expect(first).toEqual({ state: 'rejected', code: 'GS_LOG' });
    expect(live.failure).toMatchObject({ code: 'GS_LOG' });
    expect([live.queued, live.offer(opened('r-1', NOW + 1))]).toEqual([1, 'taken']);
    const second = watch(live.flushed());
    await pass(clock, 8_000);
    expect(second.state).toBe('rejected');
    fault = 'lose-ack';
    await pass(clock, 8_000);
    expect((await taken(log)).events.flat(), 'stored though nobody heard so').toHaveLength(1);
    fault = 'none';
    const third = watch(live.flushed());
    await pass(clock, 8_000);
    expect([third.state, live.failure, live.queued]).toEqual(['resolved', undefined, 0]);
    expect((await taken(log)).events.flat()).toEqual([opened('r-1', NOW), opened('r-1', NOW + 1)]);
    await live.stop();
  });

  it('P8: leaves no more to be sent than was taken, however long it is away', async () => {
    let fault: Fault = 'lose';
    const { clock, live, log } = setUp({ patienceMs: 1_000, faults: { fault: () => fault } });
    await pass(clock, 2_000, 50);
    live.offer(opened('r-1', NOW));
    await pass(clock, 120_000, 100);
    fault = 'none';
    await pass(clock, 4_000, 50);
    // The batch that found nobody, what was taken behind it, and the watermarks of the last seconds.
    expect((await framesIn(log)).length).toBeLessThan(2 * PARTITIONS + 4 * PARTITIONS * 4);
    expect((await taken(log)).events.flat()).toHaveLength(1);
    await live.stop();
  });

  it('at the end is told by `stop`, and whoever still waits is told too', async () => {
    const { clock, live } = setUp({ patienceMs: 500, queueEventsMax: 1, faults: { fault: () => 'refuse' } });
    live.offer(opened('r-1', NOW));
    const waiting = watch(live.flushed());
    const room = watch(live.room());
    const stopping = watch(live.stop());
    await pass(clock, 5_000);
    expect([stopping, waiting, room]).toEqual([
      { state: 'rejected', code: 'GS_LOG' },
      { state: 'rejected', code: 'GS_LOG' },
      { state: 'rejected', code: 'GS_LOG' },
    ]);
    await expect(live.flushed()).rejects.toMatchObject({ code: 'GS_LOG' });
  });
});

describe('stop', () => {
  it('sends what is queued, takes nothing more, and says the last word when it is asked to', async () => {
    const { live, log } = setUp();
    live.offer(opened('r-1', NOW));
    const flushed = watch(live.flushed());
    const stopping = live.stop({ end: true });
    expect(live.offer(opened('r-2', NOW))).toBe('full');
    await stopping;
    await live.stop();
    await turns();
    expect(flushed.state).toBe('resolved');
    const frames = await framesIn(log);
    expect(frames.flatMap(({ events }) => events)).toHaveLength(1);
    expect(new Set(frames.filter(({ end }) => end).map(({ partition }) => partition)).size).toBe(PARTITIONS);
    expect(frames.at(-1)).toMatchObject({ end: true });
  });

  it('of a producer that never had an event says nothing: no region’s time begins by it', async () => {
    const { clock, live, log } = setUp();
    await pass(clock, 5_000, 50);
    await live.stop({ end: true });
    expect(await framesIn(log)).toEqual([]);
  });

  it('without `end` leaves the producer to go on later, behind what it sent', async () => {
    const { live, log } = setUp();
    live.offer(opened('r-1', NOW));
    await live.stop();
    expect((await framesIn(log)).some(({ end }) => end)).toBe(false);
    const again = newProducer(log);
    await again.resume();
    const next = setUp({ log, producer: {} });
    next.producer.continueAt(again.positions);
    next.live.offer(opened('r-1', NOW + 1));
    await next.live.stop();
    expect(await taken(log)).toMatchObject({ missing: 0 });
    expect((await taken(log)).events.flat()).toHaveLength(2);
  });
});

describe('the watermark', () => {
  const last = async (log: MemoryLog): Promise<number[]> => {
    const frames = await framesIn(log);
    return Array.from(
      { length: PARTITIONS },
      (_, partition) => frames.findLast((frame) => frame.partition === partition)?.watermarkMs ?? -1,
    );
  };

  it('is told to all partitions every so often, behind the latest event', async () => {
    const { clock, live, log } = setUp({ watermarkEveryMs: 250 });
    for (let i = 0; i < 40; i++) {
      live.offer(opened('r-1', clock.now() - 100));
      await pass(clock, 50);
    }
    const frames = await framesIn(log);
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const own = frames.filter((frame) => frame.partition === partition);
      expect(own.length).toBeGreaterThanOrEqual(7);
      if (partition !== partitionOfRider('r-1')) expect(own.length).toBeLessThanOrEqual(9);
    }
    for (const watermarkMs of await last(log)) {
      expect(watermarkMs).toBeLessThanOrEqual(clock.now() - 100 - BOUND_MS);
      expect(watermarkMs).toBeGreaterThan(clock.now() - 600 - BOUND_MS);
    }
    await live.stop();
  });

  it('follows the wall clock when nothing comes any more; a region’s time begins with the first event', async () => {
    const { clock, live, log } = setUp({ quietMs: 1_000 });
    await pass(clock, 60_000, 50);
    expect(await framesIn(log), 'nobody was ever heard').toEqual([]);
    live.offer(opened('r-1', clock.now()));
    await pass(clock, 60_000, 50);
    for (const watermarkMs of await last(log)) {
      expect(watermarkMs).toBeLessThanOrEqual(clock.now() - BOUND_MS);
      expect(watermarkMs).toBeGreaterThan(clock.now() - BOUND_MS - 1_100);
    }
    await live.stop();
  });

  it('reaches all partitions as soon as it stands in another pane, for then windows close', async () => {
    const { clock, live, log } = setUp({ quietMs: 1_000, watermarkEveryMs: 30_000 });
    live.offer(opened('r-1', clock.now()));
    await pass(clock, 2_000, 50);
    const nextPaneMs = (Math.floor((clock.now() - BOUND_MS) / 60_000) + 1) * 60_000;
    const inMs = nextPaneMs + BOUND_MS - clock.now();
    await pass(clock, inMs - 100, 50);
    for (const watermarkMs of await last(log)) expect(watermarkMs).toBeLessThan(nextPaneMs);
    await pass(clock, 150, 50);
    for (const watermarkMs of await last(log)) expect(watermarkMs).toBeGreaterThanOrEqual(nextPaneMs);
    await live.stop();
  });

  it('is not dragged along by clients whose clocks run ahead, nor held up by what is refused', async () => {
    const { clock, live, log } = setUp();
    live.offer(opened('r-1', NOW + 3_600_000));
    await pass(clock, 300);
    for (const watermarkMs of await last(log))
      expect(watermarkMs).toBeLessThanOrEqual(clock.now() - BOUND_MS);
    for (let i = 0; i < 100; i++) {
      live.refuse(refusal);
      await pass(clock, 100, 50);
    }
    for (const watermarkMs of await last(log))
      expect(watermarkMs).toBeGreaterThan(clock.now() - BOUND_MS - 500);
    await live.stop();
  });

  it('of a replay is moved by its events alone, and told once', async () => {
    const { clock, live, log } = setUp({ producer: { mode: 'replay' } });
    await pass(clock, 5_000, 50);
    expect(await framesIn(log)).toEqual([]);
    live.offer(opened('r-1', NOW - 86_400_000));
    live.offer(opened('r-1', NOW + 86_400_000));
    await pass(clock, 5_000, 50);
    expect(await last(log)).toEqual([0, 1, 2].map(() => NOW + 86_400_000 - BOUND_MS));
    expect((await framesIn(log)).length).toBeLessThanOrEqual(PARTITIONS + 1);
    await live.stop();
  });
});

describe('property', () => {
  it('nothing is lost, nothing is there twice, each actor’s order is kept, the queue is bounded, and no promise is broken', async () => {
    const step = fc.record({
      rider: fc.nat(5),
      skewMs: fc.integer({ min: -4_000, max: 90_000 }),
      waitMs: fc.constantFrom(0, 0, 0, 1, 7, 40, 300, 1_500),
      flush: fc.boolean(),
    });
    const faults = fc.array(fc.constantFrom<Fault>('none', 'none', 'lose', 'lose-ack', 'delay', 'refuse'), {
      maxLength: 60,
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), faults, async (steps, chosen) => {
        const queueEventsMax = 12;
        const log = new MemoryLog();
        const clock = new VirtualClock(NOW);
        /** Wall time of every message. */
        const storedAt: number[] = [];
        const faulty = new FaultyLog(log, {
          fault: (n) => chosen[n] ?? 'none',
          async beforeAnswer() {
            for (let seq = await log.lastSeq(); storedAt.length <= seq;) storedAt.push(clock.now());
          },
        });
        const producer = newProducer(faulty, { clock });
        const live = new LiveProducer({
          producer,
          clock,
          outOfOrderBoundMs: BOUND_MS,
          queueEventsMax,
          patienceMs: 400,
        });
        live.start();
        const given: ActorEvent[] = [];
        const broken: string[] = [];
        const checks: Promise<void>[] = [];
        for (const [i, { rider, skewMs, waitMs, flush }] of steps.entries()) {
          const event = opened(`r-${rider}`, clock.now() + skewMs, { n: i });
          if (live.offer(event) === 'taken') given.push(event);
          if (live.queued > queueEventsMax) broken.push(`${live.queued} queued`);
          if (flush) {
            const until = given.length;
            checks.push(
              live.flushed().then(
                async () => {
                  const there = (await taken(log)).events.flat().length;
                  if (there < until) broken.push(`flushed with ${there} of ${until}`);
                },
                () => undefined,
              ),
            );
          }
          if (waitMs > 0) await pass(clock, waitMs, waitMs > 40 ? 50 : 5);
        }
        const stopping = watch(live.stop({ end: true }));
        for (let i = 0; i < 200 && stopping.state === 'open'; i++) await pass(clock, 500, 100);
        if (stopping.state === 'resolved') expect(live.queued).toBe(0);
        await Promise.all(checks);
        const { events, missing } = await taken(log);
        expect(missing).toBe(0);
        for (let partition = 0; partition < PARTITIONS; partition++) {
          const own = given.filter(({ riderId }) => partitionOfRider(riderId as string) === partition);
          const there = events[partition]!;
          expect(there).toEqual(own.slice(0, there.length));
          if (stopping.state === 'resolved') expect(there).toHaveLength(own.length);
        }
        for (const { watermarkMs, logSeq } of await framesIn(log)) {
          const allowedMs = (storedAt[logSeq] ?? clock.now()) - BOUND_MS;
          if (watermarkMs > allowedMs) broken.push(`watermark ${watermarkMs} where ${allowedMs} is allowed`);
        }
        expect(broken).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });
});
