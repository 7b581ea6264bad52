/**
 * The gate: is this raw value an event, and does it lie in the region? Owns the verdict and the words of a refusal; what
 * an event is stands in `event.ts`, and that schema is the truth. Pings, by far the most events, take a hand-written path
 * that accepts exactly what the schema accepts (a property test holds that) and never explains; whatever it does not
 * accept goes to zod for the reason.
 */
import { type Cover, geohash30, geohash30Text } from '../core/geohash.js';
import type { CellKey } from '../core/ids.js';
import { nearest } from '../core/nearest.js';
import { EVENT_BYTES_MAX, EVENT_DEPTH_MAX, eventBytes } from './event-size.js';
import {
  type DriverLocation,
  DRIVER_STATUSES,
  EVENT_TYPES,
  eventSchemas,
  FUTURE_LIMIT_MS,
  type GroundswellEvent,
  ID_LENGTH_MAX,
  ID_PATTERN,
  OLDEST_TS_MS,
  type RefusalReason,
} from './event.js';

/** An event that passed, with the six-character cell of its position when it has one. */
export type CheckedEvent = GroundswellEvent & { cell?: CellKey };

export type Checked =
  | { readonly outcome: 'accepted'; readonly event: CheckedEvent }
  | {
      readonly outcome: 'refused';
      /** The event's type when it is a known one, else `unknown`. */
      readonly type: string;
      readonly reason: RefusalReason;
      readonly field?: string;
      readonly message: string;
    };

/** Fields of a ping without `id` and without any further field. */
const PING_KEYS = 6;
const isStatus = (value: unknown): boolean =>
  value === 'open' || value === 'ontrip' || value === 'enroute' || value === 'offline';

/** `ID_PATTERN` and the length limit, without a regular expression for plain ASCII. */
function isId(value: unknown): value is string {
  if (typeof value !== 'string' || value.length === 0 || value.length > ID_LENGTH_MAX) return false;
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i);
    if (code < 0x20 || code > 0x7e) return ID_PATTERN.test(value);
  }
  return true;
}

export class EventChecker {
  readonly #cover: Cover;
  readonly #nowMs: () => number;
  readonly #aheadMs: number;
  /** Wall time as of the last look at it. */
  #knownMs = 0;
  readonly #schemas: ReadonlyMap<unknown, ReturnType<typeof eventSchemas>[GroundswellEvent['type']]>;

  /**
   * @param options.nowMs wall time
   * @param options.aheadMs how far ahead of it an event of a live source may be; without it, as far as the schema lets it
   */
  constructor(options: { cover: Cover; nowMs: () => number; aheadMs?: number }) {
    this.#cover = options.cover;
    this.#nowMs = options.nowMs;
    this.#aheadMs = options.aheadMs ?? Number.POSITIVE_INFINITY;
    const schemas = eventSchemas(options.nowMs);
    this.#schemas = new Map(EVENT_TYPES.map((type) => [type, schemas[type]]));
  }

  /** The verdict on any value at all; never throws for what JSON can hold, never changes its argument. */
  check(raw: unknown): Checked {
    if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) {
      const found = raw === null ? 'null' : Array.isArray(raw) ? 'an array' : typeof raw;
      return refused('unknown', 'malformed', undefined, `an event is an object; found ${found}`);
    }
    const fields = raw as Record<string, unknown>;
    if (fields.type === 'driver.location' && this.#isPing(fields)) {
      const hash = geohash30(fields.lat, fields.lon);
      if (!this.#cover.has(hash)) return outsideRegion(fields.type, hash);
      // Without further fields it is as small as its ids.
      if (Object.keys(fields).length !== PING_KEYS && eventBytes(fields) > EVENT_BYTES_MAX)
        return tooLarge(fields.type);
      if (this.#isAhead(fields.ts)) return this.#ahead(fields.type, fields.ts);
      return { outcome: 'accepted', event: pingWithCell(fields, geohash30Text(hash)) };
    }
    return this.#checkSlowly(fields);
  }

  /** Accepts exactly what the schema of `driver.location` accepts. */
  #isPing(fields: Record<string, unknown>): fields is DriverLocation {
    const { lat, lon, ts } = fields;
    return (
      typeof lat === 'number' &&
      lat >= -90 &&
      lat <= 90 &&
      typeof lon === 'number' &&
      lon >= -180 &&
      lon <= 180 &&
      typeof ts === 'number' &&
      ts >= OLDEST_TS_MS &&
      Number.isSafeInteger(ts) &&
      isStatus(fields.status) &&
      isId(fields.driverId) &&
      (fields.id === undefined || isId(fields.id)) &&
      !this.#isFarAhead(ts)
    );
  }

