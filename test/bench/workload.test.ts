/** Hunts: a workload that hangs on the machine, the clock or the size, or holds events that no checker would pass. */
import { describe, expect, it } from 'vitest';
import { RecordedWorkload } from '../../bench/recorded-workload.js';
import { CanonicalWorkload, pingsOf, START_MS } from '../../bench/workload.js';
import { Cover } from '../../src/core/geohash.js';
import { EventChecker } from '../../src/ingest/check.js';

const COVER = ['9q8y', '9q8z'];
const OPTIONS = { drivers: 500, events: 60_000, seed: 7, cover: COVER };

describe('canonical workload', () => {
  const pings = pingsOf(OPTIONS);

  it('is a function of its options', () => {
    const again: unknown[] = [];
    for (const tick of new CanonicalWorkload(OPTIONS).ticks()) again.push(...tick);
    expect(again).toEqual(pings);
    expect(pingsOf({ ...OPTIONS, events: 1_000 })).toEqual(pings.slice(0, 1_000));
    expect(pingsOf({ ...OPTIONS, seed: 8 })).not.toEqual(pings);
  });

  it('holds exactly what the checker gives', () => {
    const checker = new EventChecker({ cover: new Cover(COVER), nowMs: () => START_MS + 86_400_000 });
    for (const ping of pings.slice(0, 5_000)) {
      const raw: Record<string, unknown> = { ...ping };
      delete raw['cell'];
      expect(checker.check(raw)).toEqual({ outcome: 'accepted', event: ping });
    }
  });

  it('has every driver ping about every five seconds, move a little and change its status now and then', () => {
    expect(pings).toHaveLength(OPTIONS.events);
    const last = new Map<string, (typeof pings)[number]>();
    const seen = { cells: 0, statuses: 0, gaps: 0 };
    for (const ping of pings) {
      const before = last.get(ping.driverId);
      if (before !== undefined) {
        seen.gaps++;
        expect(Math.abs(ping.ts - before.ts - 5_000)).toBeLessThan(200);
        if (ping.cell !== before.cell) seen.cells++;
        if (ping.status !== before.status) seen.statuses++;
      }
      last.set(ping.driverId, ping);
    }
    expect(last.size).toBe(OPTIONS.drivers);
    expect(seen.cells / seen.gaps).toBeGreaterThan(0.02);
    expect(seen.cells / seen.gaps).toBeLessThan(0.2);
    expect(seen.statuses / seen.gaps).toBeGreaterThan(0.01);
    expect(seen.statuses / seen.gaps).toBeLessThan(0.03);
    expect(new Set(pings.map(({ status }) => status))).toEqual(
      new Set(['open', 'enroute', 'ontrip', 'offline']),
    );
  });
});

describe('a workload of drivers that ping more often', () => {
  it('has as much motion in a minute', () => {
    /** Of a driver's minute: other cells and other statuses. */
    const changes = (pingsAMinute: number): { cells: number; statuses: number } => {
      const drivers = 1_000;
      const minutes = 5;
      const events = drivers * minutes * pingsAMinute;
      const last = new Map<string, { cell: string; status: string }>();
      const seen = { cells: 0, statuses: 0 };
      for (const { driverId, cell, status } of pingsOf({
        ...{ drivers, events, seed: 7, cover: COVER },
        eventsPerSecond: (drivers * pingsAMinute) / 60,
      })) {
        const before = last.get(driverId);
        if (before !== undefined && before.cell !== cell) seen.cells++;
        if (before !== undefined && before.status !== status) seen.statuses++;
        last.set(driverId, { cell, status });
      }
      return { cells: seen.cells / (drivers * minutes), statuses: seen.statuses / (drivers * minutes) };
    };
    const [usual, often] = [changes(12), changes(120)];
    expect(usual.statuses).toBeGreaterThan(0.15);
    expect(often.statuses / usual.statuses).toBeGreaterThan(0.8);
    expect(often.statuses / usual.statuses).toBeLessThan(1.25);
    expect(often.cells / usual.cells).toBeGreaterThan(0.7);
    expect(often.cells / usual.cells).toBeLessThan(1.4);
  });
});

describe('recorded workload', () => {
  it('gives the same events as it was made from, tick by tick', () => {
    const options = { ...OPTIONS, events: 5_000 };
    expect([...new RecordedWorkload(options).ticks()]).toEqual([...new CanonicalWorkload(options).ticks()]);
  });
});
