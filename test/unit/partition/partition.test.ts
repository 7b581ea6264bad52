// Hunts: an effect that is lost, doubled or early; a timer out of order; an actor that leaves memory with a change in it.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  defineActor,
  type ActorContext,
  type ActorEvent,
  type Behaviour,
} from '../../../src/actor/behaviour.js';
import { FeatureVector } from '../../../src/actor/row.js';
import { partitionOf } from '../../../src/core/hash.js';
import { actorId } from '../../../src/core/ids.js';
import { Driven, MINUTE } from './driven.js';

const ANY_TIMERS = 1_000_000;

/** Keys that live in a partition, of an actor type. */
function keysOf(type: string, partition: number, partitions: number, count: number): string[] {
  const keys: string[] = [];
  for (let i = 0; keys.length < count; i++)
    if (partitionOf(actorId(type, `k${i}`), partitions) === partition) keys.push(`k${i}`);
  return keys;
}

interface Minutes {
  byStart: Record<string, number>;
}

/** Counts its events by minute and tells a total of each minute, once it is over. */
const counter = defineActor<Minutes>({
  type: 'counter',
  sends: ['total'],
  state: () => ({ byStart: {} }),
  events: {
    tick: {
      key: 'key',
      handle(state, event, ctx) {
        const startMs = Math.floor(event.ts / MINUTE) * MINUTE;
        if (startMs + MINUTE <= ctx.watermark) {
          ctx.late(event);
          return;
        }
        state.byStart[startMs] = (state.byStart[startMs] ?? 0) + 1;
        if (startMs + MINUTE < (ctx.due('close') ?? Number.POSITIVE_INFINITY))
          ctx.schedule('close', startMs + MINUTE);
      },
    },
  },
  timers: {
    close(state, ctx, atMs) {
      const startMs = atMs - MINUTE;
      ctx.send('total', `t${Number(ctx.key.slice(1)) % 3}`, 'add', startMs, state.byStart[startMs] ?? 0);
      delete state.byStart[startMs];
      const next = Object.keys(state.byStart)
        .map(Number)
        .sort((a, b) => a - b)[0];
      if (next !== undefined) ctx.schedule('close', next + MINUTE);
      ctx.count('closed');
    },
  },
});
const total = defineActor<Minutes>({
  type: 'total',
  sends: [],
  state: () => ({ byStart: {} }),
  messages: {
    add: {
      combine: (into: number, from: number) => into + from,
      handle(state, body: number, ctx, startMs) {
        state.byStart[startMs] = (state.byStart[startMs] ?? 0) + body;
        ctx.schedule(`close ${startMs}`, startMs + MINUTE);
      },
    },
  },
  // One timer name a minute: what is due at one time fires together, whoever set it.
  timers: Object.fromEntries(
    Array.from({ length: 40 }, (_, i) => [
      `close ${i * MINUTE}`,
      (state: Minutes, ctx, atMs: number) => {
        const start = atMs - MINUTE;
        const features = { count: state.byStart[start]! };
        ctx.emit({ level: 'total', key: ctx.key, window: '1m', start, end: atMs, rev: 0, features });
        delete state.byStart[start];
      },
    ]),
  ),
});
const BOTH = [counter, total] as Behaviour[];
const tick = (key: string, ts: number, id?: string): ActorEvent =>
  id === undefined ? { type: 'tick', key, ts } : { type: 'tick', key, ts, id };

