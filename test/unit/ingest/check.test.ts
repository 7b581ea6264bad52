import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Cover, geohash30, geohash30Text } from '../../../src/core/geohash.js';
import { type Checked, EventChecker } from '../../../src/ingest/check.js';
import { EVENT_TYPES, eventJsonSchema, eventSchemas, REFUSAL_REASONS } from '../../../src/ingest/event.js';

const NOW = 1_700_000_000_000;
const DAY = 86_400_000;
const SF = new Cover(['9q8y', '9q8z']);
const WORLD = new Cover([...'0123456789bcdefghjkmnpqrstuvwxyz']);
const checker = new EventChecker({ cover: SF, nowMs: () => NOW });
const anywhere = new EventChecker({ cover: WORLD, nowMs: () => NOW });

const ping = {
  type: 'driver.location',
  driverId: 'd-1',
  lat: 37.78589,
  lon: -122.45694,
  ts: NOW,
  status: 'open',
};
const request = {
  type: 'ride.requested',
  rideId: 'r-1',
  riderId: 'u-1',
  lat: 37.78589,
  lon: -122.45694,
  ts: NOW,
};
const CELL = geohash30Text(geohash30(ping.lat, ping.lon));
const refusal = (raw: unknown): string => {
  const checked = checker.check(raw);
  return checked.outcome === 'accepted' ? 'accepted' : `${checked.reason} ${checked.field ?? '-'}`;
};
const accepted = (checked: Checked): object => {
  if (checked.outcome !== 'accepted') throw new Error(checked.message);
  return checked.event;
};

