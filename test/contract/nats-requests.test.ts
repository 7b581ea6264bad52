// Hunts, beyond the contract: a question that waits while there is no server to carry it.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NatsConnection } from 'nats';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.js';
import { openConnection } from '../../src/log/nats/connect.js';
import { ConnectionWatch } from '../../src/log/nats/connection-watch.js';
import { NatsRequests } from '../../src/log/nats/nats-requests.js';
import { startEmbeddedServer, type EmbeddedServer } from '../../src/log/nats/server/embedded.js';
import { locateNatsServer, WAYS } from '../../src/log/nats/server/locate.js';
import { releaseWay } from '../../src/log/nats/server/release.js';
import { until } from '../support/until.js';
import { requestsContract } from './requests.contract.js';

let dataDir: string;
let server: EmbeddedServer;
let connections: NatsConnection[] = [];
let prefixes = 0;

beforeAll(async () => {
  // Never GitHub from a test.
  const binary = (await locateNatsServer({ ways: WAYS.filter((way) => way !== releaseWay) })).path;
  dataDir = mkdtempSync(join(tmpdir(), 'gs-nats-requests-'));
  server = await startEmbeddedServer({ dataDir, binary, clock: systemClock });
  connections = await Promise.all([1, 2].map(() => openConnection(server, 'test')));
}, 180_000);
afterAll(async () => {
  await Promise.all(connections.map((connection) => connection.close()));
  await server?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

requestsContract('NatsRequests', () => {
  const [asker, listener] = connections.map((connection) => new NatsRequests(connection));
  return Promise.resolve({ asker: asker!, listener: listener!, prefix: `gs.r${++prefixes}.node` });
});

it('a question without a server is silent at once, also one that was under way', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'gs-nats-requests-'));
  const binary = (await locateNatsServer({ ways: WAYS.filter((way) => way !== releaseWay) })).path;
  const going = await startEmbeddedServer({ dataDir: dir, binary, clock: systemClock });
  const connection = await openConnection(going, 'test');
  const requests = new NatsRequests(connection);
  let heard = false;
  await requests.listen('gs.x.node.a.*', () => {
    heard = true;
    return new Promise(() => undefined);
  });
  const startedMs = performance.now();
  const asked = requests.ask('gs.x.node.a.status', new Uint8Array(), 60_000);
  await until('it was heard', () => heard);
  await going.stop();
  expect(await asked).toMatchObject({ outcome: 'silent' });
  await until('the connection is known to be lost', () => !ConnectionWatch.of(connection).connected);
  expect(await requests.ask('gs.x.node.a.status', new Uint8Array(), 60_000)).toMatchObject({
    outcome: 'silent',
    cause: 'no connection to nats-server',
  });
  expect(performance.now() - startedMs).toBeLessThan(30_000);
  await connection.close();
  rmSync(dir, { recursive: true, force: true });
}, 60_000);