describe('Partition: timers', () => {
  interface Log {
    fired: string[];
  }
  const log: Log = { fired: [] };
  const clockwork = defineActor({
    type: 'clockwork',
    sends: [],
    state: () => ({ left: 0 }),
    events: {
      set: {
        key: 'key',
        handle(state, event, ctx) {
          state.left = (event['again'] as number | undefined) ?? 0;
          ctx.schedule('ring', event['at'] as number);
        },
      },
      unset: { key: 'key', handle: (_, __, ctx) => ctx.cancel('ring') },
    },
    timers: {
      ring(state, ctx, atMs) {
        log.fired.push(`${ctx.key}@${atMs}`);
        if (state.left-- > 0) ctx.schedule('ring', atMs + 10);
      },
    },
  }) as Behaviour;
  const set = (key: string, at: number, again = 0): ActorEvent => ({ type: 'set', key, at, again, ts: 0 });
  const fresh = (timersMax = ANY_TIMERS): Driven => {
    log.fired = [];
    return new Driven([clockwork], { timersMax });
  };

  it('fire in order of time over all actors, each once, and not before the watermark is there', async () => {
    const driven = fresh();
    await driven.step([set('a', 300), set('b', 100), set('c', 200)], 99);
    expect(log.fired).toEqual([]);
    await driven.step([], 200);
    expect(log.fired).toEqual(['b@100', 'c@200']);
    await driven.step([], 1_000);
    expect(log.fired.slice(2)).toEqual(['a@300']);
  });

  it('a timer set by a timer fires in the same step when it is due, in its place in time', async () => {
    const driven = fresh();
    await driven.step([set('a', 100, 2), set('b', 115)], 115);
    expect(log.fired).toEqual(['a@100', 'a@110', 'b@115']);
    await driven.step([], 120);
    expect(log.fired.at(-1)).toBe('a@120');
  });

  it('a timer set again is replaced, and one that is cancelled does not fire', async () => {
    const driven = fresh();
    await driven.step([set('a', 100), set('b', 100)], 0);
    await driven.step([set('a', 150), { type: 'unset', key: 'b', ts: 0 }], 120);
    expect(log.fired).toEqual([]);
    await driven.step([set('c', 300), set('c', 200), set('c', 300)], 1_000);
    expect(log.fired).toEqual(['a@150', 'c@300']);
  });

  it('P5 timers are there after a recovery', async () => {
    const driven = fresh();
    await driven.step([set('a', 100), set('b', 200)], 50);
    driven.recover();
    await driven.step([], 1_000);
    expect(log.fired).toEqual(['a@100', 'b@200']);
  });

  it('P8 a step fires no more than its budget; the rest waits, and the stage does not close over it', async () => {
    const driven = fresh(2);
    await driven.step([set('a', 100), set('b', 100), set('c', 100), set('d', 200), set('e', 300)], 0);
    driven.accept([], 1_000);
    const commit = await driven.commit();
    expect(log.fired.toSorted()).toEqual(['b@100', 'c@100']);
    expect(driven.partition.moreDue).toBe(true);
    expect(commit!.entry.control.closed).toEqual([99]);
    await driven.commit();
    expect(log.fired.slice(2)).toEqual(['a@100', 'd@200']);
    expect(driven.commits.at(-1)!.entry.control.closed).toEqual([299]);
    await driven.commit();
    expect(log.fired.slice(4)).toEqual(['e@300']);
    expect(driven.partition.moreDue).toBe(false);
    expect(driven.commits.at(-1)!.entry.control.closed).toEqual([1_000]);
  });

  it('P7 while a stage is still closing, an actor’s own due timers fire before anything new reaches it', async () => {
    const driven = fresh(1);
    await driven.step([set('a', 100), set('b', 100), set('c', 150)], 0);
    driven.accept([], 200);
    await driven.commit();
    expect(log.fired).toEqual(['b@100']);
    driven.accept([set('a', 500), set('c', 500)], 200);
    expect(log.fired).toEqual(['b@100', 'a@100', 'c@150']);
    // What is left in the queue of timers that have fired is passed over.
    while (driven.partition.moreDue) await driven.commit();
    expect(log.fired).toHaveLength(3);
    driven.accept([], 1_000);
    do await driven.commit();
    while (driven.partition.moreDue);
    expect(log.fired.slice(3).toSorted()).toEqual(['a@500', 'c@500']);
  });

  it('P7 the same after a recovery in the middle of it', async () => {
    const driven = fresh(1);
    await driven.step([set('a', 100), set('b', 100)], 0);
    driven.accept([], 200);
    await driven.commit();
    driven.recover();
    driven.accept([set('a', 500)], 200);
    expect(log.fired).toEqual(['b@100', 'a@100']);
  });

  it('P8 a partition whose closing is more than a pane behind asks for no more input', async () => {
    const driven = fresh(1);
    await driven.step([set('a', 100), set('b', 100)], 0);
    driven.accept([], 5 * MINUTE);
    await driven.commit();
    expect(driven.partition.backlogged).toBe(true);
    await driven.commit();
    expect(driven.partition.backlogged).toBe(false);
  });
});

