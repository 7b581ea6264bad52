/**
 * What happens in the simulated city, and how it is told: events by drivers and riders, the order in which they arrive, and
 * which of them are told twice. Every event has a `tag`, so that the checkers know it again wherever it turns up; no two
 * events of one driver or ride have the same time, for their order would then be that of arrival.
 */
import type { ActorEvent } from '../../src/actor/behaviour.js';
import { checked, CELLS, MINUTE, type RawEvent } from '../support/market.js';
import { at } from '../support/market.js';
import type { Dice } from './dice.js';

export interface TaggedEvent extends RawEvent {
  readonly tag: number;
}

export interface Arrival {
  readonly event: TaggedEvent;
  readonly checked: ActorEvent;
  /** When it arrives at its producer, on the scale of `ts`. */
  readonly atMs: number;
  readonly producer: number;
}

export interface WorkloadOptions {
  readonly startMs: number;
  readonly minutes: number;
  readonly drivers: number;
  readonly riders: number;
  readonly pingEveryMs: number;
  readonly ridesPerRider: number;
  readonly producers: number;
  readonly boundMs: number;
  /** Events may arrive in another order, within the bound. */
  readonly reorder: boolean;
  /** Probability of an event to arrive later than the bound, and how much later at most. */
  readonly late: number;
  readonly lateMsMax: number;
  /** Probability of an event to be told twice. */
  readonly twice: number;
  /** All events have an id: whoever tells them may tell them again. */
  readonly ids: boolean;
  /** Probability that everything that the first producer tells is of an hour ahead, for its clock is wrong. */
  readonly ahead: number;
}

const STATUSES = ['open', 'open', 'enroute', 'ontrip', 'ontrip', 'offline'] as const;
const RIDE = ['requested', 'accepted', 'picked_up', 'completed'] as const;

/** All that is told, in order of arrival. */
export const AHEAD_MS = 60 * MINUTE;

export function makeWorkload(options: WorkloadOptions, dice: Dice): Arrival[] {
  const events = [...driversOf(options, dice.of('drivers')), ...ridersOf(options, dice.of('riders'))];
  events.sort((a, b) => a.ts - b.ts);
  const arrivals: Arrival[] = [];
  const roads = dice.of('roads');
  const isAhead = dice.of('ahead').chance(options.ahead);
  for (const [tag, raw] of events.entries()) {
    const doubled = roads.chance(options.twice);
    const first = roads.int(0, options.producers - 1);
    const ts = isAhead && first === 0 ? raw.ts + AHEAD_MS : raw.ts;
    const event: TaggedEvent = { ...raw, ts, tag, ...(options.ids || doubled ? { id: `e-${tag}` } : {}) };
    for (let copy = 0; copy < (doubled ? 2 : 1); copy++) {
      const producer = copy === 0 ? first : roads.int(0, options.producers - 1);
      arrivals.push({ event, checked: checked(event), atMs: raw.ts + delayOf(options, roads), producer });
    }
  }
  return arrivals.sort((a, b) => a.atMs - b.atMs || a.event.tag - b.event.tag);
}

function delayOf({ reorder, boundMs, late, lateMsMax }: WorkloadOptions, dice: Dice): number {
  if (dice.chance(late)) return Math.floor(dice.between(boundMs, boundMs + lateMsMax));
  return reorder ? Math.floor(dice.between(0, boundMs - 1)) : 0;
}

function driversOf({ startMs, minutes, drivers, pingEveryMs }: WorkloadOptions, dice: Dice): RawEvent[] {
  const events: RawEvent[] = [];
  const endMs = startMs + minutes * MINUTE;
  for (let d = 0; d < drivers; d++) {
    let cell = dice.pick(CELLS);
    let status: string = dice.pick(STATUSES);
    for (let ts = startMs + dice.int(0, pingEveryMs); ts < endMs; ts += dice.int(1, 2 * pingEveryMs)) {
      if (dice.chance(0.3)) cell = dice.pick(CELLS);
      if (dice.chance(0.4)) status = dice.pick(STATUSES);
      events.push({ type: 'driver.location', driverId: `d-${d}`, ts, ...at(cell), status });
      // Out of reach for longer than a ping holds.
      if (dice.chance(0.02)) ts += 3 * MINUTE;
    }
  }
  return events;
}

function ridersOf({ startMs, minutes, riders, ridesPerRider }: WorkloadOptions, dice: Dice): RawEvent[] {
  const events: RawEvent[] = [];
  const endMs = startMs + minutes * MINUTE;
  for (let r = 0; r < riders; r++) {
    const riderId = `r-${r}`;
    const used = new Set<number>();
    const tell = (what: string, aboutMs: number, more: object): number => {
      let ts = Math.floor(aboutMs);
      while (used.has(ts)) ts++;
      used.add(ts);
      if (ts < endMs) events.push({ type: what, riderId, ts, ...more });
      return ts;
    };
    for (let i = 0; i < ridesPerRider; i++) {
      let ts = dice.between(startMs, endMs);
      if (dice.chance(0.5)) tell('session.opened', ts, at(dice.pick(CELLS)));
      for (const what of lifeOf(dice)) {
        const placed = what === 'requested' || dice.chance(0.5);
        const place = placed ? at(dice.pick(CELLS)) : {};
        ts = tell(`ride.${what}`, ts, { rideId: `${riderId}-${i}`, ...place }) + dice.int(1, 60_000);
      }
    }
  }
  return events;
}

/** What a ride tells of itself: mostly what it can, at times what it cannot. */
function lifeOf(dice: Dice): string[] {
  const life: string[] = RIDE.slice(0, dice.int(1, RIDE.length));
  if (life.length < 3 && dice.chance(0.5)) life.push('cancelled');
  if (dice.chance(0.1)) life.splice(dice.int(0, life.length - 1), 0, 'picked_up');
  if (dice.chance(0.05)) return dice.shuffle(life);
  return life;
}
