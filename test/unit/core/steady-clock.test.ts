// Hunts: a clock that is set by an hour and takes the region's time with it; time that stands still, or goes back.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Clock } from '../../../src/core/clock.js';
import type { WallTimeMs } from '../../../src/core/ids.js';
import { SteadyClock } from '../../../src/core/steady-clock.js';

const NOW = 1_700_000_000_000;
const HOUR = 3_600_000;

/** A machine whose wall clock may be set. */
class Machine implements Clock {
  passedMs = 0;
  setMs = NOW;
  now(): WallTimeMs {
    return (this.setMs + this.passedMs) as WallTimeMs;
  }
  monotonic(): number {
    return this.passedMs;
  }
  after(): () => void {
    return () => undefined;
  }
}

function setUp(): { machine: Machine; clock: SteadyClock; pass: (ms: number) => number } {
  const machine = new Machine();
  const clock = new SteadyClock(machine);
  return {
    machine,
    clock,
    pass: (ms) => {
      machine.passedMs += ms;
      return clock.now();
    },
  };
}

describe('SteadyClock', () => {
  it('is the machine’s time as long as nobody sets that', () => {
    const { clock, machine, pass } = setUp();
    expect([clock.now(), pass(10), pass(0), pass(123_456)]).toEqual([NOW, NOW + 10, NOW + 10, NOW + 123_466]);
    expect(clock.skewMs).toBe(0);
    expect(clock.monotonic()).toBe(machine.monotonic());
  });

  it('does not jump when the clock is set an hour ahead, and says how far they are apart', () => {
    const { machine, clock, pass } = setUp();
    machine.setMs += HOUR;
    expect(clock.now()).toBe(NOW);
    expect(clock.skewMs).toBe(HOUR);
    expect(pass(1_000)).toBe(NOW + 2_000);
    // Set right again after five minutes: no further ahead than these, and time goes on.
    pass(299_000);
    machine.setMs -= HOUR;
    expect(clock.now()).toBe(NOW + 600_000);
    expect(clock.skewMs).toBe(-300_000);
    pass(600_000);
    expect(clock.skewMs).toBe(0);
  });

  it('goes on, at half the pace, when the clock is set an hour back: a time-out still ends', () => {
    const { machine, clock, pass } = setUp();
    machine.setMs -= HOUR;
    expect(clock.now()).toBe(NOW);
    expect(pass(60_000)).toBe(NOW + 30_000);
    pass(2 * HOUR);
    expect(clock.skewMs).toBe(0);
  });

  it('property: never goes back, never stands still, never runs more than twice as fast as time, and arrives', () => {
    const step = fc.record({
      passMs: fc.integer({ min: 0, max: 5_000 }),
      setMs: fc.integer({ min: -HOUR, max: HOUR }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 50 }), (steps) => {
        const { machine, clock, pass } = setUp();
        let before = clock.now() as number;
        for (const { passMs, setMs } of steps) {
          machine.setMs += setMs;
          const now = pass(passMs);
          expect(now - before).toBeGreaterThanOrEqual(Math.floor(passMs / 2) - 1);
          expect(now - before).toBeLessThanOrEqual(2 * passMs + 1);
          before = now;
        }
        pass(200 * HOUR);
        expect(Math.abs(clock.skewMs)).toBeLessThanOrEqual(1);
      }),
    );
  });
});
