/**
 * The canonical workload, simulated beforehand: where each driver is at each ping, as numbers in a few lists. What is measured
 * then begins with an event: its object, its cell's text, all that a producer does with it; not with the world that it comes from.
 */
import { geohash30, geohash30Text } from '../src/core/geohash.js';
import { DRIVER_STATUSES } from '../src/ingest/event.js';
import { CanonicalWorkload, type Ping, type WorkloadOptions } from './workload.js';

export class RecordedWorkload {
  readonly #ids: readonly string[];
  /** Of each event: which driver, when, where, what. */
  readonly #drivers: Uint32Array;
  readonly #times: Float64Array;
  readonly #lats: Float64Array;
  readonly #lons: Float64Array;
  readonly #hashes: Uint32Array;
  readonly #statuses: Uint8Array;
  /** Where each tick ends. */
  readonly #ends: number[] = [];

  constructor(options: WorkloadOptions) {
    const { drivers, events } = options;
    this.#ids = Array.from({ length: drivers }, (_, i) => `d-${i}`);
    this.#drivers = new Uint32Array(events);
    this.#times = new Float64Array(events);
    this.#lats = new Float64Array(events);
    this.#lons = new Float64Array(events);
    this.#hashes = new Uint32Array(events);
    this.#statuses = new Uint8Array(events);
    let at = 0;
    for (const tick of new CanonicalWorkload(options).ticks()) {
      for (const { driverId, ts, lat, lon, status } of tick) {
        this.#drivers[at] = Number(driverId.slice(2));
        this.#times[at] = ts;
        this.#lats[at] = lat;
        this.#lons[at] = lon;
        this.#hashes[at] = geohash30(lat, lon);
        this.#statuses[at] = DRIVER_STATUSES.indexOf(status);
        at++;
      }
      this.#ends.push(at);
    }
  }

  /** The events of each tick, as `CanonicalWorkload` gives them. */
  *ticks(): Generator<readonly Ping[]> {
    let at = 0;
    for (const end of this.#ends) {
      const pings: Ping[] = [];
      for (; at < end; at++) pings.push(this.ping(at));
      yield pings;
    }
  }

  get length(): number {
    return this.#drivers.length;
  }

  /** One of them, at its own time or another. */
  ping(at: number, ts = this.#times[at]!): Ping {
    return {
      type: 'driver.location',
      driverId: this.#ids[this.#drivers[at]!]!,
      lat: this.#lats[at]!,
      lon: this.#lons[at]!,
      ts,
      status: DRIVER_STATUSES[this.#statuses[at]!]!,
      cell: geohash30Text(this.#hashes[at]!),
    };
  }
}
