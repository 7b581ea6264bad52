/** Hunts: a reference that is wrong itself, or that agrees with the engine because it is made of it. */
import { describe, expect, it } from 'vitest';
import type { Row } from '../../src/actor/row.js';
import { differenceFromTruth } from '../support/against-truth.js';
import { checked, handMade, MINUTE, T0, type RawEvent } from '../support/market.js';
import { Dice } from './dice.js';
import { computeReference } from './reference.js';
import { makeWorkload } from './workload.js';

const LENGTHS: Readonly<Record<string, number>> = { '1m': 1, '5m': 5, '15m': 15, '1h': 60 };

/** The reference's rows as the engine would publish them. */
function rowsOf(events: readonly RawEvent[]): Row[] {
  const { rows } = computeReference(
    events.map((event) => checked(event) as never),
    {
      region: 'sf',
      presenceMs: 300_000,
      windows: [1, 5, 15, 60],
    },
  );
  return [...rows].map(([name, features]) => {
    const [level, key, window, start] = name.split(' ') as [string, string, string, string];
    const end = Number(start) + LENGTHS[window]! * MINUTE;
    return {
      region: 'sf',
      level,
      key,
      window,
      start: Number(start),
      end,
      rev: 0,
      final: true,
      features,
    } as Row;
  });
}

/** An event that comes twice with one id counts once, which the truth in SQL does not know of. */
function once(events: readonly RawEvent[]): RawEvent[] {
  const seen = new Set<unknown>();
  return events.filter(({ id }) => id === undefined || (!seen.has(id) && seen.add(id)));
}

describe('the reference', () => {
  it('says what the truth in SQL says of four minutes by hand', async () => {
    const events = once(handMade());
    expect(await differenceFromTruth(events, rowsOf(events))).toBe('same');
  });

  it.each([1, 2, 3, 4])('says what the truth in SQL says of workload %i', async (seed) => {
    const arrivals = makeWorkload(
      {
        startMs: T0,
        minutes: 5,
        drivers: 6,
        riders: 8,
        pingEveryMs: 8_000,
        ridesPerRider: 3,
        producers: 1,
        boundMs: 5_000,
        reorder: false,
        late: 0,
        lateMsMax: 0,
        twice: 0,
        ids: false,
        ahead: 0,
      },
      new Dice(seed),
    );
    const events = arrivals.map(({ event }) => event);
    expect(await differenceFromTruth(events, rowsOf(events))).toBe('same');
  });
});
