/**
 * Hunts: a truth that is itself wrong, and so would bless a wrong engine. Small cases are computed by hand; the real
 * day against figures from scripts that share nothing with it.
 */
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import ngeohash from 'ngeohash';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { computeTruth, COVERS, LEVELS, WINDOWS, type Level, type Truth, type TruthOptions } from './truth.js';

const MINUTE = 60_000;
/** A minute of 2008; every time below is relative to it. */
const T0 = 1_211_353_200_000;
const A = '9q8yyk';
const B = '9q8yym';
const C = '9q8yzk';
const OUTSIDE = '9q8wyk';
const COVER = ['9q8y', '9q8z'];

let folder = '';
let files = 0;
const open: Truth[] = [];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'truth-test-'));
});
afterAll(async () => {
  for (const truth of open) await truth.close();
  await rm(folder, { recursive: true, force: true });
});

const at = (cell: string) => {
  const { latitude, longitude } = ngeohash.decode(cell);
  return { lat: latitude, lon: longitude };
};
const ping = (driverId: string, ms: number, cell: string, status: string) => ({
  type: 'driver.location',
  driverId,
  ts: T0 + ms,
  ...at(cell),
  status,
});
const ride = (what: string, rideId: string, ms: number, cell?: string, riderId = `rider of ${rideId}`) => ({
  type: `ride.${what}`,
  rideId,
  riderId,
  ts: T0 + ms,
  ...(cell ? at(cell) : {}),
});

async function truthOf(events: object[], more: Partial<TruthOptions> = {}): Promise<Truth> {
  const file = join(folder, `${files++}.ndjson.gz`);
  await writeFile(file, gzipSync(events.map((event) => JSON.stringify(event) + '\n').join('')));
  const truth = await computeTruth({ cover: COVER, region: 'sf', ...more, events: file });
  open.push(truth);
  return truth;
}

/** `key@minute` (relative to T0) → its features that are not zero. */
async function table(truth: Truth, level: Level = 'cell', window: (typeof WINDOWS)[number] = '1m') {
  const found: Record<string, object> = {};
  for await (const { key, start, features } of truth.rows(level, window)) {
    found[`${key}@${(start - T0) / MINUTE}`] = Object.fromEntries(
      Object.entries(features).filter(([, value]) => value !== 0),
    );
  }
  return found;
}

describe('place', () => {
  it('is the geohash of ngeohash, on the borders of cells and at the ends of the earth too', async () => {
    const truth = await truthOf([]);
    const points: [number, number][] = [];
    let seed = 7;
    const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647;
    for (let i = 0; i < 400; i++) {
      const lat = -90 + (45 / 8192) * Math.floor(random() * 32769);
      const lon = -180 + (45 / 4096) * Math.floor(random() * 32769);
      for (const dLat of [-1e-13, 0, 1e-13])
        for (const dLon of [-1e-13, 0, 1e-13]) points.push([lat + dLat, lon + dLon]);
      points.push([
        Math.round((random() * 180 - 90) * 1e5) / 1e5,
        Math.round((random() * 360 - 180) * 1e5) / 1e5,
      ]);
    }
    points.push([-90, -180], [90, 180], [0, 0], [-0, -0], [-90, 180], [90, -180]);
    const values = points.map(([lat, lon]) => `(${lat}::DOUBLE, ${lon}::DOUBLE)`).join(', ');
    const cells = await truth.query(
      `SELECT geohash6(lon_index(lon), lat_index(lat)) FROM (VALUES ${values}) p(lat, lon)`,
    );
    expect(cells.map(([cell]) => cell)).toEqual(points.map(([lat, lon]) => ngeohash.encode(lat, lon, 6)));
  });

  it('outside the cover is as if it never happened', async () => {
    const truth = await truthOf([
      ping('d', 0, A, 'open'),
      ping('d', 10_000, OUTSIDE, 'ontrip'),
      ping('d', 20_000, A, 'open'),
      ride('requested', 'r', 0, OUTSIDE),
      ride('accepted', 'r', 1_000),
      ride('picked_up', 'r', 2_000, A),
      { type: 'session.opened', riderId: 'x', ts: T0, ...at(OUTSIDE) },
    ]);
    expect([truth.events, truth.outside]).toEqual([7, 3]);
    expect((await table(truth))[`${A}@0`]).toEqual({ open_s: 60, drivers: 1, open_end: 1 });
  });
});

