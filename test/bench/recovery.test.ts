/** Hunts: a measurement of recovery that rots, or restores something else than was stored. A small size; no time is asserted. */
import { expect, it } from 'vitest';
import { measureRecovery } from '../../bench/recovery.js';

it('makes base snapshots, restores them, and finds every actor as it was', async () => {
  const report = await measureRecovery({ actors: 3_000, bytesEach: 150, partitions: 4 });
  expect(report.actors).toBe(3_000);
  expect(report.bytes).toBeGreaterThan(3_000 * 150);
  for (const seconds of [report.makeSeconds, report.readSeconds, report.restoreSeconds])
    expect(seconds).toBeGreaterThan(0);
}, 120_000);