describe('Partition: messages, stages and marks', () => {
  it('P4 mail for an actor here is taken within the step, before its stage closes; rows come with the same commit', async () => {
    const driven = new Driven(BOTH);
    const commit = await driven.step([tick('k0', 10), tick('k3', 20), tick('k1', 30)], 2 * MINUTE);
    expect(commit!.mail.size).toBe(0);
    expect(driven.rows.map(({ key, features, start }) => [key, features['count'], start])).toEqual([
      ['t0', 2, 0],
      ['t1', 1, 0],
    ]);
  });

  it('mail for other partitions leaves with the commit, merged, by partition', async () => {
    const partitions = 4;
    const driven = new Driven(BOTH, { partitions });
    const keys = keysOf('counter', 0, partitions, 12);
    const commit = await driven.step(
      keys.map((key) => tick(key, 10)),
      2 * MINUTE,
    );
    const sent = [...commit!.mail].flatMap(([partition, messages]) =>
      messages.map(([type, key, name, atMs, body]) => {
        expect(partitionOf(actorId(type, key), partitions)).toBe(partition);
        expect([name, atMs]).toEqual(['add', 0]);
        return [key, body] as const;
      }),
    );
    const here = ['t0', 't1', 't2'].filter((key) => partitionOf(actorId('total', key), partitions) === 0);
    expect(sent.length).toBe(3 - here.length);
    expect(new Set(sent.map(([to]) => to)).size).toBe(sent.length);
  });

  it('a stage above 0 closes only when all partitions have given their mark', async () => {
    const partitions = 2;
    const driven = new Driven(BOTH, { partitions });
    const key = ['t0', 't1', 't2'].find((k) => partitionOf(actorId('total', k), partitions) === 0)!;
    driven.mail({ from: 1, marks: [], messages: [['total', key, 'add', 0, 5]] });
    await driven.step([], 3 * MINUTE);
    expect(driven.rows).toEqual([]);
    expect(driven.commits.at(-1)!.entry.control.closed).toEqual([3 * MINUTE, 0]);
    driven.mail({ from: 1, marks: [MINUTE, 0], messages: [] });
    await driven.commit();
    expect(driven.rows).toMatchObject([
      { key, features: { count: 5 }, final: true, completeness: { expected: 2, reported: 2 } },
    ]);
    expect(driven.commits.at(-1)!.entry.control.closed).toEqual([3 * MINUTE, MINUTE]);
  });

  it('marks move by panes, and are said only when they move', async () => {
    const driven = new Driven(BOTH);
    expect((await driven.step([tick('k0', 10)], MINUTE - 1))!.marks).toBeUndefined();
    expect((await driven.step([], 2 * MINUTE + 30_000))!.marks).toEqual([2 * MINUTE, 2 * MINUTE]);
    expect(
      (await driven.step([tick('k0', 2 * MINUTE + 50_000)], 2 * MINUTE + 40_000))!.marks,
    ).toBeUndefined();
    expect(driven.commits.at(-1)!.entry.control.watermarkMs).toBe(2 * MINUTE + 40_000);
  });

  it('P3 inputs that only say how far time is are committed once in a while, and read again after a crash', async () => {
    const driven = new Driven(BOTH);
    await driven.step([tick('k0', 10)], 20);
    driven.accept([], 30);
    expect(await driven.commit(9_999)).toBeUndefined();
    expect((await driven.commit(10_000))!.entry.control).toMatchObject({ inputSeq: 2, watermarkMs: 30 });
    driven.accept([], 40);
    expect(await driven.commit(10_001)).toBeUndefined();
    driven.recover();
    expect([driven.partition.inputSeq, driven.partition.watermarkMs]).toEqual([2, 30]);
    for (let i = 0; i < 999; i++) driven.accept([], 50 + i);
    expect(await driven.commit(10_002)).toBeUndefined();
    driven.accept([], 5_000);
    expect(await driven.commit(10_002)).toBeDefined();
    // The last word of a producer is more than time.
    driven.accept([], 6_000, { end: true });
    expect((await driven.commit(10_003))!.entry.control.producers.get('p')!.ended).toBe(true);
  });

  it('an async message carries no time: it goes by mail, even to an actor here', async () => {
    const echo = defineActor({
      type: 'echo',
      sends: [{ to: 'echo', async: true }],
      state: () => ({ heard: 0 }),
      events: { tick: { key: 'key', handle: (_, __, ctx) => ctx.send('echo', 'other', 'hear', 0, 1) } },
      messages: { hear: { handle: (state) => void state.heard++ } },
    }) as Behaviour;
    const driven = new Driven([echo]);
    const commit = await driven.step([tick('k', 1)], 10);
    expect(commit!.mail.get(0)).toEqual([['echo', 'other', 'hear', 0, 1]]);
    expect(driven.stored('echo', 'other')).toBeUndefined();
  });

  it('a step in which nothing happened has no commit', async () => {
    const driven = new Driven(BOTH);
    expect(await driven.commit()).toBeUndefined();
    await driven.step([tick('k0', 10)], 10);
    expect(await driven.commit()).toBeUndefined();
  });

  it('a commit has a number of its own, counted on after a recovery', async () => {
    const driven = new Driven(BOTH);
    for (let i = 0; i < 3; i++) {
      await driven.step([tick('k0', 10)], 10 + i);
      driven.recover();
    }
    expect(driven.commits.map(({ number }) => number)).toEqual([1, 2, 3]);
    expect(driven.partition.inputSeq).toBe(3);
  });
});

