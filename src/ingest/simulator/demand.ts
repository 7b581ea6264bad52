/**
 * Where and when people want to go: a few seeded centres, each of a kind with its own curve over the day. Homes fill
 * the morning, offices the evening; a trip leads to where its hour leads people. Averaged over a day the city's rate
 * is 1; at a given hour it is `rateAt`.
 */
import type { Random } from '../../core/random.js';
import { below, between, pick } from './chance.js';
import { type City, distanceM, type Point } from './city.js';

/** How many leave a place of each kind at each full local hour; scaled to a mean of 1, straight lines between. */
const LEAVING = {
  home: curve(5, 3, 2, 2, 4, 10, 24, 38, 40, 28, 20, 18, 18, 17, 16, 17, 18, 20, 22, 22, 20, 17, 13, 8),
  office: curve(4, 2, 1, 1, 1, 2, 5, 9, 13, 14, 15, 19, 23, 21, 20, 24, 33, 44, 42, 30, 20, 14, 10, 7),
  nightlife: curve(36, 28, 20, 8, 3, 2, 3, 5, 7, 8, 9, 12, 15, 14, 13, 14, 17, 22, 26, 30, 33, 36, 40, 40),
  hub: curve(12, 6, 4, 4, 8, 14, 18, 20, 20, 19, 18, 18, 18, 18, 19, 20, 21, 22, 22, 21, 20, 19, 18, 16),
} as const;
type Kind = keyof typeof LEAVING;
/** People arrive at a kind by the curve that empties its counterpart. */
const ARRIVING: Record<Kind, readonly number[]> = {
  home: LEAVING.office,
  office: LEAVING.home,
  nightlife: curve(10, 5, 2, 1, 1, 1, 2, 4, 6, 8, 10, 16, 20, 16, 14, 16, 22, 32, 42, 46, 44, 38, 28, 18),
  hub: LEAVING.hub,
};
/** The first centre is downtown; further ones take the kinds in turn. */
const KINDS: readonly Kind[] = ['office', 'home', 'nightlife', 'home', 'office', 'home', 'hub', 'home'];
const SHARE: Record<Kind, number> = { office: 1.3, home: 1, nightlife: 0.7, hub: 0.6 };

const SUBURB_SPREAD_M = 5_000;
/** Of all demand: from the wide surroundings of the centres, and from anywhere in the cover. */
const SUBURB_SHARE = 0.12;
const ANYWHERE_SHARE = 0.005;
const TRIP_M = { min: 800, max: 5_500, local: 1_500 };
const TRIES = 8;
const HOUR_MS = 3_600_000;

function curve(...hours: number[]): readonly number[] {
  const mean = hours.reduce((sum, hour) => sum + hour, 0) / hours.length;
  return hours.map((hour) => hour / mean);
}

function valueAt(hours: readonly number[], hour: number): number {
  const from = Math.floor(hour);
  const to = (from + 1) % 24;
  return hours[from]! + (hours[to]! - hours[from]!) * (hour - from);
}

interface Centre extends Point {
  readonly kind: Kind;
  readonly share: number;
  readonly spreadM: number;
}

export class Demand {
  readonly #city: City;
  readonly #offsetMs: number;
  readonly #centres: readonly Centre[];

  /** @param places known centres of the city, downtown first; without any, a seeded downtown and centres around it */
  constructor(city: City, random: Random, options: { places: readonly Point[]; timezoneOffsetMs: number }) {
    this.#city = city;
    this.#offsetMs = options.timezoneOffsetMs;
    const downtown = city.anywhere(random);
    const places =
      options.places.length > 0
        ? options.places
        : KINDS.map((_, i) => (i === 0 ? downtown : city.near(downtown, 3_500, random)));
    const centres = places.map((place, i) => {
      const kind = KINDS[i % KINDS.length]!;
      const spreadM = kind === 'home' ? between(random, 900, 1_600) : between(random, 300, 700);
      return {
        lat: place.lat,
        lon: place.lon,
        kind,
        spreadM,
        share: SHARE[kind] * between(random, 0.7, 1.3),
      };
    });
    const total = centres.reduce((sum, centre) => sum + centre.share, 0);
    this.#centres = centres.map((centre) => ({ ...centre, share: centre.share / total }));
  }

  /** Demand at a time, by that of the mean day. */
  rateAt(ts: number): number {
    const hour = this.#hourAt(ts);
    return this.#centres.reduce((sum, { kind, share }) => sum + share * valueAt(LEAVING[kind], hour), 0);
  }

  origin(ts: number, random: Random): Point {
    return this.#draw(LEAVING, ts, random);
  }

  /** Where a ride from here leads: 0.8 to 5.5 km away, with a straight way inside the cover, or right here when boxed in. */
  destination(from: Point, ts: number, random: Random): Point {
    for (let i = 0; i < 2 * TRIES; i++) {
      const to = i < TRIES ? this.#draw(ARRIVING, ts, random) : this.#city.near(from, TRIP_M.local, random);
      const metres = distanceM(from, to);
      if (metres >= TRIP_M.min && metres <= TRIP_M.max && this.#city.isClear(from, to)) return to;
    }
    return from;
  }

  #draw(curves: Record<Kind, readonly number[]>, ts: number, random: Random): Point {
    const u = random.next();
    if (u < ANYWHERE_SHARE) return this.#city.anywhere(random);
    if (u < ANYWHERE_SHARE + SUBURB_SHARE) {
      return this.#city.near(this.#centres[below(random, this.#centres.length)]!, SUBURB_SPREAD_M, random);
    }
    const hour = this.#hourAt(ts);
    const weights = this.#centres.map(({ kind, share }) => share * valueAt(curves[kind], hour));
    const centre = this.#centres[pick(random, weights)]!;
    return this.#city.near(centre, centre.spreadM, random);
  }

  #hourAt(ts: number): number {
    const hour = ((ts + this.#offsetMs) / HOUR_MS) % 24;
    return hour < 0 ? hour + 24 : hour;
  }
}
