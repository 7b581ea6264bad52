/**
 * The configurations of config/nats on real servers. Hunts: a file that a server does not take, a producer or an analyst
 * who can do more than the file says, and a cluster that does not outlive one of its servers.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, type Msg, type NatsConnection } from 'nats';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { connectNats, ensureStreams } from '../../src/log/nats/connect.js';
import { bucketStream, bucketSubject, ensureLeases } from '../../src/log/nats/lease-bucket.js';
import { NatsLeases } from '../../src/log/nats/nats-leases.js';
import { NatsLog } from '../../src/log/nats/nats-log.js';
import { NatsObjects } from '../../src/log/nats/nats-objects.js';
import { locateNatsServer, WAYS } from '../../src/log/nats/server/locate.js';
import { releaseWay } from '../../src/log/nats/server/release.js';
import { Subjects } from '../../src/log/subjects.js';
import { pieces } from '../contract/objects.contract.js';
import { freePorts } from '../../bench/free-ports.js';
import { until } from '../support/until.js';

const CONFIGS = join(import.meta.dirname, '../../config/nats');
const folder = mkdtempSync(join(tmpdir(), 'gs-nats-config-'));
const PASSWORDS = {
  NATS_ENGINE_PASSWORD: 'p-engine',
  NATS_PRODUCER_PASSWORD: 'p-producer',
  NATS_ANALYST_PASSWORD: 'p-analyst',
  NATS_ADMIN_PASSWORD: 'p-admin',
};
const bytes = new TextEncoder().encode('{}');
let binary = '';
const connections: NatsConnection[] = [];
const running: ChildProcess[] = [];

beforeAll(async () => {
  // Never GitHub from a test.
  binary = (await locateNatsServer({ ways: WAYS.filter((way) => way !== releaseWay) })).path;
}, 180_000);
afterEach(async () => {
  for (const connection of connections.splice(0)) await connection.close();
  await Promise.all(running.splice(0).map(stop));
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await ended;
}

interface Server {
  readonly url: string;
  readonly child: ChildProcess;
}

/** Runs a file of config/nats as it is, but for the ports of monitoring, which are the system's to choose. */
async function start(file: string, name: string, env: NodeJS.ProcessEnv): Promise<Server> {
  const ports = join(folder, `${name}-ports`);
  mkdirSync(ports, { recursive: true });
  const child = spawn(binary, ['-c', join(CONFIGS, file), '-m', '-1', '--ports_file_dir', ports], {
    env: { ...PASSWORDS, NATS_LISTEN: '127.0.0.1:-1', NATS_STORE_DIR: join(folder, name), ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  running.push(child);
  let log = '';
  child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
  let url: string | undefined;
  await until(
    `${name} listens`,
    () => {
      if (child.exitCode !== null) throw new Error(log);
      const [announced] = readdirSync(ports).filter((entry) => entry.endsWith('.ports'));
      if (announced === undefined) return false;
      const text = readFileSync(join(ports, announced), 'utf8');
      url = text === '' ? undefined : (JSON.parse(text) as { nats?: string[] }).nats?.[0];
      return url !== undefined;
    },
    { pollMs: 20 },
  );
  return { url: url!, child };
}

async function as(url: string, user: string): Promise<NatsConnection> {
  const pass =
    PASSWORDS[
      `NATS_${user === 'groundswell' ? 'ENGINE' : user.toUpperCase()}_PASSWORD` as keyof typeof PASSWORDS
    ];
  const connection = await connect({ servers: url, user, pass });
  connections.push(connection);
  return connection;
}

describe('the files', () => {
  it.each(['single.conf', 'cluster.conf'])(
    '%s is what a server takes, and says which variable it lacks',
    (file) => {
      const route = (n: number): string => `nats://route:p-route@10.0.0.1${n}:6222`;
      const env: NodeJS.ProcessEnv = {
        ...PASSWORDS,
        NATS_LISTEN: '127.0.0.1:4222',
        NATS_STORE_DIR: folder,
        ...(file === 'cluster.conf'
          ? {
              NATS_SERVER_NAME: 'nats-1',
              NATS_CLUSTER_LISTEN: '10.0.0.11:6222',
              NATS_ROUTE_PASSWORD: 'p-route',
              NATS_ROUTE_1: route(1),
              NATS_ROUTE_2: route(2),
              NATS_ROUTE_3: route(3),
            }
          : {}),
      };
      const check = (given: NodeJS.ProcessEnv) =>
        spawnSync(binary, ['-t', '-c', join(CONFIGS, file)], { env: given, encoding: 'utf8' });
      expect(check(env)).toMatchObject({ status: 0, stderr: expect.stringMatching(/is valid/) as string });
      for (const name of Object.keys(env)) {
        const { status, stderr } = check({ ...env, [name]: undefined });
        expect({ name, status }).toEqual({ name, status: 1 });
        expect(stderr).toContain(`'${name}'`);
      }
    },
  );
});

describe('one server', () => {
  const subjects = new Subjects('sf');

  it('lets the engine do its work: streams and atomic batches', async () => {
    const { url } = await start('single.conf', 'engine', {});
    const { connection, jsm } = await connectNats(
      { url, user: 'groundswell', password: PASSWORDS.NATS_ENGINE_PASSWORD },
      'test',
    );
    connections.push(connection);
    await ensureStreams(jsm, subjects, 2);
    const log = new NatsLog(connection, jsm, { stream: subjects.engineStream, writer: 'w' });
    const entries = [subjects.journal(0), subjects.out(0)].map((subject) => ({ subject, payload: bytes }));
    expect(await log.append(entries)).toMatchObject({ outcome: 'committed', firstSeq: 1 });
    expect(connection.info!.max_payload).toBe(8 * 1024 * 1024);
  });

  it('lets the engine keep leases, and nobody else write or hear them', async () => {
    const { url } = await start('single.conf', 'leases', {});
    const { connection, jsm } = await connectNats(
      { url, user: 'groundswell', password: PASSWORDS.NATS_ENGINE_PASSWORD },
      'test',
    );
    connections.push(connection);
    await ensureLeases(jsm, subjects);
    const { nodesBucket } = subjects;
    const leases = new NatsLeases(connection, jsm, { bucket: nodesBucket });
    const told: string[] = [];
    const watch = await leases.watch((change) => told.push(change.kind));
    expect(await leases.write({ name: 'a', value: bytes, ttlMs: 60_000 })).toMatchObject({ seq: 1 });
    expect((await leases.list()).map(({ name }) => name)).toEqual(['a']);
    await leases.remove('a');
    await until('all is told', () => told.length === 2);
    await watch.close();
    for (const user of ['producer', 'analyst']) {
      const other = await as(url, user);
      const heard = other.subscribe(bucketSubject(nodesBucket, '>'), { callback: () => undefined });
      expect(String(await heard.closed)).toMatch(/permissions violation/i);
      await expect(other.request(bucketSubject(nodesBucket, 'a'), bytes, { timeout: 500 })).rejects.toThrow();
    }
    expect((await jsm.streams.info(bucketStream(nodesBucket))).state.last_seq).toBe(2);
  });

  it('lets the engine keep base snapshots in the object store, and nobody else look at them', async () => {
    const { url } = await start('single.conf', 'bases', {});
    const { connection, jsm } = await connectNats(
      { url, user: 'groundswell', password: PASSWORDS.NATS_ENGINE_PASSWORD },
      'test',
    );
    connections.push(connection);
    const objects = await NatsObjects.open({ connection, jsm, bucket: subjects.baseBucket, replicas: 1 });
    await objects.put('000/1-1-a', pieces(bytes));
    expect(await objects.list()).toMatchObject([{ name: '000/1-1-a', bytes: bytes.byteLength }]);
    for (const user of ['producer', 'analyst']) {
      const other = await as(url, user);
      const heard = other.subscribe('$O.>', { callback: () => undefined });
      expect(String(await heard.closed)).toMatch(/permissions violation/i);
      await expect(
        other.request(`$JS.API.STREAM.INFO.OBJ_${subjects.baseBucket}`, '', { timeout: 500 }),
      ).rejects.toThrow();
    }
  });

  it('lets nobody in without a password', async () => {
    const { url } = await start('single.conf', 'stranger', {});
    await expect(connect({ servers: url })).rejects.toThrow(/authorization/i);
    await expect(connect({ servers: url, user: 'groundswell', pass: 'x' })).rejects.toThrow(/authorization/i);
  });

  it('lets analysts hear rows and multipliers, and do nothing else', async () => {
    const { url } = await start('single.conf', 'analyst', {});
    const engine = await as(url, 'groundswell');
    const manager = await jetstreamManager(engine);
    await ensureStreams(manager, subjects, 1);
    const analyst = await as(url, 'analyst');
    const rows = analyst.subscribe('gs.*.agg.>', { max: 1 });
    const surges = analyst.subscribe('gs.sf.surge.>', { max: 1 });
    const everything = analyst.subscribe('>', { callback: () => undefined });
    const mail = analyst.subscribe('gs.sf.p.>', { callback: () => undefined });
    expect(String(await everything.closed)).toMatch(/permissions violation/i);
    expect(String(await mail.closed)).toMatch(/permissions violation/i);
    await analyst.flush();
    engine.publish(subjects.aggregate('1m', 'cell', '9q8yyk'), bytes);
    engine.publish(subjects.surge('9q8yyk'), bytes);
    for await (const message of rows) expect(message.subject).toBe('gs.sf.agg.1m.cell.9.q.8.y.y.k');
    for await (const message of surges) expect(message.subject).toBe('gs.sf.surge.9.q.8.y.y.k');
    // Nothing of the engine's JetStream: a consumer could aim its deliveries anywhere.
    await expect(jetstreamManager(analyst, { timeout: 500 })).rejects.toThrow();
    const stored = async (): Promise<number> =>
      (await manager.streams.info(subjects.aggregateStream)).state.messages;
    await until('the stream has both', async () => (await stored()) === 2);
    analyst.publish(subjects.surge('9q8yyk'), bytes);
    await analyst.flush();
    engine.publish(subjects.surge('9q8yyk'), bytes);
    await until('the stream has the next', async () => (await stored()) >= 3);
    expect(await stored()).toBe(3);
  });

  it('lets producers send raw events and get the stream’s acknowledgement, and do nothing else', async () => {
    const { url } = await start('single.conf', 'producer', {});
    const engine = await as(url, 'groundswell');
    const manager = await jetstreamManager(engine);
    await manager.streams.add({ name: subjects.ingestStream, subjects: [subjects.ingestSubjects] });
    await manager.streams.add({ name: 'OTHER', subjects: ['gs.sf.p.>', 'gs.sf.agg.>'] });
    const producer = await as(url, 'producer');
    const answer = await producer.request(subjects.ingest('driver.location'), bytes, { timeout: 5_000 });
    expect(answer.json()).toMatchObject({ stream: subjects.ingestStream, seq: 1 });
    expect(await jetstream(producer).publish(subjects.ingest('driver.location'), bytes)).toMatchObject({
      seq: 2,
    });
    for (const subject of ['gs.sf.p.000.in.ev', 'gs.sf.agg.1m.region', '$JS.API.STREAM.LIST'])
      await expect(producer.request(subject, bytes, { timeout: 500 })).rejects.toThrow();
    expect((await manager.streams.info('OTHER')).state.messages).toBe(0);
    // What others send, and what the engine is answered, is not theirs to hear.
    const heard: string[] = [];
    // A refused subscription is told with an error.
    const hear = (refused: Error | null, message: Msg): void => {
      if (refused === null) heard.push(message.subject);
    };
    producer.subscribe('_INBOX.>', { callback: hear });
    const sent = producer.subscribe('gs.>', { callback: hear });
    expect(String(await sent.closed)).toMatch(/permissions violation/i);
    await producer.flush();
    await manager.streams.info('OTHER');
    await producer.flush();
    expect(heard).toEqual([]);
  });
});

describe('three servers', () => {
  it('are one cluster, and a stream of three replicas goes on without one of them', async () => {
    const ports = await freePorts(3);
    const routes = Object.fromEntries(
      ports.map((port, i) => [`NATS_ROUTE_${i + 1}`, `nats://route:p-route@127.0.0.1:${port}`]),
    );
    const servers = await Promise.all(
      ports.map((port, i) =>
        start('cluster.conf', `nats-${i + 1}`, {
          NATS_SERVER_NAME: `nats-${i + 1}`,
          NATS_CLUSTER_LISTEN: `127.0.0.1:${port}`,
          NATS_ROUTE_PASSWORD: 'p-route',
          ...routes,
        }),
      ),
    );
    const connection = await connect({
      servers: servers.map(({ url }) => url),
      user: 'groundswell',
      pass: PASSWORDS.NATS_ENGINE_PASSWORD,
      maxReconnectAttempts: -1,
      reconnectTimeWait: 100,
    });
    connections.push(connection);
    let stream: string | undefined;
    await until(
      'the cluster makes a stream',
      async () => {
        try {
          const manager = await jetstreamManager(connection, { timeout: 2_000 });
          const info = await manager.streams.add({
            name: 'R3',
            subjects: ['r3.>'],
            num_replicas: 3,
            allow_atomic: true,
          });
          stream = info.config.name;
          return true;
        } catch {
          return false;
        }
      },
      { pollMs: 200 },
    );
    const client = jetstream(connection, { timeout: 2_000 });
    await until(
      'it has a leader, which takes a message',
      async () => {
        try {
          return (await client.publish('r3.a', bytes, { msgID: 'first' })).seq === 1;
        } catch {
          return false;
        }
      },
      { pollMs: 200 },
    );
    const [first] = servers;
    await stop(first!.child);
    await until(
      'the other two take a message',
      async () => {
        try {
          return (await client.publish('r3.a', bytes, { msgID: 'second' })).seq >= 2;
        } catch {
          return false;
        }
      },
      { pollMs: 200 },
    );
    await until(
      'they give it back',
      async () => {
        try {
          const manager = await jetstreamManager(connection, { timeout: 2_000 });
          const message = await manager.streams.getMessage(stream!, { last_by_subj: 'r3.a' });
          return message?.header.get('Nats-Msg-Id') === 'second';
        } catch {
          return false;
        }
      },
      { pollMs: 200 },
    );
  }, 90_000);
});
