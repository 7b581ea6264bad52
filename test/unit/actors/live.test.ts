// Hunts: a driver who is seen in two cells at once, or still there when gone; counters of the minute before.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { driver } from '../../../actors/driver.js';
import { live, liveShape } from '../../../actors/live.js';
import { rider } from '../../../actors/rider.js';
import { defineActor, type ActorEvent, type Behaviour } from '../../../src/index.js';
import { Driven, MINUTE } from '../partition/driven.js';
import { A, at, B, C, T0 } from './collected.js';

type Status = 'open' | 'enroute' | 'ontrip' | 'offline';
const PRESENCE_S = 120;

const cell = defineActor({
  type: 'cell',
  sends: [],
  state: () => ({}),
  messages: { add: { handle: () => undefined } },
});

/** Drivers, riders and live views in one partition whose mail comes back to it, and what was shown last. */
class Seen {
  readonly driven: Driven;
  readonly #last = new Map<string, Record<string, number>>();

  constructor(tell = true, timersMax = Number.POSITIVE_INFINITY) {
    this.driven = new Driven(
      [
        driver({ presenceMs: PRESENCE_S * 1_000, live: tell }) as Behaviour,
        rider({ allowedLatenessMs: 10 * MINUTE, live: tell }) as Behaviour,
        live() as Behaviour,
        cell as Behaviour,
      ],
      { timersMax },
    );
  }

  async step(events: readonly ActorEvent[], watermarkSeconds: number): Promise<void> {
    this.driven.accept(events, at(watermarkSeconds));
    for (;;) {
      const commit = await this.driven.commit();
      for (const [, names, keys, numbers] of commit?.shown ?? []) {
        keys.forEach((key, k) => {
          const values = Object.fromEntries(names.map((name, i) => [name, numbers[k * names.length + i]!]));
          this.#last.set(key, values);
        });
      }
      const messages = commit?.mail.get(0) ?? [];
      if (messages.length > 0) this.driven.mail({ from: 0, marks: [], messages });
      else if (!this.driven.partition.moreDue) return;
    }
  }

  /** What was shown last of a cell, less what is 0. */
  of(key: string): Record<string, number> {
    return Object.fromEntries(Object.entries(this.#last.get(key) ?? {}).filter(([, value]) => value !== 0));
  }

  present(): Record<string, Record<string, number>> {
    const all: Record<string, Record<string, number>> = {};
    for (const key of this.#last.keys()) {
      const { open, enroute, busy } = { open: 0, enroute: 0, busy: 0, ...this.of(key) };
      if (open + enroute + busy > 0) all[key] = { open, enroute, busy };
    }
    return all;
  }
}

const ping = (seconds: number, status: Status, where = A, driverId = 'd-1'): ActorEvent => ({
  type: 'driver.location',
  ts: at(seconds),
  driverId,
  status,
  cell: where,
});

describe('live', () => {
  it('shows a driver where the newest ping says, whatever came in between', async () => {
    const seen = new Seen();
    await seen.step([ping(1, 'open')], 0);
    expect(seen.of(A)).toEqual({ minute: T0, open: 1 });
    await seen.step([ping(10, 'enroute', B), ping(5, 'open', C)], 0);
    expect(seen.of(A)).toEqual({ minute: T0 });
    expect(seen.of(B)).toEqual({ minute: T0, enroute: 1 });
    expect(seen.of(C)).toEqual({});
    await seen.step([ping(20, 'ontrip', B)], 0);
    expect(seen.of(B)).toEqual({ minute: T0, busy: 1, pickups: 1 });
    await seen.step([ping(30, 'offline', B)], 0);
    expect(seen.of(B)).toEqual({ minute: T0, pickups: 1 });
  });

  it('counters begin anew with the minute, by an event of it or when the one before has ended', async () => {
    const seen = new Seen();
    const requested = (seconds: number, rideId: string): ActorEvent => ({
      type: 'ride.requested',
      ts: at(seconds),
      riderId: 'r',
      rideId,
      cell: A,
    });
    await seen.step([ping(1, 'open'), requested(2, 'a'), requested(3, 'b')], 0);
    expect(seen.of(A)).toEqual({ minute: T0, open: 1, requests: 2 });
    await seen.step([requested(61, 'c')], 50);
    expect(seen.of(A)).toEqual({ minute: T0 + MINUTE, open: 1, requests: 1 });
    await seen.step([], 130);
    expect(seen.of(A)).toEqual({ minute: T0 + 2 * MINUTE, open: 1 });
  });

  it('a driver whose presence has run out is gone, and a cell without anybody is forgotten', async () => {
    const seen = new Seen();
    await seen.step([ping(1, 'open')], 0);
    await seen.step([], PRESENCE_S + 61);
    expect(seen.present()).toEqual({});
    await seen.step([], PRESENCE_S + 200);
    expect(seen.driven.stored('live', A)).toBeUndefined();
    await seen.step([ping(PRESENCE_S + 201, 'open')], PRESENCE_S + 200);
    expect(seen.present()).toEqual({ [A]: { open: 1, enroute: 0, busy: 0 } });
  });

  it('where nobody is told, nothing is shown, and who was shown before is taken out', async () => {
    const seen = new Seen(false);
    await seen.step([ping(1, 'open')], 0);
    expect(seen.present()).toEqual({});
  });

  it('equals the newest ping of each driver, for any order, budget and recoveries', async () => {
    const step = fc.record({
      pings: fc.array(
        fc.record({
          driver: fc.nat(3),
          back: fc.integer({ min: 0, max: 20 }),
          status: fc.constantFrom<Status>('open', 'enroute', 'ontrip', 'offline'),
          where: fc.constantFrom(A, B, C),
        }),
        { maxLength: 6 },
      ),
      recover: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 10 }),
        fc.constantFrom(1, 3, Number.POSITIVE_INFINITY),
        async (steps, timersMax) => {
          const seen = new Seen(true, timersMax);
          const newest = new Map<number, { ts: number; status: Status; where: string }>();
          let watermark = 0;
          for (const [i, { pings, recover }] of steps.entries()) {
            const now = (i + 1) * 40;
            const events = pings.map(({ driver: id, back, status, where }) => {
              const ts = now - back;
              // A ping of a sealed minute is late, and moves nobody.
              const sealed = (Math.floor(ts / 60) + 1) * 60 <= watermark;
              const before = newest.get(id);
              if (!sealed && (before === undefined || ts >= before.ts)) newest.set(id, { ts, status, where });
              return ping(ts, status, where, `d-${id}`);
            });
            watermark = now - 20;
            await seen.step(events, watermark);
            if (recover) seen.driven.recover();
          }
          const expected: Record<string, Record<string, number>> = {};
          const closed = Math.floor(watermark / 60) * 60;
          for (const { ts, status, where } of newest.values()) {
            if (status === 'offline' || (ts + PRESENCE_S <= closed && ts < closed)) continue;
            const there = (expected[where] ??= { open: 0, enroute: 0, busy: 0 });
            there[status === 'ontrip' ? 'busy' : status]! += 1;
          }
          expect(seen.present()).toEqual(expected);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('names what it shows as the API does', () => {
    expect(liveShape.names).toEqual([
      'open',
      'enroute',
      'busy',
      'requests',
      'pickups',
      'dropoffs',
      'cancels',
      'completes',
      'sessions',
    ]);
  });
});
