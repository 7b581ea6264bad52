/**
 * Hunts: a node that loses what it said it had taken, that does not let go when told to, that leaves a server behind when
 * it is killed, that begins anew where it should go on, or ends with a stack trace where a sentence would do.
 */
import { createServer } from 'node:net';
import { once } from 'node:events';
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Row } from '../../src/actor/row.js';
import { systemClock } from '../../src/core/clock.js';
import { startEmbeddedServer } from '../../src/log/nats/server/embedded.js';
import { locateNatsServer, WAYS } from '../../src/log/nats/server/locate.js';
import { releaseWay } from '../../src/log/nats/server/release.js';
import { Sandbox, type Ended } from '../support/cli.js';
import { RunningStart } from '../support/running.js';
import { until } from '../support/until.js';

const sandbox = new Sandbox();
const TEST_MS = 180_000;
const DRAIN_SECONDS = 5;
let binary = '';
let folders = 0;
const newFolder = (): string => sandbox.path(`data-${++folders}`);

/** A driver's ping at the Ferry Building. */
const CELL = '9q8znb';
const PLACE = { lat: 37.7955, lon: -122.3937 };
const ping = (driverId: string, status: string, ts = Date.now()): object => ({
  type: 'driver.location',
  driverId,
  ...PLACE,
  ts,
  status,
});

beforeAll(async () => {
  binary = (await locateNatsServer({ ways: WAYS.filter((way) => way !== releaseWay) })).path;
}, 180_000);
afterEach(() => sandbox.quiet());
afterAll(() => sandbox.close());

function refusedClearly(ended: Ended, code: 1 | 2, name: string, ...words: (string | RegExp)[]): void {
  expect(ended.stderr).toContain(name);
  expect(ended.code, ended.stderr).toBe(code);
  expect(ended.stdout).toBe('');
  expect(ended.stderr).not.toMatch(/^\s+at /m);
  for (const word of words) expect(ended.stderr).toMatch(word);
}

