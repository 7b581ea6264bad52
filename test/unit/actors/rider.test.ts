// Hunts: a ride counted in a phase it never had; a late event that leaves the rows as they were, or counts twice.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { rider } from '../../../actors/rider.js';
import { quantile, type ActorEvent, type Behaviour } from '../../../src/index.js';
import { A, at, B, C, Collected, D } from './collected.js';

const LATENESS_S = 600;
const fresh = (): Collected =>
  new Collected(rider({ allowedLatenessMs: LATENESS_S * 1_000, live: false }) as Behaviour);
type Phase = 'requested' | 'accepted' | 'cancelled' | 'picked_up' | 'completed';
const ride = (phase: Phase, seconds: number, cell?: string, rideId = 'r-1', riderId = 'u-1'): ActorEvent => ({
  type: `ride.${phase}`,
  ts: at(seconds),
  rideId,
  riderId,
  ...(cell === undefined ? {} : { cell }),
});
const session = (seconds: number, cell: string): ActorEvent => ({
  type: 'session.opened',
  ts: at(seconds),
  riderId: 'u-1',
  cell,
});
const dead = (told: Collected): unknown[] =>
  told.driven.sides.map(({ kind, type, body }) => [kind, type, (body as { reason: string }).reason]);

describe('rider: the life of a ride', () => {
  it('each event counts in its own cell and minute; the wait is from the request to the pick-up', async () => {
    const told = fresh();
    const events = [
      session(0, D),
      ride('requested', 10, A),
      ride('accepted', 20, A),
      ride('picked_up', 100, B),
      ride('completed', 200, C),
    ];
    await told.step(events, 300);
    expect(told.counts()).toEqual({
      [`${D} 0`]: { sessions: 1 },
      [`${A} 0`]: { requests: 1 },
      [`${B} 1`]: { waits: 1, wait_ms: 90_000 },
      [`${C} 3`]: { completes: 1 },
    });
    expect(quantile([...told.sketch(B, 1)], 0.5)! / 90_000).toBeCloseTo(1, 1);
    expect(dead(told)).toEqual([]);
  });

  it('an event without a position counts where the ride was last seen', async () => {
    const told = fresh();
    await told.step([ride('requested', 10, A), ride('accepted', 20, B), ride('cancelled', 30)], 60);
    expect(told.counts('cancels', 'requests')).toEqual({
      [`${A} 0`]: { requests: 1 },
      [`${B} 0`]: { cancels: 1 },
    });
  });

  it('a ride may be cancelled before and after it was accepted, and not once the rider is in the car', async () => {
    const told = fresh();
    await told.step(
      [
        ride('requested', 1, A, 'r-1'),
        ride('cancelled', 2, A, 'r-1'),
        ride('requested', 3, A, 'r-2'),
        ride('accepted', 4, A, 'r-2'),
        ride('cancelled', 5, A, 'r-2'),
        ride('requested', 6, A, 'r-3'),
        ride('accepted', 7, A, 'r-3'),
        ride('picked_up', 8, A, 'r-3'),
        ride('cancelled', 9, A, 'r-3'),
      ],
      60,
    );
    expect(told.sum('cancels', 0)).toBe(2);
    expect(dead(told)).toEqual([['dead', 'ride.cancelled', 'impossible_transition']]);
  });

  it.each<[string, Phase[], Phase]>([
    ['accepted without a request', [], 'accepted'],
    ['requested twice', ['requested'], 'requested'],
    ['picked up before it was accepted', ['requested'], 'picked_up'],
    ['completed before the pick-up', ['requested', 'accepted'], 'completed'],
    ['accepted twice', ['requested', 'accepted'], 'accepted'],
    ['completed twice', ['requested', 'accepted', 'picked_up', 'completed'], 'completed'],
    ['cancelled after the end', ['requested', 'accepted', 'picked_up', 'completed'], 'cancelled'],
    ['accepted after the cancel', ['requested', 'cancelled'], 'accepted'],
  ])('P8 a ride %s is a dead letter, once, and counts nowhere', async (_, before, impossible) => {
    const plain = fresh();
    await plain.step(
      before.map((phase, i) => ride(phase, i + 1, A)),
      60,
    );
    const told = fresh();
    await told.step([...before.map((phase, i) => ride(phase, i + 1, A)), ride(impossible, 30, B)], 60);
    await told.step([], 300);
    expect(told.counts()).toEqual(plain.counts());
    expect(dead(told)).toEqual([['dead', `ride.${impossible}`, 'impossible_transition']]);
    expect(told.driven.counter('dead.impossible_transition')).toBe(1);
  });

  it('events of one time are taken in the order that a ride can have, whatever order they came in', async () => {
    const events = (['requested', 'accepted', 'picked_up', 'completed'] as const).map((phase) =>
      ride(phase, 10, A),
    );
    await fc.assert(
      fc.asyncProperty(fc.shuffledSubarray(events, { minLength: 4 }), async (order) => {
        const told = fresh();
        await told.step(order, 60);
        expect(told.counts()).toEqual({ [`${A} 0`]: { requests: 1, completes: 1, waits: 1 } });
        expect(dead(told)).toEqual([]);
      }),
    );
  });

  it('a rider who requests in several cells is one at every level above them', async () => {
    const told = fresh();
    const cells = [A, B, A, C, D];
    await told.step(
      cells.map((cell, i) => ride('requested', i, cell, `r-${i}`)),
      60,
    );
    expect(told.counts('riders_cell', 'requests')).toEqual({
      [`${A} 0`]: { riders_cell: 1, requests: 2 },
      [`${B} 0`]: { riders_cell: 1, requests: 1 },
      [`${C} 0`]: { riders_cell: 1, requests: 1 },
      [`${D} 0`]: { riders_cell: 1, requests: 1 },
    });
    expect(told.sum('riders_gh5', 0, A.slice(0, 5))).toBe(1);
    expect(told.sum('riders_gh4', 0, A.slice(0, 4))).toBe(1);
    expect(told.sum('riders_region', 0)).toBe(1);
  });
});