  #isAhead(ts: number): boolean {
    return this.#aheadMs !== Number.POSITIVE_INFINITY && ts > this.#nowMs() + this.#aheadMs;
  }

  /** Of a time that no clock can be right about. Most are not, as of an earlier look at the wall time, which costs as much as a check. */
  #isFarAhead(ts: number): boolean {
    if (ts <= this.#knownMs + FUTURE_LIMIT_MS) return false;
    this.#knownMs = this.#nowMs();
    return ts > this.#knownMs + FUTURE_LIMIT_MS;
  }

  #ahead(type: string, ts: number): Checked {
    const byS = Math.round((ts - this.#nowMs()) / 1_000);
    const message = `ts: ${byS} s ahead of the region's time; at most ${this.#aheadMs / 1_000} s are taken: the sender's clock is wrong`;
    return refused(type, 'clock_ahead', 'ts', message);
  }

  #checkSlowly(fields: Record<string, unknown>): Checked {
    const schema = this.#schemas.get(fields.type);
    if (schema === undefined) return badType(fields.type);
    const result = schema.safeParse(fields);
    if (!result.success) {
      const issue = result.error.issues[0]!;
      const field = String(issue.path[0]);
      const reason = issue.message as RefusalReason;
      return refused(fields.type as string, reason, field, explain(reason, field, fields[field]));
    }
    const event = result.data as CheckedEvent;
    if (eventBytes(event) > EVENT_BYTES_MAX) return tooLarge(event.type);
    if (this.#isAhead(event.ts)) return this.#ahead(event.type, event.ts);
    // A field `cell` from outside never stands in for ours.
    if (Object.hasOwn(event, 'cell')) delete event.cell;
    if (event.lat !== undefined && event.lon !== undefined) {
      const hash = geohash30(event.lat, event.lon);
      if (!this.#cover.has(hash)) return outsideRegion(event.type, hash);
      event.cell = geohash30Text(hash);
    }
    return { outcome: 'accepted', event };
  }
}

/** A ping with its cell: one shape for all that carry no further field, so that what follows stays fast. */
function pingWithCell(fields: DriverLocation, cell: CellKey): CheckedEvent {
  if (Object.keys(fields).length === PING_KEYS) {
    const { type, driverId, lat, lon, ts, status } = fields;
    return { type, driverId, lat, lon, ts, status, cell };
  }
  const event: Record<string, unknown> = {};
  for (const key in fields) if (key !== '__proto__') event[key] = fields[key];
  event.cell = cell;
  return event as CheckedEvent;
}

function refused(type: string, reason: RefusalReason, field: string | undefined, message: string): Checked {
  return { outcome: 'refused', type, reason, ...(field === undefined ? {} : { field }), message };
}

function tooLarge(type: string): Checked {
  const message = `the event takes more than ${EVENT_BYTES_MAX} bytes, or is nested deeper than ${EVENT_DEPTH_MAX}`;
  return refused(type, 'too_large', undefined, message);
}

function outsideRegion(type: string, hash: number): Checked {
  const message = `the position lies in ${geohash30Text(hash)}, outside the region's cover`;
  return { outcome: 'refused', type, reason: 'outside_region', message };
}

function badType(type: unknown): Checked {
  if (type === undefined) return refused('unknown', 'missing_field', 'type', 'type: missing');
  if (typeof type !== 'string')
    return refused('unknown', 'wrong_type', 'type', `type: not a text: ${show(type)}`);
  const near = nearest(type, EVENT_TYPES);
  const hint = near === undefined ? `known are ${EVENT_TYPES.join(', ')}` : `did you mean ${near}?`;
  return refused('unknown', 'unknown_type', 'type', `type: no event is called ${show(type)}; ${hint}`);
}

function explain(reason: RefusalReason, field: string, value: unknown): string {
  switch (reason) {
    case 'missing_field':
      return `${field}: missing`;
    case 'wrong_type':
      return `${field}: wrong type: ${show(value)}`;
    case 'not_finite':
      return `${field}: not a finite number: ${show(value)}`;
    case 'not_integer':
      return `${field}: not an integer: ${show(value)}`;
    case 'unknown_value':
      return `${field}: ${show(value)} is none of ${DRIVER_STATUSES.join(', ')}`;
    case 'off_globe':
      return `${field}: not on the globe: ${show(value)}`;
    case 'before_2000':
      return `${field}: before 2000-01-01: ${show(value)}; ts is in milliseconds`;
    case 'far_future':
      return `${field}: more than 24 h in the future: ${show(value)}; ts is in milliseconds`;
    case 'id_too_long':
      return `${field}: longer than ${ID_LENGTH_MAX} characters`;
    case 'id_invalid':
      return `${field}: empty, or holds a control character: ${show(value)}`;
    case 'malformed':
    case 'clock_ahead':
    case 'too_large':
    case 'unknown_type':
    case 'outside_region':
      return `${field}: ${reason}`;
  }
}

/** A value in a message: short, on one line. */
function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 40));
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'an array' : 'an object';
  return String(value);
}