describe('Partition: input', () => {
  it('P3 a frame that is sent again takes effect once; of one that overlaps, only what is new', async () => {
    const driven = new Driven(BOTH);
    const events = [tick('k0', 1), tick('k0', 2), tick('k0', 3)];
    driven.accept(events, 5, { seq: 0 });
    driven.accept(events, 5, { seq: 0 });
    driven.accept([tick('k0', 3), tick('k0', 4)], 5, { seq: 2 });
    await driven.commit();
    expect(driven.stored('counter', 'k0')).toEqual({ byStart: { 0: 4 } });
    expect(driven.counter('repeated')).toBe(4);
  });

  it('P3 an event with an id takes effect once per actor, across recoveries', async () => {
    const driven = new Driven(BOTH);
    await driven.step([tick('k0', 1, 'e-1'), tick('k0', 1, 'e-1'), tick('k1', 1, 'e-1')], 2);
    driven.recover();
    await driven.step([tick('k0', 2, 'e-1'), tick('k0', 2, 'e-2'), tick('k0', 2)], 3);
    expect(driven.stored('counter', 'k0')).toEqual({ byStart: { 0: 3 } });
    expect(driven.stored('counter', 'k1')).toEqual({ byStart: { 0: 1 } });
    expect(driven.counter('duplicates')).toBe(2);
  });

  it('P8 an id is forgotten once it is older than the duplicate window', async () => {
    const driven = new Driven(BOTH, { duplicateWindowMs: MINUTE });
    await driven.step([tick('k0', 1, 'e-1')], 2);
    await driven.step([], 10 * MINUTE);
    await driven.step([tick('k0', 10 * MINUTE, 'e-2')], 10 * MINUTE);
    await driven.step([tick('k0', 10 * MINUTE, 'e-1')], 10 * MINUTE);
    expect(driven.counter('duplicates')).toBe(0);
    expect(driven.stored('counter', 'k0')).toEqual({ byStart: { [10 * MINUTE]: 2 } });
  });

  it('P5 ids may take more than a state may: the record is whole all the same', async () => {
    const driven = new Driven(BOTH, { poison: { actorStateBytesMax: 500 } });
    await driven.step(
      Array.from({ length: 100 }, (_, i) => tick('k0', 1, `e-${i}`)),
      2,
    );
    driven.recover();
    await driven.step([tick('k0', 1, 'e-99'), tick('k0', 1, 'e-100')], 2);
    expect(driven.stored('counter', 'k0')).toEqual({ byStart: { 0: 101 } });
    expect(driven.counter('duplicates')).toBe(1);
    expect(driven.partition.look(actorId('counter', 'k0'))).toMatchObject({ seenIds: 101 });
  });

  it('P8 an actor remembers so many ids: what comes with further ones is a dead letter, until the window has moved on', async () => {
    const driven = new Driven(BOTH, { duplicateWindowMs: MINUTE, eventIdBytesMax: 100_000 });
    const flood = Array.from({ length: 50_000 }, (_, i) => tick('k0', 1, `e-${i}`));
    await driven.step([...flood, tick('k1', 1, 'e-1'), tick('k0', 1), tick('k0', 1, 'e-0')], 2);
    const taken = driven.stored('counter', 'k0') as Minutes;
    const dead = driven.counter('dead.too_many_ids');
    expect(dead).toBeGreaterThan(40_000);
    // One more has none, and one is a duplicate.
    expect(taken.byStart[0]).toBe(50_000 - dead + 1);
    expect(driven.counter('duplicates')).toBe(1);
    expect(driven.sides.length).toBe(dead);
    expect(driven.sides[0]).toMatchObject({
      kind: 'dead',
      type: 'tick',
      body: { reason: 'too_many_ids', actor: 'counter/k0', body: { key: 'k0' } },
    });
    driven.recover();
    await driven.step([tick('k0', 1, 'e-49999')], 2);
    expect(driven.counter('dead.too_many_ids')).toBe(dead + 1);
    await driven.step([], 2 * MINUTE);
    await driven.step([tick('k0', 2 * MINUTE, 'e-49999')], 2 * MINUTE);
    expect(driven.counter('dead.too_many_ids')).toBe(dead + 1);
    expect(driven.partition.look(actorId('counter', 'k0'))).toMatchObject({ seenIds: 1 });
  });

  it('P8 a refused event is kept as a dead letter with its reason; one of an unknown type is counted', async () => {
    const driven = new Driven(BOTH);
    const refused = { type: 'refused', ts: 5, claimed: 'tick', reason: 'no_key', message: 'why', body: '{}' };
    await driven.step([refused, { type: 'unheard.of', ts: 5 }], 6);
    expect(driven.sides).toEqual([
      { kind: 'dead', type: 'tick', body: { reason: 'no_key', message: 'why', ts: 5, body: '{}' } },
    ]);
    expect([driven.counter('refused.no_key'), driven.counter('unrouted')]).toEqual([1, 1]);
  });

  it('P8 a late event is kept on the late side, and counted', async () => {
    const driven = new Driven(BOTH);
    await driven.step([], 2 * MINUTE);
    await driven.step([tick('k0', 10)], 2 * MINUTE);
    expect(driven.sides).toMatchObject([{ kind: 'late', type: 'tick', body: { key: 'k0', ts: 10 } }]);
    expect([driven.counter('late'), driven.counter('late.tick')]).toEqual([1, 1]);
  });

  it('what comes again with a sequence that was taken is passed over', async () => {
    const driven = new Driven(BOTH);
    await driven.step([tick('k0', 1)], 2);
    const { inputSeq } = driven.partition;
    expect(driven.partition.acceptEvents(new Uint8Array(), inputSeq, 0)).toBe(0);
    driven.partition.acceptMail(new Uint8Array(), inputSeq);
    expect(driven.partition.inputSeq).toBe(inputSeq);
  });

  it('a send that is not declared, and a timer at no time, are failures of the handler', async () => {
    const one = (handle: NonNullable<Behaviour['events']>[string]['handle']): Behaviour =>
      defineActor({ type: 'one', sends: [], state: () => ({}), events: { go: { key: 'key', handle } } });
    for (const [handle, why] of [
      [(_: unknown, __: unknown, ctx: ActorContext) => ctx.send('total', 't', 'add', 0, 1), /"one".*"total"/],
      [(_: unknown, __: unknown, ctx: ActorContext) => ctx.schedule('x', Number.NaN), /NaN/],
    ] as const) {
      const driven = new Driven([one(handle), ...BOTH]);
      await driven.step([{ type: 'go', key: 'k', ts: 1 }], 2);
      expect(driven.sides).toMatchObject([
        {
          kind: 'dead',
          type: 'go',
          body: { reason: 'threw', message: expect.stringMatching(why) as string },
        },
      ]);
    }
  });
});

