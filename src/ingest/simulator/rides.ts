/**
 * The riders and their rides: intended → waiting → coming → riding → over, by matching with the fleet.
 *
 * Holds: a rider has at most one ride at a time; a ride has exactly one entry in the agenda until it is over, so there
 * are never more rides than riders, and a ride cannot be both picked up and cancelled.
 */
import type { Random } from '../../core/random.js';
import { Agenda } from './agenda.js';
import { below, between } from './chance.js';
import type { City, Point } from './city.js';
import type { Demand } from './demand.js';
import type { Driver, Fleet } from './fleet.js';
import type { MarketEvent, RideProgressEvent } from './market-event.js';

const POOL_PER_REQUEST_A_MINUTE = 20;
const POOL_MIN = 200;
/** Of those who come: only look, look and then request, request at once. One in three who come requests nothing. */
export const VISITS_PER_REQUEST = 1.5;
const ONLY_LOOK = 1 / 3;
const LOOK_FIRST = 0.55;
const LOOK_MS = { min: 5_000, max: 90_000 };
const MATCH_MS = { first: 1_500, spread: 4_000, again: 4_000 };
const MATCH_RADIUS_M = 3_000;
const UNMATCHED_PATIENCE_MS = { min: 60_000, max: 240_000 };
const PICKUP_PATIENCE_MS = { min: 180_000, max: 900_000 };
const BOARDING_MS = { min: 10_000, max: 40_000 };
/** The least a ride lasts, however near its end. */
const RIDE_MS_MIN = 60_000;

interface Ride {
  dueMs: number;
  phase: 'intended' | 'waiting' | 'coming' | 'riding';
  readonly rider: number;
  readonly at: Point;
  id: string;
  driver: Driver | undefined;
  destination: Point;
  requestedMs: number;
  /** While waiting: the rider gives up then. */
  patienceMs: number;
  /** While coming: what the agenda's entry means. */
  givesUp: boolean;
}

export class Rides {
  readonly agenda = new Agenda<Ride>();
  readonly #isBusy: Uint8Array;
  #count = 0;

