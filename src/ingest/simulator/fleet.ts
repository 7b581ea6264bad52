/**
 * The drivers: where each is, what it does, and when it next says so. A driver pings at its own phase of the ping
 * interval and at every change of status; while open it follows the requests it has heard of, and it works in shifts.
 * Rides tell it what to do next; they never write its position.
 *
 * Holds: no driver has two pings with the same `ts`, so the order of its statuses never hangs on order of arrival.
 */
import type { Random } from '../../core/random.js';
import { below, between } from './chance.js';
import { type City, distanceM, type Point, roundDegrees } from './city.js';
import type { Demand } from './demand.js';
import type { MarketEvent, Status } from './market-event.js';
import { type Locatable, OpenDrivers } from './open-drivers.js';

const SPEED_MS = { min: 5, max: 15 };
const SHIFT_MS = { min: 2 * 3_600_000, max: 8 * 3_600_000 };
const REST_MS = { min: 0.5 * 3_600_000, max: 2.5 * 3_600_000 };
const STAND_MS = { min: 15_000, max: 180_000 };
const HEARD_REQUESTS = 512;
/** An open driver goes at most this far at once, and to about this close to a request. */
const DRIFT_M = { max: 2_500, spread: 350 };
const TRIES = 4;

/** The way a driver is on: straight and steady from one point to another, then standing there. */
interface Leg {
  readonly from: Point;
  readonly to: Point;
  readonly startMs: number;
  readonly endMs: number;
}

export interface Driver extends Locatable {
  readonly id: string;
  readonly phaseMs: number;
  status: Status;
  leg: Leg;
  /** An open driver looks for a better place from then on. */
  restlessMs: number;
  /** End of the shift, or of the rest. */
  shiftMs: number;
  lastPingMs: number;
}

export class Fleet {
  /** By phase: the order in which they ping. */
  readonly drivers: readonly Driver[];
  readonly open = new OpenDrivers<Driver>();
  readonly #city: City;
  readonly #random: Random;
  readonly #heard: Point[] = [];
  #heardNext = 0;

  constructor(
    city: City,
    demand: Demand,
    random: Random,
    options: { drivers: number; startMs: number; pingEveryMs: number },
  ) {
    this.#city = city;
    this.#random = random;
    const { startMs } = options;
    for (let i = 0; i < HEARD_REQUESTS; i++) this.hear(demand.origin(startMs, random));
    const onShare = (SHIFT_MS.min + SHIFT_MS.max) / (SHIFT_MS.min + SHIFT_MS.max + REST_MS.min + REST_MS.max);
    const drivers = Array.from({ length: options.drivers }, (_, i): Driver => {
      const at = demand.origin(startMs, random);
      const isOn = random.next() < onShare;
      const left = isOn ? between(random, 0, SHIFT_MS.max) : between(random, 0, REST_MS.max);
      return {
        id: `d-${i}`,
        phaseMs: below(random, options.pingEveryMs),
        status: isOn ? 'open' : 'offline',
        lat: at.lat,
        lon: at.lon,
        bucket: -1,
        slot: -1,
        leg: { from: at, to: at, startMs, endMs: startMs },
        restlessMs: startMs + between(random, 0, STAND_MS.max),
        shiftMs: startMs + left,
        lastPingMs: -1,
      };
    });
    for (const driver of drivers) if (driver.status === 'open') this.open.put(driver);
    this.drivers = drivers.sort((a, b) => a.phaseMs - b.phaseMs);
  }

  /** Drivers hear of a request: places with more of them draw more drivers. */
  hear(at: Point): void {
    this.#heard[this.#heardNext] = at;
    this.#heardNext = (this.#heardNext + 1) % HEARD_REQUESTS;
  }

  /** An open driver takes a ride unless its shift is over, or it has just spoken: one ping a ms. */
  isFree(driver: Driver, ts: number): boolean {
    return driver.lastPingMs !== ts && ts < driver.shiftMs;
  }

