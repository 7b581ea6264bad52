/**
 * Hunts: a raw message that throws instead of being refused; a subject and a body that say different things and are believed;
 * a refusal that does not say why, or keeps too much.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Cover } from '../../../src/core/geohash.js';
import { EventChecker } from '../../../src/ingest/check.js';
import { EVENT_BYTES_MAX } from '../../../src/ingest/event-size.js';
import { EVENT_TYPES, REFUSAL_REASONS } from '../../../src/ingest/event.js';
import { checkRaw } from '../../../src/ingest/raw-event.js';
import { COVER, ping, session, T0 } from '../../support/market.js';
import { subjects } from './producing.js';

const checker = new EventChecker({ cover: new Cover(COVER), nowMs: () => T0 });
const bytes = (body: unknown): Uint8Array =>
  body instanceof Uint8Array
    ? body
    : new TextEncoder().encode(typeof body === 'string' ? body : JSON.stringify(body));
const check = (subject: string, body: unknown) => checkRaw({ subject, payload: bytes(body) }, checker);
const aPing = ping('d-1', 0, '9q8yyk');
const at = subjects.ingest('driver.location');

describe('a raw event', () => {
  it('is taken with the type of its subject, whether its body says so too or not', () => {
    const typeless = { ...aPing, type: undefined };
    for (const body of [aPing, typeless]) {
      expect(check(at, body)).toMatchObject({
        outcome: 'accepted',
        event: { type: 'driver.location', driverId: 'd-1', cell: '9q8yyk' },
      });
    }
    const opened = { ...session('r-1', 0, '9q8yyk'), type: undefined };
    expect(check(subjects.ingest('session.opened'), opened)).toMatchObject({ outcome: 'accepted' });
  });

  it('has a subject for every type of event', () => {
    expect(new Set(EVENT_TYPES.map((type) => subjects.ingest(type))).size).toBe(EVENT_TYPES.length);
    for (const type of EVENT_TYPES)
      expect(check(subjects.ingest(type), {})).toMatchObject({
        event: { claimed: type, reason: 'missing_field' },
      });
  });

  it.each([
    [
      'a body that names another type',
      at,
      session('r-1', 0, '9q8yyk'),
      'driver.location',
      'unknown_value',
      /session\.opened.*driver_location/,
    ],
    ['a subject of no type', 'gs.sf.ingest.foo', aPing, 'unknown', 'unknown_value', /foo/],
    [
      'no type anywhere',
      'gs.sf.ingest.driver_locaton',
      { ts: T0 },
      'unknown',
      'unknown_type',
      /driver\.location\?/,
    ],
    ['a type that is no text', at, { ...aPing, type: 7 }, 'unknown', 'wrong_type', /type/],
    ['no JSON', at, '{"type":', 'driver.location', 'malformed', /not JSON/],
    ['nothing', at, '', 'driver.location', 'malformed', /not JSON/],
    ['an array', at, [aPing], 'unknown', 'malformed', /array/],
    ['invalid UTF-8', at, new Uint8Array([0x22, 0xff, 0xfe, 0x22]), 'driver.location', 'malformed', /UTF-8/],
    [
      'too many bytes',
      at,
      { ...aPing, note: 'x'.repeat(EVENT_BYTES_MAX) },
      'driver.location',
      'too_large',
      /65536/,
    ],
    [
      'too deep',
      at,
      `${JSON.stringify(aPing).slice(0, -1)},"a":${'['.repeat(20_000)}${']'.repeat(20_000)}}`,
      'driver.location',
      'too_large',
      /deep/,
    ],
    [
      'a place elsewhere',
      at,
      { ...aPing, lat: 48.2, lon: 16.4 },
      'driver.location',
      'outside_region',
      /cover/,
    ],
  ])('is refused for %s', (_what, subject, body, claimed, reason, words) => {
    const verdict = check(subject, body);
    expect(verdict).toMatchObject({ outcome: 'refused', event: { type: 'refused', claimed, reason } });
    expect(verdict.outcome === 'refused' && verdict.event.message).toMatch(words);
  });

  it('property: any bytes at all get a verdict, and of what is refused no more than its beginning is kept', () => {
    const body = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.json().map(bytes),
      fc.record({ type: fc.anything(), ts: fc.anything(), driverId: fc.anything() }).map((raw) => {
        try {
          return bytes(raw);
        } catch {
          return new Uint8Array();
        }
      }),
      fc.constantFrom(70_000, 2_000_000).map((size) => new Uint8Array(size).fill(0x20)),
    );
    fc.assert(
      fc.property(
        fc.constantFrom(at, 'gs.sf.ingest.x', subjects.ingest('ride.requested')),
        body,
        (subject, payload) => {
          const verdict = checkRaw({ subject, payload }, checker);
          if (verdict.outcome === 'accepted') return;
          expect(verdict.event.body.length).toBeLessThanOrEqual(1_024);
          expect(verdict.event.message.length).toBeLessThan(400);
          expect(REFUSAL_REASONS).toContain(verdict.event.reason);
        },
      ),
      { numRuns: 300 },
    );
  });
});
