// Hunts: a handler that never returns and holds up its node; a watch that costs the calls which do.
import { describe, expect, it } from 'vitest';
import { defineActor, type Behaviour } from '../../../src/actor/behaviour.js';
import { systemClock } from '../../../src/core/clock.js';
import { VmGuard } from '../../../src/node/handler-guard.js';
import { underOneWatch } from '../../../src/node/turn-watch.js';
import { HandlerTimeout } from '../../../src/partition/handler-guard.js';
import { Driven } from '../partition/driven.js';

const guard = new VmGuard();
const stuck = defineActor<{ seen: number }>({
  type: 'stuck',
  sends: [],
  state: () => ({ seen: 0 }),
  events: {
    go: {
      key: 'key',
      handle(state, event) {
        state.seen++;
        while (event['endless'] === true);
      },
    },
  },
}) as Behaviour;
const timeout = (what: () => unknown, limitMs = 50): HandlerTimeout => {
  try {
    guard.run(limitMs, what);
  } catch (error) {
    if (error instanceof HandlerTimeout) return error;
    throw error;
  }
  throw new Error('it was not broken off');
};

describe('VmGuard', () => {
  it('gives what the call gives, and throws what it throws', () => {
    expect(guard.run(1_000, () => 42)).toBe(42);
    expect(guard.run(1_000, () => undefined)).toBeUndefined();
    expect(() =>
      guard.run(1_000, () => {
        throw new RangeError('its own');
      }),
    ).toThrow(RangeError);
  });

  it('breaks off an endless loop, one that catches everything too, and no code of it runs any more', () => {
    let ran = '';
    const endless = (): void => {
      try {
        for (;;);
      } catch {
        ran += 'catch';
      } finally {
        ran += 'finally';
      }
    };
    // Others may have the machine while it runs: then it says so, and is asked again.
    let error = timeout(endless);
    for (let tries = 0; error.starved && tries < 20; tries++) error = timeout(endless);
    expect(error).toMatchObject({ code: 'GS_HANDLER_TIME', starved: false });
    expect(ran).toBe('');
    timeout(() => /^(a+)+$/.test(`${'a'.repeat(40)}b`));
  });

  it('can be nested: the inner limit ends the inner call alone', () => {
    const outer = guard.run(2_000, () => {
      const inner = timeout(() => {
        for (;;);
      }, 20);
      return inner.code;
    });
    expect(outer).toBe('GS_HANDLER_TIME');
    expect(guard.run(1_000, () => 'and afterwards')).toBe('and afterwards');
  });

  it('tells when it was the process that had no time, not the call', () => {
    const stop = new Int32Array(new SharedArrayBuffer(4));
    // Waits without doing anything, as a process does that is stopped.
    const error = timeout(() => Atomics.wait(stop, 0, 0, 300), 50);
    expect(error.starved).toBe(true);
  });

  it('P8 a partition whose handler never returns goes on without that call', async () => {
    const poison = { operationTimeMaxMs: 1_500, handlerTimeMaxMs: 500 };
    const driven = new Driven([stuck], { guard, poison });
    const go = (key: string, endless = false) => ({ type: 'go', key, ts: 1, endless });
    await driven.step([go('a'), go('b', true), go('a')], 2);
    await driven.step([go('b'), go('a')], 3);
    expect([driven.stored('stuck', 'a'), driven.stored('stuck', 'b')]).toEqual([{ seen: 3 }, { seen: 1 }]);
    expect(driven.sides).toMatchObject([{ kind: 'dead', body: { reason: 'time', actor: 'stuck/b' } }]);
  });

  it('P8 of many partitions under one watch the one whose handler never returns goes on too, and the others notice nothing', async () => {
    const poison = { operationTimeMaxMs: 1_500, handlerTimeMaxMs: 500 };
    const all = Array.from({ length: 3 }, () => new Driven([stuck], { guard, poison }));
    const go = (key: string, endless = false) => ({ type: 'go', key, ts: 1, endless });
    const broken: number[] = [];
    underOneWatch({ guard, clock: systemClock, limitMs: 1_500 }, all, {
      work(driven, i) {
        driven.accept([go('a'), go('b', i === 1), go('a')], 2);
      },
      brokenOff(driven, error) {
        broken.push(all.indexOf(driven));
        driven.partition.brokenOff(error);
      },
    });
    for (const driven of all) await driven.commit();
    expect(all.map((driven) => driven.stored('stuck', 'a'))).toEqual([{ seen: 2 }, { seen: 2 }, { seen: 2 }]);
    expect(all.map((driven) => driven.stored('stuck', 'b'))).toEqual([{ seen: 1 }, { seen: 0 }, { seen: 1 }]);
    expect(broken).toContain(1);
    expect(all[1]!.sides).toMatchObject([{ kind: 'dead', body: { reason: 'time', actor: 'stuck/b' } }]);
  });
});
