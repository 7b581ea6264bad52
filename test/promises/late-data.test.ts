/**
 * Hunts: late data that is lost, counted twice, or counted at one level and not at the next; corrections that are not
 * what the row would have been; revisions that go backwards.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Row } from '../../src/actor/row.js';
import { differenceFromTruth } from '../support/against-truth.js';
import { Engine, run, type Results, type Settings } from '../support/engine.js';
import { CELLS, MINUTE, ping, ride, session, T0, type RawEvent } from '../support/market.js';
import { lastWords, nameOf, repeated } from '../support/rows.js';

const WINDOW_MINUTES = { '1m': 1, '5m': 5, '15m': 15, '1h': 60 } as const;
const LEVELS = ['cell', 'gh5', 'gh4', 'region'] as const;

/** Sends each event in a frame of its own, so that the watermark moves between them. */
async function oneByOne(events: readonly RawEvent[], settings: Settings = {}): Promise<Results> {
  const engine = await Engine.start({ partitions: 4, ...settings });
  const producer = engine.producer();
  await producer.sendEach(events);
  const results = await engine.results(await producer.end());
  await engine.stop();
  return results;
}

/** Revisions of a row never go back, and start at 0 unless late data made the row. */
function revisionsAscend(rows: readonly Row[]): void {
  const last = new Map<string, number>();
  for (const row of rows) {
    const name = nameOf(row);
    expect(row.rev, `${name}: revision after ${last.get(name) ?? 'none'}`).toBeGreaterThan(
      last.get(name) ?? -1,
    );
    last.set(name, row.rev);
  }
}

/** A row without its surge multiplier. */
function unpriced({ surge: _surge, ...row }: Row): Row {
  return row;
}

/** A quiet market: something in every minute, so that the watermark moves. */
const heartbeat = (fromMinute: number, toMinute: number): RawEvent[] =>
  Array.from({ length: toMinute - fromMinute }, (_, i) =>
    ping('d-0', (fromMinute + i) * MINUTE + 30_000, CELLS[0]),
  );