describe('Partition: actors come and go', () => {
  const guest = defineActor({
    type: 'guest',
    sends: [],
    state: () => ({ visits: 0 }),
    events: {
      visit: { key: 'key', handle: (state) => void state.visits++ },
      leave: {
        key: 'key',
        handle(_, __, ctx) {
          ctx.schedule('ring', 100);
          ctx.forget();
        },
      },
    },
    timers: { ring: () => expect.unreachable('a forgotten actor has no timers') },
  }) as Behaviour;
  const event = (type: string, key = 'g'): ActorEvent => ({ type, key, ts: 1 });

  /** A sweep goes on from where the last one ended: three go round at least once. */
  const passivate = (driven: Driven, options: { idleSteps?: number; snapshotCommit: number }): void => {
    for (let i = 0; i < 3; i++)
      driven.partition.passivate({
        untouchedSince: driven.partition.step - (options.idleSteps ?? 0),
        residentMax: options.idleSteps ? 100 : 0,
        snapshotCommit: options.snapshotCommit,
      });
  };

  it('P5 an actor that was forgotten begins anew, also while the snapshot still knows it as it was', async () => {
    const driven = new Driven([guest]);
    await driven.step([event('visit')], 10);
    // The step that forgets it is committed, and its snapshot not written yet.
    driven.accept([event('leave')], 20);
    driven.partition.advance(0);
    driven.partition.takeCommit();
    passivate(driven, { snapshotCommit: 1 });
    expect(driven.stored('guest', 'g')).toEqual({ visits: 1 });
    driven.accept([event('visit')], 30);
    await driven.commit();
    expect(driven.stored('guest', 'g')).toEqual({ visits: 1 });
    await driven.step([event('visit')], 40);
    expect(driven.stored('guest', 'g')).toEqual({ visits: 2 });
  });

  it('a forgotten actor leaves with the commit, its timers too, and begins anew', async () => {
    const driven = new Driven([guest]);
    await driven.step([event('visit')], 10);
    const commit = await driven.step([event('leave')], 20);
    expect([...commit!.entry.changes]).toEqual([
      { id: 'guest/g', bytes: undefined, timed: false, timedAsBefore: true },
    ]);
    expect(driven.stored('guest', 'g')).toBeUndefined();
    passivate(driven, { snapshotCommit: commit!.number });
    expect(driven.partition.resident).toBe(0);
    await driven.step([event('visit')], 200);
    expect(driven.stored('guest', 'g')).toEqual({ visits: 1 });
  });

  it('forgotten and addressed again in one step, it is new', async () => {
    const driven = new Driven([guest]);
    await driven.step([event('visit'), event('visit'), event('leave'), event('visit')], 200);
    expect(driven.stored('guest', 'g')).toEqual({ visits: 1 });
  });

  it('P5 an actor is passivated only once the snapshot has its last change', async () => {
    const driven = new Driven([guest]);
    await driven.step([event('visit', 'a')], 10);
    driven.partition.advance(0);
    passivate(driven, { snapshotCommit: 0 });
    expect(driven.partition.resident).toBe(1);
    passivate(driven, { snapshotCommit: 1 });
    expect(driven.partition.resident).toBe(0);
  });

  it('P5 one that has changed and is not committed yet never leaves', () => {
    const driven = new Driven([guest]);
    driven.accept([event('visit', 'a')], 10);
    driven.partition.advance(0);
    driven.partition.advance(0);
    passivate(driven, { snapshotCommit: 99 });
    expect(driven.partition.resident).toBe(1);
  });

  it('one that was touched within the idle steps stays', async () => {
    const driven = new Driven([guest]);
    await driven.step([event('visit', 'a'), event('visit', 'b')], 10);
    for (let i = 0; i < 5; i++) driven.partition.advance(0);
    await driven.step([event('visit', 'b')], 11);
    passivate(driven, { idleSteps: 5, snapshotCommit: 2 });
    expect(driven.partition.resident).toBe(1);
    expect(driven.partition.passivations).toBe(1);
  });

  it('passivated and addressed again, it goes on where it was', async () => {
    const driven = new Driven([guest]);
    await driven.step([event('visit')], 10);
    driven.partition.advance(0);
    passivate(driven, { snapshotCommit: 1 });
    expect(driven.partition.resident).toBe(0);
    await driven.step([event('visit')], 20);
    expect(driven.stored('guest', 'g')).toEqual({ visits: 2 });
    expect(driven.partition.activations).toBe(2);
  });
});

