/**
 * Hunts: a producer that comes back and goes on at the wrong event because others write beside it or a node was at work; a
 * batch of unknown fate that changes when it is sent again; entries that go along and come apart.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ActorEvent } from '../../../src/actor/behaviour.js';
import { Changes } from '../../../src/partition/changes.js';
import type { ActorId } from '../../../src/core/ids.js';
import type { Log, LogMessage, LogReader } from '../../../src/log/log.js';
import { MemoryLog } from '../../../src/log/memory/memory-log.js';
import { encodeEventFrame } from '../../../src/partition/frame.js';
import { encodeJournalEntry, type Control } from '../../../src/partition/journal.js';
import type { ProducerMode, ProducerState } from '../../../src/partition/watermark.js';
import { EagerClock } from '../../support/eager-clock.js';
import { FaultyLog, type Fault } from '../../support/faulty-log.js';
import {
  framesIn,
  newProducer,
  NOW,
  opened,
  PARTITIONS,
  partitionOfRider,
  subjects,
  taken,
} from './producing.js';

/** Counts what is fetched, and lets nobody create a consumer who may not. */
class CountingLog extends MemoryLog {
  messages = 0;
  readonly #mayRead: boolean;

  constructor(mayRead = true) {
    super();
    this.#mayRead = mayRead;
  }

  override last(subject: string): Promise<LogMessage | undefined> {
    return this.#count(super.last(subject));
  }

  override next(subject: string, fromSeq: number): Promise<LogMessage | undefined> {
    return this.#count(super.next(subject, fromSeq));
  }

  override read(...args: Parameters<Log['read']>): Promise<LogReader> {
    return this.#mayRead ? super.read(...args) : Promise.reject(new Error('test: not allowed'));
  }

  async #count(fetched: Promise<LogMessage | undefined>): Promise<LogMessage | undefined> {
    if ((await fetched)?.subject.endsWith('.ev') === true) this.messages++;
    return fetched;
  }
}

async function copy(from: MemoryLog, to: MemoryLog): Promise<void> {
  const reader = await from.read('gs.>', 1, () => undefined);
  for (const { subject, payload } of reader.take(Number.POSITIVE_INFINITY))
    to.appendNow([{ subject, payload }]);
}

const encoder = new TextEncoder();
const riders = Array.from({ length: 12 }, (_, i) => `r-${i}`);

function frame(
  log: MemoryLog,
  partition: number,
  producer: string,
  seq: number,
  count: number,
  end = false,
): void {
  const events = Array.from({ length: count }, (_, i) => opened('r', NOW + i));
  const payload = encodeEventFrame({ producer, mode: 'replay', seq, watermarkMs: NOW, end, events });
  log.appendNow([{ subject: subjects.events(partition), payload }]);
}

/** A journal entry that has taken the input up to a sequence; cut into parts when `frameBytesMax` is small. */
function journal(
  log: MemoryLog,
  partition: number,
  inputSeq: number,
  producers: ReadonlyMap<string, ProducerState>,
  frameBytesMax = 1_000_000,
): number {
  const control: Control = {
    writer: 'w',
    commit: 1,
    inputSeq,
    watermarkMs: 0,
    producers,
    marks: [],
    closed: [],
    counters: new Map(),
    wallMs: NOW,
    epoch: 1,
    handedTo: undefined,
    base: undefined,
  };
  const changes = Array.from({ length: 6 }, (_, i) => ({
    id: `rider/${i}` as ActorId,
    bytes: new Uint8Array(300),
    timed: false,
  }));
  const parts = encodeJournalEntry({ control, changes: Changes.of(changes) }, frameBytesMax);
  log.appendNow(parts.map((payload) => ({ subject: subjects.journal(partition), payload })));
  return parts.length;
}

const state = (seq: number, ended = false, mode: ProducerMode = 'replay'): ProducerState => ({
  mode,
  seq,
  watermarkMs: NOW,
  ended,
  heardAtMs: NOW,
});