  /** The driver's turn by its phase: shift, drift, and a ping unless it is offline or has just sent one. */
  turn(driver: Driver, ts: number, out: MarketEvent[]): void {
    if (driver.lastPingMs === ts) return;
    if (driver.status === 'offline') {
      if (ts < driver.shiftMs) return;
      driver.status = 'open';
      driver.shiftMs = ts + between(this.#random, SHIFT_MS.min, SHIFT_MS.max);
    } else if (driver.status === 'open' && ts >= driver.shiftMs) {
      this.open.remove(driver);
      driver.shiftMs = ts + between(this.#random, REST_MS.min, REST_MS.max);
      this.change(driver, 'offline', ts, out);
      this.#stand(driver, ts);
      return;
    }
    this.#move(driver, ts);
    if (driver.status === 'open') {
      if (ts >= driver.restlessMs && ts >= driver.leg.endMs) this.#drift(driver, ts);
      this.open.put(driver);
    }
    this.#ping(driver, ts, out);
  }

  /** A new status, said at once. A driver that becomes open can be matched again; any other cannot. */
  change(driver: Driver, status: Status, ts: number, out: MarketEvent[]): void {
    this.#move(driver, ts);
    driver.status = status;
    if (status === 'open') {
      this.#stand(driver, ts);
      this.open.put(driver);
    } else {
      this.open.remove(driver);
    }
    this.#ping(driver, ts, out);
  }

  /** Sends the driver on a way at urban speed; returns when it arrives. */
  drive(driver: Driver, to: Point, ts: number): number {
    this.#move(driver, ts);
    const from = { lat: driver.lat, lon: driver.lon };
    const speed = between(this.#random, SPEED_MS.min, SPEED_MS.max);
    const endMs = ts + Math.ceil((distanceM(from, to) / speed) * 1_000);
    driver.leg = { from, to, startMs: ts, endMs };
    return endMs;
  }

  #stand(driver: Driver, ts: number): void {
    const at = { lat: driver.lat, lon: driver.lon };
    driver.leg = { from: at, to: at, startMs: ts, endMs: ts };
    driver.restlessMs = ts + between(this.#random, STAND_MS.min, STAND_MS.max);
  }

  #drift(driver: Driver, ts: number): void {
    for (let i = 0; i < TRIES; i++) {
      const request = this.#heard[below(this.#random, HEARD_REQUESTS)]!;
      const part = Math.min(1, DRIFT_M.max / distanceM(driver, request));
      const lat = roundDegrees(driver.lat + (request.lat - driver.lat) * part);
      const lon = roundDegrees(driver.lon + (request.lon - driver.lon) * part);
      if (!this.#city.has(lat, lon)) continue;
      const to = this.#city.near({ lat, lon }, DRIFT_M.spread, this.#random);
      if (!this.#city.isClear(driver, to)) continue;
      driver.restlessMs = this.drive(driver, to, ts) + between(this.#random, STAND_MS.min, STAND_MS.max);
      return;
    }
    this.#stand(driver, ts);
  }

  /** Brings the position up to date; a way that cuts a corner outside the cover holds at its last point inside. */
  #move(driver: Driver, ts: number): void {
    const { from, to, startMs, endMs } = driver.leg;
    if (ts >= endMs) {
      driver.lat = to.lat;
      driver.lon = to.lon;
      return;
    }
    const part = (ts - startMs) / (endMs - startMs);
    const lat = roundDegrees(from.lat + (to.lat - from.lat) * part);
    const lon = roundDegrees(from.lon + (to.lon - from.lon) * part);
    if (!this.#city.has(lat, lon)) return;
    driver.lat = lat;
    driver.lon = lon;
  }

  #ping(driver: Driver, ts: number, out: MarketEvent[]): void {
    driver.lastPingMs = ts;
    const { id: driverId, lat, lon, status } = driver;
    out.push({ type: 'driver.location', driverId, lat, lon, ts, status });
  }
}
