/** Hunts: benches of scale and skew that rot, or measure something that is not the whole work. Small sizes; no time is asserted. */
import { describe, expect, it } from 'vitest';
import { runEndToEnd } from '../../bench/canonical.js';
import { canonicalMarket } from '../../bench/market.js';
import { runProcesses } from '../../bench/scale.js';
import { HOT_SHARE, measureSkew } from '../../bench/skew.js';
import { hotCellOf, pingsOf } from '../../bench/workload.js';

const SIZE = { drivers: 300, events: 6_000, seed: 1 };
const market = canonicalMarket({ partitions: 4 });

describe('processes', () => {
  it('take all events and make the same rows, one or two of them', async () => {
    const here = await runEndToEnd(market, SIZE);
    for (const processes of [1, 2]) {
      const { result, nodes, timing } = await runProcesses(market, SIZE, processes);
      expect(result).toEqual(here.result);
      expect(nodes.map(({ partitions }) => partitions)).toEqual(processes === 1 ? [4] : [2, 2]);
      expect(nodes.reduce((sum, { events }) => sum + events, 0)).toBe(SIZE.events);
      for (const { events, cpuSeconds } of nodes) {
        expect(events).toBeGreaterThan(0);
        expect(cpuSeconds).toBeGreaterThan(0);
      }
      expect(timing.batches).toBeGreaterThan(0);
    }
  }, 120_000);
});

describe('skew', () => {
  it('has its share of the events in one cell, and all of them take effect', async () => {
    const { cover } = market.config;
    const pings = pingsOf({ ...SIZE, cover, hotShare: HOT_SHARE });
    const hot = hotCellOf(cover);
    const inHot = pings.filter(({ cell }) => cell === hot).length;
    expect(inHot / pings.length).toBeGreaterThan(HOT_SHARE - 0.01);
    expect(inHot / pings.length).toBeLessThan(HOT_SHARE + 0.01);

    const { uniformResult, hotResult, uniform, hot: hotTiming } = await measureSkew(market, SIZE, true);
    expect([uniformResult.taken, hotResult.taken]).toEqual([SIZE.events, SIZE.events]);
    expect(hotResult.rowsHash).not.toBe(uniformResult.rowsHash);
    // Half of the drivers are where there are no rows but that of one cell.
    expect(hotTiming.rows).toBeLessThan(uniform.rows);
  }, 120_000);
});
