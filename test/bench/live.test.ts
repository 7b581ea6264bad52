/** Hunts: a load measurement that rots, loses events, or reports what it has not seen. A small size; no time is asserted. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { runLoad } from '../../bench/live/load.js';
import { PROBE, REGIONS_FOLDER } from '../../bench/live/place.js';
import { Samples } from '../../bench/live/samples.js';

it('sends what it says to a node of its own, sees the probe live, and leaves nothing behind', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'gs-load-'));
  try {
    const report = await runLoad({
      region: 'sf',
      regionsDir: REGIONS_FOLDER,
      dataDir,
      eventsPerSecond: 300,
      drivers: 60,
      seconds: 6,
      seed: 1,
      probe: PROBE,
    });
    expect(report).toMatchObject({
      accepted: 1_800,
      refused: 0,
      late: 0,
      drain: { code: 0 },
      complaints: [],
    });
    expect(report.acceptedToLiveMs.count).toBeGreaterThan(2);
    expect(report.acceptedToLiveMs.p50).toBeLessThanOrEqual(report.acceptedToLiveMs.p99);
    expect(report.actors).toBeGreaterThan(60);
    expect(report.streamBytesPerEvent).toBeGreaterThan(20);
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}, 120_000);

it('gives quantiles that were measured, by nearest rank', () => {
  const samples = new Samples();
  expect(samples.quantiles()).toBeUndefined();
  for (let i = 100; i > 0; i--) samples.add(i);
  expect(samples.quantiles()).toEqual({ count: 100, p50: 50, p90: 90, p99: 99, max: 100 });
});
