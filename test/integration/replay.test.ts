/**
 * Hunts: a replay whose rows depend on having been killed, on the number of partitions, on the order of arrival within
 * the bound, or on who does the work; a server that outlives its command.
 */
import { randomUUID } from 'node:crypto';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Row } from '../../src/actor/row.js';
import { systemClock } from '../../src/core/clock.js';
import { seededRandom } from '../../src/core/random.js';
import { loadEngineConfig } from '../../src/cli/engine.js';
import { connectNats, ensureStreams } from '../../src/log/nats/connect.js';
import { NatsLog } from '../../src/log/nats/nats-log.js';
import { startEmbeddedServer } from '../../src/log/nats/server/embedded.js';
import { locateNatsServer, WAYS } from '../../src/log/nats/server/locate.js';
import { releaseWay } from '../../src/log/nats/server/release.js';
import { Subjects } from '../../src/log/subjects.js';
import { Node } from '../../src/node/node.js';
import { LmdbStore } from '../../src/state/lmdb/lmdb-store.js';
import { readRows, Sandbox } from '../support/cli.js';
import { MINUTE, smallCity, T0, type RawEvent } from '../support/market.js';
import { repeated, sorted } from '../support/rows.js';
import { until } from '../support/until.js';

const sandbox = new Sandbox();
const events = smallCity({
  cover: ['9q8y', '9q8z'],
  seed: 3,
  drivers: 80,
  requestsPerMinute: 20,
  durationMs: 25 * MINUTE,
  pingEveryMs: 5_000,
});
const file = sandbox.path('city.ndjson');
const TEST_MS = 120_000;
let reference: string[] = [];

function write(name: string, list: readonly RawEvent[]): string {
  const path = sandbox.path(name);
  writeFileSync(path, list.map((event) => `${JSON.stringify(event)}\n`).join(''));
  return path;
}

const fileSize = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0;

beforeAll(async () => {
  // The server is fetched here at first need, never from GitHub.
  await locateNatsServer({ ways: WAYS.filter((way) => way !== releaseWay) });
  write('city.ndjson', events);
  const { rows, summary } = await sandbox.replay(file, ['--region', 'sf']);
  expect(summary).toMatchObject({ events: events.length, accepted: events.length, late: 0, rejected: {} });
  expect(repeated(rows)).toEqual([]);
  reference = sorted(rows);
}, 300_000);
afterAll(() => sandbox.close());

