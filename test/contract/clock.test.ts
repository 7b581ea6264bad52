// Hunts: virtual time that behaves unlike real time, so that what passes in a simulation fails on a machine.
import { describe, expect, it } from 'vitest';
import { sleep, systemClock, VirtualClock, type Clock } from '../../src/core/clock.js';

interface ClockUnderTest {
  readonly clock: Clock;
  /** Lets so much time pass, unless it passes by itself. */
  readonly pass: (ms: number) => void;
}

function clockContract(name: string, make: () => ClockUnderTest): void {
  describe(name, () => {
    it('calls back once, after the delay', async () => {
      const { clock, pass } = make();
      const fromMs = clock.monotonic();
      let calls = 0;
      const called = new Promise<void>((resolve) => {
        clock.after(20, () => {
          calls++;
          resolve();
        });
      });
      expect(calls).toBe(0);
      pass(60);
      await called;
      // A machine's timer may run ahead of its clock by the rounding of a millisecond.
      expect(clock.monotonic() - fromMs).toBeGreaterThanOrEqual(19);
      const later = sleep(clock, 40);
      pass(60);
      await later;
      expect(calls).toBe(1);
    });

    it('a cancelled call never comes; cancelling again, or after the call, is without effect', async () => {
      const { clock, pass } = make();
      const calls: string[] = [];
      const cancel = clock.after(5, () => calls.push('cancelled'));
      const cancelDone = clock.after(1, () => calls.push('done'));
      cancel();
      cancel();
      const later = sleep(clock, 30);
      pass(30);
      await later;
      cancelDone();
      expect(calls).toEqual(['done']);
    });

    it('calls back in order of due time, equal ones in order of asking', async () => {
      const { clock, pass } = make();
      const calls: number[] = [];
      for (const [i, delayMs] of [40, 5, 40, 5].entries()) clock.after(delayMs, () => calls.push(i));
      const last = sleep(clock, 80);
      pass(80);
      await last;
      expect(calls).toEqual([1, 3, 0, 2]);
    });

    it('never calls back within the call that asks, even for no delay or less', async () => {
      const { clock, pass } = make();
      let calls = 0;
      const both = [0, -5].map(
        (delayMs) =>
          new Promise<void>((resolve) => {
            clock.after(delayMs, () => {
              calls++;
              resolve();
            });
          }),
      );
      expect(calls).toBe(0);
      pass(2);
      await Promise.all(both);
      expect(calls).toBe(2);
    });

    it('a call may ask for another', async () => {
      const { clock, pass } = make();
      const second = new Promise<void>((resolve) => {
        clock.after(2, () => clock.after(2, resolve));
      });
      pass(10);
      await second;
    });

    it('monotonic time does not go back', async () => {
      const { clock, pass } = make();
      const seen = [clock.monotonic()];
      for (let i = 0; i < 3; i++) {
        const next = sleep(clock, 2);
        pass(2);
        await next;
        seen.push(clock.monotonic());
      }
      expect(seen).toEqual([...seen].sort((a, b) => a - b));
    });
  });
}

clockContract('systemClock', () => ({ clock: systemClock, pass: () => undefined }));
clockContract('VirtualClock', () => {
  const clock = new VirtualClock(1_000);
  return {
    clock,
    pass: (ms) => {
      clock.advance(ms);
    },
  };
});

describe('VirtualClock', () => {
  it('moves only when it is told, to the millisecond', () => {
    const clock = new VirtualClock(1_000);
    const calls: [string, number][] = [];
    clock.after(10, () => calls.push(['ten', clock.now()]));
    clock.after(5, () => {
      calls.push(['five', clock.now()]);
      clock.after(2, () => calls.push(['seven', clock.now()]));
    });
    clock.advance(9);
    expect([clock.now(), clock.monotonic()]).toEqual([1_009, 1_009]);
    expect(calls).toEqual([
      ['five', 1_005],
      ['seven', 1_007],
    ]);
    clock.advance(1);
    expect(calls.at(-1)).toEqual(['ten', 1_010]);
  });
});
