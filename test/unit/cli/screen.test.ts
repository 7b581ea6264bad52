/** Hunts numbers that people misread. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { count } from '../../../src/cli/screen.js';

describe('count', () => {
  it('property: sets thousands apart as Node itself does', () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), (n) => {
        expect(count(n)).toBe(n.toLocaleString('en-US'));
      }),
    );
  });

  it.each([
    [0, '0'],
    [999, '999'],
    [1_000, '1,000'],
    [-1_234_567, '-1,234,567'],
    [1_234.5678, '1,234.5678'],
    [0.1234567, '0.1234567'],
  ])('%d is %s', (n, text) => {
    expect(count(n)).toBe(text);
  });
});
