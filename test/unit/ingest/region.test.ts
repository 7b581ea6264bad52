import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { parseConfig, readYamlConfig } from '../../../src/core/config-file.js';
import { Cover } from '../../../src/core/geohash.js';
import { loadRegion } from '../../../src/ingest/region.js';

const REGIONS = join(import.meta.dirname, '../../../config/regions');
const MINIMAL = 'name: x\ntimezone: Europe/Berlin\ncover: [u33]\n';

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gs-region-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

async function load(yaml: string): ReturnType<typeof loadRegion> {
  const file = join(dir, 'x.yaml');
  await writeFile(file, yaml);
  return loadRegion({ name: 'x', dir: REGIONS, file });
}

describe('loadRegion', () => {
  it.each(['sf', 'nyc'])('loads the shipped region %s', async (name) => {
    const region = await loadRegion({ name, dir: REGIONS });
    expect(region).toMatchObject({
      name,
      partitions: 16,
      presenceMs: 300_000,
      windowsMs: [60_000, 300_000, 900_000, 3_600_000],
    });
    expect(new Cover(region.cover).prefixes.length).toBeGreaterThan(6);
  });

  it('fills in every default', async () => {
    expect(await load(MINIMAL)).toEqual({
      name: 'x',
      timezone: 'Europe/Berlin',
      cover: ['u33'],
      partitions: 16,
      outOfOrderBoundMs: 5_000,
      allowedLatenessMs: 600_000,
      presenceMs: 300_000,
      idleTimeoutMs: 30_000,
      clockToleranceMs: 60_000,
      duplicateWindowMs: 900_000,
      historyMs: 86_400_000,
      model: 'surge-linear',
      standbys: 0,
      windowsMs: [60_000, 300_000, 900_000, 3_600_000],
      limits: {
        frameEvents: 4_096,
        stepEvents: 50_000,
        commitBytes: 16_777_216,
        residentActors: 1_000_000,
        lagMessages: 100_000,
        actorStateBytesMax: 262_144,
        handlerTimeMaxMs: 200,
        quarantineAfter: 5,
        quarantineKeepMax: 1_000,
        turnBytes: 262_144,
      },
    });
  });

  it('sorts windows, and keeps limits that are not named', async () => {
    const region = await load(`${MINIMAL}windows: [1h, 1m]\nlimits: { frameEvents: 64 }\n`);
    expect(region).toMatchObject({
      windowsMs: [60_000, 3_600_000],
      limits: { frameEvents: 64, stepEvents: 50_000 },
    });
  });

  it.each<[string, string, RegExp]>([
    [
      'a mistyped key',
      `${MINIMAL}partition: 8\n`,
      /x\.yaml: partition: unknown key; did you mean "partitions"\?/,
    ],
    [
      'a mistyped limit',
      `${MINIMAL}limits: { frameEvent: 8 }\n`,
      /limits\.frameEvent: unknown key; did you mean "frameEvents"\?/,
    ],
    ['a missing key', 'name: x\ncover: [u33]\n', /timezone: missing/],
    ['a bad duration', `${MINIMAL}presence: 5 minutes\n`, /presence: "5 minutes" is no duration/],
    [
      'a number for a duration',
      `${MINIMAL}presence: 300\n`,
      /presence: expected string, found number 300 \(write it in quotes\)/,
    ],
    ['too many partitions', `${MINIMAL}partitions: 257\n`, /partitions: .*256/],
    ['no partition', `${MINIMAL}partitions: 0\n`, /partitions: /],
    ['a cover that is no geohash', 'name: x\ntimezone: UTC\ncover: [ail]\n', /cover\[0\]: is no geohash/],
    ['an empty cover', 'name: x\ntimezone: UTC\ncover: []\n', /cover: /],
    [
      'a cover that YAML takes for a number',
      'name: x\ntimezone: UTC\ncover: [9e8]\n',
      /cover\[0\]: .*write it in quotes/,
    ],
    ['a time zone', 'name: x\ntimezone: Mars\ncover: [u33]\n', /timezone: is no IANA time zone/],
    ['a region name', 'name: X!\ntimezone: UTC\ncover: [u33]\n', /name: is 1 to 32/],
    ['windows without 1m', `${MINIMAL}windows: [5m]\n`, /windows: needs 1m/],
    ['a window of half a minute', `${MINIMAL}windows: [1m, 30s]\n`, /windows\[1\]: is whole minutes/],
    ['a model that leaves the folder', `${MINIMAL}model: ../x\n`, /model: /],
    [
      'several faults at once',
      `${MINIMAL}partitions: 0\npresense: 5s\n`,
      /\n {2}partitions: [^]*\n {2}presense: unknown key/,
    ],
    ['no YAML', 'name: [x\n', /x\.yaml:\d+:\d+: not valid YAML/],
    ['a key twice', `${MINIMAL}name: y\n`, /x\.yaml:4:1: not valid YAML/],
    ['an empty file', '', /x\.yaml: expected object, found nothing/],
  ])('%s is GS_CONFIG with file and key path', async (_name, yaml, message) => {
    await expect(load(yaml)).rejects.toMatchObject({
      code: 'GS_CONFIG',
      message: expect.stringMatching(message) as string,
    });
  });

  it('a region without a file is unknown; the message lists the known ones and the nearest', async () => {
    await expect(loadRegion({ name: 'nycc', dir: REGIONS })).rejects.toMatchObject({
      code: 'GS_REGION_UNKNOWN',
      message: expect.stringMatching(/"nycc"; did you mean "nyc"\? \(.*nyc, sf\)/) as string,
    });
  });

  it.each(['../regions/sf', '', '__proto__'])('takes no path for a name: "%s"', async (name) => {
    await expect(loadRegion({ name, dir: REGIONS })).rejects.toMatchObject({ code: 'GS_REGION_UNKNOWN' });
  });

  it('a file of another region, and a missing one, are GS_CONFIG', async () => {
    const file = join(REGIONS, 'sf.yaml');
    await expect(loadRegion({ name: 'nyc', dir: REGIONS, file })).rejects.toMatchObject({
      code: 'GS_CONFIG',
    });
    await expect(loadRegion({ name: 'sf', dir: REGIONS, file: '/none.yaml' })).rejects.toMatchObject({
      code: 'GS_CONFIG',
    });
  });
});

