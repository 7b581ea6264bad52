/**
 * The canonical workload: drivers spread evenly over a region's cover, each with a ping about every five seconds,
 * moving a little, changing status now and then; or with more pings, and as much motion in a minute. A function of its
 * options alone: the same seed gives the same events on every machine. Events come checked, as `EventChecker` would give
 * them, a tick at a time.
 */
import ngeohash from 'ngeohash';
import { Cover, geohash30, geohash30Text } from '../src/core/geohash.js';
import type { CellKey } from '../src/core/ids.js';
import { seededRandom, type Random } from '../src/core/random.js';
import type { ActorEvent } from '../src/index.js';
import type { DriverStatus } from '../src/ingest/event.js';

export interface WorkloadOptions {
  readonly drivers: number;
  readonly events: number;
  readonly seed: number;
  /** Geohash prefixes: drivers start in them and stay in them. */
  readonly cover: readonly string[];
  /** Share of the drivers that stay in one cell of the cover, evenly over the drivers; none unless given. */
  readonly hotShare?: number;
  /**
   * The rate at which they will be sent, whatever their times: the less is between two pings of a driver, the less it moves and
   * changes from one to the next. A ping every five seconds unless given.
   */
  readonly eventsPerSecond?: number;
}

/** A ping that has passed the checker. */
export interface Ping extends ActorEvent {
  readonly type: 'driver.location';
  readonly driverId: string;
  readonly lat: number;
  readonly lon: number;
  readonly status: DriverStatus;
  readonly cell: CellKey;
}

/** Event time of the first tick, ms UTC: a full minute. */
export const START_MS = Date.UTC(2026, 2, 2, 8);
const TICK_MS = 100;
/** A driver pings once in so many ticks, up to a tick early or late. */
const TICKS_BETWEEN_PINGS = 50;
const PING_EVERY_MS = TICK_MS * TICKS_BETWEEN_PINGS;
/** Furthest way between two pings, degrees: about 13 m/s. */
const STEP_DEGREES = 0.0006;
/** Out of so many pings one changes the status, and one the direction. */
const STATUS_EVERY = 60;
const TURN_EVERY = 20;
const NEXT = { open: 'enroute', enroute: 'ontrip', ontrip: 'open', offline: 'open' } as const;
const OFFLINE_SHARE = 0.05;

interface Driver {
  readonly id: string;
  /** How much happens between two of its pings: 1 in five seconds. */
  readonly motion: number;
  /** Stays in it. */
  readonly cover: Cover;
  lat: number;
  lon: number;
  stepLat: number;
  stepLon: number;
  status: DriverStatus;
}

interface Area {
  readonly prefixes: readonly string[];
  readonly cover: Cover;
}

export class CanonicalWorkload {
  readonly #options: WorkloadOptions;

  constructor(options: WorkloadOptions) {
    this.#options = options;
  }

  /** The events of each tick, in order of arrival; their times are out of order by less than a tick. */
  *ticks(): Generator<readonly Ping[]> {
    const { drivers: count, events, seed, cover: prefixes, hotShare = 0, eventsPerSecond } = this.#options;
    const motion = eventsPerSecond === undefined ? 1 : (1_000 * count) / eventsPerSecond / PING_EVERY_MS;
    const random = seededRandom(seed);
    const whole: Area = { prefixes, cover: new Cover(prefixes) };
    const hotPrefixes = [hotCellOf(prefixes)];
    const hot: Area = { prefixes: hotPrefixes, cover: new Cover(hotPrefixes) };
    const isHot = (i: number): boolean => Math.floor((i + 1) * hotShare) > Math.floor(i * hotShare);
    const drivers = Array.from({ length: count }, (_, i) =>
      newDriver(i, motion, isHot(i) ? hot : whole, random),
    );
    let left = events;
    for (let tick = 0; left > 0; tick++) {
      const pings: Ping[] = [];
      for (let d = tick % TICKS_BETWEEN_PINGS; d < count && left > 0; d += TICKS_BETWEEN_PINGS) {
        const ts = START_MS + tick * TICK_MS + Math.floor(random.next() * TICK_MS);
        pings.push(nextPing(drivers[d]!, ts, random));
        left--;
      }
      if (pings.length > 0) yield pings;
    }
  }
}

/** All events of a small workload, as one list: for stages. */
export function pingsOf(options: WorkloadOptions): Ping[] {
  return [...new CanonicalWorkload(options).ticks()].flat();
}

/** A cell in the middle of the first of them. */
export function hotCellOf(prefixes: readonly string[]): string {
  const { latitude, longitude } = ngeohash.decode(prefixes[0]!);
  return ngeohash.encode(latitude, longitude, 6);
}

function newDriver(i: number, motion: number, { prefixes, cover }: Area, random: Random): Driver {
  const prefix = prefixes[Math.floor(random.next() * prefixes.length)]!;
  const [south, west, north, east] = ngeohash.decode_bbox(prefix);
  const lat = south + (north - south) * (0.001 + 0.998 * random.next());
  const lon = west + (east - west) * (0.001 + 0.998 * random.next());
  const status = (['open', 'open', 'enroute', 'ontrip'] as const)[Math.floor(random.next() * 4)]!;
  const driver: Driver = { id: `d-${i}`, motion, cover, lat, lon, stepLat: 0, stepLon: 0, status };
  turn(driver, random);
  return driver;
}

function nextPing(driver: Driver, ts: number, random: Random): Ping {
  const chance = random.next();
  if (chance < driver.motion / STATUS_EVERY) {
    driver.status = random.next() < OFFLINE_SHARE ? 'offline' : NEXT[driver.status];
  } else if (chance > 1 - driver.motion / TURN_EVERY) {
    turn(driver, random);
  }
  let lat = degrees(driver.lat + driver.stepLat);
  let lon = degrees(driver.lon + driver.stepLon);
  let hash = geohash30(lat, lon);
  if (!driver.cover.has(hash)) {
    // At the edge of the cover: stays, and goes back from the next ping on.
    driver.stepLat = -driver.stepLat;
    driver.stepLon = -driver.stepLon;
    lat = degrees(driver.lat);
    lon = degrees(driver.lon);
    hash = geohash30(lat, lon);
  }
  driver.lat = lat;
  driver.lon = lon;
  const { id: driverId, status } = driver;
  return { type: 'driver.location', driverId, lat, lon, ts, status, cell: geohash30Text(hash) };
}

function turn(driver: Driver, random: Random): void {
  driver.stepLat = (2 * random.next() - 1) * STEP_DEGREES * driver.motion;
  driver.stepLon = (2 * random.next() - 1) * STEP_DEGREES * driver.motion;
}

/** Five decimals, as trackers give them: a metre. */
function degrees(value: number): number {
  return Math.round(value * 1e5) / 1e5;
}