describe('drivers', () => {
  it('hold their cell until the next ping or until presence runs out', async () => {
    const truth = await truthOf([ping('d', 50_000, A, 'open'), ping('d', 70_001, B, 'ontrip')]);
    const full = { busy_s: 60, drivers: 1 };
    expect(await table(truth)).toEqual({
      [`${A}@0`]: { open_s: 10, drivers: 1, open_end: 1 },
      [`${A}@1`]: { open_s: 10.001, drivers: 1 },
      [`${B}@1`]: { busy_s: 49.999, drivers: 1, pickups: 1 },
      [`${B}@2`]: full,
      [`${B}@3`]: full,
      [`${B}@4`]: full,
      [`${B}@5`]: full,
      [`${B}@6`]: { busy_s: 10.001, drivers: 1 },
    });
    const one = { open_s: 10.001, busy_s: 49.999, drivers: 1, pickups: 1 };
    expect((await table(truth, 'gh5'))['9q8yy@1']).toEqual(one);
    expect((await table(truth, 'gh4'))['9q8y@1']).toEqual(one);
    expect((await table(truth, 'region'))['sf@1']).toEqual(one);
  });

  it('are counted at the end of a minute only if open there in its last millisecond', async () => {
    const truth = await truthOf(
      [
        ping('to the end', 30_000, A, 'open'),
        ping('one short', 29_999, A, 'open'),
        ping('from the last', 59_999, B, 'open'),
        ping('gone', 59_000, B, 'open'),
        ping('gone', 59_999, B, 'enroute'),
      ],
      { presenceMs: 30_000 },
    );
    const found = await table(truth);
    expect(found[`${A}@0`]).toEqual({ open_s: 60, drivers: 2, open_end: 1 });
    expect(found[`${B}@0`]).toEqual({ open_s: 1, enroute_s: 0.001, drivers: 2, open_end: 1 });
    expect(found[`${A}@1`]).toBeUndefined();
  });

  it('keep the order of arrival among pings of one time, and pings of no length still count as turns', async () => {
    const truth = await truthOf([
      ping('d', 5_000, B, 'open'),
      ping('d', 0, A, 'open'),
      ping('d', 5_000, B, 'ontrip'),
      ping('d', 5_000, C, 'open'),
      ping('d', 6_000, C, 'offline'),
    ]);
    expect(await table(truth)).toEqual({
      [`${A}@0`]: { open_s: 5, drivers: 1 },
      [`${B}@0`]: { pickups: 1 },
      [`${C}@0`]: { open_s: 1, drivers: 1, dropoffs: 1 },
    });
  });

  it('offline holds nothing, comes between a trip and a dropoff, and a trip after it is a pickup', async () => {
    const truth = await truthOf([
      ping('d', 0, A, 'ontrip'),
      ping('d', 10_000, A, 'offline'),
      ping('d', 20_000, A, 'open'),
      ping('d', 30_000, A, 'offline'),
      ping('d', 400_000, B, 'ontrip'),
      ping('d', 401_000, B, 'enroute'),
      ping('d', 402_000, B, 'open'),
      ping('d', 403_000, B, 'offline'),
      ping('only offline', 0, C, 'offline'),
    ]);
    expect(await table(truth)).toEqual({
      [`${A}@0`]: { busy_s: 10, open_s: 10, drivers: 1 },
      [`${B}@6`]: { busy_s: 1, enroute_s: 1, open_s: 1, drivers: 1, pickups: 1 },
    });
  });

  it('keep the order of arrival also in a file large enough to be read in parallel', async () => {
    const file = join(folder, 'large.ndjson');
    const two = [ping('d', 0, A, 'open'), ping('d', 0, A, 'ontrip')].map(
      (event) => JSON.stringify(event) + '\n',
    );
    await writeFile(file, two.join('').repeat(300_000));
    const truth = await computeTruth({
      events: file,
      cover: COVER,
      region: 'sf',
      levels: ['region'],
      windows: ['1m'],
    });
    open.push(truth);
    expect((await table(truth, 'region'))['sf@0']).toMatchObject({
      pickups: 300_000,
      dropoffs: 299_999,
      busy_s: 60,
    });
  });
});