describe('groundswell start', () => {
  it(
    'an event that was accepted is seen live and by inspect, its minute’s row comes when the clock says so, and SIGTERM drains',
    async () => {
      const node = await RunningStart.open(sandbox, newFolder());
      const { body } = await node.post([
        ping('d-1', 'open'),
        { type: 'ride.requested', rideId: 'a', riderId: 'r-1', ...PLACE, ts: Date.now() },
        { type: 'driver.location', driverId: 'd-2' },
        ping('d-3', 'open', Date.now() - 3_600_000 * 24 * 365 * 30),
      ]);
      const minute = Math.floor(Date.now() / 60_000) * 60_000;
      expect(body).toMatchObject({ accepted: 2, refused: 2 });
      expect(await node.inspect('driver/d-1')).toMatchObject({ type: 'driver', key: 'd-1', stage: 0 });
      await until(
        'the live value',
        async () => {
          const { body: cell } = await node.get<{ live?: { open?: number; requests?: number } | null }>(
            `/v1/features/cell/${CELL}`,
          );
          return cell.live?.open === 1 && cell.live.requests === 1;
        },
        { pollMs: 20 },
      );
      // Nothing more comes from anybody: the clock alone closes the minute.
      await until(
        'the row of the minute',
        async () => {
          const { status, body: cell } = await node.get<{ rows: Record<string, Row> }>(
            `/v1/features/cell/${CELL}`,
          );
          const row = cell.rows?.['1m'];
          return status === 200 && row !== undefined && row.start >= minute && row.features['requests'] === 1;
        },
        { deadlineMs: 90_000, pollMs: 200 },
      );
      await until(
        'the region’s row, which comes after its cells’',
        async () => {
          const { body: region } = await node.get<{ rows: Record<string, Row> }>('/v1/features/region');
          return region.rows?.['1m']?.features['requests'] === 1;
        },
        { pollMs: 50 },
      );
      const { node: status } = await node.status();
      expect(status.state).toBe('running');
      expect(
        Object.keys(status.counters).filter((name) => name.startsWith('refused.')).length,
      ).toBeGreaterThan(0);
      const stopped = await node.stop();
      expect(stopped).toMatchObject({ code: 0, stdout: '' });
      expect(stopped.seconds).toBeLessThan(DRAIN_SECONDS);
      expect(node.log.filter(({ level }) => level !== 'info')).toEqual([]);
      expect(stopped.stderr).not.toMatch(/d-1|r-1/);
    },
    TEST_MS,
  );

  it(
    'P3 P5 killed with -9, no server lingers, and the next start on the folder goes on where it was',
    async () => {
      const folder = newFolder();
      const first = await RunningStart.open(sandbox, folder);
      await first.post([ping('d-1', 'open'), ping('d-2', 'ontrip')]);
      await until('both are there', async () => (await first.inspect('driver/d-2')) !== undefined);
      const before = await first.inspect('driver/d-1');
      first.child.kill('SIGKILL');
      await first.ended;
      await sandbox.quiet();

      const second = await RunningStart.open(sandbox, folder);
      const after = await second.inspect('driver/d-1');
      expect(after?.state).toEqual(before?.state);
      expect(after!.commit).toBeGreaterThanOrEqual(before!.commit);
      await until(
        'what is there now is shown again',
        async () => {
          const { body } = await second.get<{ live?: { open?: number; busy?: number } | null }>(
            `/v1/features/cell/${CELL}`,
          );
          return body.live?.open === 1 && body.live.busy === 1;
        },
        { deadlineMs: 90_000, pollMs: 50 },
      );
      expect((await second.stop()).code).toBe(0);
    },
    TEST_MS,
  );

  it(
    'the server killed under it is started again, and nothing that was accepted is lost',
    async () => {
      const folder = newFolder();
      const node = await RunningStart.open(sandbox, folder);
      await node.post([ping('d-1', 'open')]);
      const pid = sandbox.processes().find((line) => /^\d+ \S*nats-server/.test(line));
      process.kill(Number(pid!.split(' ')[0]), 'SIGKILL');
      let accepted = false;
      await until(
        'it takes events again',
        async () => {
          const answer = await node.post([ping('d-2', 'open')]).catch(() => undefined);
          accepted = answer?.status === 200;
          return accepted;
        },
        { deadlineMs: 60_000, pollMs: 100 },
      );
      for (const id of ['driver/d-1', 'driver/d-2'])
        await until(id, async () => (await node.inspect(id)) !== undefined, { pollMs: 50 });
      expect((await node.status()).nats.connected).toBe(true);
      expect((await node.stop()).code).toBe(0);
    },
    TEST_MS,
  );

  it(
    'a second signal ends it at once',
    async () => {
      const node = await RunningStart.open(sandbox, newFolder());
      node.child.kill('SIGTERM');
      node.child.kill('SIGINT');
      const { code } = await node.ended;
      expect([0, 1]).toContain(code);
    },
    TEST_MS,
  );

  it(
    'a second node on the folder, and a port in use, are told so and leave the first alone',
    async () => {
      const folder = newFolder();
      const node = await RunningStart.open(sandbox, folder);
      refusedClearly(
        await sandbox.run(['start', '--region', 'sf', '--data', folder, '--http', '0']),
        2,
        'GS_DATA_LOCKED',
        new RegExp(String(node.child.pid)),
      );
      const { port } = new URL(node.url);
      refusedClearly(
        await sandbox.run(['start', '--region', 'sf', '--data', newFolder(), '--http', port]),
        2,
        'GS_HTTP_PORT',
        port,
      );
      expect((await node.get('/healthz')).status).toBe(200);
      expect((await node.stop()).code).toBe(0);
    },
    TEST_MS,
  );

  it(
    'a server that is not there, one that is no nats-server, and wrong credentials end it with what to do',
    async () => {
      const start = (url: string): Promise<Ended> =>
        sandbox.run(['start', '--region', 'sf', '--data', newFolder(), '--http', '0', '--nats', url]);
      refusedClearly(await start('nats://127.0.0.1:9'), 1, 'GS_NATS_CONNECT');
      const mute = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
      mute.listen(0, '127.0.0.1');
      await once(mute, 'listening');
      const { port } = mute.address() as { port: number };
      refusedClearly(await start(`nats://127.0.0.1:${port}`), 1, 'GS_NATS_CONNECT');
      mute.close();
      const dataDir = newFolder();
      mkdirSync(dataDir);
      const server = await startEmbeddedServer({ dataDir, binary, clock: systemClock });
      try {
        const { host } = new URL(server.url.replace('nats:', 'http:'));
        refusedClearly(await start(`nats://groundswell:wrong@${host}`), 2, 'GS_NATS_AUTH');
      } finally {
        await server.stop();
      }
    },
    TEST_MS,
  );

  it(
    'with a server elsewhere it proves who it is: by user and password, and by a credentials file',
    async () => {
      const dataDir = newFolder();
      mkdirSync(dataDir);
      const server = await startEmbeddedServer({ dataDir, binary, clock: systemClock });
      try {
        const env = { NATS_USER: server.user, NATS_PASSWORD: server.password };
        const node = await RunningStart.open(sandbox, newFolder(), ['--nats', server.url], env);
        expect((await node.status()).nats).toMatchObject({ embedded: false, connected: true });
        expect((await node.post([ping('d-1', 'open')])).body.accepted).toBe(1);
        expect((await node.stop()).code).toBe(0);
        // A file that is none is looked at, and refused: it does not go on as an analyst.
        const creds = join(sandbox.folder, 'none.creds');
        writeFileSync(creds, 'no credentials');
        refusedClearly(
          await sandbox.run([
            ...['start', '--region', 'sf', '--data', newFolder(), '--http', '0'],
            ...['--nats', server.url, '--creds', creds],
          ]),
          2,
          'GS_NATS_AUTH',
          /none\.creds/,
        );
      } finally {
        await server.stop();
      }
    },
    TEST_MS,
  );

  it('without a region, with an unknown one, and with a faulty file it ends with exit code 2', async () => {
    refusedClearly(
      await sandbox.run(['start'], { GROUNDSWELL_REGION: undefined }),
      2,
      'GS_USAGE',
      /--region/,
    );
    refusedClearly(await sandbox.run(['start', '--region', 'sg']), 2, 'GS_REGION_UNKNOWN', /sf/);
    const file = join(sandbox.folder, 'groundswell.yaml');
    writeFileSync(file, 'region: sf\n');
    appendFileSync(file, 'htp:\n  port: 1\n');
    refusedClearly(await sandbox.run(['start', '--config-file', file]), 2, 'GS_CONFIG', /htp/, /http/);
  });
});
