/**
 * Times for people. Hunts the wrong day around midnight and daylight saving, "3 min 60 s", and a crash on a watermark
 * that is none yet.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { away, isTime, localAndUtc, localTime, span, zoneName } from '../../../src/cli/times.js';

const SF = 'America/Los_Angeles';

describe('a time', () => {
  it('is the region’s local one, with UTC beside it', () => {
    const at = Date.UTC(2026, 2, 2, 16, 41, 5);
    expect(localAndUtc(at, SF)).toBe('2026-03-02 08:41:05 PST (16:41:05 UTC)');
    expect(localTime(at, SF)).toBe('08:41:05');
    expect(localTime(at, SF, 'minute')).toBe('08:41');
    expect(zoneName(at, SF)).toBe('PST');
  });

  it('says the date of UTC too where it is another day there', () => {
    expect(localAndUtc(Date.UTC(2026, 2, 3, 3, 0, 0), SF)).toBe(
      '2026-03-02 19:00:00 PST (2026-03-03 03:00:00 UTC)',
    );
  });

  it('follows daylight saving', () => {
    expect(localAndUtc(Date.UTC(2026, 2, 8, 9, 59, 59), SF)).toContain('01:59:59 PST');
    expect(localAndUtc(Date.UTC(2026, 2, 8, 10), SF)).toContain('03:00:00 PDT');
  });

  it('says midnight as 00, never as 24', () => {
    expect(localTime(Date.UTC(2026, 0, 1), 'UTC')).toBe('00:00:00');
    expect(localAndUtc(Date.UTC(2026, 0, 1), 'UTC')).toBe('2026-01-01 00:00:00 UTC');
  });

  it('is a dash when there is none, and UTC in a zone that nobody knows', () => {
    for (const none of [undefined, null, 0, -1, Number.NaN, Number.NEGATIVE_INFINITY, 1e17]) {
      expect(isTime(none)).toBe(false);
      expect(localTime(none, SF)).toBe('–');
      expect(localAndUtc(none, SF)).toBe('–');
    }
    expect(localTime(Date.UTC(2026, 0, 1, 5), 'Mars/Olympus')).toBe('05:00:00');
  });
});

describe('a span', () => {
  it.each([
    [0, '0 ms'],
    [999, '999 ms'],
    [1_000, '1 s'],
    [12_449, '12.4 s'],
    [59_960, '1 min'],
    [200_000, '3 min 20 s'],
    [239_999, '4 min'],
    [3_570_000, '59 min 30 s'],
    [3_599_499, '59 min 59 s'],
    [3_599_900, '1 h'],
    [7_500_000, '2 h 5 min'],
    [84_600_000, '23 h 30 min'],
    [86_369_999, '23 h 59 min'],
    [86_399_999, '1 d'],
    [190_800_000, '2 d 5 h'],
    [-40_000, '-40 s'],
    [Number.NaN, '–'],
  ])('of %d ms is %s', (ms, text) => {
    expect(span(ms)).toBe(text);
  });

  it('never has a smaller unit that is full, and is never off by more than half of it', () => {
    const unitMs: Record<string, number> = { ms: 1, s: 1_000, min: 60_000, h: 3_600_000, d: 86_400_000 };
    const full: Record<string, number> = { ms: 1_000, s: 60, min: 60, h: 24, d: Infinity };
    const below = (max: number): fc.Arbitrary<number> => fc.integer({ min: 0, max });
    const anySpan = fc.oneof(...[60_000, 3_600_000, 86_400_000, 400 * 86_400_000].map(below));
    fc.assert(
      fc.property(anySpan, (ms) => {
        const parts = [...span(ms).matchAll(/([\d.]+) (ms|s|min|h|d)/g)].map(
          ([, n, unit]) => [Number(n), unit!] as const,
        );
        for (const [n, unit] of parts) expect(n).toBeLessThan(full[unit]!);
        const shown = parts.reduce((sum, [n, unit]) => sum + n * unitMs[unit]!, 0);
        const finest = ms < 59_950 ? 100 : ms < 3_600_000 ? 1_000 : ms < 86_400_000 ? 60_000 : 3_600_000;
        expect(Math.abs(shown - ms)).toBeLessThanOrEqual(finest / 2);
      }),
    );
  });
});

describe('a distance', () => {
  it('says which way it goes', () => {
    expect(away(140_000, 100_000)).toBe('in 40 s');
    expect(away(100_000, 112_500)).toBe('12.5 s ago');
    expect(away(100_000, 100_000)).toBe('now');
    expect(away(0, 100_000)).toBe('–');
  });
});
