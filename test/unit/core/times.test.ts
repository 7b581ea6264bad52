// Hunts: a time that is lost, or found again, when names come and go in an order that nobody thought of.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Times } from '../../../src/core/times.js';

const name = fc.constantFrom('close', 'seal', 'late', 'correct');
const ms = fc.constantFrom(0, -1, 60_000, 1_700_000_000_000, 1_700_000_000_000.5);
const change = fc.oneof(fc.tuple(name, ms), fc.tuple(name));

describe('times by name', () => {
  it('property: any sequence of changes leaves what a Map has, and the first is the earliest', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 30 }), ms, (changes, limitMs) => {
        const times = new Times();
        const map = new Map<string, number>();
        for (const [name, at] of changes) {
          if (at === undefined) {
            times.delete(name);
            map.delete(name);
          } else {
            times.set(name, at);
            map.set(name, at);
          }
          expect(new Map(times)).toEqual(map);
          expect(times.size).toBe(map.size);
          for (const known of ['close', 'seal', 'late', 'correct'])
            expect(times.get(known)).toBe(map.get(known));
          const [first] = [...map]
            .filter(([, at]) => at <= limitMs)
            .sort(([a, atA], [b, atB]) => atA - atB || (a < b ? -1 : 1));
          expect(times.firstBy(limitMs)).toBe(first?.[0]);
        }
        expect(new Map(new Times(times))).toEqual(map);
      }),
    );
  });
});
