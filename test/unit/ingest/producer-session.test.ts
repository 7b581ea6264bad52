/**
 * Hunts: two processes under one producer id of which one loses events that it was told are stored; a batch of a process that
 * was killed, stored after the next one had looked; a producer fenced off by its own lost answer.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ActorEvent } from '../../../src/actor/behaviour.js';
import { VirtualClock } from '../../../src/core/clock.js';
import { LiveProducer } from '../../../src/ingest/live-producer.js';
import type { Producer } from '../../../src/ingest/producer.js';
import type { AppendOutcome } from '../../../src/log/log.js';
import { MemoryLog } from '../../../src/log/memory/memory-log.js';
import { EagerClock } from '../../support/eager-clock.js';
import { FaultyLog, type Fault } from '../../support/faulty-log.js';
import { turns } from '../../support/until.js';
import {
  BOUND_MS,
  framesIn,
  newProducer,
  NOW,
  opened,
  partitionOfRider,
  PARTITIONS,
  pass,
  subjects,
  taken,
} from './producing.js';

const riders = Array.from({ length: 12 }, (_, i) => `r-${i}`);
const eager = (): EagerClock => new EagerClock(NOW);

async function resumed(
  log: ConstructorParameters<typeof FaultyLog>[0] | FaultyLog,
  more = {},
): Promise<Producer> {
  const producer = newProducer(log, { clock: eager(), ...more });
  await producer.resume();
  return producer;
}

describe('a producer id that is opened twice', () => {
  it('P1: the older one is fenced off with its next batch, and nothing of that is stored; the younger one goes on', async () => {
    const log = new MemoryLog();
    const older = await resumed(log);
    older.offer(opened('r-1', NOW));
    await older.flush();
    const younger = await resumed(log);
    older.offer(opened('r-1', NOW + 1));
    await expect(older.flush()).rejects.toMatchObject({ code: 'GS_FENCED' });
    await expect(older.flush(), 'for good').rejects.toMatchObject({ code: 'GS_FENCED' });
    younger.offer(opened('r-1', NOW + 2));
    await younger.flush();
    const { events, missing } = await taken(log);
    expect([events.flat().map(({ ts }) => ts), missing]).toEqual([[NOW, NOW + 2], 0]);
  });

  it('is told to everybody who waits for the older one, and it takes nothing more', async () => {
    const log = new MemoryLog();
    const clock = new VirtualClock(NOW);
    const live = new LiveProducer({
      producer: await resumed(log),
      clock,
      outOfOrderBoundMs: BOUND_MS,
      queueEventsMax: 1,
    });
    live.start();
    await resumed(log);
    expect(live.offer(opened('r-1', NOW))).toBe('taken');
    const waiting = Promise.allSettled([live.flushed(), live.room()]);
    await pass(clock, 50);
    expect(await waiting).toMatchObject([
      { status: 'rejected', reason: { code: 'GS_FENCED' } },
      { status: 'rejected', reason: { code: 'GS_FENCED' } },
    ]);
    expect([live.fenced, live.offer(opened('r-1', NOW)), live.free.events]).toEqual([true, 'full', 0]);
    await expect(live.room()).rejects.toMatchObject({ code: 'GS_FENCED' });
    await expect(live.stop({ end: true })).rejects.toMatchObject({ code: 'GS_FENCED' });
    expect(await framesIn(log)).toEqual([]);
  });

  it('is nothing to producers of other ids, however alike', async () => {
    const log = new MemoryLog();
    const ids = ['a', 'a.b', 'a%2Eb', 'a:b', 'A', 'out', 'é*>'];
    const producers = await Promise.all(ids.map((id) => resumed(log, { id })));
    for (const producer of producers) {
      producer.offer(opened('r-1', NOW));
      await producer.flush();
    }
    expect(new Set(ids.map((id) => subjects.session(id))).size).toBe(ids.length);
    for (const id of ids) expect(subjects.session(id)).toMatch(/^gs\.sf\.p\.producer\.session\.[^.*>\s]+$/);
  });

  it('P6: a claim whose answer is lost, or comes late, fences nobody off but who was there before', async () => {
    for (const fault of ['lose-ack', 'lose', 'delay', 'refuse'] as const) {
      const log = new MemoryLog();
      const faulty = new FaultyLog(log, { fault: (n) => (n < 2 ? fault : 'none') });
      const producer = await resumed(faulty);
      producer.offer(opened('r-1', NOW));
      expect(await producer.flush(), fault).toMatchObject({ outcome: 'sent' });
      expect((await taken(log)).events.flat(), fault).toHaveLength(1);
    }
  });

  it('a claim that the stream does not take is an error; one that the user may not make names the right', async () => {
    for (const [cause, code, remedy] of [
      ['the stream is sealed', 'GS_LOG', /cause/],
      ['Permissions Violation for Publish', 'GS_NATS_AUTH', /gs\.sf\.p\.producer\.session\.p/],
    ] as const) {
      const log = new MemoryLog();
      log.append = () => Promise.resolve({ outcome: 'refused', cause, retry: false });
      await expect(resumed(log)).rejects.toMatchObject({
        code,
        remedy: expect.stringMatching(remedy) as string,
      });
    }
  });

  it('a stream that calls a batch stale while the claim stands is tried again: a cluster does so for a batch under way', async () => {
    const log = new MemoryLog();
    let stale = 2;
    const hasty = new (class extends MemoryLog {
      override append(...args: Parameters<MemoryLog['append']>): ReturnType<MemoryLog['append']> {
        if (args[0].some(({ expectSubject }) => expectSubject !== undefined) && stale-- > 0)
          return Promise.resolve({ outcome: 'stale', cause: 'test: another one is under way' });
        return log.append(...args);
      }
      override last(subject: string): ReturnType<MemoryLog['last']> {
        return log.last(subject);
      }
    })();
    const producer = await resumed(hasty);
    producer.offer(opened('r-1', NOW));
    await producer.flush();
    expect((await taken(log)).events.flat()).toHaveLength(1);
  });
});

describe('a process that is killed', () => {
  it('P3: with a batch under way that is stored after the next one has looked: live, what the next one sends is not taken for it', async () => {
    const log = new MemoryLog();
    let late: (() => AppendOutcome) | undefined;
    const first = await resumed(log);
    // The batch leaves the first process, and is stored only when the second one has read its history.
    const append = log.append.bind(log);
    log.append = (entries) => {
      late = () => log.appendNow(entries);
      return new Promise(() => undefined);
    };
    first.offer(opened('r-1', NOW));
    first.flush().catch(() => undefined);
    await turns(5);
    log.append = append;
    const second = await resumed(log);
    expect(late?.().outcome).toBe('stale');
    second.offer(opened('r-1', NOW + 1));
    await second.flush();
    expect((await taken(log)).events.flat().map(({ ts }) => ts)).toEqual([NOW + 1]);
  });

  it('property P3: anywhere, again and again: a replay takes effect once and whole, a live one loses nothing that it was told is there', async () => {
    const faults = fc.array(
      fc.constantFrom<Fault>(
        'none',
        'none',
        'lose',
        'lose-ack',
        'delay',
        'refuse',
        'die-before',
        'die-after',
      ),
      { maxLength: 40 },
    );
    await fc.assert(
      fc.asyncProperty(faults, fc.constantFrom('live' as const, 'replay' as const), async (chosen, mode) => {
        const log = new MemoryLog();
        const all = Array.from({ length: 60 }, (_, i) => opened(riders[(i * 7) % 12]!, NOW + i, { n: i }));
        /** Live events that a process was told are stored, or that it did not live to hear of. */
        const told = new Set<number>();
        let n = 0;
        let done = 0;
        for (let life = 0; life < 50 && done < all.length; life++) {
          const faulty = new FaultyLog(log, { fault: () => chosen[n++] ?? 'none' });
          done = await liveOnce(faulty, mode, mode === 'replay' ? 0 : done, all, told);
        }
        expect(done).toBe(all.length);
        const { events, missing } = await taken(log);
        expect(missing).toBe(0);
        const there = events.flat().map(({ n }) => n as number);
        expect(new Set(there).size, 'none twice').toBe(there.length);
        for (const n of told) expect(there, 'none lost').toContain(n);
        if (mode === 'replay') expect(events).toEqual(inLanes(all));
      }),
      { numRuns: 120 },
    );
  });
});

const inLanes = (all: readonly ActorEvent[]): ActorEvent[][] =>
  Array.from({ length: PARTITIONS }, (_, partition) =>
    all.filter(({ riderId }) => partitionOfRider(riderId as string) === partition),
  );

/** One process from its start to its death or the end of the events. Gives how far it came; the next one goes on there. */
async function liveOnce(
  log: FaultyLog,
  mode: 'live' | 'replay',
  from: number,
  all: readonly ActorEvent[],
  told: Set<number>,
): Promise<number> {
  const dead = new Promise<'dead'>((resolve) => {
    const look = (): void => {
      if (log.dead) resolve('dead');
      else setImmediate(look);
    };
    look();
  });
  const producer = newProducer(log, { mode, clock: eager(), frameEvents: 3 });
  if ((await Promise.race([producer.resume(), dead])) === 'dead') return from;
  for (let at = from; at < all.length; at += 5) {
    const some = all.slice(at, at + 5);
    for (const event of some) producer.offer(event);
    // What a live process had under way when it died is not known: it is not given again.
    if ((await Promise.race([producer.flush(), dead])) === 'dead') return mode === 'live' ? at + 5 : 0;
    for (const { n } of some) told.add(n as number);
  }
  log.kill();
  return all.length;
}
