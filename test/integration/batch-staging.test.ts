// Hunts: batches that go through the disk though there is memory for them, since nats-server has its folders elsewhere in
// another version; batches that fail for that; memory that a killed process leaves behind.
import { existsSync, mkdtempSync, readdirSync, readlinkSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { headers, type NatsConnection } from 'nats';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { systemClock } from '../../src/core/clock.js';
import { connectNats, ensureStreams } from '../../src/log/nats/connect.js';
import { publishBatch } from '../../src/log/nats/batch.js';
import { locateNatsServer, WAYS } from '../../src/log/nats/server/locate.js';
import { releaseWay } from '../../src/log/nats/server/release.js';
import { superviseServer, type SupervisedServer } from '../../src/log/nats/server/supervised.js';
import { Subjects } from '../../src/log/subjects.js';
import { isAlive } from '../support/process.js';
import { startElsewhere } from '../support/server-elsewhere.js';
import { isInMemory, SHARED_MEMORY } from '../support/shared-memory.js';
import { until } from '../support/until.js';

const MEMORY = { dir: SHARED_MEMORY, freeBytesMin: 16 * 1024 ** 2 };

const subjects = new Subjects('sf');
const entries = [0, 1].map((partition) => ({
  subject: subjects.out(partition),
  payload: new Uint8Array(100),
}));
let binary: string;
let dataDir: string;
const closing: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  // Never GitHub from a test.
  binary = (await locateNatsServer({ ways: WAYS.filter((way) => way !== releaseWay) })).path;
}, 180_000);
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'gs-batches-'));
});
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
  rmSync(dataDir, { recursive: true, force: true });
});

async function start(
  stagingMemory = MEMORY,
): Promise<{ server: SupervisedServer; connection: NatsConnection }> {
  const server = await superviseServer({ dataDir, binary, clock: systemClock, stagingMemory });
  closing.push(() => server.stop());
  const { connection, jsm } = await connectNats(server, 'test');
  closing.push(() => connection.close());
  await ensureStreams(jsm, subjects, 2);
  await server.stage();
  return { server, connection };
}

function folderOf({ staging }: Pick<SupervisedServer, 'staging'>): string {
  if (staging.kind === 'disk') throw new Error(staging.why);
  return staging.folder;
}

/** Batches of the engine's stream that are in memory. */
function inMemory(server: SupervisedServer): string[] {
  const folder = join(folderOf(server), subjects.engineStream);
  return existsSync(folder) ? readdirSync(folder) : [];
}

/** The first message of a batch that has more; resolves when the server has it. */
async function begin(connection: NatsConnection, id: string): Promise<void> {
  const h = headers();
  h.set('Nats-Batch-Id', id);
  h.set('Nats-Batch-Sequence', '1');
  await connection.request(subjects.out(0), new Uint8Array(100), { headers: h, timeout: 5_000 });
}

async function commit(connection: NatsConnection, id: string): Promise<unknown> {
  const h = headers();
  h.set('Nats-Batch-Id', id);
  h.set('Nats-Batch-Sequence', '2');
  h.set('Nats-Batch-Commit', '1');
  return (
    await connection.request(subjects.out(1), new Uint8Array(100), { headers: h, timeout: 5_000 })
  ).json();
}

const taken = (server: SupervisedServer): Promise<void> =>
  until('the stream is taken', () => {
    const link = join(dataDir, 'nats/jetstream/ENGINE/streams', subjects.engineStream, 'batches');
    return existsSync(link) && realpathSync(link) === join(folderOf(server), subjects.engineStream);
  });

describe.runIf(isInMemory(SHARED_MEMORY))('batches of an embedded server that are not whole', () => {
  it('are in memory, are stored when they are, and leave nothing there', async () => {
    const { server, connection } = await start();
    await taken(server);
    await begin(connection, 'half');
    await until('the batch is in memory', () => inMemory(server).length === 1);
    expect(await commit(connection, 'half')).toMatchObject({ seq: 2, count: 2 });
    await until('nothing is left', () => inMemory(server).length === 0);
  });

  it('are in memory again after the server was killed, and none of those before', async () => {
    const { server, connection } = await start();
    await taken(server);
    await begin(connection, 'half');
    await until('the batch is in memory', () => inMemory(server).length === 1);
    const { pid } = server;
    const before = folderOf(server);
    process.kill(pid, 'SIGKILL');
    await until('the server is back', () => server.pid !== pid);
    expect(existsSync(before)).toBe(false);
    await taken(server);
    await until('a batch is stored', async () => {
      const { outcome } = await publishBatch(connection, 'whole', entries, 1_000);
      return outcome === 'committed';
    });
    await begin(connection, 'another');
    await until('the batch is in memory', () => inMemory(server).length === 1);
  });

  it('are taken again when memory was cleared, and refused only until then', async () => {
    const { server, connection } = await start();
    await taken(server);
    rmSync(folderOf(server), { recursive: true });
    const outcomes = new Set<string>();
    for (let i = 0; !outcomes.has('committed'); i++) {
      const outcome = await publishBatch(connection, `batch-${i}`, entries, 5_000);
      outcomes.add(outcome.outcome);
      // What is refused may be sent again.
      expect(outcome).not.toMatchObject({ outcome: 'refused', retry: false });
      expect(outcome.outcome).not.toBe('unknown');
    }
    await begin(connection, 'half');
    await until('the batch is in memory', () => inMemory(server).length === 1);
  });

  it('are on the disk when there is too little memory, and stored all the same', async () => {
    const { server, connection } = await start({ ...MEMORY, freeBytesMin: Number.MAX_SAFE_INTEGER });
    expect(server.staging).toMatchObject({
      kind: 'disk',
      why: expect.stringContaining('bytes free') as string,
    });
    expect(await publishBatch(connection, 'whole', entries, 5_000)).toMatchObject({ outcome: 'committed' });
  });

  it('leave no memory behind when the process is killed with -9, nor when its watchdog is killed with it', async () => {
    for (const watched of [true, false]) {
      const other = { dataDir, binary, stagingMemory: MEMORY };
      const elsewhere = await startElsewhere(other, (started) => {
        closing.push(() => Promise.resolve(started.kill('SIGKILL')));
      });
      const { parent, watchdog, server } = elsewhere;
      const folder = folderOf(elsewhere);
      expect(existsSync(folder)).toBe(true);
      if (!watched) process.kill(-watchdog, 'SIGSTOP');
      parent.kill('SIGKILL');
      await until('the process is gone', () => !isAlive(parent.pid!));
      if (!watched) process.kill(-watchdog, 'SIGKILL');
      await until('the server is gone', () => !isAlive(server) && !isAlive(watchdog));
      expect(existsSync(folder)).toBe(!watched);
    }
    const left = readlinkSync(join(dataDir, 'nats/staging'));
    expect(existsSync(left)).toBe(true);
    await start();
    expect(existsSync(left)).toBe(false);
  });
});
