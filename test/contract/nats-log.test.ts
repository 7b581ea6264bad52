// Hunts, beyond the contract: a server that is too old or not ours trusted with a commit, a lost stream taken for an
// idle one, a password in a message.
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JetStreamManager } from '@nats-io/jetstream';
import { nanos, type NatsConnection } from 'nats';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.js';
import { GroundswellError } from '../../src/core/errors.js';
import {
  connectNats,
  ensureStreams,
  STREAM_FORMAT,
  streamSizes,
  type NatsTarget,
} from '../../src/log/nats/connect.js';
import { createConsumer } from '../../src/log/nats/consumer-api.js';
import { NatsLog } from '../../src/log/nats/nats-log.js';
import { PullRequest } from '../../src/log/nats/pull-request.js';
import { startEmbeddedServer, type EmbeddedServer } from '../../src/log/nats/server/embedded.js';
import { locateNatsServer, WAYS } from '../../src/log/nats/server/locate.js';
import { releaseWay } from '../../src/log/nats/server/release.js';
import type { LogEntry } from '../../src/log/log.js';
import { Subjects } from '../../src/log/subjects.js';
import { jwtSetup, PlainServer } from '../support/plain-server.js';
import { Follower, logContract } from './log.contract.js';

let binary: string;
let dataDir: string;
let server: EmbeddedServer;
let connection: NatsConnection;
let jsm: JetStreamManager;
let regions = 0;

