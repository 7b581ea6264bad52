/** Events of a ride-hailing market for tests: by hand, and small simulated cities. */
import ngeohash from 'ngeohash';
import { Cover } from '../../src/core/geohash.js';
import type { ActorEvent } from '../../src/actor/behaviour.js';
import { EventChecker } from '../../src/ingest/check.js';
import { simulateCity, type CityOptions } from '../../src/ingest/simulator/simulator.js';

export const MINUTE = 60_000;
/** A full hour of 2023; times of events by hand are relative to it. */
export const T0 = 1_690_000_000_000 - (1_690_000_000_000 % 3_600_000);
export const COVER = ['9q8y', '9q8z', '9q8v', '9q9p', '9q9j', '9q9n', '9q9h'] as const;

/** Two cells of one gh5, a third of another gh5, a fourth of another gh4. */
export const CELLS = ['9q8yyk', '9q8yym', '9q8yzk', '9q8zn2'] as const;

export interface RawEvent {
  readonly type: string;
  readonly ts: number;
  readonly [field: string]: unknown;
}

export const at = (cell: string): { lat: number; lon: number } => {
  const { latitude, longitude } = ngeohash.decode(cell);
  return { lat: latitude, lon: longitude };
};

export const ping = (
  driverId: string,
  ms: number,
  cell: string,
  status = 'open',
  more: object = {},
): RawEvent => ({ type: 'driver.location', driverId, ts: T0 + ms, ...at(cell), status, ...more });

export const ride = (
  what: 'requested' | 'accepted' | 'picked_up' | 'completed' | 'cancelled',
  rideId: string,
  ms: number,
  cell?: string,
  more: object = {},
): RawEvent => ({
  type: `ride.${what}`,
  rideId,
  riderId: `rider-of-${rideId}`,
  ts: T0 + ms,
  ...(cell === undefined ? {} : at(cell)),
  ...more,
});

export const session = (riderId: string, ms: number, cell: string, more: object = {}): RawEvent => ({
  type: 'session.opened',
  riderId,
  ts: T0 + ms,
  ...at(cell),
  ...more,
});

const checker = new EventChecker({
  cover: new Cover(COVER),
  nowMs: () => Date.parse('2030-01-01T00:00:00Z'),
});

/** The event as it comes from the gate, with its cell. */
export function checked(raw: unknown): ActorEvent {
  const verdict = checker.check(raw);
  if (verdict.outcome === 'refused') throw new Error(`a test's event was refused: ${verdict.message}`);
  return verdict.event as ActorEvent;
}

/** A small city's events, in order of time. */
export function smallCity(more: Partial<CityOptions> = {}): RawEvent[] {
  const city = simulateCity({
    cover: ['9q8yy', '9q8yz', '9q8zn'],
    seed: 1,
    drivers: 12,
    requestsPerMinute: 12,
    startMs: T0,
    durationMs: 6 * MINUTE,
    pingEveryMs: 15_000,
    ...more,
  });
  return [...city].flat() as unknown as RawEvent[];
}

/**
 * Four minutes by hand, in order of time: drivers that move between cells, change status and fall silent, and riders whose
 * rides end in every way there is; one impossible transition and one event that comes twice among them.
 */
export function handMade(): RawEvent[] {
  const events: RawEvent[] = [];
  const statuses = ['open', 'enroute', 'ontrip', 'open', 'offline'];
  for (let d = 0; d < 5; d++) {
    for (let i = 0; i < 12; i++) {
      const ms = 7_000 * d + 20_000 * i;
      if (ms >= 4 * MINUTE || (d === 3 && i > 5)) continue;
      events.push(ping(`d-${d}`, ms, CELLS[(i + d) % CELLS.length]!, statuses[(i + d) % statuses.length]));
    }
  }
  events.push(
    session('rider-of-a', 3_000, CELLS[0]),
    session('rider-of-a', 4_000, CELLS[1], { id: 's-1' }),
    session('rider-of-a', 4_500, CELLS[1], { id: 's-1' }),
    ride('requested', 'a', 10_000, CELLS[0]),
    ride('accepted', 'a', 31_000),
    ride('picked_up', 'a', 75_000, CELLS[1]),
    ride('completed', 'a', 190_000, CELLS[2]),
    ride('requested', 'b', 61_000, CELLS[2]),
    ride('cancelled', 'b', 125_000),
    ride('requested', 'c', 62_000, CELLS[3]),
    ride('accepted', 'c', 63_000, CELLS[3]),
    ride('cancelled', 'c', 121_000),
    ride('picked_up', 'c', 140_000, CELLS[3]),
    ride('requested', 'a2', 64_000, CELLS[3], { riderId: 'rider-of-a' }),
    ride('requested', 'a3', 65_000, CELLS[0], { riderId: 'rider-of-a' }),
    ride('accepted', 'a3', 66_000, undefined, { riderId: 'rider-of-a' }),
    ride('picked_up', 'a3', 200_000, CELLS[1], { riderId: 'rider-of-a' }),
  );
  return events.sort((one, other) => one.ts - other.ts);
}