describe('EventChecker', () => {
  it('accepts a ping and adds its cell', () => {
    expect(accepted(checker.check(ping))).toEqual({ ...ping, cell: CELL });
  });

  it('accepts every event type', () => {
    const common = { id: 'e-1', driverId: 'd-1', rideId: 'r-1', riderId: 'u-1', status: 'open' };
    for (const type of EVENT_TYPES) {
      const event = { ...common, type, lat: 37.78589, lon: -122.45694, ts: NOW };
      expect(accepted(checker.check(event)), type).toEqual({ ...event, cell: CELL });
    }
  });

  it('accepts a ride without a position, and gives it no cell', () => {
    const event = { type: 'ride.cancelled', rideId: 'r-1', riderId: 'u-1', ts: NOW };
    expect(accepted(checker.check({ ...event, cell: 'forged' }))).toEqual(event);
  });

  it('passes unknown fields through, but never a cell from outside', () => {
    expect(accepted(checker.check({ ...ping, speed: 3, cell: 'forged' }))).toMatchObject({
      speed: 3,
      cell: CELL,
    });
    expect(accepted(checker.check({ ...request, fare: { usd: 3 }, cell: 'x' }))).toMatchObject({
      fare: { usd: 3 },
      cell: CELL,
    });
  });

  it.each<[string, unknown, string]>([
    ['null', null, 'malformed -'],
    ['undefined', undefined, 'malformed -'],
    ['an array', [ping], 'malformed -'],
    ['a text', 'driver.location', 'malformed -'],
    ['no type', {}, 'missing_field type'],
    ['a type that is no text', { type: 7 }, 'wrong_type type'],
    ['an unknown type', { ...ping, type: 'driver.locatoin' }, 'unknown_type type'],
    ['a type from the prototype', { ...ping, type: 'constructor' }, 'unknown_type type'],
    ['a missing field', { ...ping, lat: undefined }, 'missing_field lat'],
    ['a number as text', { ...ping, lat: '37.7' }, 'wrong_type lat'],
    ['null for a number', { ...ping, lat: null }, 'wrong_type lat'],
    ['NaN', { ...ping, lat: NaN }, 'not_finite lat'],
    ['Infinity', { ...ping, ts: Infinity }, 'not_finite ts'],
    ['a fraction of a millisecond', { ...ping, ts: NOW + 0.5 }, 'not_integer ts'],
    ['a latitude off the globe', { ...ping, lat: 90.0001 }, 'off_globe lat'],
    ['a longitude off the globe', { ...ping, lon: -180.0001 }, 'off_globe lon'],
    ['a position outside the region', { ...ping, lat: 0, lon: 0 }, 'outside_region -'],
    ['a ride outside the region', { ...request, lat: 0, lon: 0 }, 'outside_region -'],
    ['seconds for milliseconds', { ...ping, ts: 1_211_353_200 }, 'before_2000 ts'],
    ['tomorrow and a millisecond', { ...ping, ts: NOW + DAY + 1 }, 'far_future ts'],
    ['microseconds for milliseconds', { ...ping, ts: NOW * 1000 }, 'far_future ts'],
    ['more than any integer', { ...ping, ts: 1e300 }, 'far_future ts'],
    ['less than any integer', { ...ping, ts: -1e300 }, 'before_2000 ts'],
    ['an unknown status', { ...ping, status: 'busy' }, 'unknown_value status'],
    ['no status', { ...ping, status: undefined }, 'missing_field status'],
    ['an empty id', { ...ping, driverId: '' }, 'id_invalid driverId'],
    ['an id with a line end', { ...ping, driverId: 'd\n1' }, 'id_invalid driverId'],
    ['an id with half a surrogate pair', { ...ping, driverId: 'd\ud800' }, 'id_invalid driverId'],
    ['a long id', { ...ping, driverId: 'd'.repeat(129) }, 'id_too_long driverId'],
    ['a bad optional id', { ...ping, id: 5 }, 'wrong_type id'],
    [
      'latitude without longitude',
      { ...request, type: 'ride.accepted', lon: undefined },
      'missing_field lon',
    ],
    [
      'longitude without latitude',
      { ...request, type: 'ride.completed', lat: undefined },
      'missing_field lat',
    ],
  ])('refuses %s', (_name, raw, expected) => {
    expect(refusal(raw)).toBe(expected);
    const checked = checker.check(raw);
    expect(checked.outcome === 'refused' && REFUSAL_REASONS.includes(checked.reason)).toBe(true);
    expect(checked.outcome === 'refused' && checked.message).toMatch(/\w/);
  });

  it('accepts the bounds themselves', () => {
    for (const raw of [
      { ...ping, ts: NOW + DAY },
      { ...ping, ts: 946_684_800_000 },
      { ...ping, lat: 90, lon: 180 },
      { ...ping, lat: -90, lon: -180 },
      { ...ping, driverId: 'ü'.repeat(128) },
    ]) {
      expect(accepted(anywhere.check(raw))).toMatchObject(raw);
    }
  });

  it('names the nearest event type', () => {
    expect(checker.check({ type: 'driver.locatoin' })).toMatchObject({
      message: expect.stringContaining('driver.location?') as string,
    });
  });

  it.each([ping, request])('is not poisoned by __proto__ keys: %o', (event) => {
    const raw: unknown = JSON.parse(
      `${JSON.stringify(event).slice(0, -1)},"__proto__":{"polluted":true,"cell":"x"}}`,
    );
    const checked = accepted(checker.check(raw));
    expect((checked as { polluted?: boolean }).polluted).toBeUndefined();
    expect(Object.getPrototypeOf(checked)).toBe(Object.prototype);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
    const onlyProto: unknown = JSON.parse('{"__proto__":{"type":"driver.location"}}');
    expect(refusal(onlyProto)).toBe('missing_field type');
  });

  it('does not change what it is given', () => {
    const frozen = Object.freeze({ ...ping, extra: 1 });
    const request2 = Object.freeze({ ...request, cell: 'x' });
    expect(checker.check(frozen).outcome).toBe('accepted');
    expect(checker.check(request2).outcome).toBe('accepted');
    expect(request2.cell).toBe('x');
  });

  it('the fast path for pings gives the verdict and the event of the schema', () => {
    const schema = eventSchemas(() => NOW)['driver.location'];
    const odd = fc.oneof(
      fc.constantFrom<unknown>(
        undefined,
        null,
        NaN,
        Infinity,
        -0,
        '',
        true,
        [],
        {},
        1e300,
        2 ** 53,
        '37',
        5n,
      ),
      fc.anything(),
    );
    const anyOf = <T>(right: fc.Arbitrary<T>): fc.Arbitrary<unknown> =>
      fc.oneof({ arbitrary: right, weight: 12 }, { arbitrary: odd, weight: 1 });
    const ids = fc.oneof(
      fc.string({ minLength: 1, unit: 'binary' }),
      fc.string({ minLength: 120, maxLength: 135 }),
      fc.constantFrom('\x7f', '\x80', '\u2028', '\udc00', '🚕'),
    );
    const times = fc.oneof(
      fc.integer({ min: 946_684_800_000, max: NOW }),
      fc.constantFrom(NOW + DAY, NOW + DAY + 1, 946_684_799_999, 946_684_800_000, NOW + 0.25),
    );
    const raws = fc.record(
      {
        type: fc.constant('driver.location'),
        driverId: anyOf(ids),
        lat: anyOf(fc.double({ min: -91, max: 91, noNaN: true })),
        lon: anyOf(fc.double({ min: -181, max: 181, noNaN: true })),
        ts: anyOf(times),
        status: anyOf(fc.constantFrom('open', 'enroute', 'ontrip', 'offline', 'Open')),
        id: anyOf(ids),
        extra: fc.anything(),
      },
      { requiredKeys: ['type', 'driverId', 'lat', 'lon', 'ts', 'status'] },
    );
    let seenAccepted = 0;
    fc.assert(
      fc.property(raws, (raw) => {
        const checked = anywhere.check(raw);
        const truth = schema.safeParse(raw);
        expect(checked.outcome === 'accepted').toBe(truth.success);
        if (checked.outcome === 'accepted') {
          seenAccepted++;
          const { cell, ...event } = checked.event;
          expect(event).toEqual(truth.data);
          expect(cell).toHaveLength(6);
        } else expect(checked.reason).toBe(truth.error!.issues[0]!.message);
      }),
      { numRuns: 3_000 },
    );
    expect(seenAccepted).toBeGreaterThan(300);
  });

  it('never throws, whatever it is given', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.anything(),
          fc.record({ type: fc.constantFrom(...EVENT_TYPES), ts: fc.anything(), riderId: fc.anything() }),
        ),
        (raw) => {
          expect(['accepted', 'refused']).toContain(checker.check(raw).outcome);
        },
      ),
    );
  });
});

