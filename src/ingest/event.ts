/**
 * The events of the outside world: their zod schemas, types and JSON Schemas. Owns what is true of an event by itself;
 * whether it lies in the region is `check.ts`'s business.
 *
 * Every issue of these schemas carries a `RefusalReason` as its message: the schema is the one place that says both what
 * is refused and why. Unknown fields pass through.
 */
import { z } from 'zod';

export const REFUSAL_REASONS = [
  'malformed',
  'too_large',
  'unknown_type',
  'missing_field',
  'wrong_type',
  'not_finite',
  'not_integer',
  'unknown_value',
  'off_globe',
  'outside_region',
  'before_2000',
  'far_future',
  'clock_ahead',
  'id_too_long',
  'id_invalid',
] as const;

/** Why an event was refused. */
export type RefusalReason = (typeof REFUSAL_REASONS)[number];

export const DRIVER_STATUSES = ['open', 'enroute', 'ontrip', 'offline'] as const;
export type DriverStatus = (typeof DRIVER_STATUSES)[number];

/** 2000-01-01 UTC: an older `ts` is a fault of the source, most often seconds given as milliseconds. */
export const OLDEST_TS_MS = 946_684_800_000;
/** How far an event's `ts` may lie in the future of the checker's clock. */
export const FUTURE_LIMIT_MS = 86_400_000;
/** Longest id, in UTF-16 code units. */
export const ID_LENGTH_MAX = 128;
/** At least one character, none of them a control character or half of a surrogate pair. */
export const ID_PATTERN = /^[^\p{Cc}\p{Cs}]+$/u;

type TypeIssue = { input?: unknown };

/** The reason for a value that is not a text. */
const notText = ({ input }: TypeIssue): RefusalReason =>
  input === undefined ? 'missing_field' : 'wrong_type';

/** The reason for a value that is not a number, or not a safe integer where one is asked for. */
function notNumber({ input }: TypeIssue): RefusalReason {
  if (typeof input !== 'number') return notText({ input });
  if (!Number.isFinite(input)) return 'not_finite';
  if (!Number.isInteger(input)) return 'not_integer';
  return input > 0 ? 'far_future' : 'before_2000';
}
const because = (reason: RefusalReason): { error: RefusalReason } => ({ error: reason });

const id = z
  .string({ error: notText })
  .max(ID_LENGTH_MAX, because('id_too_long'))
  .regex(ID_PATTERN, because('id_invalid'));
const degrees = (limit: number): z.ZodNumber =>
  z.number({ error: notNumber }).min(-limit, because('off_globe')).max(limit, because('off_globe'));
const lat = degrees(90).describe('degrees north');
const lon = degrees(180).describe('degrees east');

/** The schemas of all event types. `nowMs` gives wall time, for the bound on `ts`. */
export function eventSchemas(nowMs: () => number) {
  const ts = z
    .int({ error: notNumber })
    .min(OLDEST_TS_MS, because('before_2000'))
    .refine((ms) => ms <= nowMs() + FUTURE_LIMIT_MS, because('far_future'))
    .describe('event time: integer milliseconds since 1970-01-01 UTC');
  const eventId = id.optional().describe('makes the event idempotent within the duplicate window');

  const ride = <T extends string>(type: T) =>
    z
      .looseObject({
        type: z.literal(type),
        rideId: id,
        riderId: id,
        driverId: id.optional(),
        ts,
        lat: lat.optional(),
        lon: lon.optional(),
        id: eventId,
      })
      .refine((event) => event.lon === undefined || event.lat !== undefined, {
        ...because('missing_field'),
        path: ['lat'],
      })
      .refine((event) => event.lat === undefined || event.lon !== undefined, {
        ...because('missing_field'),
        path: ['lon'],
      })
      .meta({ dependentRequired: { lat: ['lon'], lon: ['lat'] } });

  return {
    'driver.location': z.looseObject({
      type: z.literal('driver.location'),
      driverId: id,
      lat,
      lon,
      ts,
      status: z.enum(DRIVER_STATUSES, {
        error: ({ input }) => (typeof input === 'string' ? 'unknown_value' : notText({ input })),
      }),
      id: eventId,
    }),
    'ride.requested': z.looseObject({
      type: z.literal('ride.requested'),
      rideId: id,
      riderId: id,
      lat,
      lon,
      ts,
      id: eventId,
    }),
    'ride.accepted': ride('ride.accepted'),
    'ride.cancelled': ride('ride.cancelled'),
    'ride.picked_up': ride('ride.picked_up'),
    'ride.completed': ride('ride.completed'),
    'session.opened': z.looseObject({
      type: z.literal('session.opened'),
      riderId: id,
      lat,
      lon,
      ts,
      id: eventId,
    }),
  } as const;
}

export type EventSchemas = ReturnType<typeof eventSchemas>;
export type EventType = keyof EventSchemas;
export type EventOf<T extends EventType> = z.output<EventSchemas[T]>;
export type DriverLocation = EventOf<'driver.location'>;
export type RideRequested = EventOf<'ride.requested'>;
export type RideProgress = EventOf<'ride.accepted' | 'ride.cancelled' | 'ride.picked_up' | 'ride.completed'>;
export type SessionOpened = EventOf<'session.opened'>;
export type GroundswellEvent = EventOf<EventType>;

const UNBOUNDED = eventSchemas(() => Infinity);
export const EVENT_TYPES = Object.keys(UNBOUNDED) as readonly EventType[];

/** JSON Schema (draft 2020-12) of an event type. The bound on the future depends on the clock and is not in it. */
export function eventJsonSchema(type: EventType): z.core.JSONSchema.BaseSchema {
  return z.toJSONSchema(UNBOUNDED[type], { target: 'draft-2020-12', io: 'input' });
}
