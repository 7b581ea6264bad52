/** Hunts: a measurement of a cold start that rots, or that starts from something else than was there. A small size; no time is asserted. */
import { expect, it } from 'vitest';
import { runEndToEnd } from '../../bench/canonical.js';
import { measureColdStart, PINGS } from '../../bench/cold-start.js';
import { canonicalMarket } from '../../bench/market.js';

it('goes on where the killed node was, and makes the rows of one that was not killed', async () => {
  const market = canonicalMarket({ partitions: 4, windowsMs: [60_000] });
  const size = { drivers: 1_000, seed: 1, toTheEnd: true };
  const report = await measureColdStart(market, size);
  const whole = await runEndToEnd(market, {
    drivers: size.drivers,
    seed: size.seed,
    events: PINGS * size.drivers,
  });
  expect(report.result?.rowsHash).toBe(whole.result.rowsHash);
  expect(report.result?.rows).toEqual(whole.result.rows);
  expect(report.firstCommitSeconds).toBeGreaterThan(0);
  expect(report.snapshotBytes).toBeGreaterThan(0);
}, 120_000);
