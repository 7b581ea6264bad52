/** Hunts: a comparison that finds nothing because it looks at nothing. Each kind of difference is made once. */
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { compareRows } from './compare.js';
import { computeTruth, LEVELS, WINDOW_MINUTES, WINDOWS, type Truth } from './truth.js';

const T0 = 1_211_353_200_000;
const PLACE = { lat: 37.78, lon: -122.42 };
const COVER = ['9q8y'];
const EVENTS = [
  { type: 'driver.location', driverId: 'd', ts: T0 + 1_234, ...PLACE, status: 'open' },
  { type: 'driver.location', driverId: 'd', ts: T0 + 61_000, ...PLACE, status: 'ontrip' },
  { type: 'ride.requested', rideId: 'r', riderId: 'x', ts: T0, ...PLACE },
  { type: 'ride.accepted', rideId: 'r', riderId: 'x', ts: T0 + 1 },
  { type: 'ride.picked_up', rideId: 'r', riderId: 'x', ts: T0 + 61_000 },
];

interface PublishedRow {
  region: string;
  level: string;
  key: string;
  window: string;
  start: number;
  end: number;
  rev: number | undefined;
  features: Record<string, number>;
}

let folder = '';
let eventsFile = '';
let truth: Truth;
let perfect: PublishedRow[];
let rows: PublishedRow[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'truth-compare-'));
  eventsFile = join(folder, 'events.ndjson');
  await writeFile(eventsFile, EVENTS.map((event) => JSON.stringify(event) + '\n').join(''));
  truth = await computeTruth({ events: eventsFile, cover: COVER, region: 'sf' });
  perfect = [];
  for (const level of LEVELS) {
    for (const window of WINDOWS) {
      for await (const { key, start, features } of truth.rows(level, window)) {
        const end = start + WINDOW_MINUTES[window] * 60_000;
        perfect.push({ region: 'sf', level, key, window, start, end, rev: 0, features });
      }
    }
  }
});
beforeEach(() => {
  rows = structuredClone(perfect);
});
afterAll(async () => {
  await truth.close();
  await rm(folder, { recursive: true, force: true });
});

const rowsFile = () => join(folder, 'rows.ndjson');
const write = () =>
  writeFile(
    rowsFile(),
    rows.map((row) => JSON.stringify({ ...row, surge: { multiplier: 1 } }) + '\n').join(''),
  );
async function compared(limit?: number) {
  await write();
  return compareRows({ rowsFile: rowsFile(), truth, region: 'sf', ...(limit ? { limit } : {}) });
}
const the = (level: string, window: string, minute: number) =>
  rows.find((row) => row.level === level && row.window === window && row.start === T0 + minute * 60_000)!;

