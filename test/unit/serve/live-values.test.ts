/**
 * Live values. Hunts counters of a minute that is over in the sums of the running one, cells that stay lit after everybody
 * left, and a sum that is not the sum of what is shown.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ShownBlock } from '../../../src/partition/output.js';
import { LiveTable } from '../../../src/serve/live-values.js';
import { MINUTE, T0 } from '../../support/market.js';
import { shownBlock } from '../../support/region-outputs.js';

const put = (table: LiveTable, block: ShownBlock, heardMs = 0): void => {
  table.put(block, 0, block[2].length, heardMs);
};

describe('live values', () => {
  it('are the last ones shown', () => {
    const table = new LiveTable(10);
    put(
      table,
      shownBlock({ a: { minute: T0, open: 1, requests: 2 }, b: { minute: T0, open: 5, requests: 0 } }),
    );
    put(table, shownBlock({ a: { minute: T0 + MINUTE, open: 3, requests: 1 } }));
    expect(table.get('cell', 'a')).toEqual({ minute: T0 + MINUTE, open: 3, requests: 1 });
    expect(table.nonZero('cell', 'b')).toEqual({ minute: T0, open: 5 });
    expect(table.get('cell', 'c')).toBeUndefined();
  });

  it('add up: who is there from all cells, what was counted from the running minute only', () => {
    const table = new LiveTable(10);
    put(table, shownBlock({ '9q8a': { minute: T0, open: 1, requests: 9 } }));
    put(table, shownBlock({ '9q8b': { minute: T0 + MINUTE, open: 2, requests: 4 } }));
    put(table, shownBlock({ '9q9c': { minute: T0 + MINUTE, open: 4, requests: 1 } }));
    expect(table.total('cell')).toEqual({ minute: T0 + MINUTE, open: 7, requests: 5 });
    expect(table.total('cell', '9q8')).toEqual({ minute: T0 + MINUTE, open: 3, requests: 4 });
    expect(table.total('other')).toEqual({});
  });

  it('are gone when they are all zero, whatever the minute', () => {
    const table = new LiveTable(10);
    put(table, shownBlock({ a: { minute: T0, open: 1 } }));
    put(table, shownBlock({ a: { minute: T0 + MINUTE, open: 0 } }));
    expect(table.get('cell', 'a')).toBeUndefined();
    expect(table.keys).toBe(0);
  });

  it('are gone when nobody showed them for three minutes, of wall time or of the minutes shown', () => {
    const table = new LiveTable(10);
    put(table, shownBlock({ a: { minute: T0, open: 1 }, b: { minute: T0 + 4 * MINUTE, open: 1 } }), 1_000);
    const gone: string[] = [];
    table.drop(1_000, (level, key) => gone.push(`${level} ${key}`));
    expect(gone.splice(0)).toEqual(['cell a']);
    put(table, shownBlock({ c: { minute: T0 + 4 * MINUTE, open: 1 } }), 60_000);
    table.drop(181_000, (level, key) => gone.push(`${level} ${key}`));
    expect(gone).toEqual(['cell b']);
    expect([...table.keysOf('cell')]).toEqual(['c']);
  });

  it('are kept for as many keys as there may be; the rest is counted (P8)', () => {
    const table = new LiveTable(2);
    put(table, shownBlock({ a: { open: 1 }, b: { open: 1 }, c: { open: 1 }, d: { open: 0 } }));
    expect([table.keys, table.refused]).toEqual([2, 1]);
    put(table, shownBlock({ a: { open: 0 }, c: { open: 2 } }));
    expect([...table.keysOf('cell')]).toEqual(['b', 'c']);
  });

  it('add up to what each key shows, whatever came before', () => {
    const shows = fc.record({
      key: fc.constantFrom('a', 'b', 'c', 'd'),
      minute: fc.nat(2).map((n) => T0 + n * MINUTE),
      open: fc.nat(3),
      requests: fc.nat(3),
    });
    fc.assert(
      fc.property(fc.array(shows), (all) => {
        const table = new LiveTable(10);
        const last = new Map<string, { minute: number; open: number; requests: number }>();
        for (const { key, ...values } of all) {
          put(table, shownBlock({ [key]: values }));
          last.set(key, values);
        }
        const minute = Math.max(0, ...all.map((one) => one.minute));
        const there = [...last.values()];
        const total = table.total('cell');
        const sum = (numbers: number[]): number => numbers.reduce((a, b) => a + b, 0);
        expect(total['open'] ?? 0).toBe(sum(there.map(({ open }) => open)));
        expect(total['requests'] ?? 0).toBe(
          sum(there.filter((one) => one.minute === minute).map(({ requests }) => requests)),
        );
      }),
    );
  });
});