describe('rider: late events', () => {
  it('within the lateness only the difference is sent', async () => {
    const told = fresh();
    await told.step([ride('requested', 10, A), ride('accepted', 70, A), ride('picked_up', 130, B)], 300);
    const { messages } = told;
    await told.step([session(20, C)], 300);
    expect(told.counts()[`${C} 0`]).toEqual({ sessions: 1 });
    expect(told.messages).toBe(messages + 1);
    expect(told.driven.counter('late_accepted')).toBe(1);
  });

  it('a late event makes possible what was refused, and the letter is no longer counted as dead', async () => {
    const told = fresh();
    await told.step([ride('requested', 10, A), ride('picked_up', 130, B)], 300);
    expect(told.counts()).toEqual({ [`${A} 0`]: { requests: 1 } });
    expect(told.driven.counter('dead.impossible_transition')).toBe(1);
    await told.step([ride('accepted', 70, A)], 300);
    expect(told.counts()).toEqual({
      [`${A} 0`]: { requests: 1 },
      [`${B} 2`]: { waits: 1, wait_ms: 120_000 },
    });
    expect(told.driven.counter('dead.impossible_transition')).toBe(0);
  });

  it('a late event takes back what it makes impossible', async () => {
    const told = fresh();
    await told.step([ride('requested', 10, A), ride('accepted', 70, A), ride('picked_up', 130, B)], 300);
    await told.step([ride('cancelled', 75, C)], 300);
    expect(told.counts()).toEqual({ [`${A} 0`]: { requests: 1 }, [`${C} 1`]: { cancels: 1 } });
    expect(told.sketch(B, 2)).toEqual([]);
    expect(dead(told)).toEqual([['dead', 'ride.picked_up', 'impossible_transition']]);
  });

  it('the last minute within the lateness is taken, the one before it is late data', async () => {
    const told = fresh();
    // Minute 0 ends at 60: it can be corrected while the watermark is below 660.
    await told.step([], 659.999);
    await told.step([session(59, A)], 659.999);
    await told.step([], 660);
    await told.step([session(59, B)], 660);
    expect(told.counts()).toEqual({ [`${A} 0`]: { sessions: 1 } });
    expect(told.driven.sides).toMatchObject([{ kind: 'late', type: 'session.opened', body: { cell: B } }]);
    expect(told.driven.counter('late')).toBe(1);
  });

  it('events that nothing can come before any more leave the log; the rides they opened stay', async () => {
    const told = fresh();
    await told.step([ride('requested', 10, A), ride('accepted', 20, A)], 60);
    await told.step([ride('picked_up', 3_000, B)], 3_100);
    const [rides, log] = told.driven.stored('rider', 'u-1') as [unknown[], unknown[]];
    expect([rides.length, log.length]).toEqual([1, 1]);
    expect(told.counts()[`${B} 50`]).toEqual({ waits: 1, wait_ms: 2_990_000 });
  });

  it('P7 whether a ride of more than a day is over does not depend on the steps in which time passed', async () => {
    const hour = 3_600;
    const events = [
      ride('requested', 10, A),
      ride('accepted', 20, A),
      ride('picked_up', 30, A),
      session(24.5 * hour, B),
      ride('completed', 25 * hour, C),
    ];
    const slowly = fresh();
    for (const event of events) await slowly.step([event], (event.ts - at(0)) / 1_000 + 61);
    await slowly.step([], 30 * hour);
    const atOnce = fresh();
    await atOnce.step(events, 0);
    await atOnce.step([], 30 * hour);
    expect(atOnce.counts()).toEqual(slowly.counts());
  });

  it('P7 what the cells know in the end is a function of the events, for any arrival within the lateness, and any crash', async () => {
    const event = fc.record({
      second: fc.integer({ min: 0, max: 400 }),
      phase: fc.constantFrom<Phase[]>('requested', 'accepted', 'picked_up', 'completed', 'cancelled'),
      ride: fc.constantFrom('r-1', 'r-2'),
      cell: fc.constantFrom(A, B, C),
    });
    // One event at a time of its own: of equal ones the order of arrival may decide.
    const events = fc.uniqueArray(event, { selector: ({ second }) => second, maxLength: 14 });
    const arrival = events.chain((list) =>
      fc.tuple(
        fc.constant(list),
        fc.shuffledSubarray(list, { minLength: list.length }),
        fc.array(fc.record({ size: fc.nat(4), watermark: fc.nat(600), crash: fc.boolean() }), {
          maxLength: 8,
        }),
      ),
    );
    await fc.assert(
      fc.asyncProperty(arrival, async ([list, order, steps]) => {
        const make = (each: (typeof list)[number]): ActorEvent =>
          ride(each.phase, each.second, each.cell, each.ride);
        const inOrder = fresh();
        await inOrder.step([...list].sort((a, b) => a.second - b.second).map(make), 1_200);
        const told = fresh();
        const left = order.map(make);
        let watermark = 0;
        for (const { size, watermark: to, crash } of steps) {
          watermark = Math.max(watermark, to);
          await told.step(left.splice(0, size), watermark);
          if (crash) told.driven.recover();
        }
        await told.step(left, watermark);
        await told.step([], 1_200);
        expect(told.counts(...ALL)).toEqual(inOrder.counts(...ALL));
        const refused = (each: Collected): number => each.driven.counter('dead.impossible_transition');
        expect(refused(told)).toBe(refused(inOrder));
      }),
      { numRuns: 200 },
    );
  });
});

const ALL = ['requests', 'cancels', 'completes', 'waits', 'wait_ms', 'riders_cell'] as const;