describe('Partition: P7', () => {
  interface Plan {
    readonly steps: { events: { key: number; back: number }[]; passivate: boolean; crash: boolean }[];
    readonly partitions: number;
    readonly timersMax: number;
  }
  const plan: fc.Arbitrary<Plan> = fc.record({
    partitions: fc.integer({ min: 1, max: 3 }),
    timersMax: fc.constantFrom(1, 3, ANY_TIMERS),
    steps: fc.array(
      fc.record({
        events: fc.array(fc.record({ key: fc.nat(6), back: fc.nat(3) }), { maxLength: 6 }),
        passivate: fc.boolean(),
        crash: fc.boolean(),
      }),
      { maxLength: 12 },
    ),
  });

  it('P7 final rows are the counts of the events, for any number of partitions, budget, passivation and recoveries', async () => {
    await fc.assert(
      fc.asyncProperty(plan, async ({ partitions, timersMax, steps }) => {
        const nodes = Array.from(
          { length: partitions },
          (_, partition) => new Driven(BOTH, { partition, partitions, timersMax }),
        );
        const expected = new Map<string, number>();
        const settle = async (): Promise<void> => {
          for (let moved = true; moved;) {
            moved = false;
            for (const [from, node] of nodes.entries()) {
              const commit = await node.commit();
              if (node.partition.moreDue) moved = true;
              if (commit === undefined) continue;
              nodes.forEach((other, to) => {
                const messages = commit.mail.get(to) ?? [];
                const marks = to === from ? [] : (commit.marks ?? []);
                if (messages.length === 0 && marks.length === 0) return;
                other.mail({ from, marks, messages });
                moved = true;
              });
            }
          }
        };
        const feed = async (events: ActorEvent[], watermarkMs: number): Promise<void> => {
          nodes.forEach((node, partition) => {
            const here = events.filter(
              (each) => partitionOf(actorId('counter', each['key'] as string), partitions) === partition,
            );
            node.accept(here, watermarkMs);
          });
          await settle();
        };
        let nowMs = 5 * MINUTE;
        for (const { events, passivate, crash } of steps) {
          nowMs += 20_000;
          const list = events.map(({ key, back }) => tick(`k${key}`, nowMs - back * 10_000));
          for (const { ts, key } of events.map(({ key: k, back }) => ({
            ts: nowMs - back * 10_000,
            key: k,
          }))) {
            const row = `t${key % 3} ${Math.floor(ts / MINUTE) * MINUTE}`;
            expected.set(row, (expected.get(row) ?? 0) + 1);
          }
          await feed(list, nowMs - 20_000);
          for (const node of nodes) {
            if (crash) node.recover();
            if (passivate)
              node.partition.passivate({
                untouchedSince: node.partition.step,
                residentMax: 0,
                snapshotCommit: node.commits.length,
              });
          }
        }
        await feed([], nowMs + 5 * MINUTE);
        const rows = nodes.flatMap((node) => node.rows);
        expect(rows.map(({ key, start, features }) => [`${key} ${start}`, features['count']]).sort()).toEqual(
          [...expected].sort(),
        );
        for (const row of rows) expect(row).toMatchObject({ rev: 0, final: true });
      }),
      { numRuns: 80 },
    );
  });
});

