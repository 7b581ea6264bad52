// Hunts: seconds counted twice, or in the wrong cell, where a ping, a minute or the presence ends; a driver counted twice above the cell.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cellOf } from '../../../actors/cell-code.js';
import { carryDistinct, driver } from '../../../actors/driver.js';
import type { ActorEvent, Behaviour } from '../../../src/index.js';
import { A, at, B, C, Collected, D } from './collected.js';

const PRESENCE_S = 300;
type Status = 'open' | 'enroute' | 'ontrip' | 'offline';
const ping = (seconds: number, status: Status, cell = A, driverId = 'd-1'): ActorEvent => ({
  type: 'driver.location',
  ts: at(seconds),
  driverId,
  status,
  cell,
});
const fresh = (presenceS = PRESENCE_S): Collected =>
  new Collected(driver({ presenceMs: presenceS * 1_000, live: false }) as Behaviour);

describe('driver: the step function', () => {
  it('a ping holds until the next one; seconds go to the cell and status of the ping that holds', async () => {
    const told = fresh();
    await told.step([ping(10, 'open'), ping(25, 'enroute'), ping(40, 'ontrip', B)], 60);
    expect(told.counts('open_ms', 'enroute_ms', 'busy_ms')).toEqual({
      [`${A} 0`]: { open_ms: 15_000, enroute_ms: 15_000 },
      [`${B} 0`]: { busy_ms: 20_000 },
    });
  });

  it('it holds over minutes, and ends with the presence', async () => {
    const told = fresh(100);
    await told.step([ping(10, 'open')], 600);
    expect(told.counts('open_ms', 'open_end')).toEqual({
      [`${A} 0`]: { open_ms: 50_000, open_end: 1 },
      [`${A} 1`]: { open_ms: 50_000 },
    });
  });

  it('presence that ends with the minute counts as open at its end; one millisecond less does not', async () => {
    for (const [presenceS, openEnd] of [
      [50, 1],
      [49.999, 0],
    ] as const) {
      const told = fresh(presenceS);
      await told.step([ping(10, 'open')], 600);
      expect(told.sum('open_end', 0)).toBe(openEnd);
      expect(told.sum('open_ms', 0)).toBe(presenceS * 1_000);
    }
  });

  it('after a silence longer than the presence only the presence counts', async () => {
    const told = fresh(30);
    await told.step([ping(0, 'open'), ping(50, 'open', B)], 120);
    expect(told.counts('open_ms')).toEqual({
      [`${A} 0`]: { open_ms: 30_000 },
      [`${B} 0`]: { open_ms: 10_000 },
      [`${B} 1`]: { open_ms: 20_000 },
    });
  });

  it('offline ends what was held, and counts nowhere', async () => {
    const told = fresh();
    await told.step([ping(10, 'open'), ping(20, 'offline', B)], 600);
    expect(told.counts()).toEqual({ [`${A} 0`]: { open_ms: 10_000 } });
    expect(told.counts('drivers_cell')).toEqual({ [`${A} 0`]: { drivers_cell: 1 } });
  });

  it('open_end counts who is open at the last millisecond, in the cell where he is then', async () => {
    const told = fresh();
    await told.step([ping(0, 'open', A, 'x'), ping(59.999, 'open', B, 'x'), ping(0, 'enroute', A, 'y')], 60);
    expect(told.counts('open_end')).toEqual({ [`${B} 0`]: { open_end: 1 } });
  });

  it('nothing is told before the minute is over', async () => {
    const told = fresh();
    await told.step([ping(10, 'open')], 59.999);
    expect(told.messages).toBe(0);
    await told.step([], 60);
    expect(told.messages).toBe(1);
  });

  it('a cell is told once a minute, however many pings', async () => {
    const told = fresh();
    await told.step(
      Array.from({ length: 30 }, (_, i) => ping(i * 2, i % 2 ? 'open' : 'ontrip')),
      60,
    );
    expect(told.messages).toBe(1);
  });

  it('the time of a driver adds up: to what the pings and the presence cover, in whatever order they come', async () => {
    const list = fc.uniqueArray(
      fc.record({
        second: fc.integer({ min: 0, max: 400 }),
        status: fc.constantFrom<Status[]>('open', 'enroute', 'ontrip', 'offline'),
        cell: fc.constantFrom(A, B, C, D),
      }),
      { selector: ({ second }) => second, maxLength: 12 },
    );
    const shuffled = list.chain((pings) =>
      fc.tuple(fc.constant(pings), fc.shuffledSubarray(pings, { minLength: pings.length })),
    );
    await fc.assert(
      fc.asyncProperty(shuffled, fc.integer({ min: 1, max: 200 }), async ([pings, order], presenceS) => {
        const told = fresh(presenceS);
        await told.step(
          order.map(({ second, status, cell }) => ping(second, status, cell)),
          1_000,
        );
        const sorted = [...pings].sort((a, b) => a.second - b.second);
        const expected = { open: 0, enroute: 0, ontrip: 0, offline: 0 };
        sorted.forEach(({ second, status }, i) => {
          const until = Math.min(sorted[i + 1]?.second ?? Number.POSITIVE_INFINITY, second + presenceS);
          expected[status] += (until - second) * 1_000;
        });
        const sum = (name: 'open_ms' | 'enroute_ms' | 'busy_ms'): number =>
          Array.from({ length: 17 }, (_, minute) => told.sum(name, minute)).reduce((a, b) => a + b);
        expect([sum('open_ms'), sum('enroute_ms'), sum('busy_ms')]).toEqual([
          expected.open,
          expected.enroute,
          expected.ontrip,
        ]);
        for (let minute = 0; minute < 17; minute++) {
          const present = ['open_ms', 'enroute_ms', 'busy_ms'] as const;
          const any = present.some((name) => told.sum(name, minute) > 0) ? 1 : 0;
          expect(told.sum('drivers_region', minute)).toBe(any);
          expect(told.sum('open_end', minute)).toBeLessThanOrEqual(1);
        }
      }),
      { numRuns: 150 },
    );
  });
});

