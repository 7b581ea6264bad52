/**
 * Hunts: a value of a row that is not what the events say. The command line with its embedded server and LMDB on one side,
 * DuckDB over the same events on the other: every row, every value, every level and window.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { locateNatsServer, WAYS } from '../../src/log/nats/server/locate.js';
import { releaseWay } from '../../src/log/nats/server/release.js';
import { CABSPOTTING, hasTraces, mappingFile, Sandbox, UBER, type Summary } from '../support/cli.js';
import { compareRows } from '../truth/compare.js';
import { computeTruth, COVERS, type EventSource, type Truth } from '../truth/truth.js';

const sandbox = new Sandbox();
const TEST_MS = 240_000;

beforeAll(async () => {
  await locateNatsServer({ ways: WAYS.filter((way) => way !== releaseWay) });
}, 180_000);
afterAll(() => sandbox.close());

/** Replays a file and compares what was written with the truth; gives both sides for further questions. */
async function sameAsTruth(
  region: string,
  file: string,
  source: EventSource,
  args: readonly string[],
  ask: (truth: Truth, summary: Summary) => Promise<void>,
): Promise<void> {
  const out = sandbox.path('rows.ndjson');
  const ended = await sandbox.run(['replay', file, '--region', region, '--out', out, '--json', ...args]);
  expect(ended.code, ended.stderr).toBe(0);
  const summary = JSON.parse(ended.stdout.trim().split('\n').at(-1)!) as Summary;
  const truth = await computeTruth({ ...source, cover: COVERS[region]!, region });
  try {
    const found = await compareRows({ rowsFile: out, truth, region, limit: 5 });
    const { missing, extra, wrong, duplicates } = found;
    expect({ missing, extra, wrong, duplicates }).toEqual({
      missing: [],
      extra: [],
      wrong: [],
      duplicates: [],
    });
    expect(found).toMatchObject({ same: true, malformed: 0, ignored: 0, superseded: 0 });
    expect(found.compared).toBe(Object.values(summary.rows).reduce((a, b) => a + b));
    expect([summary.events, summary.rejected['outside_region'] ?? 0]).toEqual([truth.events, truth.outside]);
    expect([summary.late, summary.impossible, summary.duplicates]).toEqual([0, 0, 0]);
    await ask(truth, summary);
  } finally {
    await truth.close();
    rmSync(out);
  }
  await sandbox.quiet();
}

describe('the rows are the truth', () => {
  it(
    'of a simulated city with every kind of event, at every level, for 1m, 5m, 15m and 1h',
    async () => {
      const file = sandbox.path('city.ndjson');
      const made = await sandbox.run([
        ...['simulate', '--region', 'sf', '--seed', '1', '--out', file],
        ...['--drivers', '300', '--requests-per-minute', '30', '--for', '90m'],
      ]);
      expect(made.code, made.stderr).toBe(0);
      await sameAsTruth('sf', file, { events: file }, [], async (truth) => {
        const totals = await truth.totals('region', '1m');
        for (const feature of [
          'requests',
          'cancels',
          'completes',
          'sessions',
          'waits',
          'pickups',
          'dropoffs',
        ] as const)
          expect(totals[feature], feature).toBeGreaterThan(50);
      });
    },
    TEST_MS,
  );

  it.skipIf(!hasTraces)(
    'of a day of San Francisco taxis (skipped where ../shared/data is missing: the traces are not ours to publish)',
    async () => {
      const args = ['--mapping', mappingFile('cabspotting')];
      const source = { csv: 'cabspotting', file: CABSPOTTING } as const;
      await sameAsTruth('sf', CABSPOTTING, source, args, async (truth, summary) => {
        // What is known of this day from elsewhere (shared/data/README.md).
        expect(summary.rejected).toEqual({ outside_region: 107 });
        expect(await truth.count('cell', '1m')).toBe(182_424);
        expect(await truth.totals('region', '1m')).toMatchObject({ pickups: 17_951, dropoffs: 17_936 });
      });
    },
    TEST_MS,
  );

  it.skipIf(!hasTraces)(
    'of two days of New York requests (skipped where ../shared/data is missing: the traces are not ours to publish)',
    async () => {
      // The whole week is 25 million values of rows: two days have every kind of it.
      const [header, ...rows] = gunzipSync(readFileSync(UBER)).toString().trimEnd().split('\n');
      const file = sandbox.path('two-days.csv');
      const twoDays = rows.filter((row) => row < '2014-04-09');
      expect(twoDays.length).toBeGreaterThan(30_000);
      writeFileSync(file, [header, ...twoDays, ''].join('\n'));
      const args = ['--mapping', mappingFile('uber-foil')];
      await sameAsTruth('nyc', file, { csv: 'uber', file }, args, async (truth, summary) => {
        expect(await truth.totals('region', '1m')).toMatchObject({ requests: summary.accepted });
      });
    },
    TEST_MS,
  );
});
