// Hunts: something left of a call that failed: a state half changed, an effect, a timer lost; a failure that harms others.
import fc from 'fast-check';
import { FeatureVector } from '../../../src/actor/row.js';
import { describe, expect, it } from 'vitest';
import { defineActor, type ActorContext, type Behaviour } from '../../../src/actor/behaviour.js';
import { VirtualClock } from '../../../src/core/clock.js';
import { underOneWatch } from '../../../src/node/turn-watch.js';
import { Changes } from '../../../src/partition/changes.js';
import { HandlerTimeout, type HandlerGuard } from '../../../src/partition/handler-guard.js';
import { Driven, MINUTE } from './driven.js';
import {
  cleanEvent,
  counters,
  FAILURES,
  FORGETFUL,
  poisonedEvent,
  POISONED,
  RULES,
  states,
  told,
  type Plan,
} from './poisoned.js';

const event: fc.Arbitrary<Plan> = fc
  .record({
    what: fc.constantFrom('do', 'do', 'do', 'poison', 'clash'),
    key: fc.constantFrom('a', 'b', 'c', FORGETFUL),
    by: fc.integer({ min: 0, max: 30 }),
    id: fc.option(fc.constantFrom('i1', 'i2', 'i3'), { nil: undefined }),
    fail: fc.option(fc.constantFrom(...FAILURES), { nil: undefined, freq: 2 }),
  })
  .map((plan): Plan => (plan.key === FORGETFUL && plan.fail === 'size' ? { ...plan, fail: 'throw' } : plan))
  .map((plan): Plan => (plan.what === 'poison' ? { ...plan, fail: plan.fail ?? 'promise' } : plan));
const step = fc.record({
  frames: fc.array(fc.array(event, { maxLength: 4 }), { maxLength: 3 }),
  byMs: fc.integer({ min: 0, max: 6_000 }),
  recover: fc.boolean(),
  passivate: fc.boolean(),
});

describe('Poison: what fails leaves nothing but a dead letter', () => {
  it.each([
    ['a failure at a time makes the step careful', { carefulCommits: 1 }, {}],
    ['steps stay careful', { carefulCommits: 1_000 }, {}],
    ['the snapshot lags by three commits', { carefulCommits: 2 }, { lag: 3 }],
  ])('P2 the results are those without the calls that fail: %s', async (_name, rules, more) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 10 }), async (steps) => {
        const poisoned = new Driven(POISONED, { poison: { ...RULES, ...rules }, ...more });
        const clean = new Driven(POISONED, { poison: { ...RULES, carefulCommits: 1 } });
        let nowMs = 0;
        let at = 0;
        for (const { frames, byMs, recover, passivate } of steps) {
          for (const frame of frames) {
            // Together with other timers.
            const ms = Math.ceil(nowMs / 1_000) * 1_000 + 2_000;
            poisoned.accept(
              frame.map((plan) => poisonedEvent(plan, ms + (at++ % 3) * 1_000)),
              nowMs,
            );
            clean.accept(
              frame.map((plan) => cleanEvent(plan, ms)),
              nowMs,
            );
          }
          nowMs += byMs;
          // An event for nobody: both commit in every step, and so recover to the same.
          for (const driven of [poisoned, clean]) driven.accept([{ type: 'nothing', ts: 0 }], nowMs);
          const [one, other] = [await poisoned.commit(), await clean.commit()];
          const clear = told(other);
          // A dead letter is something to tell, too.
          expect(told(one)).toEqual(
            clear['progress'] === undefined ? { ...clear, progress: told(one)['progress'] } : clear,
          );
          expect(poisoned.partition.closedMs).toEqual(clean.partition.closedMs);
          expect(counters(poisoned)).toEqual(counters(clean));
          if (passivate) {
            for (const { partition, saved } of [poisoned, clean])
              partition.passivate({ untouchedSince: partition.step, residentMax: 0, snapshotCommit: saved });
          }
          if (recover) for (const driven of [poisoned, clean]) driven.recover();
        }
        poisoned.recover();
        expect(states(poisoned)).toEqual(states(clean));
      }),
      { numRuns: 60 },
    );
  });
});

/** Breaks calls off as a watchdog does, but without a clock: those that say that they hang. */
class FakeGuard implements HandlerGuard {
  runs = 0;
  starvedFor = 0;
  hangs = false;