describe('rides', () => {
  it('count in the place of the event, or else where the ride was last known', async () => {
    const truth = await truthOf([
      ride('requested', 'r', 1_500, A, 'ann'),
      ride('accepted', 'r', 5_000),
      ride('picked_up', 'r', 62_000, B),
      ride('completed', 'r', 130_000),
      ride('requested', 's', 2_000, A, 'ann'),
      ride('accepted', 's', 3_000, C),
      ride('cancelled', 's', 4_000),
      ride('requested', 't', 4_000, B, 'ann'),
      { type: 'session.opened', riderId: 'bob', ts: T0, ...at(A) },
    ]);
    expect(await table(truth)).toEqual({
      [`${A}@0`]: { requests: 2, riders: 1, sessions: 1 },
      [`${B}@0`]: { requests: 1, riders: 1 },
      [`${C}@0`]: { cancels: 1 },
      [`${B}@1`]: { waits: 1, wait_s_mean: 60.5, wait_s_p50: 60.5, wait_s_p90: 60.5 },
      [`${B}@2`]: { completes: 1 },
    });
    expect((await table(truth, 'region'))['sf@0']).toEqual({
      requests: 3,
      riders: 1,
      sessions: 1,
      cancels: 1,
    });
  });

  it('refuse what cannot follow, in the order of time and then arrival', async () => {
    const truth = await truthOf([
      ride('completed', 'a', 9_000, A),
      ride('picked_up', 'a', 2_000, A), // before it is accepted
      ride('requested', 'a', 1_000, A),
      ride('requested', 'a', 1_000, B), // again
      ride('accepted', 'a', 2_000, A),
      ride('picked_up', 'a', 3_000, A),
      ride('cancelled', 'a', 4_000, A), // too late
      ride('picked_up', 'a', 5_000, A), // again
      ride('completed', 'a', 9_000, A), // again
      ride('cancelled', 'b', 0, B), // of nothing
      ride('requested', 'b', 1_000, B),
      ride('cancelled', 'b', 2_000, B),
      ride('accepted', 'b', 3_000, B), // after the end
      ride('picked_up', 'b', 4_000, B),
      ride('requested', 'b', 5_000, B),
      ride('requested', 'c', 1_000, C),
      ride('completed', 'c', 2_000, C), // from requested
      ride('accepted', 'c', 3_000, C),
      ride('accepted', 'c', 3_500, C),
      ride('completed', 'c', 4_000, C), // from accepted
      ride('cancelled', 'c', 5_000, C),
    ]);
    expect(await table(truth)).toEqual({
      [`${A}@0`]: {
        requests: 1,
        riders: 1,
        completes: 1,
        waits: 1,
        wait_s_mean: 2,
        wait_s_p50: 2,
        wait_s_p90: 2,
      },
      [`${B}@0`]: { requests: 1, riders: 1, cancels: 1 },
      [`${C}@0`]: { requests: 1, riders: 1, cancels: 1 },
    });
  });

  it('agree with a plain walk through each ride, for thousands of disorderly ones', async () => {
    let seed = 42;
    const random = (n: number) => (seed = (seed * 48271) % 2147483647) % n;
    const kinds = ['requested', 'accepted', 'picked_up', 'completed', 'cancelled'];
    const places = [A, B, C, OUTSIDE, undefined];
    const events = Array.from({ length: 30_000 }, () => {
      const what = kinds[random(5)]!;
      const place = places[random(5)];
      const cell = what === 'requested' ? (place ?? A) : place;
      return {
        ...ride(what, `r${random(5_000)}`, random(20) * 7_000, cell, `rider ${random(300)}`),
        what,
        cell,
      };
    });

    type Count = {
      requests: number;
      cancels: number;
      completes: number;
      waits: number;
      wait: number;
      who: Set<string>;
    };
    const counts = new Map<string, Count>();
    const rides = new Map<string, { state: string; since: number; cell: string }>();
    const from: Record<string, string[]> = {
      accepted: ['requested'],
      picked_up: ['accepted'],
      completed: ['picked_up'],
      cancelled: ['requested', 'accepted'],
    };
    for (const event of [...events].sort((a, b) => a.ts - b.ts)) {
      if (event.cell === OUTSIDE) continue;
      const known = rides.get(event.rideId);
      if (event.what === 'requested' ? known : !known || !from[event.what]!.includes(known.state)) continue;
      const now = {
        state: event.what,
        since: known?.since ?? event.ts,
        cell: event.cell ?? known!.cell,
      };
      rides.set(event.rideId, now);
      if (event.what === 'accepted') continue;
      const name = `${now.cell}@${Math.floor((event.ts - T0) / MINUTE)}`;
      const count = counts.get(name) ?? {
        requests: 0,
        cancels: 0,
        completes: 0,
        waits: 0,
        wait: 0,
        who: new Set(),
      };
      counts.set(name, count);
      if (event.what === 'requested') {
        count.requests++;
        count.who.add(event.riderId);
      } else if (event.what === 'cancelled') count.cancels++;
      else if (event.what === 'completed') count.completes++;
      else {
        count.waits++;
        count.wait += event.ts - now.since;
      }
    }
    expect(counts.size).toBeGreaterThan(6);

    const truth = await truthOf(events, { levels: ['cell'], windows: ['1m'] });
    const found: Record<string, unknown> = {};
    for await (const { key, start, features: f } of truth.rows('cell', '1m')) {
      found[`${key}@${(start - T0) / MINUTE}`] = [
        f.requests,
        f.riders,
        f.cancels,
        f.completes,
        f.waits,
        f.wait_s_mean,
      ];
    }
    expect(found).toEqual(
      Object.fromEntries(
        [...counts].map(([name, c]) => [
          name,
          [
            c.requests,
            c.who.size,
            c.cancels,
            c.completes,
            c.waits,
            c.waits ? c.wait / (c.waits * 1_000) : undefined,
          ],
        ]),
      ),
    );
  });
});