describe('late data', () => {
  const late = ride('requested', 'late', 2 * MINUTE + 10_000, CELLS[2]);
  const events = [...heartbeat(0, 8), late, ...heartbeat(8, 70)];

  it('a ride event within the allowed lateness corrects every row that holds it, at every level, and equals the truth', async () => {
    const engine = await Engine.start({ partitions: 4 });
    const producer = engine.producer();
    await producer.sendEach(heartbeat(0, 8));
    const closedMs = T0 + 7 * MINUTE;
    await engine.results(closedMs);
    await producer.sendEach([late, ...heartbeat(8, 70)]);
    const { rows, sides, count } = await engine.results(await producer.end());
    await engine.stop();
    expect(sides).toEqual([]);
    expect([count('late'), count('late_accepted')]).toEqual([0, 1]);
    revisionsAscend(rows);
    const start = T0 + 2 * MINUTE;
    // Windows that had ended by then are corrected; those that were still open hold it from the start.
    for (const level of LEVELS) {
      const key = { cell: CELLS[2], gh5: CELLS[2].slice(0, 5), gh4: CELLS[2].slice(0, 4), region: 'sf' }[
        level
      ];
      for (const [window, minutes] of Object.entries(WINDOW_MINUTES)) {
        for (let i = 0; i < minutes; i++) {
          const windowStart = start - i * MINUTE;
          const end = windowStart + minutes * MINUTE;
          const about = rows.filter(
            (row) =>
              row.level === level && row.key === key && row.window === window && row.start === windowStart,
          );
          const last = about.at(-1);
          const name = `${level} ${window} ${(windowStart - T0) / MINUTE}`;
          expect(last?.features['requests'], name).toBe(1);
          expect(last?.rev, name).toBe(end <= closedMs ? 1 : 0);
        }
      }
    }
    expect(await differenceFromTruth(events, rows)).toBe('same');
  });

  it('corrections come after what they correct, however far the watermark moves with them', async () => {
    // Late event and everything after it in one frame: the correction and the next minutes' closes fall into one step.
    const engine = await Engine.start({ partitions: 1, frameEvents: 1_000 });
    const producer = engine.producer();
    await producer.sendEach(heartbeat(0, 8));
    await producer.send([late, ...heartbeat(8, 12)]);
    await producer.producer.flush();
    await producer.send(heartbeat(12, 70));
    const { rows } = await engine.results(await producer.end());
    await engine.stop();
    revisionsAscend(rows);
    expect(repeated(rows)).toEqual([]);
    expect(await differenceFromTruth(events, rows)).toBe('same');
  });

  it('a ride event beyond the allowed lateness goes to the late output, whole, and is counted', async () => {
    const beyond = ride('requested', 'late', 2 * MINUTE + 10_000, CELLS[2]);
    const list = [...heartbeat(0, 20), beyond, ...heartbeat(20, 30)];
    const { rows, sides, count } = await oneByOne(list);
    expect(count('late')).toBe(1);
    expect(count('late.ride.requested')).toBe(1);
    expect(sides).toMatchObject([{ kind: 'late', type: 'ride.requested', body: beyond }]);
    expect(rows.every(({ rev }) => rev === 0)).toBe(true);
    expect(
      await differenceFromTruth(
        list.filter((event) => event !== beyond),
        rows,
      ),
    ).toBe('same');
  });

  it('the allowed lateness ends when the watermark is so far past the minute’s end, not before', async () => {
    // Minute 0 ends at 1:00; ten minutes later the watermark stands at 11:00 when an event of 11:05 has come.
    const about = (lastMs: number): Promise<Results> =>
      oneByOne([
        ping('d-0', 0, CELLS[0]),
        ping('d-0', lastMs, CELLS[0]),
        session('r', 1_000, CELLS[1]),
        ping('d-0', 20 * MINUTE, CELLS[0]),
      ]);
    const inside = await about(11 * MINUTE + 4_999);
    expect(inside.count('late')).toBe(0);
    const outside = await about(11 * MINUTE + 5_000);
    expect(outside.count('late')).toBe(1);
  });

  it('a late ping of a sealed minute is late data, and of an open minute it is not', async () => {
    const sealed = ping('d-1', 10_000, CELLS[1]);
    const open = ping('d-1', MINUTE + 1_000, CELLS[1]);
    const list = [
      ping('d-0', 0, CELLS[0]),
      ping('d-0', MINUTE + 30_000, CELLS[0]),
      sealed,
      open,
      ping('d-0', 3 * MINUTE, CELLS[0]),
    ];
    const { rows, sides, count } = await oneByOne(list);
    expect(count('late.driver.location')).toBe(1);
    expect(sides).toMatchObject([{ kind: 'late', type: 'driver.location', body: sealed }]);
    const arrived = list.filter((event) => event !== sealed);
    expect(await differenceFromTruth(arrived, rows)).toBe('same');
  });

  it('late parts of a ride’s life (request after pick-up) end in the truth at every level', async () => {
    const request = ride('requested', 'x', MINUTE + 5_000, CELLS[0]);
    const accept = ride('accepted', 'x', MINUTE + 20_000);
    const rest = [ride('picked_up', 'x', 3 * MINUTE, CELLS[1]), ride('completed', 'x', 6 * MINUTE, CELLS[3])];
    const list = [
      ...heartbeat(0, 3),
      rest[0]!,
      ...heartbeat(3, 6),
      rest[1]!,
      ...heartbeat(6, 8),
      accept,
      request,
      ...heartbeat(8, 12),
    ];
    const { rows, count } = await oneByOne(list);
    expect(count('late')).toBe(0);
    expect(
      count('dead.impossible_transition'),
      'what was refused and then became possible is not counted',
    ).toBe(0);
    revisionsAscend(rows);
    expect(await differenceFromTruth(list, rows)).toBe('same');
  });

  it('property: the last word on every row does not depend on how late, within the lateness, ride events come', async () => {
    const when = fc.integer({ min: 0, max: 5 * 60 }).map((s) => s * 1_000);
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({
            ms: when,
            lateMs: fc.integer({ min: 0, max: 8 * MINUTE }),
            cell: fc.constantFrom(...CELLS),
            rider: fc.constantFrom('r-0', 'r-1'),
          }),
          {
            minLength: 1,
            maxLength: 10,
          },
        ),
        fc.constantFrom(1, 4, 16),
        fc.integer({ min: 1, max: 8 }),
        async (requests, partitions, frameEvents) => {
          const windowsMs = [MINUTE, 5 * MINUTE];
          const own = requests.map(({ ms, lateMs, cell, rider }, i) => ({
            event: ride('requested', `q-${i}`, ms, cell, { riderId: rider }),
            arrivalMs: ms + lateMs,
          }));
          const beats = heartbeat(0, 16).map((event) => ({ event, arrivalMs: event.ts - T0 }));
          const inTime = [...own, ...beats].sort((a, b) => a.event.ts - b.event.ts).map(({ event }) => event);
          const arriving = [...own, ...beats]
            .sort((a, b) => a.arrivalMs - b.arrivalMs)
            .map(({ event }) => event);
          const onTime = await run(inTime, { windowsMs });
          const late = await run(arriving, { windowsMs, partitions, frameEvents });
          expect(late.count('late')).toBe(0);
          revisionsAscend(late.rows);
          // A multiplier that was given stays given: only a corrected row is scored again.
          expect(lastWords(late.rows.map(unpriced))).toEqual(lastWords(onTime.rows.map(unpriced)));
        },
      ),
      { numRuns: 60, seed: 7 },
    );
  }, 120_000);
});
