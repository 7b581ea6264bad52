/** Hunts: an event without a bound that passes the gate: in bytes, in depth, or in the time that it takes to look at it. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Cover } from '../../../src/core/geohash.js';
import { EventChecker } from '../../../src/ingest/check.js';
import { EVENT_BYTES_MAX, EVENT_DEPTH_MAX, eventBytes } from '../../../src/ingest/event-size.js';
import { encodeEventFrame } from '../../../src/partition/frame.js';
import { COVER, ping, ride, T0 } from '../../support/market.js';

const checker = new EventChecker({ cover: new Cover(COVER), nowMs: () => T0 });

const nested = (depth: number): unknown => {
  let value: unknown = 1;
  for (let i = 0; i < depth; i++) value = i % 2 === 0 ? [value] : { a: value };
  return value;
};

describe('the size of an event', () => {
  it('is near what it takes on the wire', () => {
    fc.assert(
      fc.property(
        fc.object({ maxDepth: 3, key: fc.string(), values: [fc.integer(), fc.string(), fc.double()] }),
        (extra) => {
          const event = { ...ping('d-1', 0, '9q8yyk'), extra };
          const wire = encodeEventFrame({
            producer: 'p',
            mode: 'live',
            seq: 0,
            watermarkMs: 0,
            end: false,
            events: [event],
          }).byteLength;
          expect(eventBytes(event)).toBeGreaterThan(wire / 5);
          expect(eventBytes(event)).toBeLessThan(wire * 5);
        },
      ),
    );
  });

  it('is over every limit for what would never end', () => {
    const cyclic: Record<string, unknown> = {};
    for (const key of ['a', 'b', 'c']) cyclic[key] = cyclic;
    let shared: unknown = 'x';
    for (let i = 0; i < 30; i++) shared = [shared, shared, shared];
    for (const extra of [cyclic, shared, nested(EVENT_DEPTH_MAX + 1), 'x'.repeat(EVENT_BYTES_MAX)])
      expect(eventBytes({ extra })).toBe(Number.POSITIVE_INFINITY);
    expect(eventBytes({ extra: nested(EVENT_DEPTH_MAX) })).toBeLessThan(1_000);
  });

  it.each([
    ['a ping', ping('d-1', 0, '9q8yyk')],
    ['a ride event', ride('requested', 'r', 0, '9q8yyk')],
  ])('is asked of %s at the gate', (_what, event) => {
    for (const extra of ['x'.repeat(EVENT_BYTES_MAX), nested(40), nested(20_000)])
      expect(checker.check({ ...event, extra })).toMatchObject({ outcome: 'refused', reason: 'too_large' });
    expect(checker.check({ ...event, extra: nested(20) })).toMatchObject({ outcome: 'accepted' });
  });
});