describe('Partition: rows and timers that come in turn', () => {
  /** Emits a row for each of its pings, the same vector each time, and fails when it is told to. */
  const features = new FeatureVector(['n', 'half']);
  const emitter = defineActor<object>({
    type: 'emitter',
    sends: [],
    state: () => ({}),
    events: {
      say: {
        key: 'key',
        handle(_state, event, ctx) {
          const n = event['n'] as number;
          features.values[0] = n;
          features.values[1] = n / 2;
          const place = { level: 'cell', key: ctx.key, window: '1m', start: 0, end: MINUTE, rev: 0 };
          ctx.emit({ ...place, features });
          ctx.emit({ ...place, features: features.toObject() });
          features.values.fill(-1);
          if (event['bad'] === true) throw new Error('told to');
        },
      },
    },
  });
  const say = (n: number, bad = false): ActorEvent => ({ type: 'say', key: 'k', ts: n, n, bad });

  it('a row of a vector is the row of the same object, as it was when it was emitted, also while calls are held', async () => {
    const driven = new Driven([emitter]);
    await driven.step([say(1), say(2)], 10);
    await driven.step([say(3), say(4, true), say(5)], 20);
    expect(driven.partition.careful).toBe(true);
    expect(driven.rows.map((row) => row.features)).toEqual(
      [1, 1, 2, 2, 3, 3, 5, 5].map((n) => ({ n, half: n / 2 })),
    );
  });

  it('an actor whose timer sets itself again is closed up to where its stage may, before others; none is forgotten', async () => {
    const order: string[] = [];
    const ticker = defineActor<object>({
      type: 'ticker',
      sends: [],
      state: () => ({}),
      events: { begin: { key: 'key', handle: (_state, _event, ctx) => ctx.schedule('tick', MINUTE) } },
      timers: {
        tick(_state, ctx, atMs) {
          order.push(`${ctx.key} ${atMs / MINUTE}`);
          ctx.schedule('tick', atMs + MINUTE);
        },
      },
    });
    const driven = new Driven([ticker]);
    const begin = (key: string): ActorEvent => ({ type: 'begin', key, ts: 1 });
    await driven.step([begin('a'), begin('b')], 3 * MINUTE);
    expect(order).toEqual(['a 1', 'a 2', 'a 3', 'b 1', 'b 2', 'b 3']);
    expect(driven.partition.closedMs).toEqual([3 * MINUTE]);
    // More than fire in turn: the rest does too, and the stage is closed only then.
    order.length = 0;
    await driven.step([], 500 * MINUTE);
    expect(order.filter((one) => one.startsWith('a')).length).toBe(497);
    expect(new Set(order).size).toBe(2 * 497);
    expect(driven.partition.closedMs).toEqual([500 * MINUTE]);
    // A bite of timers leaves the rest due, and nothing closed beyond it.
    const bitten = new Driven([ticker], { timersMax: 1 });
    await bitten.step([begin('a')], 500 * MINUTE);
    expect(bitten.partition.moreDue).toBe(true);
    expect(bitten.partition.closedMs[0]).toBeLessThan(500 * MINUTE);
    while (bitten.partition.moreDue) await bitten.step([], 500 * MINUTE);
    expect(bitten.partition.closedMs).toEqual([500 * MINUTE]);
    expect(bitten.partition.look(actorId('ticker', 'a'))!.timers).toEqual({ tick: 501 * MINUTE });
  });

  it('somebody waits for a commit that tells others or the world, and nobody for one that only changes states', async () => {
    const driven = new Driven(BOTH, { partitions: 4 });
    const [key] = keysOf('counter', 0, 4, 1);
    driven.accept([tick(key!, 10)], 20);
    expect(driven.partition.hasNews).toBe(false);
    await driven.commit();
    driven.accept([], MINUTE);
    driven.partition.advance(0);
    expect(driven.partition.hasNews).toBe(true);
    await driven.commit();
    expect(driven.partition.hasNews).toBe(false);
  });
});
