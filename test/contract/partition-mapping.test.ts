// Hunts: a hash of ours that is not the server's, so that a producer that lets the server partition fills other mailboxes.
import { connect, type NatsConnection } from 'nats';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { partitionOf } from '../../src/core/hash.js';
import { actorId } from '../../src/core/ids.js';
import { locateNatsServer, WAYS } from '../../src/log/nats/server/locate.js';
import { releaseWay } from '../../src/log/nats/server/release.js';
import { PlainServer } from '../support/plain-server.js';

const PARTITIONS = [1, 7, 16, 100];
let server: PlainServer;
let connection: NatsConnection;

beforeAll(async () => {
  // Never GitHub from a test.
  const { path } = await locateNatsServer({ ways: WAYS.filter((way) => way !== releaseWay) });
  const mappings = PARTITIONS.map((n) => `"id.${n}.*": "of.${n}.{{partition(${n},1)}}.{{wildcard(1)}}"`);
  server = await PlainServer.start(path, `listen: "127.0.0.1:-1"\nmappings = {\n${mappings.join('\n')}\n}`);
  connection = await connect({ servers: server.url });
}, 180_000);
afterAll(async () => {
  await connection?.close();
  await server?.stop();
});

it('partition(n, …) of nats-server is partitionOf, for every kind of actor id', async () => {
  const ids = Array.from({ length: 100 }, (_, i) => [
    actorId('driver', `d-${i}`),
    actorId('cell', `9q8y${(i * 7919).toString(32)}`),
    actorId('rider', `räder-司机-${i}`),
  ]).flat();
  const found = new Map<string, number>();
  const subscription = connection.subscribe('of.>');
  const reading = (async () => {
    for await (const { subject } of subscription) {
      const [, n, partition, id] = subject.split('.');
      found.set(`${n} ${id}`, Number(partition));
      if (found.size === ids.length * PARTITIONS.length) break;
    }
  })();
  await connection.flush();
  for (const n of PARTITIONS) for (const id of ids) connection.publish(`id.${n}.${id}`);
  await reading;
  for (const n of PARTITIONS)
    for (const id of ids) expect([n, id, found.get(`${n} ${id}`)]).toEqual([n, id, partitionOf(id, n)]);
});
