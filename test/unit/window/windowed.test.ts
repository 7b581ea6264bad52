// Hunts: a window that closes twice, never, or without a pane it holds; a late correction that misses one of the windows.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { defineActor, type ActorEvent, type Behaviour } from '../../../src/actor/behaviour.js';
import { Panes } from '../../../src/window/panes.js';
import type { Repeats } from '../../../src/actor/row.js';
import { windowed, type ClosedWindow } from '../../../src/window/windowed.js';
import { addTally, type Tally } from '../../../src/window/tally.js';
import { Driven, MINUTE } from '../partition/driven.js';

const LATENESS = 2 * MINUTE;
const sizes = [MINUTE, 3 * MINUTE];

/** Sends one count to its cell for the minute of the event, early or late. */
const source = defineActor<unknown>({
  type: 'source',
  sends: ['cell'],
  state: () => ({}),
  events: {
    count: {
      key: 'cell',
      handle(_, event, ctx) {
        const startMs = Math.floor(event.ts / MINUTE) * MINUTE;
        ctx.send('cell', event['cell'] as string, 'add', startMs, { n: [(event['by'] as number) ?? 1] });
      },
    },
  },
});

/** Rows as the tests read them: [length in minutes, end in minutes, revision, count]. */
type Told = [size: number, end: number, rev: number, value: number];

function counting(told: Told[], panes: [number, number, boolean][] = [], latenessMs = LATENESS): Behaviour[] {
  const cell = windowed({
    type: 'cell',
    sends: [],
    paneMs: MINUTE,
    windowsMs: sizes,
    allowedLatenessMs: latenessMs,
    onPane: (_, startMs, tally, late) => panes.push([startMs / MINUTE, tally.n[0] ?? 0, late]),
    onClose: (_, closed) => {
      for (const { sizeMs, endMs, rev, tally } of closed)
        told.push([sizeMs / MINUTE, endMs / MINUTE, rev, tally.n[0] ?? 0]);
    },
  });
  return [source, cell];
}
const at = (minute: number, by = 1): ActorEvent => ({
  type: 'count',
  ts: minute * MINUTE + 1,
  cell: 'a',
  by,
});

describe('windowed: closing', () => {
  it('a window closes once, with all of its panes, when the watermark has passed its end', async () => {
    const told: Told[] = [];
    const driven = new Driven(counting(told));
    await driven.step([at(10), at(10), at(11)], 11 * MINUTE - 1);
    expect(told).toEqual([]);
    await driven.step([], 11 * MINUTE);
    expect(told).toEqual([
      [1, 11, 0, 2],
      [3, 11, 0, 2],
    ]);
    await driven.step([], 12 * MINUTE);
    expect(told.slice(2)).toEqual([
      [1, 12, 0, 1],
      [3, 12, 0, 3],
    ]);
  });

  it('longer windows slide by one pane, until no pane is in them', async () => {
    const told: Told[] = [];
    const driven = new Driven(counting(told));
    await driven.step([at(10)], 30 * MINUTE);
    expect(told).toEqual([
      [1, 11, 0, 1],
      [3, 11, 0, 1],
      [3, 12, 0, 1],
      [3, 13, 0, 1],
    ]);
  });

  it('after a gap it goes on with the next pane, with nothing of the old ones', async () => {
    const told: Told[] = [];
    const driven = new Driven(counting(told));
    await driven.step([at(10), at(40, 5)], 60 * MINUTE);
    expect(told.filter(([, end]) => end > 14)).toEqual([
      [1, 41, 0, 5],
      [3, 41, 0, 5],
      [3, 42, 0, 5],
      [3, 43, 0, 5],
    ]);
  });

  it('nothing is said of a window in which all came to zero', async () => {
    const told: Told[] = [];
    const panes: [number, number, boolean][] = [];
    const driven = new Driven(counting(told, panes));
    await driven.step([at(10, 3), at(10, -3)], 20 * MINUTE);
    expect([told, panes]).toEqual([[], []]);
  });

  it('each pane is passed upward once, when it closes', async () => {
    const panes: [number, number, boolean][] = [];
    const driven = new Driven(counting([], panes));
    await driven.step([at(10), at(10)], 11 * MINUTE);
    await driven.step([at(11)], 20 * MINUTE);
    expect(panes).toEqual([
      [10, 2, false],
      [11, 1, false],
    ]);
  });

  it('keeps panes for the longest window and the lateness, and not for longer', async () => {
    const driven = new Driven(counting([]));
    for (let minute = 0; minute < 100; minute++) await driven.step([at(minute)], (minute + 1) * MINUTE);
    const panes = Panes.from(driven.stored('cell', 'a') as Uint8Array, MINUTE);
    expect(panes.list().map(([startMs]) => startMs / MINUTE)).toEqual([95, 96, 97, 98, 99]);
  });
});