  run<T>(limitMs: number, what: () => T): T {
    this.runs++;
    this.hangs = false;
    let done: { value: T } | undefined;
    try {
      done = { value: what() };
    } catch (error) {
      // What a handler does after it would have been broken off is not seen: only that it hung.
      if (!this.hangs) throw error;
    }
    if (this.hangs) throw new HandlerTimeout(limitMs, this.starvedFor-- > 0);
    return done!.value;
  }
}

describe('Poison: what goes wrong at its edges', () => {
  it('messages that cannot be merged go one by one, though the handler that said them knows nothing of it', async () => {
    const driven = new Driven(POISONED);
    await driven.step([{ type: 'caught', key: 'a', by: 2, ts: 0 }], 10);
    expect(driven.stored('total', 'clash')).toMatchObject({ sum: 3 });
    expect(driven.counter('unmerged')).toBe(1);
    expect(driven.sides).toEqual([]);
  });

  const cyclic: { self?: unknown } = {};
  cyclic.self = cyclic;
  const row = { level: 'cell', key: 'c', window: '1m', start: 0, end: MINUTE, rev: 0 };
  it.each<[string, (ctx: ActorContext) => void, RegExp]>([
    ['a symbol in a message', (ctx) => ctx.send('ear', 'x', 'hear', 0, { deep: [Symbol('s')] }), /a symbol/],
    ['a function', (ctx) => ctx.send('ear', 'x', 'hear', 0, [() => 1]), /a function/],
    ['a message that holds itself', (ctx) => ctx.send('ear', 'x', 'hear', 0, cyclic), /in each other/],
    ['an integer that is too large', (ctx) => ctx.send('ear', 'x', 'hear', 0, 2n ** 70n), /64 bits/],
    [
      'a row with a value that is none',
      (ctx) => ctx.emit({ ...row, features: { mean: 0 / 0 } }),
      /"mean" is NaN/,
    ],
    [
      'a row of a vector with a value that is none',
      (ctx) => {
        const features = new FeatureVector(['n', 'mean']);
        features.values[1] = 0 / 0;
        ctx.emit({ ...row, features });
      },
      /"mean" is NaN/,
    ],
    [
      'a row with a bigint',
      (ctx) => ctx.emit({ ...row, features: { n: 1n as unknown as number } }),
      /"n" is 1, which is no finite number/,
    ],
    ['a value to show', (ctx) => ctx.show({ n: Symbol('s') as unknown as number }), /"n" is a symbol/],
  ])('P8 %s is a dead letter of who said it, not a commit that cannot be made', async (_, say, why) => {
    const mouth = defineActor<object>({
      type: 'mouth',
      sends: ['ear'],
      state: () => ({}),
      events: {
        go: { key: 'key', handle: (_state, event, ctx) => (event['bad'] === true ? say(ctx) : undefined) },
      },
    });
    const ear = defineActor<{ heard: number }>({
      type: 'ear',
      sends: [],
      state: () => ({ heard: 0 }),
      messages: { hear: { handle: (state) => void state.heard++ } },
    });
    const driven = new Driven([mouth as Behaviour, ear as Behaviour]);
    await driven.step(
      [
        { type: 'go', key: 'a', ts: 1, bad: true },
        { type: 'go', key: 'b', ts: 1 },
      ],
      2,
    );
    expect(driven.sides).toMatchObject([{ kind: 'dead', body: { reason: 'threw', actor: 'mouth/a' } }]);
    expect(JSON.stringify(driven.sides)).toMatch(new RegExp(why.source.replaceAll('"', '\\\\"')));
    expect(driven.stored('mouth', 'b')).toEqual({});
  });

  it('timers that were due together with one that fails all fire', async () => {
    const driven = new Driven(POISONED, { poison: RULES });
    const ring = (key: string) => ({ type: 'do', key, by: 5, ts: 0 });
    const fail = { type: 'poison', key: 'd', fail: 'throw', at: 6_000, ts: 0 };
    await driven.step([ring('a'), fail, ring('b'), ring('c')], 10);
    const before = ['a', 'b', 'c'].map((key) => (driven.stored('worker', key) as { sum: number }).sum);
    await driven.step([], 6_000);
    const after = ['a', 'b', 'c'].map((key) => (driven.stored('worker', key) as { sum: number }).sum);
    expect(after).toEqual(before.map((sum) => sum + 1_000));
  });
});

