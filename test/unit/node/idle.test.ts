/** Hunts actors that leave though they are touched every minute, however many steps that is, and some that never leave. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../../src/core/clock.js';
import { Idle } from '../../../src/node/idle.js';

const IDLE_MS = 180_000;
/** Told apart from 0, which is nobody. */
const BEGUN_AT = 3;

describe('who is idle', () => {
  it('is nobody before the time has passed', () => {
    const clock = new VirtualClock();
    const idle = new Idle(clock, IDLE_MS);
    const partition = { step: BEGUN_AT };
    for (let i = 0; i < IDLE_MS / 1_000; i++, clock.advance(1_000), partition.step += 500)
      expect(idle.since(partition)).toBe(0);
    expect(idle.since(partition)).toBe(BEGUN_AT);
  });

  it('is everybody at once when no time is needed', () => {
    const idle = new Idle(new VirtualClock(), 0);
    expect(idle.since({ step: 7 })).toBe(7);
  });

  it('was not touched for the time, and leaves within an eighth and a look more, however fast steps follow each other', () => {
    const looks = fc.array(
      fc.record({ afterMs: fc.integer({ min: 1, max: 5_000 }), steps: fc.nat(10_000) }),
      {
        minLength: 1,
        maxLength: 300,
      },
    );
    fc.assert(
      fc.property(looks, (all) => {
        const clock = new VirtualClock();
        const idle = new Idle(clock, IDLE_MS);
        const partition = { step: 0 };
        const touched = [{ atMs: 0, step: 0 }];
        for (const { afterMs, steps } of all) {
          clock.advance(afterMs);
          partition.step += steps;
          const since = idle.since(partition);
          const nowMs = clock.monotonic();
          for (const { atMs, step } of touched) {
            if (step < since) expect(nowMs - atMs).toBeGreaterThanOrEqual(IDLE_MS);
            else if (step < partition.step)
              expect(nowMs - atMs).toBeLessThan(IDLE_MS * (1 + 1 / 8) + 2 * 5_000);
          }
          touched.push({ atMs: nowMs, step: partition.step });
        }
      }),
    );
  });

  it('is told of each partition by itself', () => {
    const clock = new VirtualClock();
    const idle = new Idle(clock, IDLE_MS);
    const [one, other] = [{ step: 5 }, { step: 100 }];
    idle.since(one);
    clock.advance(IDLE_MS);
    one.step = 9;
    expect(idle.since(one)).toBe(5);
    expect(idle.since(other)).toBe(0);
  });
});
