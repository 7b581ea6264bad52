/** Hunts: an agenda out of order, a nearest driver who is not the nearest, distributions with a wrong mean. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../../../src/core/random.js';
import { Agenda } from '../../../../src/ingest/simulator/agenda.js';
import { bell, exponential, pick } from '../../../../src/ingest/simulator/chance.js';
import { City, distanceM, narrowing } from '../../../../src/ingest/simulator/city.js';
import { OpenDrivers } from '../../../../src/ingest/simulator/open-drivers.js';

const N = 200_000;

function momentsOf(draw: () => number): { mean: number; variance: number } {
  let sum = 0;
  let squares = 0;
  for (let i = 0; i < N; i++) {
    const x = draw();
    sum += x;
    squares += x * x;
  }
  return { mean: sum / N, variance: squares / N - (sum / N) ** 2 };
}

describe('the agenda', () => {
  it('gives items in order of time, whatever the order they came in', () => {
    fc.assert(
      fc.property(fc.array(fc.option(fc.integer({ min: 0, max: 50 }))), (steps) => {
        const agenda = new Agenda<{ dueMs: number }>();
        const model: number[] = [];
        for (const step of steps) {
          if (step !== null) {
            agenda.push({ dueMs: step });
            model.push(step);
            model.sort((a, b) => a - b);
          } else expect(agenda.pop()?.dueMs).toBe(model.shift());
          expect(agenda.nextMs).toBe(model[0] ?? Infinity);
          expect(agenda.size).toBe(model.length);
        }
      }),
    );
  });
});

describe('open drivers', () => {
  const point = fc.record({
    lat: fc.double({ min: 37.7, max: 37.8, noNaN: true }),
    lon: fc.double({ min: -122.5, max: -122.4, noNaN: true }),
  });

  it('the nearest found ring by ring is the nearest of all, after any moves and removals', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(point, point, fc.boolean()), { maxLength: 60 }),
        point,
        fc.integer({ min: 100, max: 12_000 }),
        (drivers, to, radiusM) => {
          const open = new OpenDrivers<ReturnType<typeof driver>>();
          const driver = (at: { lat: number; lon: number }, isFit: boolean) => ({
            ...at,
            isFit,
            bucket: -1,
            slot: -1,
          });
          const all = drivers.map(([at, , isFit]) => driver(at, isFit));
          all.forEach((one) => open.put(one));
          all.forEach((one, i) => open.put(Object.assign(one, drivers[i]![1])));
          const left = all.filter((one, i) => i % 3 !== 0 || open.remove(one) !== undefined);
          const distances = left.filter((one) => one.isFit).map((one) => distanceM(to, one));
          const found = open.nearest(to, radiusM, (one) => one.isFit);
          const least = Math.min(Infinity, ...distances);
          expect(found === undefined ? Infinity : distanceM(to, found)).toBe(
            least < radiusM ? least : Infinity,
          );
        },
      ),
    );
  });
});

describe('chance without transcendental functions', () => {
  it('the exponential has mean 1 and variance 1; the bell 0 and 1', () => {
    const random = seededRandom(7);
    const exp = momentsOf(() => exponential(random));
    expect(exp.mean).toBeCloseTo(1, 1.7);
    expect(exp.variance).toBeCloseTo(1, 1);
    const bells = momentsOf(() => bell(random));
    expect(bells.mean).toBeCloseTo(0, 1.7);
    expect(bells.variance).toBeCloseTo(1, 1.7);
  });

  it('picks by weight', () => {
    const random = seededRandom(7);
    const counts = [0, 0, 0];
    for (let i = 0; i < N; i++) counts[pick(random, [1, 0, 3])]!++;
    expect(counts[1]).toBe(0);
    expect(counts[2]! / N).toBeCloseTo(0.75, 1.7);
  });

  it('degrees of longitude narrow as the cosine does', () => {
    for (let lat = -85; lat <= 85; lat += 0.5)
      expect(narrowing(lat)).toBeCloseTo(Math.cos((lat * Math.PI) / 180), 6);
  });
});

describe('the ground', () => {
  it('draws points from all of a cover, by area, and none outside', () => {
    const city = new City(['9q8y', '9q9p1', 'u4pruy']);
    const random = seededRandom(3);
    let large = 0;
    for (let i = 0; i < 5_000; i++) {
      const { lat, lon } = city.anywhere(random);
      expect(city.has(lat, lon)).toBe(true);
      if (lat < 40 && lon < -122.34) large++;
    }
    expect(large / 5_000).toBeGreaterThan(0.94);
    expect(large / 5_000).toBeLessThan(0.99);
  });

  it('a way over a gap of the cover is not clear', () => {
    const city = new City(['9q8yyk', '9q8yyt']);
    const [west, east] = [
      city.near({ lat: 37.7766, lon: -122.4205 }, 1, seededRandom(1)),
      { lat: 37.782, lon: -122.3985 },
    ];
    expect(city.isClear(west, west)).toBe(true);
    expect(city.isClear(west, { lat: east.lat + 0.2, lon: east.lon })).toBe(false);
  });
});