describe('windows', () => {
  it('slide by a minute, from the first that ends with a value to the last that starts with one', async () => {
    const truth = await truthOf([
      ping('d', 0, A, 'open'),
      ping('d', 90_000, A, 'offline'),
      { type: 'session.opened', riderId: 'x', ts: T0 + 10 * MINUTE, ...at(A) },
    ]);
    const found = await table(truth, 'cell', '5m');
    expect(Object.keys(found)).toEqual([-4, -3, -2, -1, 0, 1, 6, 7, 8, 9, 10].map((m) => `${A}@${m}`));
    expect(found[`${A}@-4`]).toEqual({ open_s: 60, open_end: 1, drivers_mean: 0.2 });
    expect(found[`${A}@-3`]).toEqual({ open_s: 90, drivers_mean: 0.3 });
    expect(found[`${A}@1`]).toEqual({ open_s: 30, drivers_mean: 0.1 });
    expect(found[`${A}@6`]).toEqual({ sessions: 1 });
    // 0, 1 and 10 are apart by less than an hour: from −59 to 10 without a hole.
    expect(await truth.count('region', '1h')).toBe(70);
    expect(await truth.count('region', '15m')).toBe(25);
  });

  it('merge waits: mean of all, quantiles by the lower rank', async () => {
    const waits = [1, 2, 3, 4, 5, 6, 7, 8, 9, 100, 11];
    const truth = await truthOf(
      waits.flatMap((wait, i) => [
        ride('requested', `r${i}`, 0, B),
        ride('accepted', `r${i}`, 0),
        // Every other one a minute later.
        ride('picked_up', `r${i}`, (wait + (i % 2 ? 60 : 0)) * 1_000, A),
      ]),
    );
    const key = [A, T0 - 3 * MINUTE] as const;
    const real = waits.map((wait, i) => wait + (i % 2 ? 60 : 0)).sort((a, b) => a - b);
    // Those below 60 s are minute 0, 62 … 68 s minute 1, 160 s minute 2, which this window does not reach.
    expect(await truth.waits('cell', '5m', ...key)).toEqual(real.slice(0, 10));
    const found = await table(truth, 'cell', '5m');
    const merged = real.slice(0, 10);
    expect(found[`${A}@-3`]).toEqual({
      waits: 10,
      wait_s_mean: merged.reduce((sum, wait) => sum + wait, 0) / 10,
      wait_s_p50: merged[4],
      wait_s_p90: merged[8],
    });
  });
});