describe('comparison', () => {
  it('finds nothing in the truth itself, and says how much it looked at', async () => {
    const found = await compared();
    expect(found).toMatchObject({
      same: true,
      compared: perfect.length,
      lines: perfect.length,
      malformed: 0,
    });
    // Six minutes of presence (0 … 6) at four levels; sixteen features in a minute, fifteen in a longer window.
    const minutes = 4 * 7;
    expect(found.values).toBe(minutes * 16 + (perfect.length - minutes) * 15);
    expect(perfect.length).toBe(4 * (7 + (7 + 4) + (7 + 14) + (7 + 59)));
  });

  it('takes an absent feature for zero', async () => {
    for (const row of rows) {
      row.features = Object.fromEntries(Object.entries(row.features).filter(([, value]) => value !== 0));
    }
    expect((await compared()).same).toBe(true);
    delete the('cell', '1m', 0).features['open_s'];
    expect((await compared()).wrong).toMatchObject([
      { level: 'cell', feature: 'open_s', expected: 58.766, actual: 0 },
    ]);
  });

  it('names what is missing and what is extra', async () => {
    const lost = the('gh5', '5m', -2);
    rows = rows.filter((row) => row !== lost);
    rows.push({ ...lost, level: 'cell', key: '9q8y00', features: { pickups: 1 } });
    const found = await compared();
    expect(found.missing).toMatchObject([{ level: 'gh5', window: '5m', start: lost.start, key: lost.key }]);
    expect(found.extra).toEqual([
      { level: 'cell', key: '9q8y00', window: '5m', start: lost.start, features: { pickups: 1 } },
    ]);
    expect(found).toMatchObject({ same: false, counts: { missing: 1, extra: 1, wrong: 0 } });
  });

  it('holds seconds and means to 1e-9, wait quantiles to 1.1 %', async () => {
    const minute = the('region', '1m', 1).features;
    minute['wait_s_p50']! *= 1.0109;
    minute['wait_s_p90']! *= 0.9891;
    expect((await compared()).wrong).toEqual([]);
    minute['wait_s_p50'] = 61 * 1.012;
    minute['wait_s_mean']! += 1e-6;
    minute['open_s']! += 1e-8;
    the('region', '1h', 1).features['drivers_mean']! += 1e-8;
    const { wrong } = await compared();
    expect(wrong.map(({ feature }) => feature).sort()).toEqual([
      'drivers_mean',
      'open_s',
      'wait_s_mean',
      'wait_s_p50',
    ]);
  });

  it('checks the end of the window, and that no feature stands where it has no meaning', async () => {
    the('cell', '1m', 0).end += 1;
    the('cell', '5m', 0).features['drivers'] = 1;
    the('cell', '1m', 3).features['drivers_mean'] = 1;
    the('cell', '1m', 3).features['wait_s_mean'] = 1;
    const { wrong } = await compared();
    expect(wrong.map(({ feature }) => feature).sort()).toEqual([
      'drivers',
      'drivers_mean',
      'end',
      'wait_s_mean',
    ]);
  });

  it('looks at the highest revision only, and reports one published twice', async () => {
    const first = the('cell', '1m', 0);
    rows.push({ ...first, rev: 2 }, { ...first, rev: 1, features: { open_s: 1 } });
    first.features = { open_s: 99 };
    expect(await compared()).toMatchObject({ same: true, superseded: 2 });
    rows.push({ ...first, rev: 1 });
    const found = await compared();
    expect(found).toMatchObject({ same: false, superseded: 2, counts: { wrong: 0, duplicates: 1 } });
    expect(found.duplicates).toEqual([
      { level: 'cell', key: first.key, window: '1m', start: first.start, rev: 1, times: 2 },
    ]);
  });

  it('leaves other regions and unasked levels alone, but not a row without a name', async () => {
    rows.push({ ...rows[0]!, region: 'nyc' }, { ...rows[0]!, level: 'gh3' });
    expect(await compared()).toMatchObject({ same: true, ignored: 2 });
    rows.push({ ...rows[0]!, rev: undefined });
    expect(await compared()).toMatchObject({ same: false, ignored: 2, malformed: 1 });
    await write();
    const part = await compareRows({
      rowsFile: rowsFile(),
      truth,
      region: 'sf',
      levels: ['region'],
      windows: ['1m'],
    });
    expect(part).toMatchObject({ compared: 7, counts: { missing: 0, extra: 0 } });
    await expect(compareRows({ rowsFile: rowsFile(), truth, region: 'nyc' })).rejects.toThrow('not of nyc');
  });

  it('an empty file misses everything; examples are limited, counts are not', async () => {
    rows = [];
    const found = await compared(5);
    expect(found.counts.missing).toBe(perfect.length);
    expect(found.missing).toHaveLength(5);
  });
});

describe('check', () => {
  const check = (...args: string[]) => {
    const script = fileURLToPath(new URL('./check.ts', import.meta.url));
    const { status, stdout, stderr } = spawnSync(process.execPath, ['--import', 'tsx', script, ...args], {
      encoding: 'utf8',
    });
    return { status, stdout, stderr };
  };

  it('exits 0 for the same, 1 for a difference, 2 for wrong usage', async () => {
    await write();
    const given = [rowsFile(), '--events', eventsFile, '--region', 'sf', '--cover', '9q8y'];
    expect(check(...given)).toMatchObject({ status: 0, stdout: expect.stringContaining('SAME') as string });
    the('cell', '1m', 0).features['open_s'] = 7;
    await write();
    expect(check(...given)).toMatchObject({
      status: 1,
      stdout: expect.stringContaining('open_s is 7, must be 58.766') as string,
    });
    expect(check(rowsFile(), '--events', eventsFile).status).toBe(2);
    expect(check(...given, '--no-such')).toMatchObject({ status: 2 });
  });
});