describe('an event of a time that has not come', () => {
  const live = new EventChecker({ cover: WORLD, nowMs: () => NOW, aheadMs: 60_000 });
  const kinds = [
    { type: 'driver.location', driverId: 'd', lat: 1, lon: 1, status: 'open' },
    { type: 'session.opened', riderId: 'r', lat: 1, lon: 1 },
    { type: 'ride.cancelled', rideId: 'x', riderId: 'r' },
  ];

  it.each(kinds)('of a live source is refused with the reason, $type', (kind) => {
    expect(live.check({ ...kind, ts: NOW + 60_000 }).outcome).toBe('accepted');
    expect(live.check({ ...kind, ts: NOW + 3_600_000 })).toMatchObject({
      outcome: 'refused',
      type: kind.type,
      reason: 'clock_ahead',
      field: 'ts',
      message: expect.stringMatching(/3600 s ahead.*at most 60 s/) as string,
    });
    expect(live.check({ ...kind, ts: NOW + 90_000_000 })).toMatchObject({ reason: 'far_future' });
  });

  it.each(kinds)('is of one that has come as soon as the clock says so, $type', (kind) => {
    let nowMs = NOW;
    const moving = new EventChecker({ cover: WORLD, nowMs: () => nowMs, aheadMs: 60_000 });
    const event = { ...kind, ts: NOW + 60_001 };
    expect(moving.check(event)).toMatchObject({ reason: 'clock_ahead' });
    nowMs++;
    expect(moving.check(event).outcome).toBe('accepted');
    // Set back: it has not come again.
    nowMs--;
    expect(moving.check(event)).toMatchObject({ reason: 'clock_ahead' });
  });

  it.each(kinds)('of a replay is taken, $type', (kind) => {
    expect(anywhere.check({ ...kind, ts: NOW + 3_600_000 }).outcome).toBe('accepted');
  });
});

describe('eventJsonSchema', () => {
  it('gives a schema for every type, open for further fields', () => {
    for (const type of EVENT_TYPES) {
      const schema = eventJsonSchema(type);
      expect(schema).toMatchObject({
        type: 'object',
        properties: { type: { const: type }, ts: { type: 'integer' } },
      });
      expect(schema.required).toContain('ts');
      expect(schema.additionalProperties).not.toBe(false);
    }
  });

  it('says that latitude and longitude come together', () => {
    expect(eventJsonSchema('ride.accepted')).toMatchObject({
      dependentRequired: { lat: ['lon'], lon: ['lat'] },
    });
  });
});