describe('a producer that resumes', () => {
  it('finds itself behind the frames of another one', async () => {
    const log = new MemoryLog();
    frame(log, 0, 'p', 0, 5);
    frame(log, 0, 'other', 0, 7);
    frame(log, 1, 'other', 0, 7);
    const producer = newProducer(log, { mode: 'replay' });
    expect(await producer.resume()).toBe(true);
    const all = riders.map((rider) => opened(rider, NOW));
    for (const event of all) producer.offer(event);
    await producer.flush();
    expect(producer.eventsResumed).toBe(
      Math.min(5, all.filter(({ riderId }) => partitionOfRider(riderId as string) === 0).length),
    );
    const stranger = newProducer(log, { id: 'stranger' });
    expect(await stranger.resume()).toBe(false);
    expect(stranger.positions).toEqual([0, 0, 0]);
  });

  it('finds itself in the journal when its frames are gone, and in a journal entry of many parts', async () => {
    const log = new MemoryLog();
    frame(log, 0, 'p', 0, 5);
    frame(log, 1, 'p', 0, 3);
    const lastSeq = await log.lastSeq();
    expect(journal(log, 0, lastSeq, new Map([['p', state(5)]]))).toBe(1);
    expect(journal(log, 1, lastSeq, new Map([['p', state(3)]]), 700)).toBeGreaterThan(2);
    await log.purge('gs.sf.p.*.in.ev', lastSeq + 1);
    frame(log, 1, 'p', 3, 2);
    const producer = newProducer(log, { mode: 'replay' });
    expect(await producer.resume()).toBe(true);
    for (const rider of riders) producer.offer(opened(rider, NOW));
    const before = await log.lastSeq();
    await producer.flush({ toAll: false });
    const sent = (await framesIn(log)).filter(({ logSeq }) => logSeq > before);
    const of = (partition: number): number =>
      riders.filter((rider) => partitionOfRider(rider) === partition).length;
    const expected = [5, 5, 0].map((had, partition) => ({ partition, seq: had, count: of(partition) - had }));
    for (const { partition, seq, count } of expected) {
      const own = sent.filter((one) => one.partition === partition);
      expect(own.flatMap(({ events }) => events)).toHaveLength(Math.max(0, count));
      if (count > 0) expect(own[0]!.seq).toBe(seq);
    }
  });

  it('property: however frames of several producers and journal entries follow one another', async () => {
    const step = fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({
          who: fc.constantFrom('p', 'q', 's'),
          count: fc.nat(4),
          end: fc.constant(false),
        }),
      },
      {
        weight: 1,
        arbitrary: fc.record({ who: fc.constantFrom('p', 'q'), count: fc.nat(2), end: fc.constant(true) }),
      },
      { weight: 2, arbitrary: fc.record({ parts: fc.boolean(), behind: fc.nat(3) }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const log = new MemoryLog();
        const truth = new Map<string, ProducerState>();
        // What each producer was at every place of the input, so that a journal can lag behind.
        const history: { seq: number; known: Map<string, ProducerState> }[] = [{ seq: 0, known: new Map() }];
        for (const one of steps) {
          if ('who' in one) {
            const before = truth.get(one.who);
            if (before?.ended === true) continue;
            const seq = before?.seq ?? 0;
            frame(log, 0, one.who, seq, one.count, one.end);
            truth.set(one.who, state(seq + one.count, one.end));
            history.push({ seq: await log.lastSeq(), known: new Map(truth) });
          } else {
            const { seq, known } = history[Math.max(0, history.length - 1 - one.behind)]!;
            journal(log, 0, seq, known, one.parts ? 700 : undefined);
          }
        }
        for (const id of ['p', 'q', 's']) {
          const producer = newProducer(log, { id, mode: 'replay', partitions: 1 });
          expect(await producer.resume()).toBe(truth.has(id));
          expect(producer.ended).toBe(truth.get(id)?.ended ?? false);
          const live = newProducer(log, { id, mode: 'live', partitions: 1 });
          const resuming = live.resume();
          if (truth.has(id)) await expect(resuming).rejects.toMatchObject({ code: 'GS_USAGE' });
          else expect(await resuming).toBe(false);
        }
      }),
      { numRuns: 150 },
    );
  });

  it('reads no more than the input that the journal has not taken', async () => {
    const log = new MemoryLog();
    for (let i = 0; i < 500; i++) frame(log, 0, 'p', i, 1);
    journal(log, 0, await log.lastSeq(), new Map([['p', state(500)]]));
    frame(log, 0, 'q', 0, 1);
    const watched = new CountingLog();
    await copy(log, watched);
    const producer = newProducer(watched, { mode: 'replay' });
    await producer.resume();
    expect(watched.messages).toBe(2);
  });

  it('reads a long tail as a stream, or one by one where it may not', async () => {
    const log = new MemoryLog();
    for (let i = 0; i < 300; i++) frame(log, 0, i % 2 === 0 ? 'p' : 'q', i >> 1, 1);
    for (const allowed of [true, false]) {
      const watched = new CountingLog(allowed);
      await copy(log, watched);
      const producer = newProducer(watched, { mode: 'replay', partitions: 1 });
      expect(await producer.resume()).toBe(true);
      for (let i = 0; i < 160; i++) producer.offer(opened('r', NOW));
      await producer.flush();
      expect([producer.eventsResumed, producer.eventsSent]).toEqual([150, 10]);
      expect(watched.messages > 300, 'one by one').toBe(!allowed);
    }
  });

  it('as a replay sends what is missing; live it goes on behind, and what it is given is new', async () => {
    const log = new MemoryLog();
    const first = newProducer(log, { mode: 'replay', id: 'file' });
    const live = newProducer(log);
    for (const rider of riders.slice(0, 7)) {
      first.offer(opened(rider, NOW));
      live.offer(opened(rider, NOW));
    }
    await first.flush();
    await live.flush();
    const again = newProducer(log, { mode: 'replay', id: 'file' });
    const liveAgain = newProducer(log);
    expect([await again.resume(), await liveAgain.resume()]).toEqual([true, true]);
    for (const rider of riders) again.offer(opened(rider, NOW));
    for (const rider of riders) liveAgain.offer(opened(rider, NOW + 1));
    await again.flush();
    await liveAgain.flush();
    const file = await taken(log, 'file');
    expect([file.events.flat().length, file.missing, again.eventsResumed, again.eventsSent]).toEqual([
      12, 0, 7, 5,
    ]);
    const other = await taken(log);
    expect([other.events.flat().length, other.missing]).toEqual([19, 0]);
  });
});