describe('windowed: while nothing changes', () => {
  const step = fc.record({
    minutes: fc.array(
      fc.record({ early: fc.integer({ min: -2, max: 6 }), by: fc.integer({ min: -1, max: 2 }) }),
      {
        maxLength: 4,
      },
    ),
    passes: fc.oneof(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 4, max: 90 })),
    recover: fc.boolean(),
  });
  const windowsMs = [1, 2, 5, 15].map((minutes) => minutes * MINUTE);

  function telling(told: Told[], calls: { count: number }, quiet: boolean): Behaviour[] {
    const tell = (closed: readonly ClosedWindow[], times = 0): void => {
      calls.count++;
      for (const { sizeMs, endMs, rev, tally, lastPane } of closed)
        for (let i = 0; i <= times; i++)
          told.push([sizeMs / MINUTE, endMs / MINUTE + i, rev, 10 * (tally.n[0] ?? 0) + (lastPane ? 1 : 0)]);
    };
    const cell = windowed({
      ...{ type: 'cell', sends: [], paneMs: MINUTE, windowsMs, allowedLatenessMs: LATENESS },
      onClose: (_, closed) => tell(closed),
      ...(quiet
        ? {
            onQuiet: (_: unknown, closed: readonly ClosedWindow[], { times, everyMs }: Repeats) => {
              expect(everyMs).toBe(MINUTE);
              tell(closed, times);
            },
          }
        : {}),
    });
    return [source, cell];
  }

  it('P7 property: onQuiet and its repeats say what onClose would say each minute, in fewer calls', async () => {
    const calls = [{ count: 0 }, { count: 0 }] as const;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        const told: [Told[], Told[]] = [[], []];
        const both = [
          new Driven(telling(told[0], calls[0], true)),
          new Driven(telling(told[1], calls[1], false)),
        ];
        let minute = 10;
        for (const { minutes, passes, recover } of steps) {
          const events = minutes.map(({ early, by }) => at(minute + early, by));
          minute += passes;
          for (const driven of both) await driven.step(events, minute * MINUTE);
          if (recover) for (const driven of both) driven.recover();
        }
        for (const driven of both) await driven.step([], (minute + 40) * MINUTE);
        expect(told[0].map(String).sort()).toEqual(told[1].map(String).sort());
      }),
      { numRuns: 150 },
    );
    expect(calls[0].count).toBeLessThan(0.7 * calls[1].count);
  });
});

