/** Hunts: a measurement of memory that rots, or counts actors that are not where it says. A small size; no figure is asserted. */
import { expect, it } from 'vitest';
import { canonicalMarket } from '../../bench/market.js';
import { memoryAt, perDriver } from '../../bench/memory.js';

it('has all drivers in memory, then none of them, and all of them on disk', async () => {
  const market = canonicalMarket({ partitions: 4, windowsMs: [60_000] });
  const size = { drivers: 300, pings: 15, seed: 1 };
  const at = await memoryAt(market, size);
  expect(at.active.residentActors).toBeGreaterThan(size.drivers);
  expect(at.passivatedWithTimer.residentActors).toBe(0);
  expect(at.passivated.residentActors).toBe(0);
  expect(at.disk.drivers).toBe(size.drivers);
  expect(at.disk.compactedBytes).toBeLessThanOrEqual(at.disk.fileBytes);
  expect(at.disk.recordBytes).toBeGreaterThan(0);
}, 120_000);

it('divides the difference of two sizes by the difference of their drivers', () => {
  const of = (drivers: number, bytes: number): Parameters<typeof perDriver>[0] => {
    const inUse = { residentActors: drivers, heapBytes: 1_000_000 + bytes, externalBytes: 500 };
    const disk = { drivers, recordBytes: bytes / 2, fileBytes: 4 * bytes, compactedBytes: 3 * bytes };
    return { drivers, active: inUse, passivatedWithTimer: inUse, passivated: inUse, disk };
  };
  expect(perDriver(of(100, 60_000), of(300, 180_000))).toEqual({
    active: 600,
    passivatedWithTimer: 600,
    passivated: 600,
    diskCompacted: 1_800,
    diskFile: 2_400,
    diskRecord: 300,
  });
});
