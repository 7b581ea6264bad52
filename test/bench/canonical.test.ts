/**
 * Hunts: a bench that rots, or measures something that is not the engine's work. Small sizes of the canonical bench,
 * on a real server; no time is asserted.
 */
import { describe, expect, it } from 'vitest';
import { runAlone, runEndToEnd } from '../../bench/canonical.js';
import { canonicalMarket } from '../../bench/market.js';

const SIZE = { drivers: 200, events: 9_600, seed: 1 };
/** Pinned: the rows of this size, but for watermark and completeness. Changes only when what cells count changes. */
const ROWS_HASH = 'bb655e75883267e3';
const ROWS = { 'region 1m': 9, 'region 5m': 13, 'region 15m': 23, 'region 1h': 68 };

describe('canonical bench', () => {
  it('takes every event once and makes the pinned rows, end to end and alone, whatever the partitions', async () => {
    const four = canonicalMarket({ partitions: 4 });
    const endToEnd = await runEndToEnd(four, SIZE);
    expect(endToEnd.result).toMatchObject({ taken: SIZE.events, late: 0, rowsHash: ROWS_HASH });
    expect(endToEnd.result.rows).toMatchObject(ROWS);
    const rowCount = Object.values(endToEnd.result.rows).reduce((a, b) => a + b, 0);
    expect(endToEnd.timing.rows).toBe(rowCount);

    const alone = await runAlone(canonicalMarket({ partitions: 3 }), SIZE);
    expect(alone.result).toMatchObject({ taken: SIZE.events, late: 0, rowsHash: ROWS_HASH });
    expect(alone.alone.bytesPerEvent).toBeGreaterThan(5);
    for (const { eventsPerSecond } of [alone.alone.producer, alone.alone.rawReader, alone.alone.nullReader])
      expect(Number.isFinite(eventsPerSecond)).toBe(true);
  });

  it('makes only the windows asked for, with the terms of the model that they allow', async () => {
    const market = canonicalMarket({ partitions: 2, windowsMs: [60_000] });
    expect(market.model.features.map(({ window }) => window)).toEqual(['1m', '1m', '1m']);
    const { result } = await runEndToEnd(market, { ...SIZE, events: 2_400 });
    expect(result.taken).toBe(2_400);
    expect(Object.keys(result.rows).sort()).toEqual(['cell 1m', 'gh4 1m', 'gh5 1m', 'region 1m']);
  });
});