describe('windowed: late data', () => {
  it('corrects every closed window that holds the pane, with the next revision, and says the pane is late', async () => {
    const told: Told[] = [];
    const panes: [number, number, boolean][] = [];
    const driven = new Driven(counting(told, panes));
    await driven.step([at(10)], 12 * MINUTE);
    told.length = 0;
    await driven.step([at(10, 4)], 12 * MINUTE);
    expect(told).toEqual([
      [1, 11, 1, 5],
      [3, 11, 1, 5],
      [3, 12, 1, 5],
    ]);
    await driven.step([at(10, 2)], 12 * MINUTE);
    expect(told.slice(3)).toEqual([
      [1, 11, 2, 7],
      [3, 11, 2, 7],
      [3, 12, 2, 7],
    ]);
    expect(panes.slice(1)).toEqual([
      [10, 4, true],
      [10, 2, true],
    ]);
  });

  it('windows that are still open close with the late pane in them', async () => {
    const told: Told[] = [];
    const driven = new Driven(counting(told));
    await driven.step([at(10)], 12 * MINUTE);
    await driven.step([at(10, 4)], 12 * MINUTE);
    told.length = 0;
    await driven.step([], 20 * MINUTE);
    expect(told).toEqual([[3, 13, 0, 5]]);
  });

  it('a cell that had nothing in the minute makes its first row by late data', async () => {
    const told: Told[] = [];
    const driven = new Driven(counting(told));
    await driven.step([], 12 * MINUTE);
    await driven.step([at(10, 4)], 12 * MINUTE);
    await driven.step([], 20 * MINUTE);
    expect(told).toEqual([
      [1, 11, 1, 4],
      [3, 11, 1, 4],
      [3, 12, 1, 4],
      [3, 13, 0, 4],
    ]);
  });

  it('several late pieces of one step make one correction', async () => {
    const told: Told[] = [];
    const driven = new Driven(counting(told));
    await driven.step([at(10), at(11)], 12 * MINUTE);
    told.length = 0;
    await driven.step([at(10, 4), at(11, 1), at(10, 1)], 12 * MINUTE);
    expect(told).toEqual([
      [1, 11, 1, 6],
      [3, 11, 1, 6],
      [3, 12, 1, 8],
      [1, 12, 1, 2],
    ]);
  });

  it('a window that has not closed yet is not corrected: revision 0 is always the first', async () => {
    const told: Told[] = [];
    const driven = new Driven(counting(told));
    await driven.step([at(10)], 11 * MINUTE);
    told.length = 0;
    // The late event and a later watermark come in one step.
    await driven.step([at(10, 4)], 20 * MINUTE);
    expect(told).toEqual([
      [1, 11, 1, 5],
      [3, 11, 1, 5],
      [3, 12, 0, 5],
      [3, 13, 0, 5],
    ]);
  });

  it.each([0, 0.5, 1, 1.5, 2])(
    'a correction has all panes of its window, with a lateness of %d panes',
    async (panes) => {
      const told: Told[] = [];
      const driven = new Driven(counting(told, [], panes * MINUTE));
      for (let minute = 5; minute < 13; minute++) await driven.step([at(minute)], (minute + 1) * MINUTE);
      told.length = 0;
      for (const minute of [9, 10, 11, 12]) await driven.step([at(minute, 0)], 13 * MINUTE);
      expect(told.length > 0, 'corrected').toBe(panes > 0);
      for (const [size, end, , value] of told) expect([size, end, value]).toEqual([size, end, size]);
    },
  );

  it('beyond the lateness it is counted and changes nothing', async () => {
    const told: Told[] = [];
    const driven = new Driven(counting(told));
    await driven.step([at(10)], 30 * MINUTE);
    told.length = 0;
    await driven.step([at(10, 4)], 30 * MINUTE);
    expect(told).toEqual([]);
    expect(driven.counter('late_beyond_lateness')).toBe(1);
  });

  it('a row taken back entirely is corrected to zero', async () => {
    const told: Told[] = [];
    const driven = new Driven(counting(told));
    await driven.step([at(10, 3)], 11 * MINUTE);
    await driven.step([at(10, -3)], 11 * MINUTE);
    expect(told.slice(2)).toEqual([
      [1, 11, 1, 0],
      [3, 11, 1, 0],
    ]);
  });

  it('P7 the last revision of every window is the sum of what came in time, whatever the order of steps and crashes', async () => {
    const step = fc.record({
      events: fc.array(fc.record({ back: fc.nat(3), by: fc.integer({ min: 1, max: 9 }) }), { maxLength: 4 }),
      forward: fc.nat(2),
      crash: fc.boolean(),
      together: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 15 }), async (steps) => {
        const told: Told[] = [];
        const driven = new Driven(counting(told));
        const panes = new Map<number, Tally>();
        let minute = 100;
        await driven.step([], minute * MINUTE);
        for (const { events, forward, crash, together } of steps) {
          // Up to three minutes back: within the lateness, as the watermark stands when they come.
          const list = events.map(({ back, by }) => at(minute + 1 - back, by));
          for (const { ts, ...event } of list) {
            const pane = Math.floor(ts / MINUTE);
            panes.set(pane, addTally(panes.get(pane) ?? { n: [] }, { n: [event['by'] as number] }));
          }
          if (!together) await driven.step(list, minute * MINUTE);
          minute += forward;
          await driven.step(together ? list : [], minute * MINUTE);
          if (crash) driven.recover();
        }
        await driven.step([], (minute + 20) * MINUTE);
        const last = new Map<string, number>();
        const revisions = new Map<string, number[]>();
        for (const [size, end, rev, value] of told) {
          last.set(`${size}/${end}`, value);
          revisions.set(`${size}/${end}`, [...(revisions.get(`${size}/${end}`) ?? []), rev]);
        }
        for (let end = 90; end < minute + 20; end++) {
          for (const size of [1, 3]) {
            let expected = 0;
            for (let pane = end - size; pane < end; pane++) expected += panes.get(pane)?.n[0] ?? 0;
            expect([size, end, last.get(`${size}/${end}`) ?? 0]).toEqual([size, end, expected]);
            const all = revisions.get(`${size}/${end}`) ?? [];
            expect(all).toEqual([...new Set(all)].sort((a, b) => a - b));
          }
        }
      }),
      { numRuns: 60 },
    );
  });
});
