// Hunts, beyond the contract: a server that is too old or not ours trusted with a commit, a lost stream taken for an
// idle one, a password in a message.
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JetStreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from 'nats';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.js';
import { GroundswellError } from '../../src/core/errors.js';
import { connectNats, ensureStreams, type NatsTarget } from '../../src/log/nats/connect.js';
import { NatsLog } from '../../src/log/nats/nats-log.js';
import { startEmbeddedServer, type EmbeddedServer } from '../../src/log/nats/server/embedded.js';
import { locateNatsServer, WAYS } from '../../src/log/nats/server/locate.js';
import { releaseWay } from '../../src/log/nats/server/release.js';
import { Subjects } from '../../src/log/subjects.js';
import { Follower, logContract } from './log.contract.js';

let dataDir: string;
let server: EmbeddedServer;
let connection: NatsConnection;
let jsm: JetStreamManager;
let regions = 0;

beforeAll(async () => {
  // Never GitHub from a test.
  const { path: binary } = await locateNatsServer({ ways: WAYS.filter((way) => way !== releaseWay) });
  dataDir = mkdtempSync(join(tmpdir(), 'gs-nats-log-'));
  server = await startEmbeddedServer({ dataDir, binary, clock: systemClock });
  ({ connection, jsm } = await connectNats(target(), 'test'));
}, 180_000);
afterAll(async () => {
  await connection?.close();
  await server?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

const target = (): NatsTarget => ({ url: server.url, user: server.user, password: server.password });
const freshRegion = (): Subjects => new Subjects(`r${++regions}`);
const logOf = (subjects: Subjects, writer = `test-${regions}`): NatsLog =>
  new NatsLog(connection, jsm, { stream: subjects.engineStream, writer });

async function refusalOf(promise: Promise<unknown>): Promise<GroundswellError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(GroundswellError);
  return error as GroundswellError;
}

logContract('NatsLog', async () => {
  const subjects = freshRegion();
  await ensureStreams(jsm, subjects, 4);
  return { log: logOf(subjects), subjects };
});

describe('NatsReader', () => {
  it('fails with GS_STREAM_LOST, and wakes, when the stream is deleted', async () => {
    const subjects = freshRegion();
    await ensureStreams(jsm, subjects, 4);
    const log = logOf(subjects);
    const follower = await Follower.of(log, subjects.journal(0), 1);
    const { reader } = follower;
    // The server tells at once who waits for messages; who has only just begun to hears of it with the next heartbeat.
    await log.append([{ subject: subjects.journal(0), payload: new Uint8Array(1) }]);
    await follower.next(1);
    await jsm.streams.delete(subjects.engineStream);
    await follower.until(() => reader.failure !== undefined);
    expect(reader.failure).toMatchObject({ code: 'GS_STREAM_LOST' });
    await reader.close();
  });
});

describe('NatsLog', () => {
  it('takes no frame that the server would not: the limit is its max_payload, with room for headers', () => {
    const serverMax = connection.info!.max_payload;
    const small = new NatsLog(connection, jsm, { stream: 's', writer: 'w', payloadBytesMax: 1_000 });
    const huge = new NatsLog(connection, jsm, { stream: 's', writer: 'w', payloadBytesMax: 2 * serverMax });
    expect(small.payloadBytesMax).toBe(1_000);
    expect(huge.payloadBytesMax).toBeLessThan(serverMax);
  });

  it('stores a message of the largest payload that it takes', async () => {
    const subjects = freshRegion();
    await ensureStreams(jsm, subjects, 4);
    const stream = subjects.engineStream;
    const log = new NatsLog(connection, jsm, { stream, writer: 'w', payloadBytesMax: 2 ** 40 });
    const payload = new Uint8Array(log.payloadBytesMax);
    const entry = { subject: subjects.journal(0), payload, expectLastSeq: 0 };
    expect(await log.append([entry])).toEqual({ outcome: 'committed', firstSeq: 1 });
  });

  it('takes the longest region name: the server refuses batch ids of more than 64 characters', async () => {
    const subjects = new Subjects('a-region-with-a-name-of-32-chars');
    await ensureStreams(jsm, subjects, 4);
    const log = new NatsLog(connection, jsm, { stream: subjects.sideStream, writer: randomUUID() });
    const entry = { subject: subjects.side('late', 'driver.location'), payload: new Uint8Array(1) };
    expect(await log.append([entry])).toEqual({ outcome: 'committed', firstSeq: 1 });
  });

  it('P8 a batch id that the server does not take is refused for good, not tried again', async () => {
    const subjects = freshRegion();
    await ensureStreams(jsm, subjects, 4);
    const log = logOf(subjects, 'w'.repeat(80));
    const outcome = await log.append([{ subject: subjects.journal(0), payload: new Uint8Array(1) }]);
    expect(outcome).toMatchObject({ outcome: 'refused', retry: false });
  });

  it('P6 an append to a stream that is gone is never called committed', async () => {
    const subjects = freshRegion();
    const log = new NatsLog(connection, jsm, { stream: subjects.engineStream, writer: 'w' });
    const outcome = await log.append([{ subject: subjects.journal(0), payload: new Uint8Array(1) }]);
    expect(outcome.outcome).toBe('unknown');
  });
});

describe('ensureStreams', () => {
  it('a second start finds the streams as they are', async () => {
    const subjects = freshRegion();
    await ensureStreams(jsm, subjects, 4);
    await ensureStreams(jsm, subjects, 4);
    const { config } = await jsm.streams.info(subjects.engineStream);
    expect(config).toMatchObject({ allow_atomic: true, subjects: [subjects.engineSubjects] });
  });

  it('refuses another partition count with GS_STREAM_CONFIG, naming both', async () => {
    const subjects = freshRegion();
    await ensureStreams(jsm, subjects, 4);
    const error = await refusalOf(ensureStreams(jsm, subjects, 8));
    expect(error.code).toBe('GS_STREAM_CONFIG');
    expect(error.message).toMatch(/partitions = 4.*this run has 8/);
  });

  it('refuses a stream of a newer format with GS_DATA_NEWER', async () => {
    const subjects = freshRegion();
    const metadata = { 'groundswell.partitions': '4', 'groundswell.format': '99' };
    const { engineStream: name, engineSubjects } = subjects;
    await jsm.streams.add({ name, subjects: [engineSubjects], metadata, allow_atomic: true });
    expect((await refusalOf(ensureStreams(jsm, subjects, 4))).code).toBe('GS_DATA_NEWER');
  });

  it('P2 refuses a stream that would store a batch piecemeal with GS_NATS_OLD', async () => {
    const subjects = freshRegion();
    const metadata = { 'groundswell.partitions': '4', 'groundswell.format': '1' };
    const { engineStream: name, engineSubjects } = subjects;
    await jsm.streams.add({ name, subjects: [engineSubjects], metadata });
    const error = await refusalOf(ensureStreams(jsm, subjects, 4));
    expect(error.code).toBe('GS_NATS_OLD');
    expect(error.message).toContain('allow_atomic');
  });
});

describe('connectNats', () => {
  it('a wrong password is GS_NATS_AUTH, and not in the message', async () => {
    const error = await refusalOf(connectNats({ ...target(), password: 'not-the-password' }, 'test'));
    expect(error.code).toBe('GS_NATS_AUTH');
    expect(error.message).not.toContain('not-the-password');
  });

  it('nothing listening is GS_NATS_CONNECT, and the message hides the secrets of the URL', async () => {
    const port = await unusedPort();
    const error = await refusalOf(connectNats({ url: `nats://me:secret@127.0.0.1:${port}` }, 'test'));
    expect(error.code).toBe('GS_NATS_CONNECT');
    expect(error.message).toContain(`127.0.0.1:${port}`);
    expect(error.message).not.toContain('secret');
  });

  it('P2 a server of version 2.10.0 is GS_NATS_OLD, naming its version', async () => {
    const old = await fakeServer('2.10.0');
    const error = await refusalOf(connectNats({ url: `nats://127.0.0.1:${old.port}` }, 'test'));
    await old.close();
    expect(error.code).toBe('GS_NATS_OLD');
    expect(error.message).toContain('2.10.0');
  });

  it.each(['2.14.4', '1.99.99'])('P2 a server of version %s is too old', async (version) => {
    const old = await fakeServer(version);
    const error = await refusalOf(connectNats({ url: `nats://127.0.0.1:${old.port}` }, 'test'));
    await old.close();
    expect(error.code).toBe('GS_NATS_OLD');
  });
});

async function listen(listener: Server): Promise<number> {
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  return (listener.address() as AddressInfo).port;
}

async function unusedPort(): Promise<number> {
  const listener = createServer();
  const port = await listen(listener);
  await new Promise((resolve) => listener.close(resolve));
  return port;
}

/** Enough of a nats-server to be connected to: says what it is, answers pings. */
async function fakeServer(version: string): Promise<{ port: number; close: () => Promise<void> }> {
  const sockets = new Set<Socket>();
  const listener = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    const info = { server_id: 'fake', version, proto: 1, headers: true, max_payload: 1_048_576 };
    socket.write(`INFO ${JSON.stringify(info)}\r\n`);
    socket.on('data', (data) => {
      if (data.includes('PING')) socket.write('PONG\r\n');
    });
  });
  const port = await listen(listener);
  return {
    port,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => listener.close(resolve));
    },
  };
}
