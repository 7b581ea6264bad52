// Hunts: ids, durations, hints and errors that are not what a person, or a log of last year, reads in them.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatDuration, parseDurationMs } from '../../../src/core/duration.js';
import { errorOf, ERRORS, GroundswellError, messageOf, type ErrorCode } from '../../../src/core/errors.js';
import { actorId, actorKey, actorType, partitionToken, REGION_NAME } from '../../../src/core/ids.js';
import { nearest } from '../../../src/core/nearest.js';
import { seededRandom } from '../../../src/core/random.js';

describe('actor ids', () => {
  it('type and key come back, whatever the key holds', () => {
    fc.assert(
      fc.property(fc.string(), (key) => {
        const id = actorId('driver', key);
        expect([actorType(id), actorKey(id)]).toEqual(['driver', key]);
      }),
    );
    expect(actorKey(actorId('driver', 'fleet/7/d-1'))).toBe('fleet/7/d-1');
  });

  it('a partition has three digits on subjects', () => {
    expect([0, 7, 42, 999].map(partitionToken)).toEqual(['000', '007', '042', '999']);
  });

  it('a region name is one subject token', () => {
    for (const good of ['sf', 'new_york-2', 'a'.repeat(32)]) expect(good).toMatch(REGION_NAME);
    for (const bad of ['', 'SF', 'a.b', 'a b', '*', '>', 'a'.repeat(33)])
      expect(bad).not.toMatch(REGION_NAME);
  });
});

describe('durations', () => {
  it.each([
    ['250ms', 250],
    ['90s', 90_000],
    ['5m', 300_000],
    ['1h', 3_600_000],
    ['1d', 86_400_000],
    ['1.5h', 5_400_000],
    [' 5s ', 5_000],
    ['0s', 0],
  ])('%s is %d ms', (text, ms) => {
    expect(parseDurationMs(text)).toBe(ms);
  });

  it.each(['', '5', 's', '-5s', '5 s', '5S', '1h30m', '.5s', '1e3s', 'NaNs'])('"%s" is none', (text) => {
    expect(parseDurationMs(text)).toBeUndefined();
  });

  it('what is written is read back, and is the shortest that is exact', () => {
    fc.assert(
      fc.property(fc.nat(10 ** 9), fc.constantFrom(1, 1_000, 60_000, 3_600_000), (count, unit) => {
        expect(parseDurationMs(formatDuration(count * unit))).toBe(count * unit);
      }),
    );
    expect([0, 999, 1_000, 60_000, 90_000, 300_000, 3_600_000, 86_400_000].map(formatDuration)).toEqual([
      '0ms',
      '999ms',
      '1s',
      '1m',
      '90s',
      '5m',
      '1h',
      '1d',
    ]);
  });
});

describe('nearest', () => {
  it.each([
    ['request', ['requests', 'riders'], 'requests'],
    ['drivrs_mean', ['drivers', 'drivers_mean'], 'drivers_mean'],
    ['opne', ['open', 'close'], 'open'],
  ])('of %s is what was meant', (word, known, expected) => {
    expect(nearest(word, known)).toBe(expected);
  });

  it('is nothing when nothing is near, or nothing is known', () => {
    expect(nearest('temperature', ['requests', 'riders'])).toBeUndefined();
    expect(nearest('anything', [])).toBeUndefined();
  });
});

describe('GroundswellError', () => {
  it('has the remedy, the retry and the exit code of its kind', () => {
    for (const code of Object.keys(ERRORS) as ErrorCode[]) {
      const error = new GroundswellError(code, 'what is wrong');
      const { exit, retry, remedy } = ERRORS[code];
      expect(error).toMatchObject({ code, exitCode: exit, retry, remedy, message: 'what is wrong' });
      expect(error.cause).toBeUndefined();
    }
  });

  it('keeps its cause, and a remedy of its own', () => {
    const cause = new Error('below');
    const error = new GroundswellError('GS_LOG', 'above', { cause, remedy: 'Do this.' });
    expect(error.cause).toBe(cause);
    expect(error.remedy).toBe('Do this.');
  });

  it('every code says what to do, as a sentence', () => {
    for (const [code, { remedy }] of Object.entries(ERRORS)) expect(remedy, code).toMatch(/^[A-Z].*\.$/s);
  });

  it('anything that was thrown has a message', () => {
    expect([new Error('an error'), 'a string', 42, undefined].map(messageOf)).toEqual([
      'an error',
      'a string',
      '42',
      'undefined',
    ]);
  });

  it('anything that was thrown is an error, and one that was is the same one', () => {
    const failure = new GroundswellError('GS_LOG', 'away');
    expect(errorOf(failure)).toBe(failure);
    expect(['a string', 42, undefined].map(errorOf)).toEqual(
      ['a string', '42', 'undefined'].map((text) => new Error(text)),
    );
  });
});

describe('seededRandom', () => {
  it('a seed gives the same sequence for ever: pinned', () => {
    const random = seededRandom(42);
    const drawn = Array.from({ length: 5 }, () => Math.floor(random.next() * 2 ** 32));
    expect(drawn).toEqual(PINNED_42);
  });

  it('seeds give sequences of their own, within [0, 1)', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer(), (a, b) => {
        fc.pre(a >>> 0 !== b >>> 0);
        const draw = (seed: number): number[] => {
          const random = seededRandom(seed);
          return Array.from({ length: 8 }, () => random.next());
        };
        expect(draw(a)).toEqual(draw(a));
        expect(draw(a)).not.toEqual(draw(b));
        for (const value of draw(a)) expect(value >= 0 && value < 1).toBe(true);
      }),
    );
  });

  it('is even: each tenth gets its share of 100,000 within 5 %', () => {
    const random = seededRandom(1);
    const counts = new Array<number>(10).fill(0);
    for (let i = 0; i < 100_000; i++) counts[Math.floor(random.next() * 10)]!++;
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(500);
  });
});

/** Of sfc32 seeded by splitmix32, computed once by a program of its own in arithmetic on big integers. */
const PINNED_42 = [3_730_666_837, 1_786_513_705, 1_450_338_100, 2_191_736_338, 3_785_014_133];
