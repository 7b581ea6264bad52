// Hunts: a point on a border, a pole or the date line that lands in another cell than everybody else's.
import fc from 'fast-check';
import ngeohash from 'ngeohash';
import { describe, expect, it } from 'vitest';
import {
  Cover,
  geohash30,
  geohash30Of,
  geohash30Text,
  GEOHASH_ALPHABET,
  isGeohash,
} from '../../../src/core/geohash.js';

const cellOf = (lat: number, lon: number): string => geohash30Text(geohash30(lat, lon));
const latitude = fc.double({ min: -90, max: 90, noNaN: true });
const longitude = fc.double({ min: -180, max: 180, noNaN: true });

describe('geohash30', () => {
  it('equals ngeohash for every point', () => {
    fc.assert(
      fc.property(latitude, longitude, (lat, lon) => {
        expect(cellOf(lat, lon)).toBe(ngeohash.encode(lat, lon, 6));
      }),
      { numRuns: 2_000 },
    );
  });

  it('equals ngeohash on the borders of cells, and a hair beside them', () => {
    const nudge = fc.constantFrom(0, 1e-12, -1e-12, Number.EPSILON, -Number.EPSILON);
    const border = fc.record({ x: fc.nat(32_768), y: fc.nat(32_768), dx: nudge, dy: nudge });
    fc.assert(
      fc.property(border, ({ x, y, dx, dy }) => {
        const lat = Math.max(-90, Math.min(90, -90 + (180 / 32_768) * y + dy));
        const lon = Math.max(-180, Math.min(180, -180 + (360 / 32_768) * x + dx));
        expect(cellOf(lat, lon)).toBe(ngeohash.encode(lat, lon, 6));
      }),
      { numRuns: 2_000 },
    );
  });

  it.each([
    [90, 180],
    [-90, -180],
    [90, -180],
    [-90, 180],
    [0, 0],
    [-0, -0],
    [90, 0],
    [-90, 0],
    [0, 180],
    [0, -180],
    [37.7749, -122.4194],
  ])('equals ngeohash at %d, %d', (lat, lon) => {
    expect(cellOf(lat, lon)).toBe(ngeohash.encode(lat, lon, 6));
  });

  it('a point in San Francisco has the cell that everybody knows', () => {
    expect(cellOf(37.7749, -122.4194)).toBe('9q8yyk');
  });

  it('no other text is a number', () => {
    for (const text of ['', '9q8yy', '9q8yykj', '9q8yya', '9q8yyK', '9q8yy ', '9q8yyé', '9q8yy🚕'])
      expect(geohash30Of(text)).toBe(-1);
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 6, maxLength: 6 }), (text) => {
        const hash = geohash30Of(text);
        expect(hash === -1 ? isGeohash(text) && text.length === 6 : geohash30Text(hash) !== text).toBe(false);
      }),
    );
  });

  it('text and number are two ways to write the same cell', () => {
    fc.assert(
      fc.property(fc.nat(2 ** 30 - 1), (hash) => {
        const text = geohash30Text(hash);
        expect(text).toHaveLength(6);
        expect([...text].reduce((sum, char) => sum * 32 + GEOHASH_ALPHABET.indexOf(char), 0)).toBe(hash);
        expect(geohash30Of(text)).toBe(hash);
      }),
    );
  });
});

describe('isGeohash', () => {
  it.each(['9', '9q8yyk', '0123456789bc', 'zzzzzz'])('takes %s', (text) => {
    expect(isGeohash(text)).toBe(true);
  });

  it.each(['', 'a', 'i', 'l', 'o', '9q8a', '9Q8YYK', ' 9q', '0123456789bcd'])('refuses "%s"', (text) => {
    expect(isGeohash(text)).toBe(false);
  });
});

describe('Cover', () => {
  const prefix = fc
    .array(fc.constantFrom(...GEOHASH_ALPHABET), { minLength: 1, maxLength: 6 })
    .map((chars) => chars.join(''));

  it('has exactly the cells that start with one of its prefixes', () => {
    fc.assert(
      fc.property(
        fc.array(prefix, { maxLength: 6 }),
        fc.nat(2 ** 30 - 1),
        fc.nat(5),
        (prefixes, hash, cut) => {
          // One prefix of the cell itself in half of the runs: chance would hardly ever give one.
          const all = hash % 2 === 0 ? prefixes : [...prefixes, geohash30Text(hash).slice(0, cut + 1)];
          const expected = all.some((each) => geohash30Text(hash).startsWith(each));
          expect(new Cover(all).has(hash)).toBe(expected);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('an empty cover has nothing; one of all first characters has the world', () => {
    expect(new Cover([]).has(geohash30(37.77, -122.41))).toBe(false);
    expect(new Cover([...GEOHASH_ALPHABET]).has(geohash30(-90, 180))).toBe(true);
  });

  it.each(['', '9a', '9q8yykm', '9Q'])('refuses the prefix "%s", naming it', (bad) => {
    expect(() => new Cover(['9q', bad])).toThrow(`characters: ${bad}`);
  });
});