describe('a flush', () => {
  it('tells the watermark to all partitions, or only to those that have events', async () => {
    const log = new MemoryLog();
    const producer = newProducer(log);
    producer.offer(opened('r-1', NOW));
    await producer.flush();
    expect((await framesIn(log)).map(({ watermarkMs }) => watermarkMs)).toEqual([
      NOW - 5_000,
      NOW - 5_000,
      NOW - 5_000,
    ]);
    producer.offer(opened('r-1', NOW + 9_000));
    await producer.flush({ toAll: false });
    await producer.flush({ toAll: false });
    const [last, ...more] = (await framesIn(log)).slice(3);
    expect(more).toEqual([]);
    expect(last).toMatchObject({ partition: partitionOfRider('r-1'), seq: 1, watermarkMs: NOW + 4_000 });
  });

  it('is due soon at first, and then after ever more events, up to a full frame for each partition', async () => {
    const producer = newProducer(new MemoryLog(), { partitions: 2, frameEvents: 2_000 });
    const gathered: number[] = [];
    for (let flush = 0; flush < 4; flush++) {
      let events = 0;
      while (!producer.full) producer.offer(opened(`r-${events++}`, NOW));
      gathered.push(events);
      await producer.flush();
    }
    expect(gathered).toEqual([1_024, 2_048, 4_000, 4_000]);
  });

  it('promises nothing before everything older has been said: only the last frame has the new watermark', async () => {
    const log = new MemoryLog({ payloadBytesMax: 400 });
    const producer = newProducer(log, { partitions: 1 });
    await producer.advanceTo(NOW);
    for (let i = 0; i < 40; i++) producer.offer(opened(`rider-${i}`, NOW + 60_000 - i));
    await producer.flush();
    const [, ...frames] = await framesIn(log, 1);
    expect(frames.length).toBeGreaterThan(5);
    expect(frames.slice(0, -1).every(({ watermarkMs }) => watermarkMs === NOW)).toBe(true);
    expect(frames.at(-1)!.watermarkMs).toBe(NOW + 55_000);
  });

  it('of more than one batch takes as many as it needs, and goes on at the one that failed', async () => {
    const log = new MemoryLog();
    const sizes: number[] = [];
    const faulty = new FaultyLog(log, {
      fault(n, entries) {
        sizes.push(entries.length);
        return n === 1 ? 'lose' : 'none';
      },
    });
    const producer = newProducer(faulty, { frameEvents: 1 });
    for (let i = 0; i < 2_500; i++) producer.offer(opened(riders[i % 12]!, NOW + i));
    await expect(producer.flush({ patienceMs: 0 })).rejects.toMatchObject({ code: 'GS_LOG' });
    expect(producer.eventsSent).toBe(1_000);
    await producer.flush({ toAll: false });
    expect(sizes).toEqual([1_000, 1_000, 1_000, 500]);
    const { events, missing } = await taken(log);
    expect([events.flat().length, missing, producer.eventsSent]).toEqual([2_500, 0, 2_500]);
  });

  it('never takes a watermark back', async () => {
    const log = new MemoryLog();
    const producer = newProducer(log, { partitions: 1 });
    await producer.advanceTo(NOW);
    await producer.advanceTo(NOW - 1_000);
    producer.offer(opened('r', NOW - 60_000));
    await producer.flush();
    expect((await framesIn(log, 1)).map(({ watermarkMs }) => watermarkMs)).toEqual([NOW, NOW, NOW]);
  });

  it('property: sends every event once and in order, whatever becomes of its batches', async () => {
    const faults = fc.array(fc.constantFrom<Fault>('none', 'lose', 'lose-ack', 'delay', 'refuse'), {
      maxLength: 40,
    });
    await fc.assert(
      fc.asyncProperty(faults, fc.array(fc.nat(11), { maxLength: 120 }), async (chosen, offers) => {
        const log = new MemoryLog({ payloadBytesMax: 400 });
        const faulty = new FaultyLog(log, { fault: (n) => chosen[n] ?? 'none' });
        const producer = newProducer(faulty, { clock: new EagerClock(NOW) });
        const given: ActorEvent[][] = Array.from({ length: PARTITIONS }, () => []);
        for (const [i, rider] of offers.entries()) {
          const event = opened(riders[rider]!, NOW + i);
          producer.offer(event);
          given[partitionOfRider(riders[rider]!)]!.push(event);
          // An attempt that gives up is no end: the same frames are there for the next one.
          if (i % 7 === 0) await producer.flush({ patienceMs: 0 }).catch(() => undefined);
        }
        await producer.flush();
        expect(await taken(log)).toEqual({ events: given, missing: 0 });
        expect(producer.eventsSent).toBe(offers.length);
        expect(producer.unsent).toBe(false);
      }),
      { numRuns: 100 },
    );
  });

  it('that failed has its frames sent first and as they were, and they do not multiply while the stream is away', async () => {
    const log = new MemoryLog();
    let away = true;
    const batches: string[][] = [];
    const faulty = new FaultyLog(log, {
      fault(_n, entries) {
        batches.push(entries.map(({ payload }) => Buffer.from(payload).toString('hex')));
        return away ? 'lose' : 'none';
      },
    });
    const producer = newProducer(faulty, { clock: new EagerClock(NOW) });
    producer.offer(opened('r-1', NOW));
    for (let i = 0; i < 5; i++) {
      await expect(producer.flush({ patienceMs: 0 })).rejects.toMatchObject({ code: 'GS_LOG' });
      producer.offer(opened('r-2', NOW + i));
    }
    expect(new Set(batches.map((batch) => batch.join())).size).toBe(1);
    away = false;
    await producer.flush();
    expect(batches).toHaveLength(7);
    expect((await taken(log)).events.flat()).toHaveLength(6);
  });

  it('turns a live event that no message holds into a refused one, and goes on with those behind it', async () => {
    const log = new MemoryLog({ payloadBytesMax: 3_000 });
    const producer = newProducer(log, { partitions: 1 });
    producer.offer(opened('r-1', NOW));
    producer.offer(opened('r-2', NOW, { note: 'x'.repeat(4_000) }));
    producer.offer(opened('r-3', NOW));
    await producer.flush();
    const { events } = await taken(log);
    expect(events[0]).toMatchObject([
      { riderId: 'r-1' },
      { type: 'refused', claimed: 'session.opened', reason: 'too_large' },
      { riderId: 'r-3' },
    ]);
    const replay = newProducer(log, { partitions: 1, id: 'file', mode: 'replay' });
    replay.offer(opened('r-2', NOW, { note: 'x'.repeat(4_000) }));
    await expect(replay.flush()).rejects.toMatchObject({ code: 'GS_FRAME_TOO_LARGE' });
  });
});

