/**
 * The city simulator: a seeded marketplace of drivers and riders as a stream of events, for demos, tests and benches.
 * Owns the order of time: visits, rides and pings are three sources, merged into one by `ts`. Everything else is theirs.
 *
 * Holds: same options, same bytes, on every machine; memory depends on drivers and riders, never on the duration.
 */
import { type Random, seededRandom } from '../../core/random.js';
import { exponential } from './chance.js';
import { City, type Point, roundDegrees } from './city.js';
import { Demand } from './demand.js';
import { Fleet } from './fleet.js';
import type { MarketEvent } from './market-event.js';
import { Rides, VISITS_PER_REQUEST } from './rides.js';

export type { MarketEvent } from './market-event.js';

export interface CityOptions {
  /** Geohash prefixes of one to six characters; they need not touch. No event lies outside. */
  readonly cover: readonly string[];
  /** Integer; the low 32 bits count. */
  readonly seed: number;
  /** All drivers there are; about three in four are on shift at a time. */
  readonly drivers: number;
  /** Mean over a day; the small hours have about a sixth of it, the evening peak 1.7 times. */
  readonly requestsPerMinute: number;
  /** ms since 1970-01-01 UTC. */
  readonly startMs: number;
  /** All `ts` lie in [startMs, startMs + durationMs). */
  readonly durationMs: number;
  /** Local time minus UTC: places the commute peaks. */
  readonly timezoneOffsetMs?: number;
  /** How often a driver on shift tells its position. */
  readonly pingEveryMs?: number;
  /** Centres of demand, downtown first, all inside the cover. Without any they are drawn from the seed. */
  readonly centres?: readonly Point[];
}

export const CITY_DEFAULTS = {
  timezoneOffsetMs: 0,
  pingEveryMs: 5_000,
  centres: [],
} as const satisfies Partial<CityOptions>;

const TICK_MS = 1_000;
const MINUTE_MS = 60_000;

/**
 * Events of a simulated city, one array for each second from `startMs` on (the last may be shorter; a quiet second gives
 * an empty one), in order of `ts` within and across arrays. Rides still under way at the end stay so.
 *
 * @throws RangeError for options that make no city
 * @example
 * const hour = { startMs: Date.parse('2024-05-06T15:00:00Z'), durationMs: 3_600_000, timezoneOffsetMs: -7 * 3_600_000 };
 * for (const events of simulateCity({ cover: ['9q8y'], seed: 1, drivers: 200, requestsPerMinute: 12, ...hour })) send(events);
 */
export function simulateCity(options: CityOptions): Generator<MarketEvent[], void, undefined> {
  check(options);
  const { startMs, requestsPerMinute, pingEveryMs = CITY_DEFAULTS.pingEveryMs } = options;
  const city = new City(options.cover);
  const centres = options.centres ?? CITY_DEFAULTS.centres;
  const places = centres.map(({ lat, lon }) => ({ lat: roundDegrees(lat), lon: roundDegrees(lon) }));
  for (const { lat, lon } of places) {
    if (!city.has(lat, lon)) throw new RangeError(`centres: ${lat}, ${lon} lies outside the cover`);
  }
  const random = seededRandom(options.seed);
  const timezoneOffsetMs = options.timezoneOffsetMs ?? CITY_DEFAULTS.timezoneOffsetMs;
  const demand = new Demand(city, random, { places, timezoneOffsetMs });
  const fleet = new Fleet(city, demand, random, { drivers: options.drivers, startMs, pingEveryMs });
  const rides = new Rides(city, demand, fleet, random, requestsPerMinute);
  return merged({ ...options, pingEveryMs }, { random, demand, fleet, rides });
}

interface Sources {
  readonly random: Random;
  readonly demand: Demand;
  readonly fleet: Fleet;
  readonly rides: Rides;
}

function* merged(
  { startMs, durationMs, requestsPerMinute, pingEveryMs }: CityOptions & { pingEveryMs: number },
  { random, demand, fleet, rides }: Sources,
): Generator<MarketEvent[], void, undefined> {
  /** Visits come by chance at the hour's rate; the fraction of a ms is kept, so that the rate is exact. */
  const visitAfter = (ms: number): number => {
    const perMs = (requestsPerMinute * VISITS_PER_REQUEST * demand.rateAt(ms)) / MINUTE_MS;
    return perMs > 0 ? ms + exponential(random) / perMs : Infinity;
  };
  let visitMs = visitAfter(startMs);

  const { drivers } = fleet;
  let turn = 0;
  let roundMs = startMs;
  const turnMs = (): number => (drivers.length === 0 ? Infinity : roundMs + drivers[turn]!.phaseMs);
  let nextTurnMs = turnMs();

  const endMs = startMs + durationMs;
  for (let tickMs = startMs; tickMs < endMs; tickMs += TICK_MS) {
    const untilMs = Math.min(endMs, tickMs + TICK_MS);
    const events: MarketEvent[] = [];
    for (;;) {
      // At the same ms pings come last: then a change of status is always said before the regular ping, which it replaces.
      const visit = Math.floor(visitMs);
      const ride = rides.agenda.nextMs;
      if (nextTurnMs < visit && nextTurnMs < ride) {
        if (nextTurnMs >= untilMs) break;
        fleet.turn(drivers[turn]!, nextTurnMs, events);
        if (++turn === drivers.length) {
          turn = 0;
          roundMs += pingEveryMs;
        }
        nextTurnMs = turnMs();
      } else if (visit <= ride) {
        if (visit >= untilMs) break;
        rides.visit(visit, events);
        visitMs = visitAfter(visitMs);
      } else {
        if (ride >= untilMs) break;
        rides.step(events);
      }
    }
    yield events;
  }
}

function check(options: CityOptions): void {
  const {
    seed,
    drivers,
    requestsPerMinute,
    startMs,
    durationMs,
    pingEveryMs = 1,
    timezoneOffsetMs = 0,
  } = options;
  const integers = { seed, drivers, startMs, durationMs, pingEveryMs, timezoneOffsetMs };
  for (const [name, value] of Object.entries(integers)) {
    if (!Number.isSafeInteger(value)) throw new RangeError(`${name} must be an integer: ${value}`);
  }
  if (drivers < 0) throw new RangeError(`drivers must not be negative: ${drivers}`);
  if (durationMs < 0) throw new RangeError(`durationMs must not be negative: ${durationMs}`);
  if (pingEveryMs < 1) throw new RangeError(`pingEveryMs must be at least 1: ${pingEveryMs}`);
  if (!(requestsPerMinute >= 0 && requestsPerMinute <= 1e6)) {
    throw new RangeError(`requestsPerMinute must be 0 to 1,000,000: ${requestsPerMinute}`);
  }
}