describe('driver: pickups and dropoffs', () => {
  it('a pickup is anything to ontrip, a dropoff is ontrip to open, in the cell and minute of the later ping', async () => {
    const told = fresh();
    const pings = [
      ping(0, 'open'),
      ping(10, 'ontrip', B),
      ping(20, 'ontrip', C),
      ping(70, 'open', D),
      ping(80, 'enroute'),
      ping(90, 'ontrip'),
    ];
    await told.step(pings, 120);
    expect(told.counts('pickups', 'dropoffs')).toEqual({
      [`${B} 0`]: { pickups: 1 },
      [`${D} 1`]: { dropoffs: 1 },
      [`${A} 1`]: { pickups: 1 },
    });
  });

  it('ontrip to enroute or offline is no dropoff; offline to ontrip is a pickup', async () => {
    const told = fresh();
    await told.step(
      [ping(0, 'ontrip'), ping(1, 'enroute'), ping(2, 'offline'), ping(3, 'ontrip'), ping(4, 'offline')],
      60,
    );
    expect(told.counts('pickups', 'dropoffs')).toEqual({ [`${A} 0`]: { pickups: 1 } });
  });

  it('the first ping of a driver counts as neither', async () => {
    const told = fresh();
    await told.step([ping(0, 'ontrip', A, 'x'), ping(0, 'open', A, 'y')], 60);
    expect(told.counts('pickups', 'dropoffs')).toEqual({});
  });

  it('the status before a long silence still counts for the next ping', async () => {
    const told = fresh(10);
    await told.step([ping(0, 'ontrip')], 600);
    await told.step([ping(610, 'open', B)], 660);
    expect(told.counts('pickups', 'dropoffs')).toEqual({ [`${B} 10`]: { dropoffs: 1 } });
  });

  it('pings of one time count in the order of their arrival, and take no time', async () => {
    const told = fresh();
    await told.step([ping(10, 'open'), ping(20, 'ontrip'), ping(20, 'open')], 60);
    expect(told.counts()).toEqual({
      [`${A} 0`]: { open_ms: 50_000, open_end: 1, pickups: 1, dropoffs: 1 },
    });
  });
});