describe('what was asked', () => {
  it('only that is computed, and the rest is an error with the way out', async () => {
    const truth = await truthOf([ping('d', 0, A, 'open')], { levels: ['region'], windows: ['5m'] });
    expect(await truth.count('region', '5m')).toBe(9);
    await expect(truth.count('cell', '5m')).rejects.toThrow('was not computed');
    await expect(truthOf([], { cover: ["9q8'"] })).rejects.toThrow('a cover is a list of geohashes');
  });
});

const trace = (name: string) => fileURLToPath(new URL(`../../../shared/data/${name}`, import.meta.url));
const CABSPOTTING = trace('cabspotting-2008-05-21.csv.gz');
const UBER = trace('uber-nyc-2014-04-07-week.csv.gz');

describe('the real traces', () => {
  it('San Francisco, a day', async ({ skip }) => {
    if (!existsSync(CABSPOTTING)) skip(`no ${CABSPOTTING}: the real traces are not part of the project`);
    const truth = await computeTruth({
      csv: 'cabspotting',
      file: CABSPOTTING,
      cover: COVERS['sf']!,
      region: 'sf',
    });
    open.push(truth);
    expect([truth.events, truth.outside]).toEqual([456_453, 107]);
    const counts: Record<string, number[]> = {};
    for (const level of LEVELS) {
      counts[level] = [];
      for (const window of WINDOWS) counts[level].push(await truth.count(level, window));
      expect(await truth.totals(level, '1m')).toMatchObject({
        pickups: 17_951,
        dropoffs: 17_936,
        open_s: 16_324_117,
        busy_s: 11_327_949,
        open_end: 272_029,
      });
    }
    expect(counts).toEqual({
      cell: [182_424, 269_870, 390_908, 655_441],
      gh5: [34_576, 43_717, 57_285, 85_436],
      gh4: [8_214, 8_491, 8_943, 10_040],
      region: [1_399, 1_407, 1_427, 1_504],
    });
    // Each second is in as many windows as a window has minutes.
    expect((await truth.totals('cell', '1h')).busy_s).toBe(60 * 11_327_949);
  }, 120_000);

  it('New York, a week', async ({ skip }) => {
    if (!existsSync(UBER)) skip(`no ${UBER}: the real traces are not part of the project`);
    const truth = await computeTruth({
      csv: 'uber',
      file: UBER,
      cover: COVERS['nyc']!,
      windows: ['1m', '15m'],
    });
    open.push(truth);
    expect([truth.events, truth.outside]).toEqual([123_324, 130]);
    for (const level of LEVELS) {
      expect(await truth.totals(level, '1m')).toMatchObject({ requests: 123_194, riders: 123_194 });
      expect(await truth.totals(level, '15m')).toMatchObject({ requests: 15 * 123_194 });
    }
  }, 120_000);
});
