/**
 * Hunts: a measurement of latency that rots, that loses a probe or takes one for another, or whose minutes lack rows. A
 * small size; no time is asserted. Its minute ends a few seconds after the start.
 */
import { expect, it } from 'vitest';
import { CellTruth } from '../../bench/latency/cell-truth.js';
import { placesIn } from '../../bench/latency/places.js';
import { measureLatency } from '../../bench/latency.js';
import type { Ping } from '../../bench/workload.js';
import { Cover, geohash30, geohash30Text } from '../../src/core/geohash.js';

const MINUTE_MS = 60_000;

it('sees every probe, takes every event once, and has a row of each cell that a driver was in', async () => {
  const report = await measureLatency({
    eventsPerSecond: 1_000,
    drivers: 300,
    minutes: 1,
    seed: 1,
    partitions: 4,
    probesPerSecond: 50,
    probeCells: 100,
    cover: ['9q8y', '9q8z', '9q8v'],
    outOfOrderBoundMs: 1_000,
    warmUpMs: 1_000,
    warmUpMinutes: 0,
    minuteEndsInMs: 5_000,
  });
  expect(report.taken).toBe(report.offered);
  expect(report.late).toBe(0);
  expect(report.offered).toBeGreaterThan(5_000);
  expect(report.dueToLiveMs.count).toBe(report.dueToOfferedMs.count);
  expect(report.dueToLiveMs.count).toBeGreaterThan(150);
  // The cells of all probes, and those of the drivers.
  expect(report.minutes).toEqual([expect.objectContaining({ rows: report.minuteToRowMs.count })]);
  expect(report.minutes[0]!.rows).toBeGreaterThan(200);
  expect(report.minuteToRowMs.max).toBe(report.minutes[0]!.lastRowMs);
});

it('measures a node in a process of its own, and tells what that one used of the processor', async () => {
  const report = await measureLatency({
    eventsPerSecond: 500,
    drivers: 200,
    minutes: 1,
    seed: 2,
    partitions: 4,
    workers: 1,
    probesPerSecond: 50,
    probeCells: 100,
    cover: ['9q8y', '9q8z'],
    outOfOrderBoundMs: 1_000,
    warmUpMs: 1_000,
    warmUpMinutes: 0,
    minuteEndsInMs: 5_000,
  });
  expect(report.taken).toBe(report.offered);
  expect(report.minutes[0]!.rows).toBeGreaterThan(200);
  expect(report.cpu.workers).toBeGreaterThan(0);
});

it('fails when the live values do not keep up with the rate', async () => {
  const run = measureLatency({
    eventsPerSecond: 2_000,
    drivers: 10,
    minutes: 1,
    seed: 1,
    partitions: 1,
    // One cell, a thousand times a second: no engine shows each of them before the next.
    probesPerSecond: 1_000,
    probeCells: 1,
    cover: ['9q8y', '9q8z'],
    warmUpMs: 0,
    warmUpMinutes: 0,
  });
  await expect(run).rejects.toThrow(/rate was not kept/);
});

it('knows the cells that a driver was in for any time', () => {
  const truth = new CellTruth(0);
  const ping = (driverId: string, ts: number, cell: string, status = 'open'): void => {
    truth.ping({ type: 'driver.location', driverId, ts, cell, status, lat: 0, lon: 0 } as Ping);
  };
  ping('a', 1_000, 'x');
  ping('b', 2_000, 'y', 'offline');
  ping('a', 59_000, 'z');
  ping('c', 59_500, 'w', 'enroute');
  // At the very end: leaves w without a moment of the next minute there, and is nowhere in this one.
  ping('c', MINUTE_MS, 'v');
  ping('a', 61_000, 'z', 'offline');
  expect(truth.cellsOf(MINUTE_MS)).toBe(3);
  ping('b', 120_001, 'y');
  expect(truth.cellsOf(2 * MINUTE_MS)).toBe(2);
  expect(() => truth.cellsOf(3 * MINUTE_MS)).toThrow(/not over/);
});

it('has a place in each cell of a geohash', () => {
  const places = placesIn('9q8y');
  expect(new Set(places.map(({ cell }) => cell)).size).toBe(1_024);
  const cover = new Cover(['9q8y']);
  for (const { cell, lat, lon } of places) {
    expect(geohash30Text(geohash30(lat, lon))).toBe(cell);
    expect(cover.has(geohash30(lat, lon))).toBe(true);
  }
});
