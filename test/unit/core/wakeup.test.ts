// Hunts: a wake between the look for work and the sleep that is lost, so that the node sleeps on its input.
import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../../src/core/clock.js';
import { Wakeup } from '../../../src/core/wakeup.js';

/** Whether a promise has resolved, once everything that could resolve it has run. */
async function resolved(promise: Promise<unknown>): Promise<boolean> {
  let done = false;
  promise.then(
    () => (done = true),
    () => undefined,
  );
  await new Promise((resolve) => setImmediate(resolve));
  return done;
}

describe('Wakeup', () => {
  it('a wake since arm is not lost', async () => {
    const wakeup = new Wakeup(new VirtualClock());
    wakeup.arm();
    wakeup.wake();
    expect(await resolved(wakeup.wait(1_000))).toBe(true);
  });

  it('a wake before arm is forgotten', async () => {
    const wakeup = new Wakeup(new VirtualClock());
    wakeup.wake();
    wakeup.arm();
    expect(await resolved(wakeup.wait(1_000))).toBe(false);
  });

  it('a wake ends the wait; so does the time-out, and not before', async () => {
    const clock = new VirtualClock();
    const wakeup = new Wakeup(clock);
    wakeup.arm();
    const woken = wakeup.wait(1_000);
    wakeup.wake();
    expect(await resolved(woken)).toBe(true);
    wakeup.arm();
    const timed = wakeup.wait(1_000);
    clock.advance(999);
    expect(await resolved(timed)).toBe(false);
    clock.advance(1);
    expect(await resolved(timed)).toBe(true);
  });

  it('the time-out of an earlier wait does not end a later one', async () => {
    const clock = new VirtualClock();
    const wakeup = new Wakeup(clock);
    wakeup.arm();
    const first = wakeup.wait(1_000);
    wakeup.wake();
    await first;
    wakeup.arm();
    const second = wakeup.wait(5_000);
    clock.advance(2_000);
    expect(await resolved(second)).toBe(false);
  });
});