beforeAll(async () => {
  // Never GitHub from a test.
  binary = (await locateNatsServer({ ways: WAYS.filter((way) => way !== releaseWay) })).path;
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
  const one = (subject: string, bytes: number): LogEntry => ({ subject, payload: new Uint8Array(bytes) });

  async function fresh(): Promise<{ log: NatsLog; subjects: Subjects; journal: string }> {
    const subjects = freshRegion();
    await ensureStreams(jsm, subjects, 4);
    return { log: logOf(subjects), subjects, journal: subjects.journal(0) };
  }

  async function consumersOf(subjects: Subjects): Promise<string[]> {
    const names: string[] = [];
    for await (const { name } of jsm.consumers.list(subjects.engineStream)) names.push(name);
    return names;
  }

  it('fails with GS_STREAM_LOST, and wakes, when the stream is deleted', async () => {
    const { log, subjects, journal } = await fresh();
    const follower = await Follower.of(log, journal, 1);
    const { reader } = follower;
    await log.append([one(journal, 1)]);
    await follower.next(1);
    await jsm.streams.delete(subjects.engineStream);
    await follower.until(() => reader.failure !== undefined);
    expect(reader.failure).toMatchObject({ code: 'GS_STREAM_LOST' });
    await reader.close();
  });

  it('does so within seconds when nothing was ever received', async () => {
    const { log, subjects, journal } = await fresh();
    const follower = await Follower.of(log, journal, 1);
    const startedMs = systemClock.monotonic();
    await jsm.streams.delete(subjects.engineStream);
    await follower.until(() => follower.reader.failure !== undefined);
    // A request that reaches the server with the deletion is dropped unsaid: then it is missed by its heartbeats.
    expect(systemClock.monotonic() - startedMs).toBeLessThan(15_000);
    expect(follower.reader.failure).toMatchObject({ code: 'GS_STREAM_LOST' });
    await expect(log.read(journal, 1, () => undefined)).rejects.toMatchObject({ code: 'GS_STREAM_LOST' });
    await expect(log.last(journal)).rejects.toMatchObject({ code: 'GS_STREAM_LOST' });
  });

  it('P3 reads on, nothing twice, when its consumer is deleted under it', async () => {
    const { log, subjects, journal } = await fresh();
    const follower = await Follower.of(log, journal, 1);
    const got: number[] = [];
    for (let i = 0; i < 5; i++) {
      await log.append([one(journal, 10), one(subjects.out(0), 10)]);
      for (const name of await consumersOf(subjects)) await jsm.consumers.delete(subjects.engineStream, name);
      await log.append([one(journal, 10)]);
      await follower.until(() => {
        got.push(...follower.reader.take(Number.POSITIVE_INFINITY).map(({ seq }) => seq));
        return got.length >= 2 * (i + 1);
      });
    }
    expect(got).toEqual([1, 3, 4, 6, 7, 9, 10, 12, 13, 15]);
    await follower.reader.close();
  });

  it('P8 reads messages of 8 MiB between small ones, and of any number of bytes, without a pause', async () => {
    const { subjects, journal } = await fresh();
    const log = new NatsLog(connection, jsm, {
      stream: subjects.engineStream,
      writer: 'large',
      payloadBytesMax: 2 ** 40,
    });
    const sizes = [1, log.payloadBytesMax, 5, 5, log.payloadBytesMax, 3 * 1024 * 1024, 7];
    for (const bytes of sizes) await log.append([one(journal, bytes)]);
    const startedMs = systemClock.monotonic();
    const follower = await Follower.of(log, journal, 1);
    expect((await follower.next(sizes.length)).map(({ payload }) => payload.byteLength)).toEqual(sizes);
    // A pause would be one of heartbeats: seconds.
    expect(systemClock.monotonic() - startedMs).toBeLessThan(4_000);
    await follower.reader.close();
  });

  it('reads many small messages without a pause: a request used up to its last byte is noticed', async () => {
    const { log, journal } = await fresh();
    const total = 40_000;
    for (let sent = 0; sent < total; sent += log.batchEntriesMax)
      await log.append(Array.from({ length: log.batchEntriesMax }, () => one(journal, 16)));
    const startedMs = systemClock.monotonic();
    const follower = await Follower.of(log, journal, 1);
    const got = await follower.next(total);
    expect(systemClock.monotonic() - startedMs).toBeLessThan(9_000);
    expect(got.every(({ seq }, i) => seq === i + 1)).toBe(true);
    await follower.reader.close();
  });

  it('counts bytes as the server does: a request for exactly five messages ends with the fifth', async () => {
    const { log, subjects, journal } = await fresh();
    for (let i = 0; i < 10; i++) await log.append([one(journal, 100 * i), one(journal, 7)]);
    const { engineStream } = subjects;
    const pull = async (name: string, bytes: number): Promise<{ left: number[]; end: string }> => {
      await createConsumer(jsm, engineStream, name, journal, 1);
      const left: number[] = [];
      const end = await new Promise<string>((resolve) => {
        const request: PullRequest = new PullRequest(
          connection,
          `$JS.API.CONSUMER.MSG.NEXT.${engineStream}.${name}`,
          { batch: 10, bytes, expiresMs: 5_000, heartbeatMs: 1_000 },
          {
            message: () => left.push(request.bytesLeft),
            ended: (_, { end }) => {
              resolve(end);
            },
          },
        );
      });
      return { left, end };
    };
    const all = await pull('a', 1_000_000);
    expect([all.end, all.left.length]).toEqual(['over', 10]);
    const five = 1_000_000 - all.left[4]!;
    expect(await pull('b', five)).toMatchObject({ end: 'over', left: { length: 5 } });
    expect(await pull('c', five - 1)).toMatchObject({ end: 'too-small', left: { length: 4 } });
  });

  it('pending is the backlog from the start on, whatever the buffer takes of it', async () => {
    const { log, subjects, journal } = await fresh();
    const bytes = 512 * 1024;
    for (let i = 0; i < 40; i++) await log.append([one(journal, bytes), one(subjects.out(0), 1)]);
    const follower = await Follower.of(log, journal, 1);
    const { reader } = follower;
    await follower.until(
      () => reader.bufferedBytes > 0 && reader.pending + reader.bufferedBytes / bytes === 40,
    );
    expect(reader.pending).toBeGreaterThan(0);
    let got = 0;
    await follower.until(() => {
      got += reader.take(bytes).length;
      return got === 40;
    });
    expect(reader.pending).toBe(0);
    await reader.close();
  });

  it('leaves no consumer behind when it is closed', async () => {
    const { log, subjects, journal } = await fresh();
    const readers = [
      await log.read(journal, 1, () => undefined),
      await log.read(journal, 1, () => undefined),
    ];
    expect((await consumersOf(subjects)).length).toBe(2);
    for (const reader of readers) await reader.close();
    expect(await consumersOf(subjects)).toEqual([]);
  });

  it('fails with GS_LOG when the connection is closed, and then opens no more', async () => {
    const { subjects, journal } = await fresh();
    const own = await connectNats(target(), 'test');
    const log = new NatsLog(own.connection, own.jsm, { stream: subjects.engineStream, writer: 'w' });
    const follower = await Follower.of(log, journal, 1);
    await own.connection.close();
    await follower.until(() => follower.reader.failure !== undefined);
    expect(follower.reader.failure).toMatchObject({ code: 'GS_LOG' });
    await expect(log.read(journal, 1, () => undefined)).rejects.toMatchObject({ code: 'GS_LOG' });
    expect(await log.append([one(journal, 1)])).toMatchObject({ outcome: 'refused', retry: false });
    await expect(log.last(journal)).rejects.toMatchObject({ code: 'GS_LOG' });
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

  it('P8 says how full the stream is, what of a pattern is there, and the time by its own clock, to a producer too', async () => {
    const subjects = freshRegion();
    await ensureStreams(jsm, subjects, 4);
    const log = logOf(subjects);
    expect(await log.load(subjects.allHolds)).toMatchObject({
      messages: 0,
      bytes: 0,
      bytesMax: undefined,
      present: [],
    });
    await log.append([0, 2].map((p) => ({ subject: subjects.hold(p), payload: new Uint8Array(1_000) })));
    await log.append([{ subject: subjects.events(1), payload: new Uint8Array(1_000) }]);
    const { url, producer } = server;
    const least = await connectNats({ url, ...producer }, 'a producer');
    try {
      const { engineStream: stream } = subjects;
      const theirs = new NatsLog(least.connection, least.jsm, { stream, writer: 'w' });
      const load = await theirs.load(subjects.allHolds);
      expect([...load.present].sort()).toEqual([subjects.hold(0), subjects.hold(2)]);
      expect(load.messages).toBe(3);
      expect(load.bytes).toBeGreaterThan(3_000);
      expect(Math.abs(load.atMs! - Date.now())).toBeLessThan(5_000);
    } finally {
      await least.connection.close();
    }
    const gone = logOf(freshRegion());
    expect((await refusalOf(gone.load('>'))).code).toBe('GS_LOG');
  });

  it('P8 a full stream refuses for now, inputs and commits alike, and takes them again when room was made', async () => {
    const subjects = freshRegion();
    await ensureStreams(jsm, subjects, 4, { engineBytesMax: 64 * 1024 });
    const log = logOf(subjects);
    const entry = (subject: string) => ({ subject, payload: new Uint8Array(20_000) });
    for (let i = 0; i < 3; i++)
      expect((await log.append([entry(subjects.events(0))])).outcome).toBe('committed');
    for (const subject of [subjects.events(0), subjects.journal(0)])
      expect(await log.append([entry(subject)])).toMatchObject({ outcome: 'refused', retry: true });
    expect((await log.load('none')).messages).toBe(3);
    await log.purge(subjects.events(0), 3);
    expect((await log.append([entry(subjects.journal(0))])).outcome).toBe('committed');
  });

  it('tells when the stream stored what is read', async () => {
    const subjects = freshRegion();
    await ensureStreams(jsm, subjects, 4);
    const log = logOf(subjects);
    const beforeMs = Date.now();
    await log.append([{ subject: subjects.events(0), payload: new Uint8Array(1) }]);
    const follower = await Follower.of(log, subjects.events(0), 1);
    const [message] = await follower.next(1);
    await follower.reader.close();
    expect(message!.storedAtMs).toBeGreaterThanOrEqual(beforeMs - 1);
    expect(message!.storedAtMs).toBeLessThanOrEqual(Date.now() + 1);
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
    const metadata = { 'groundswell.partitions': '4', 'groundswell.format': String(STREAM_FORMAT) };
    const { engineStream: name, engineSubjects } = subjects;
    await jsm.streams.add({ name, subjects: [engineSubjects], metadata });
    const error = await refusalOf(ensureStreams(jsm, subjects, 4));
    expect(error.code).toBe('GS_NATS_OLD');
    expect(error.message).toContain('allow_atomic');
  });
});

describe('ensureStreams: what may change', () => {
  const DAY_MS = 86_400_000;
  const configOf = async (stream: string) => (await jsm.streams.info(stream)).config;

  it('without settings a new stream keeps everything, and there is none for raw events', async () => {
    const subjects = freshRegion();
    await ensureStreams(jsm, subjects, 4);
    for (const stream of [subjects.engineStream, subjects.aggregateStream, subjects.sideStream])
      expect(await configOf(stream)).toMatchObject({ max_age: 0, max_bytes: -1 });
    await expect(jsm.streams.info(subjects.ingestStream)).rejects.toThrow(/not found/);
  });

  it('gives streams the limits of this start, new or not, and leaves alone what it is not told', async () => {
    const subjects = freshRegion();
    await ensureStreams(jsm, subjects, 4);
    for (const days of [7, 1, 30]) {
      const settings = { aggregatesMs: days * DAY_MS, sidesMs: 2 * days * DAY_MS };
      await ensureStreams(jsm, subjects, 4, settings);
      await ensureStreams(jsm, subjects, 4);
      expect((await configOf(subjects.aggregateStream)).max_age).toBe(nanos(days * DAY_MS));
      expect((await configOf(subjects.sideStream)).max_age).toBe(nanos(2 * days * DAY_MS));
      expect((await configOf(subjects.engineStream)).max_age).toBe(0);
    }
  });

  it('gives the engine’s stream a limit, changes it and takes it away; what is advised counts for producers alone', async () => {
    const subjects = freshRegion();
    const MIB = 1024 * 1024;
    const limits = async () => {
      const { max_bytes, discard } = await configOf(subjects.engineStream);
      return [max_bytes, discard, (await logOf(subjects).load('none')).bytesMax];
    };
    await ensureStreams(jsm, subjects, 4, { engineBytesMax: 64 * MIB });
    expect(await limits()).toEqual([64 * MIB, 'new', 64 * MIB]);
    await ensureStreams(jsm, subjects, 4, { engineBytesMax: 32 * MIB, engineBytesAdvised: 16 * MIB });
    expect(await limits()).toEqual([32 * MIB, 'new', 16 * MIB]);
    await ensureStreams(jsm, subjects, 4, { engineBytesMax: 0 });
    expect(await limits()).toEqual([-1, 'new', 16 * MIB]);
  });

  it('takes a retention of seconds, of a new stream and of an old one', async () => {
    const subjects = freshRegion();
    await ensureStreams(jsm, subjects, 4, { aggregatesMs: 2_000 });
    await ensureStreams(jsm, subjects, 4, { aggregatesMs: 1_000, sidesMs: 1_000 });
    expect((await configOf(subjects.aggregateStream)).max_age).toBe(nanos(1_000));
    expect((await configOf(subjects.sideStream)).max_age).toBe(nanos(1_000));
  });

  it('never changes partitions or format, whatever else there is to change', async () => {
    const subjects = freshRegion();
    await ensureStreams(jsm, subjects, 4, { aggregatesMs: DAY_MS });
    const error = await refusalOf(ensureStreams(jsm, subjects, 8, { aggregatesMs: 2 * DAY_MS }));
    expect(error.code).toBe('GS_STREAM_CONFIG');
    const { max_age, metadata } = await configOf(subjects.aggregateStream);
    expect(max_age).toBe(nanos(DAY_MS));
    expect(metadata).toMatchObject({
      'groundswell.partitions': '4',
      'groundswell.format': String(STREAM_FORMAT),
    });
    const sly = { metadata: { 'groundswell.partitions': '8' } };
    await ensureStreams(jsm, subjects, 4, sly);
    expect((await configOf(subjects.engineStream)).metadata).toMatchObject({ 'groundswell.partitions': '4' });
  });

  it('keeps what a node tells of itself, up to 64 KB, and updates it', async () => {
    const subjects = freshRegion();
    const card = (text: string) => ({ metadata: { 'groundswell.card': JSON.stringify({ text }) } });
    await ensureStreams(jsm, subjects, 4, card('first'));
    await ensureStreams(jsm, subjects, 4, card('x'.repeat(64_000)));
    await ensureStreams(jsm, subjects, 4);
    const { metadata } = await configOf(subjects.engineStream);
    expect(JSON.parse(metadata!['groundswell.card']!)).toEqual({ text: 'x'.repeat(64_000) });
    expect(metadata).toMatchObject({ 'groundswell.partitions': '4' });
  });

  it('P8 a full stream of raw events refuses publishers, and drops nothing', async () => {
    const subjects = freshRegion();
    const ingest = { historyMs: DAY_MS, bytesMax: 10_000 };
    await ensureStreams(jsm, subjects, 4, { ingest });
    const publish = async (): Promise<unknown> => {
      const answer = await connection.request(subjects.ingest('driver.location'), new Uint8Array(1_000));
      return answer.json<{ error?: unknown }>().error;
    };
    let stored = 0;
    while ((await publish()) === undefined) stored++;
    const { state } = await jsm.streams.info(subjects.ingestStream);
    expect(stored).toBeGreaterThan(5);
    expect(state).toMatchObject({ messages: stored, first_seq: 1 });
    await ensureStreams(jsm, subjects, 4, { ingest: { ...ingest, bytesMax: 100_000 } });
    expect(await publish()).toBeUndefined();
  });

  it('streamSizes tells what the streams hold that there are', async () => {
    const subjects = freshRegion();
    await ensureStreams(jsm, subjects, 4);
    await logOf(subjects).append([{ subject: subjects.journal(0), payload: new Uint8Array(500) }]);
    const sizes = await streamSizes(jsm, subjects);
    expect(sizes.map(({ stream }) => stream)).toEqual([
      subjects.engineStream,
      subjects.aggregateStream,
      subjects.sideStream,
    ]);
    expect(sizes[0]).toMatchObject({ messages: 1 });
    expect(sizes[0]!.bytes).toBeGreaterThan(500);
  });
});

describe('connectNats', () => {
  it('a wrong password is GS_NATS_AUTH, and not in the message', async () => {
    const error = await refusalOf(connectNats({ ...target(), password: 'not-the-password' }, 'test'));
    expect(error.code).toBe('GS_NATS_AUTH');
    expect(error.message).not.toContain('not-the-password');
  });

  it('takes user and password from the URL, with whatever is escaped in them', async () => {
    const address = server.url.replace('nats://', '');
    const url = `nats://${server.user}:${encodeURIComponent(server.password)}@${address}`;
    const own = await connectNats({ url }, 'test');
    expect((await own.jsm.getAccountInfo()).limits).toBeDefined();
    await own.connection.close();
  });

  it('no user at all is an analyst, who may not use JetStream: GS_NATS_AUTH', async () => {
    const error = await refusalOf(connectNats({ url: server.url }, 'test'));
    expect(error.code).toBe('GS_NATS_AUTH');
    expect(error.remedy).toMatch(/user/);
  });

  it('P2 a server without JetStream is GS_NATS_CONNECT, and the remedy says to enable it', async () => {
    const plain = await PlainServer.start(binary, 'listen: "127.0.0.1:-1"');
    try {
      const error = await refusalOf(connectNats({ url: plain.url }, 'test'));
      expect(error.code).toBe('GS_NATS_CONNECT');
      expect(error.remedy).toContain('JetStream');
    } finally {
      await plain.stop();
    }
  });

  it('a token in the URL is taken, a wrong one is GS_NATS_AUTH', async () => {
    const plain = await PlainServer.start(
      binary,
      'listen: "127.0.0.1:-1"\nauthorization { token: "let-me-in" }\njetstream { store_dir: STORE }',
    );
    try {
      const withToken = (token: string) => plain.url.replace('//', `//${token}@`);
      const own = await connectNats({ url: withToken('let-me-in') }, 'test');
      await own.connection.close();
      const error = await refusalOf(connectNats({ url: withToken('let-me-out') }, 'test'));
      expect(error.code).toBe('GS_NATS_AUTH');
      expect(error.message).not.toContain('let-me-out');
    } finally {
      await plain.stop();
    }
  });

  it('a credentials file is taken; another account’s key, no file and a damaged one are GS_NATS_AUTH', async () => {
    const { config, credentials, foreign } = jwtSetup();
    const plain = await PlainServer.start(binary, config);
    try {
      const file = (name: string, text: string): string => {
        writeFileSync(join(dataDir, name), text);
        return join(dataDir, name);
      };
      const own = await connectNats({ url: plain.url, credentials: file('good.creds', credentials) }, 'test');
      expect((await own.jsm.getAccountInfo()).streams).toBe(0);
      await own.connection.close();
      const wrong = [file('foreign.creds', foreign), join(dataDir, 'none.creds'), file('bad.creds', 'x')];
      for (const credentials of wrong) {
        const error = await refusalOf(connectNats({ url: plain.url, credentials }, 'test'));
        expect(error.code, credentials).toBe('GS_NATS_AUTH');
      }
      expect((await refusalOf(connectNats({ url: plain.url }, 'test'))).code).toBe('GS_NATS_AUTH');
    } finally {
      await plain.stop();
    }
  });

  it('a server that does not offer TLS is refused where the URL asks for it', async () => {
    const plain = await PlainServer.start(binary, 'listen: "127.0.0.1:-1"\njetstream { store_dir: STORE }');
    try {
      const error = await refusalOf(connectNats({ url: plain.url.replace('nats:', 'tls:') }, 'test'));
      expect(error.code).toBe('GS_NATS_CONNECT');
      expect(error.message).toContain('TLS');
    } finally {
      await plain.stop();
    }
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