describe('groundswell replay', () => {
  it(
    'P3: killed with -9 again and again, and started again with the same --data, it says the same rows, none twice',
    async () => {
      const data = sandbox.path('killed');
      const out = sandbox.path('killed.ndjson');
      const args = ['replay', file, '--region', 'sf', '--data', data, '--out', out, '--json'];
      let before = 0;
      for (let kill = 0; kill < 3; kill++) {
        const { child, ended } = sandbox.start(args);
        let over = false;
        ended.then(
          () => (over = true),
          () => undefined,
        );
        const enough = before;
        await until(
          'more rows than last time are committed',
          () => over || fileSize(`${out}.partial`) > enough,
          {
            deadlineMs: 60_000,
            pollMs: 2,
          },
        );
        before = fileSize(`${out}.partial`);
        child.kill('SIGKILL');
        expect((await ended).signal, 'it was killed on the way').toBe('SIGKILL');
        expect(existsSync(out), 'no rows file before it is whole').toBe(false);
      }
      await sandbox.quiet();
      const ended = await sandbox.run(args);
      expect(ended.stderr).not.toMatch(/error/);
      expect(ended.code).toBe(0);
      expect((JSON.parse(ended.stdout) as { resumed: number }).resumed).toBeGreaterThan(0);
      const rows = readRows(out);
      expect(repeated(rows)).toEqual([]);
      expect(sorted(rows)).toEqual(reference);
      expect(existsSync(`${out}.partial`)).toBe(false);

      // And once more after it is done.
      const again = await sandbox.replay(file, ['--region', 'sf', '--data', data]);
      expect(sorted(again.rows)).toEqual(reference);
      expect(again.summary.resumed).toBe(events.length);
      await sandbox.quiet();
    },
    TEST_MS,
  );

  it.each([1, 4, 16])(
    'P7: the sorted rows are the same with --partitions %i',
    async (partitions) => {
      const { rows } = await sandbox.replay(file, ['--region', 'sf', '--partitions', String(partitions)]);
      expect(sorted(rows)).toEqual(reference);
    },
    TEST_MS,
  );

  it(
    'P7: the sorted rows are the same for input shuffled within the out-of-order bound',
    async () => {
      const random = seededRandom(5);
      // Events of one time and driver keep their order.
      const delays = new Map<number, number>();
      const shuffled = events
        .map((event) => {
          const delay = delays.get(event.ts) ?? Math.floor(random.next() * 5_000);
          delays.set(event.ts, delay);
          return { event, arrivalMs: event.ts + delay };
        })
        .sort((a, b) => a.arrivalMs - b.arrivalMs || a.event.ts - b.event.ts)
        .map(({ event }) => event);
      expect(shuffled).not.toEqual(events);
      const { rows, summary } = await sandbox.replay(write('shuffled.ndjson', shuffled), ['--region', 'sf']);
      expect(summary.late).toBe(0);
      expect(sorted(rows)).toEqual(reference);
    },
    TEST_MS,
  );

  it(
    'a replay of events older than the region’s watermark is refused, and says so',
    async () => {
      const data = sandbox.path('older');
      const some = events.slice(0, 500);
      await sandbox.replay(write('newer.ndjson', some), ['--region', 'sf', '--data', data]);
      const older = some.map((event) => ({ ...event, ts: event.ts - 24 * 60 * MINUTE }));
      const out = sandbox.path('older.ndjson');
      const ended = await sandbox.run([
        'replay',
        write('older-events.ndjson', older),
        '--region',
        'sf',
        '--data',
        data,
        '--out',
        out,
      ]);
      expect(ended.code).toBe(2);
      expect(ended.stderr).toMatch(/GS_REPLAY_OLD/);
      expect(ended.stderr).toContain(new Date(older[0]!.ts).toISOString());
      expect([existsSync(out), existsSync(`${out}.partial`)]).toEqual([false, false]);
      await sandbox.quiet();
    },
    TEST_MS,
  );

  it(
    'with --nats it only produces and reads rows, and a node elsewhere does the work',
    async () => {
      const { path: binary } = await locateNatsServer({ ways: WAYS.filter((way) => way !== releaseWay) });
      const dataDir = sandbox.path('elsewhere');
      const server = await startEmbeddedServer({ dataDir, binary, clock: systemClock });
      const { config, registry } = await loadEngineConfig({ region: 'sf' });
      const subjects = new Subjects(config.name);
      const writer = randomUUID();
      const { connection, jsm } = await connectNats(server, 'a node of the tests');
      await ensureStreams(jsm, subjects, config.partitions);
      const { partitions } = config;
      const store = await LmdbStore.open(`${dataDir}/snapshots`, { region: config.name, partitions });
      const node = new Node({
        log: new NatsLog(connection, jsm, { stream: subjects.engineStream, writer }),
        store,
        subjects,
        clock: systemClock,
        registry,
        partitions,
        partition: {
          writer,
          time: { outOfOrderBoundMs: config.outOfOrderBoundMs, idleTimeoutMs: config.idleTimeoutMs },
          paneMs: MINUTE,
          duplicateWindowMs: config.duplicateWindowMs,
        },
      });
      await node.start();
      try {
        const url = server.url.replace('//', `//${server.user}:${server.password}@`);
        const { rows, summary } = await sandbox.replay(file, ['--region', 'sf', '--nats', url]);
        expect(sorted(rows)).toEqual(reference);
        expect(node.stats.events, 'the node here took them').toBe(summary.accepted);
        expect(sandbox.leftovers(), 'no data folder of its own').toEqual([]);
      } finally {
        await node.stop();
        await store.close();
        await connection.close();
        await server.stop();
      }
    },
    TEST_MS,
  );

  it(
    '--speed 10x lets event time run at most ten times as fast as the wall',
    async () => {
      const half = events.filter(({ ts }) => ts < T0 + 20_000);
      const span = (half.at(-1)!.ts - half[0]!.ts) / 1_000;
      const { summary, rows } = await sandbox.replay(write('half.ndjson', half), [
        '--region',
        'sf',
        '--speed',
        '10x',
      ]);
      expect(summary.seconds).toBeGreaterThanOrEqual(span / 10);
      const fast: Row[] = (await sandbox.replay(sandbox.path('half.ndjson'), ['--region', 'sf'])).rows;
      expect(sorted(rows)).toEqual(sorted(fast));
    },
    TEST_MS,
  );
});