describe('driver: late pings', () => {
  it('a ping of a sealed minute is late data, and changes nothing', async () => {
    const told = fresh();
    await told.step([ping(10, 'open')], 60);
    const before = told.counts();
    await told.step([ping(30, 'ontrip')], 60);
    expect(told.counts()).toEqual(before);
    expect(told.driven.sides).toMatchObject([
      { kind: 'late', type: 'driver.location', body: { ts: at(30) } },
    ]);
    await told.step([], 120);
    expect(told.counts('open_ms')).toEqual({
      [`${A} 0`]: { open_ms: 50_000 },
      [`${A} 1`]: { open_ms: 60_000 },
    });
  });

  it('P7 one of a minute that is still open takes its place, though the watermark has passed its time', async () => {
    const told = fresh();
    await told.step([ping(0, 'open'), ping(40, 'open')], 50);
    await told.step([ping(20, 'ontrip', B)], 60);
    expect(told.counts('open_ms', 'busy_ms')).toEqual({
      [`${A} 0`]: { open_ms: 40_000 },
      [`${B} 0`]: { busy_ms: 20_000 },
    });
  });

  it('one among pings that said the same, long ago, is late data, for only the first and the last of them are known', async () => {
    const told = fresh();
    const often = Array.from({ length: 64 }, (_, i) => ping(i / 2, 'open'));
    // Each with the watermark five seconds behind it, as they come.
    for (const one of often) await told.step([one], (one.ts - at(0)) / 1_000 - 5);
    await told.step([ping(8.25, 'ontrip', B)], 27);
    expect(told.driven.sides).toMatchObject([
      { kind: 'late', type: 'driver.location', body: { ts: at(8.25) } },
    ]);
    await told.step([ping(30.25, 'ontrip', B)], 60);
    expect(told.counts('open_ms', 'busy_ms')).toEqual({
      [`${A} 0`]: { open_ms: 59_750 },
      [`${B} 0`]: { busy_ms: 250 },
    });
  });

  it('P5 what it holds outlives a recovery', async () => {
    const told = fresh();
    await told.step([ping(10, 'ontrip'), ping(70, 'open', B)], 60);
    told.driven.recover();
    await told.step([], 120);
    expect(told.counts('busy_ms', 'open_ms', 'dropoffs')).toEqual({
      [`${A} 0`]: { busy_ms: 50_000 },
      [`${A} 1`]: { busy_ms: 10_000 },
      [`${B} 1`]: { open_ms: 50_000, dropoffs: 1 },
    });
  });
});

describe('carryDistinct', () => {
  it('P7 at every level each area that was touched counts one, whatever cells and order', () => {
    const cells = fc.uniqueArray(
      fc.array(fc.constantFrom('9', 'q'), { minLength: 6, maxLength: 6 }).map((chars) => chars.join('')),
    );
    fc.assert(
      fc.property(cells, fc.boolean(), (touched, asNumbers) => {
        const counts = new Map<string, number>();
        carryDistinct(asNumbers ? touched.map(cellOf) : touched, [10, 11, 12, 13], (at, counter) => {
          const area = touched[at]!.slice(0, [6, 5, 4, 0][counter - 10]);
          counts.set(`${counter} ${area}`, (counts.get(`${counter} ${area}`) ?? 0) + 1);
        });
        const expected = new Set(
          touched.flatMap((cell) => [
            `10 ${cell}`,
            `11 ${cell.slice(0, 5)}`,
            `12 ${cell.slice(0, 4)}`,
            '13 ',
          ]),
        );
        expect(counts).toEqual(new Map([...expected].map((area) => [area, 1])));
      }),
    );
  });
});