describe('Poison: what becomes of a call that failed', () => {
  interface Seen {
    seen: number;
    big: string;
  }
  const guard = new FakeGuard();
  const one = defineActor<Seen>({
    type: 'one',
    sends: ['two', { to: 'one', async: true }],
    state: () => ({ seen: 0, big: '' }),
    events: {
      go: {
        key: 'key',
        handle(state, event, ctx): void {
          state.seen++;
          if (event['big'] !== undefined) state.big = 'x'.repeat(event['big'] as number);
          if (event['at'] !== undefined) ctx.schedule(event['timer'] as string, event['at'] as number);
          if (event['hang'] === true || (event['hang'] === 'starved' && guard.starvedFor > 0)) {
            guard.hangs = true;
            throw new Error('was broken off');
          }
          if (event['fail'] === true) {
            (event as { rideId?: string }).rideId = 'changed before it failed';
            throw new TypeError('no such luck');
          }
        },
      },
      tell: {
        key: 'key',
        handle: (_, event, ctx) => ctx.send('two', 't', event['name'] as string, 5, { n: 1 }),
      },
    },
    timers: {
      bad: (state) => {
        state.seen += 100;
        throw new Error('ring');
      },
    },
  });
  const periodic = defineActor<Seen>({
    ...one,
    type: 'two',
    sends: [],
    events: {},
    messages: {
      fine: { handle: (state) => void state.seen++ },
      bad: {
        handle() {
          throw new Error('bad mail');
        },
      },
      begin: { handle: (_, __, ctx) => ctx.schedule('close', MINUTE) },
    },
    timers: {
      close(state, ctx, atMs) {
        ctx.schedule('close', atMs + MINUTE);
        state.seen++;
        if (atMs === 2 * MINUTE) throw new Error('one minute is lost');
      },
    },
    failedTimerAgainMs: MINUTE,
  });
  const BOTH = [one, periodic] as Behaviour[];
  const go = (key: string, more: object = {}) => ({ type: 'go', key, ts: 7, ...more });
  const letters = (driven: Driven) =>
    driven.sides.map(({ type, body }): Record<string, unknown> => ({ type, ...(body as object) }));

  it('P8 is a dead letter that says why, who, what and where; others in the step are not harmed', async () => {
    const driven = new Driven(BOTH);
    await driven.step([go('a'), go('b', { fail: true, rideId: 'r' }), go('b'), go('a')], 10);
    expect([driven.stored('one', 'a'), driven.stored('one', 'b')]).toMatchObject([{ seen: 2 }, { seen: 1 }]);
    const [letter, ...more] = letters(driven);
    expect(more).toEqual([]);
    expect(letter).toMatchObject({
      type: 'go',
      reason: 'threw',
      actor: 'one/b',
      call: 'event',
      name: 'go',
      ts: 7,
      message: 'no such luck',
      body: { type: 'go', key: 'b', ts: 7, fail: true, rideId: 'r' },
    });
    expect(letter!['stack']).toMatch(/TypeError: no such luck\n +at .*poison\.test/);
    expect(driven.counter('dead.threw')).toBe(1);
  });

  it('a message and a timer are letters under their actor’s type; a timer that failed does not hold up its stage', async () => {
    const driven = new Driven(BOTH);
    await driven.step(
      [{ type: 'tell', key: 'a', name: 'bad', ts: 1 }, go('a', { timer: 'bad', at: 50 })],
      10,
    );
    await driven.step([], 1_000);
    expect(letters(driven)).toMatchObject([
      { type: 'two', reason: 'threw', actor: 'two/t', call: 'message', name: 'bad', atMs: 5, body: { n: 1 } },
      { type: 'one', reason: 'threw', actor: 'one/a', call: 'timer', name: 'bad', atMs: 50 },
    ]);
    expect(driven.partition.closedMs[0]).toBe(1_000);
    expect(driven.stored('one', 'a')).toMatchObject({ seen: 1 });
    driven.recover();
    await driven.step([], 2_000);
    expect(driven.sides).toHaveLength(2);
  });

  it('a timer of a behaviour that says so is set again a period later, and the actor goes on', async () => {
    const driven = new Driven(BOTH);
    await driven.step([{ type: 'tell', key: 'a', name: 'begin', ts: 1 }], 10);
    for (let minute = 1; minute <= 5; minute++) await driven.step([], minute * MINUTE);
    expect(driven.stored('two', 't')).toMatchObject({ seen: 4 });
    expect(letters(driven)).toMatchObject([{ name: 'close', atMs: 2 * MINUTE }]);
    expect(driven.partition.look('two/t' as never)!.timers).toEqual({ close: 6 * MINUTE });
  });

  it('mail that no behaviour takes is a dead letter, and nobody’s failure', async () => {
    const driven = new Driven(BOTH, { poison: { quarantineAfter: 1 } });
    driven.mail({
      from: 0,
      marks: [],
      messages: [
        ['ghost', 'a', 'add', 3, 1],
        ['two', 't', 'shout', 4, 2],
        ['two', 't', 'fine', 4, 2],
      ],
    });
    await driven.commit();
    expect(letters(driven)).toMatchObject([
      { type: 'ghost', reason: 'unhandled', actor: 'ghost/a', name: 'add', atMs: 3, body: 1 },
      { type: 'two', reason: 'unhandled', actor: 'two/t', name: 'shout', atMs: 4, body: 2 },
    ]);
    expect(driven.stored('two', 't')).toMatchObject({ seen: 1 });
    expect(driven.partition.quarantinedCount).toBe(0);
    expect(driven.partition.careful).toBe(false);
  });

  it('P8 a state over its budget is not committed: the call that made it so is taken back', async () => {
    const driven = new Driven(BOTH, { poison: { actorStateBytesMax: 1_000 } });
    await driven.step([go('a', { big: 500 }), go('a', { big: 1_200 }), go('a')], 10);
    expect(driven.stored('one', 'a')).toMatchObject({ seen: 2, big: 'x'.repeat(500) });
    expect(letters(driven)).toMatchObject([{ reason: 'state_size', actor: 'one/a', body: { big: 1_200 } }]);
  });

  it('P8 a state that was over the budget before it was lowered may shrink', async () => {
    const roomy = new Driven(BOTH);
    await roomy.step([go('a', { big: 1_200 })], 10);
    const driven = new Driven(BOTH, { poison: { actorStateBytesMax: 1_000 } });
    await driven.store.write([
      {
        partition: 0,
        journalSeq: 1,
        control: new Uint8Array(),
        commits: [Changes.of([roomy.commits[0]!.entry.changes.at(0)])],
      },
    ]);
    await driven.step([go('a', { big: 1_100 })], 20);
    expect(driven.stored('one', 'a')).toMatchObject({ seen: 2 });
    expect(driven.sides).toEqual([]);
  });

  it('an event that failed is not remembered by its id: repaired, it may come again', async () => {
    const driven = new Driven(BOTH);
    await driven.step([go('a', { id: 'e', fail: true })], 10);
    await driven.step([go('a', { id: 'e' }), go('a', { id: 'e' })], 10);
    expect(driven.stored('one', 'a')).toMatchObject({ seen: 1 });
    expect(driven.counter('duplicates')).toBe(1);
  });

  it('a state that cannot be loaded or made harms nobody else', async () => {
    const broken = defineActor({
      type: 'broken',
      sends: [],
      state: (key): { key: string } => {
        if (key === 'a') throw new Error('no first state');
        return { key };
      },
      store: {
        encode: (state: { key: string }) => {
          if (state.key === 'b') throw new Error('cannot be written');
          return state.key;
        },
        decode: (stored) => ({ key: stored as string }),
      },
      events: { mend: { key: 'key', handle: () => undefined } },
    }) as Behaviour;
    const driven = new Driven([broken, ...BOTH]);
    const mend = (key: string) => ({ type: 'mend', key, ts: 1 });
    await driven.step([go('a'), mend('a'), mend('b'), mend('c'), go('a')], 10);
    expect(letters(driven).map(({ actor, reason, message }) => [actor, reason, message])).toEqual([
      ['broken/a', 'threw', 'no first state'],
      ['broken/b', 'threw', 'cannot be written'],
    ]);
    expect(driven.stored('one', 'a')).toMatchObject({ seen: 2 });
    expect(driven.stored('broken', 'c')).toBe('c');
    expect(driven.stored('broken', 'b')).toBeUndefined();
  });

  it('a handler that kept its context says nothing after its call', async () => {
    const kept: unknown[] = [];
    const waiting = async (ctx: ActorContext): Promise<void> => {
      await Promise.resolve();
      try {
        ctx.count('stolen');
      } catch (error) {
        kept.push(error);
      }
    };
    const keeper = defineActor({
      type: 'keeper',
      sends: [],
      state: () => ({}),
      events: {
        take: {
          key: 'key',
          handle: (_, __, ctx) => waiting(ctx) as unknown as undefined,
        },
      },
    }) as Behaviour;
    const driven = new Driven([keeper]);
    await driven.step([{ type: 'take', key: 'k', ts: 1 }], 2);
    await driven.step([], 3);
    expect(kept).not.toEqual([]);
    expect(driven.counter('stolen')).toBe(0);
    expect(letters(driven)).toMatchObject([{ reason: 'promise', actor: 'keeper/k' }]);
  });

  describe('time', () => {
    it('P8 a call that does not return is broken off, alone; what went before and after it counts', async () => {
      const driven = new Driven(BOTH, { guard });
      await driven.step([go('a'), go('b', { hang: true }), go('a')], 10);
      expect(driven.stored('one', 'a')).toMatchObject({ seen: 2 });
      expect(driven.stored('one', 'b')).toMatchObject({ seen: 0 });
      expect(letters(driven)).toMatchObject([{ reason: 'time', actor: 'one/b', name: 'go' }]);
    });

    it('one that had no processor time is called again, and is no failure when it then returns', async () => {
      const driven = new Driven(BOTH, { guard });
      guard.starvedFor = 3;
      await driven.step([go('b', { hang: 'starved' })], 10);
      expect(guard.starvedFor).toBe(0);
      expect(driven.sides).toEqual([]);
      expect(driven.stored('one', 'b')).toMatchObject({ seen: 1 });
      guard.starvedFor = 100;
      await driven.step([go('b', { hang: 'starved' })], 10);
      expect(letters(driven)).toMatchObject([{ reason: 'time' }]);
      guard.starvedFor = 0;
    });

    it('P8 a step does not wait for each of many: those that follow are not called', async () => {
      const driven = new Driven(BOTH, { guard, poison: { timeLostMaxMs: 600, handlerTimeMaxMs: 200 } });
      const events = Array.from({ length: 50 }, (_, i) => go(`k${i}`, { hang: true }));
      const before = guard.runs;
      await driven.step([...events, { type: 'tell', key: 'x', name: 'fine', ts: 1 }], 10);
      expect(letters(driven)).toHaveLength(50);
      expect(letters(driven).every(({ reason }) => reason === 'time')).toBe(true);
      expect(driven.stored('two', 't')).toMatchObject({ seen: 1 });
      // An activation and a call for each of three, an activation for each of the others.
      expect(guard.runs - before).toBeLessThan(70);
    });

    it('many partitions can be under one watch; what had begun when it was broken off is done, the rest of that one is not', async () => {
      const all = Array.from({ length: 4 }, () => new Driven(BOTH, { guard }));
      const watch = { guard, clock: new VirtualClock(0), limitMs: 1_000 };
      const before = guard.runs;
      const brokenOff = (driven: Driven, error: unknown): void => {
        driven.partition.brokenOff(error);
      };
      underOneWatch(watch, all, {
        brokenOff,
        work: (driven) => {
          driven.accept([go('a')], 10);
          driven.accept([go('a')], 10);
        },
      });
      expect([guard.runs - before, all.map(({ partition }) => partition.inputSeq)]).toEqual([
        1,
        [2, 2, 2, 2],
      ]);
      for (const tookSecond of [1, 2]) {
        const inputs = all.map(({ partition }) => partition.inputSeq);
        underOneWatch(watch, all, {
          brokenOff,
          work: (driven, i) => {
            driven.accept([go('a', i === 1 ? { fail: true } : {}), go('a')], 10);
            driven.accept([go('a')], 10);
          },
        });
        const took = all.map(({ partition }, i) => partition.inputSeq - inputs[i]!);
        // Once its calls can be taken back one by one, nothing is broken off any more.
        expect(took).toEqual([2, tookSecond, 2, 2]);
      }
      for (const driven of all) await driven.commit();
      expect(all.map((driven) => (driven.stored('one', 'a') as Seen).seen)).toEqual([8, 5, 8, 8]);
    });

    it('a watch that has held for long is followed by another: none ends for what others took', () => {
      const all = Array.from({ length: 4 }, () => new Driven(BOTH, { guard }));
      const clock = new VirtualClock(0);
      const before = guard.runs;
      underOneWatch({ guard, clock, limitMs: 1_000 }, all, {
        brokenOff: () => expect.unreachable(),
        work: (driven) => {
          driven.accept([go('a')], 10);
          clock.advance(60);
        },
      });
      expect(guard.runs - before).toBe(2);
    });
  });
});