describe('entries that go with the frames', () => {
  const subject = subjects.ingestCursor;
  const cursor = (text: string, expectLastSeq: number) => ({
    subject,
    payload: encoder.encode(text),
    expectLastSeq,
  });
  const lastText = async (log: Log): Promise<string | undefined> => {
    const last = await log.last(subject);
    return last === undefined ? undefined : new TextDecoder().decode(last.payload);
  };

  it('are in one batch with them, and their place is told', async () => {
    const log = new MemoryLog();
    let batches = 0;
    const watched = new FaultyLog(log, {
      fault() {
        batches++;
        return 'none';
      },
    });
    const producer = newProducer(watched);
    for (const rider of riders) producer.offer(opened(rider, NOW));
    const first = await producer.flush({ with: [cursor('one', 0)] });
    expect(batches).toBe(1);
    expect(first.outcome === 'sent' && first.withSeq).toBe((await log.last(subject))!.seq);
    const second = await producer.flush({
      with: [cursor('two', (first as { withSeq: number }).withSeq)],
      toAll: false,
    });
    expect([batches, second.outcome, await lastText(log)]).toEqual([2, 'sent', 'two']);
  });

  it('that find another’s are stale, and no frame is stored', async () => {
    const log = new MemoryLog();
    log.appendNow([cursor('another’s', 0)]);
    const producer = newProducer(log);
    producer.offer(opened('r-1', NOW));
    expect(await producer.flush({ with: [cursor('ours', 0)] })).toMatchObject({ outcome: 'stale' });
    expect(await framesIn(log)).toEqual([]);
    expect([await lastText(log), producer.unsent]).toEqual(['another’s', false]);
  });

  it('that do not fit one batch with the frames are refused before anything is packed', async () => {
    const log = new MemoryLog();
    const producer = newProducer(log, { frameEvents: 1 });
    for (let i = 0; i < 1_000; i++) producer.offer(opened('r-1', NOW + i));
    await expect(producer.flush({ with: [cursor('ours', 0)], toAll: false })).rejects.toMatchObject({
      code: 'GS_INTERNAL',
    });
    expect(await log.lastSeq()).toBe(0);
    expect((await producer.flush({ toAll: false })).outcome).toBe('sent');
    expect((await taken(log)).events.flat()).toHaveLength(1_000);
  });
});