describe('parseConfig', () => {
  const inner = z.strictObject({ column: z.string() });
  const schema = z.strictObject({
    list: z.array(inner).optional(),
    byName: z.record(z.string(), inner.nullable().default(null)).optional(),
    either: z.union([z.string(), inner]).optional(),
    piped: inner.transform((it) => it.column).optional(),
  });
  it.each<[unknown, RegExp]>([
    [
      { list: [{ colum: 'x', column: 'x' }] },
      /where: list\[0\]\.colum: unknown key; did you mean "column"\?/,
    ],
    [
      { byName: { a: { colum: 'x', column: 'x' } } },
      /byName\.a\.colum: unknown key; did you mean "column"\?/,
    ],
    [{ either: { colum: 'x', column: 'x' } }, /either\.colum: unknown key; did you mean "column"\?/],
    [{ piped: { colum: 'x', column: 'x' } }, /piped\.colum: unknown key; did you mean "column"\?/],
    [{ either: 7 }, /either: expected string or object, found number 7/],
    [{ list: [{ qqqqqq: 1, column: 'x' }] }, /list\[0\]\.qqqqqq: unknown key; known here: column/],
    [{ a1: 1, b1: 1, c1: 1, d1: 1, e1: 1, f1: 1 }, /and 1 more/],
  ])('names the path and the nearest key: %o', (value, message) => {
    expect(() => parseConfig(schema, value, 'where', 'GS_MODEL')).toThrow(message);
  });

  it('a file that cannot be read has the code of its kind', async () => {
    await expect(readYamlConfig(schema, '/none.yaml', 'GS_MODEL')).rejects.toMatchObject({
      code: 'GS_MODEL',
    });
  });
});
