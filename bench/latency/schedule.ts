/**
 * The load of the latency bench as a function of its options: which event is due when, and which of them are probes. Who offers it
 * and who waits for its probes are two processes, and both know it from here.
 */
import type { RecordedWorkload } from '../recorded-workload.js';
import type { Ping } from '../workload.js';
import { placesIn, type Place } from './places.js';

export interface LoadOptions {
  readonly eventsPerSecond: number;
  readonly drivers: number;
  readonly seed: number;
  /** Pings of probes in a second, and the cells they are in: at most the 1,024 of a geohash of four characters. */
  readonly probesPerSecond: number;
  readonly probeCells: number;
  /** Geohash prefixes of four characters: the drivers are in all but the last, where the probes are. */
  readonly cover: readonly string[];
}

/** When what is due is measured, wall time, ms. */
export interface Measured {
  readonly fromMs: number;
  readonly untilMs: number;
}

export function isMeasured({ fromMs, untilMs }: Measured, dueMs: number): boolean {
  return dueMs >= fromMs && dueMs < untilMs;
}

const STATUSES = ['open', 'enroute', 'ontrip'] as const;
export type ProbeStatus = (typeof STATUSES)[number];
/** So many pings of a probe may wait to be shown: with as many as there are statuses nobody could tell them apart. */
export const WAITING_MAX = STATUSES.length - 1;

/** A driver alone in a cell of its own, each of whose pings changes its status. */
export interface Probe {
  readonly driverId: string;
  readonly place: Place;
}

/** A probe's ping. */
export interface ProbePing {
  readonly probe: Probe;
  readonly status: ProbeStatus;
}

export class Schedule {
  readonly probes: readonly Probe[];
  readonly #options: LoadOptions;
  readonly #startedMs: number;

  /** @param startedMs when the first event is due, wall time */
  constructor(options: LoadOptions, startedMs: number) {
    this.#options = options;
    this.#startedMs = startedMs;
    const places = placesIn(options.cover.at(-1)!).slice(0, options.probeCells);
    this.probes = places.map((place, i) => ({ driverId: `probe-${i}`, place }));
  }

  /** Wall time, ms. */
  dueMs(event: number): number {
    return this.#startedMs + (event * 1_000) / this.#options.eventsPerSecond;
  }

  isProbe(event: number): boolean {
    return this.eventOfProbe(this.#probesBefore(event)) === event;
  }

  /** The event that is the nth ping of a probe. */
  eventOfProbe(nth: number): number {
    const { eventsPerSecond, probesPerSecond } = this.#options;
    return Math.ceil(((nth + 1) * eventsPerSecond) / probesPerSecond) - 1;
  }

  /** Of all probes, one after the other, round by round. */
  probePing(nth: number): ProbePing {
    const round = Math.floor(nth / this.probes.length);
    return { probe: this.probes[nth % this.probes.length]!, status: STATUSES[round % STATUSES.length]! };
  }

  /** An event: the workload says who goes where, there and back again, the rate says when. */
  event(number: number, workload: RecordedWorkload): Ping {
    const ts = Math.floor(this.dueMs(number));
    const nth = this.#probesBefore(number);
    if (this.isProbe(number)) {
      const { probe, status } = this.probePing(nth);
      return { type: 'driver.location', driverId: probe.driverId, ...probe.place, ts, status };
    }
    const { length } = workload;
    const at = (number - nth) % (2 * length);
    return workload.ping(at < length ? at : 2 * length - 1 - at, ts);
  }

  #probesBefore(number: number): number {
    const { eventsPerSecond, probesPerSecond } = this.#options;
    return Math.floor((number * probesPerSecond) / eventsPerSecond);
  }
}