  constructor(
    readonly city: City,
    readonly demand: Demand,
    readonly fleet: Fleet,
    readonly random: Random,
    requestsPerMinute: number,
  ) {
    this.#isBusy = new Uint8Array(
      Math.max(POOL_MIN, Math.ceil(POOL_PER_REQUEST_A_MINUTE * requestsPerMinute)),
    );
  }

  /** Somebody without a ride opens the app or orders at once. When all riders are on the way, nobody comes. */
  visit(ts: number, out: MarketEvent[]): void {
    const rider = this.#anIdleRider();
    if (rider === -1) return;
    const { random } = this;
    const at = this.demand.origin(ts, random);
    const u = random.next();
    if (u < LOOK_FIRST)
      out.push({ type: 'session.opened', riderId: `r-${rider}`, lat: at.lat, lon: at.lon, ts });
    if (u < ONLY_LOOK) return;
    this.#isBusy[rider] = 1;
    const ride: Ride = {
      dueMs: ts,
      phase: 'intended',
      rider,
      at,
      id: '',
      driver: undefined,
      destination: at,
      requestedMs: ts,
      patienceMs: ts,
      givesUp: false,
    };
    if (u < LOOK_FIRST) this.#plan(ride, ts + between(random, LOOK_MS.min, LOOK_MS.max), ts);
    else this.#request(ride, ts, out);
  }

  /** The next ride of the agenda takes its next step. */
  step(out: MarketEvent[]): void {
    const ride = this.agenda.pop()!;
    const ts = ride.dueMs;
    switch (ride.phase) {
      case 'intended':
        this.#request(ride, ts, out);
        break;
      case 'waiting':
        this.#match(ride, ts, out);
        break;
      case 'coming':
        if (ride.givesUp) this.#end(ride, 'ride.cancelled', ride.at, ts, out);
        else this.#pickUp(ride, ts, out);
        break;
      case 'riding':
        this.#end(ride, 'ride.completed', ride.destination, ts, out);
        break;
    }
  }

  #request(ride: Ride, ts: number, out: MarketEvent[]): void {
    const { random } = this;
    ride.id = `ride-${++this.#count}`;
    ride.phase = 'waiting';
    ride.requestedMs = ts;
    ride.patienceMs = ts + between(random, UNMATCHED_PATIENCE_MS.min, UNMATCHED_PATIENCE_MS.max);
    const { lat, lon } = ride.at;
    out.push({ type: 'ride.requested', rideId: ride.id, riderId: `r-${ride.rider}`, lat, lon, ts });
    this.fleet.hear(ride.at);
    this.#plan(ride, ts + MATCH_MS.first + random.next() * MATCH_MS.spread, ts);
  }

  #match(ride: Ride, ts: number, out: MarketEvent[]): void {
    const { random, fleet, city } = this;
    const driver = fleet.open.nearest(
      ride.at,
      MATCH_RADIUS_M,
      (d) => fleet.isFree(d, ts) && city.isClear(d, ride.at),
    );
    if (driver === undefined) {
      if (ts >= ride.patienceMs) this.#end(ride, 'ride.cancelled', ride.at, ts, out);
      else this.#plan(ride, Math.min(ride.patienceMs, ts + MATCH_MS.again), ts);
      return;
    }
    ride.driver = driver;
    ride.phase = 'coming';
    this.#tell(ride, 'ride.accepted', ride.at, ts, out);
    fleet.change(driver, 'enroute', ts, out);
    const pickUpMs = fleet.drive(driver, ride.at, ts) + between(random, BOARDING_MS.min, BOARDING_MS.max);
    const givesUpMs = ride.requestedMs + between(random, PICKUP_PATIENCE_MS.min, PICKUP_PATIENCE_MS.max);
    ride.givesUp = givesUpMs < pickUpMs;
    this.#plan(ride, Math.min(pickUpMs, givesUpMs), ts);
  }

  #pickUp(ride: Ride, ts: number, out: MarketEvent[]): void {
    const driver = ride.driver!;
    ride.phase = 'riding';
    ride.destination = this.demand.destination(ride.at, ts, this.random);
    this.#tell(ride, 'ride.picked_up', ride.at, ts, out);
    this.fleet.change(driver, 'ontrip', ts, out);
    this.#plan(ride, Math.max(this.fleet.drive(driver, ride.destination, ts), ts + RIDE_MS_MIN), ts);
  }

  #end(
    ride: Ride,
    type: 'ride.completed' | 'ride.cancelled',
    at: Point,
    ts: number,
    out: MarketEvent[],
  ): void {
    this.#tell(ride, type, at, ts, out);
    this.#isBusy[ride.rider] = 0;
    if (ride.driver !== undefined) this.fleet.change(ride.driver, 'open', ts, out);
  }

  #tell(ride: Ride, type: RideProgressEvent['type'], at: Point, ts: number, out: MarketEvent[]): void {
    const [rideId, riderId, { lat, lon }] = [ride.id, `r-${ride.rider}`, at];
    if (ride.driver === undefined) out.push({ type, rideId, riderId, lat, lon, ts });
    else out.push({ type, rideId, riderId, driverId: ride.driver.id, lat, lon, ts });
  }

  /** Whole milliseconds, and always later than now. */
  #plan(ride: Ride, dueMs: number, nowMs: number): void {
    ride.dueMs = Math.max(nowMs + 1, Math.ceil(dueMs));
    this.agenda.push(ride);
  }

  #anIdleRider(): number {
    const riders = this.#isBusy.length;
    const first = below(this.random, riders);
    for (let i = 0; i < riders; i++) {
      const rider = (first + i) % riders;
      if (this.#isBusy[rider] === 0) return rider;
    }
    return -1;
  }
}
