// Hunts: a server left behind by a killed process, two servers on one store, analysts with more rights than to listen,
// producers with more than to bring events, streams that do not survive a restart.
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream';
import { connect, headers, type NatsConnection } from 'nats';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { systemClock } from '../../src/core/clock.js';
import { connectNats, ensureStreams } from '../../src/log/nats/connect.js';
import { NatsLog } from '../../src/log/nats/nats-log.js';
import { startEmbeddedServer, type EmbeddedServer } from '../../src/log/nats/server/embedded.js';
import { locateNatsServer, WAYS } from '../../src/log/nats/server/locate.js';
import { releaseWay } from '../../src/log/nats/server/release.js';
import { Subjects } from '../../src/log/subjects.js';
import { isAlive } from '../support/process.js';
import { startElsewhere, type ServerElsewhere } from '../support/server-elsewhere.js';
import { until } from '../support/until.js';

let binary: string;
let dataDir: string;
const running: EmbeddedServer[] = [];
const children: ChildProcess[] = [];

beforeAll(async () => {
  // Never GitHub from a test.
  binary = (await locateNatsServer({ ways: WAYS.filter((way) => way !== releaseWay) })).path;
}, 180_000);
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'gs-embedded-'));
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  for (const server of running.splice(0)) await server.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

async function start(more: { onLog?: (line: string) => void } = {}): Promise<EmbeddedServer> {
  const server = await startEmbeddedServer({ dataDir, binary, clock: systemClock, ...more });
  running.push(server);
  return server;
}

const asEngine = (server: EmbeddedServer) =>
  connect({ servers: server.url, user: server.user, pass: server.password });

const startInOtherProcess = (): Promise<ServerElsewhere> =>
  startElsewhere({ dataDir, binary }, (parent) => children.push(parent));

describe('the embedded server', () => {
  it('answers when it is started, is gone when it is stopped, and tells how it ended', async () => {
    const lines: string[] = [];
    const server = await start({ onLog: (line) => lines.push(line) });
    expect(server.url).toMatch(/^nats:\/\/127\.0\.0\.1:\d+$/);
    const connection = await asEngine(server);
    expect(connection.info).toMatchObject({
      version: server.version,
      jetstream: true,
      max_payload: 8 * 1024 * 1024,
    });
    await connection.close();
    expect(isAlive(server.pid)).toBe(true);

    await Promise.all([server.stop(), server.stop()]);
    expect(isAlive(server.pid)).toBe(false);
    expect(await server.exited).toEqual({ code: 0, signal: null });
    expect(existsSync(join(dataDir, 'nats/server.pid'))).toBe(false);
    expect(lines.some((line) => line.includes('Server is ready'))).toBe(true);
    expect(lines.some((line) => line.includes('Server Exiting'))).toBe(true);
  });

  it('keeps its password to itself: in a file of mode 0600, and another at each start', async () => {
    const first = await start();
    expect(statSync(join(dataDir, 'nats/server.conf')).mode & 0o777).toBe(0o600);
    expect(readFileSync(first.logFile, 'utf8')).not.toContain(first.password);
    await expect(connect({ servers: first.url, user: first.user, pass: 'wrong' })).rejects.toThrow(
      /authorization/i,
    );
    await first.stop();
    expect((await start()).password).not.toBe(first.password);
  });

  it('keeps the streams of a data folder over a restart', async () => {
    const first = await start();
    const before = await asEngine(first);
    await (await jetstreamManager(before)).streams.add({ name: 'GS_sf', subjects: ['gs.sf.p.>'] });
    await before.request('gs.sf.p.000.in.ev', 'kept');
    await before.close();
    await first.stop();
    expect(existsSync(join(dataDir, 'nats/jetstream'))).toBe(true);

    const after = await asEngine(await start());
    const info = await (await jetstreamManager(after)).streams.info('GS_sf');
    expect(info.state.messages).toBe(1);
    await after.close();
  });

  it('says why it did not start, with the end of its log', async () => {
    const broken = join(dataDir, 'broken');
    const script =
      '#!/bin/sh\ncase "$1" in --version) echo "nats-server: v2.15.1";; *) echo "no room on the moon" >&2; exit 3;; esac\n';
    writeFileSync(broken, script, { mode: 0o755 });
    await expect(startEmbeddedServer({ dataDir, binary: broken, clock: systemClock })).rejects.toMatchObject({
      code: 'GS_NATS_START',
      message: expect.stringMatching(/exit code 3[^]*server\.log:\nno room on the moon/) as string,
    });
    expect(existsSync(join(dataDir, 'nats/server.pid'))).toBe(false);
  });

  it('is noticed when it dies by itself', async () => {
    const server = await start();
    process.kill(server.pid, 'SIGKILL');
    expect(await server.exited).toEqual({ code: null, signal: 'SIGKILL' });
    await server.stop();
  });

  it('is ended even when only its watchdog was killed', async () => {
    const server = await start();
    const watchdog = Number(readFileSync(join(dataDir, 'nats/server.pid'), 'utf8').split(' ')[1]);
    process.kill(watchdog, 'SIGKILL');
    expect(await server.exited).toEqual({ code: null, signal: 'SIGKILL' });
    expect(isAlive(server.pid)).toBe(false);
  });
});

describe('a server of another process', () => {
  it('goes when that process is killed with -9, and its watchdog with it', async () => {
    const { parent, watchdog, server } = await startInOtherProcess();
    expect([isAlive(watchdog), isAlive(server)]).toEqual([true, true]);
    parent.kill('SIGKILL');
    await until('the server is gone', () => !isAlive(server));
    await until('the watchdog is gone', () => !isAlive(watchdog));
    expect(existsSync(join(dataDir, 'nats/server.pid'))).toBe(false);
  });

  it('holds off a second start while its process lives, and not once that is killed', async () => {
    const { parent, server } = await startInOtherProcess();
    await expect(start()).rejects.toMatchObject({
      code: 'GS_DATA_LOCKED',
      message: expect.stringContaining(String(parent.pid)) as string,
    });
    expect(isAlive(server)).toBe(true);
    parent.kill('SIGKILL');
    // At once: what is left of the killed one is waited for.
    const own = await start();
    expect(isAlive(server)).toBe(false);
    expect(isAlive(own.pid)).toBe(true);
  });

  it('is ended by the next start when all that watched it was killed too', async () => {
    const { parent, watchdog, server } = await startInOtherProcess();
    process.kill(-watchdog, 'SIGSTOP');
    parent.kill('SIGKILL');
    const readers = childrenOf(watchdog).filter((pid) => pid !== server);
    for (const pid of [watchdog, ...readers]) process.kill(pid, 'SIGKILL');
    process.kill(server, 'SIGCONT');
    await until('the watchers are gone', () => !isAlive(watchdog) && !readers.some(isAlive));
    expect(isAlive(server)).toBe(true);
    await start();
    expect(isAlive(server)).toBe(false);
  });

  it('is not mistaken for a process that merely got its pid', async () => {
    const server = await start();
    await server.stop();
    const bystander = spawn('sleep', ['60']);
    children.push(bystander);
    writeFileSync(join(dataDir, 'nats/server.pid'), `${process.pid} ${bystander.pid} ${bystander.pid}\n`);
    await start();
    expect(bystander.exitCode ?? bystander.signalCode).toBeNull();
  });
});

describe('an analyst', () => {
  let server: EmbeddedServer;
  let analyst: NatsConnection;
  let engine: NatsConnection;

  beforeEach(async () => {
    server = await start();
    engine = await asEngine(server);
    analyst = await connect({ servers: server.url });
  });
  afterEach(async () => {
    await analyst.close();
    await engine.close();
  });

  it('connects without a password and hears rows and surge, nothing else of the engine', async () => {
    const heard: string[] = [];
    for (const subject of ['gs.sf.agg.1m.cell.9.q.>', 'gs.*.surge.>']) {
      analyst.subscribe(subject, { callback: (_error, message) => void heard.push(message.subject) });
    }
    const refused: string[] = [];
    for (const subject of ['gs.sf.p.>', '>']) {
      analyst.subscribe(subject, { callback: (error) => void (error && refused.push(error.message)) });
    }
    await analyst.flush();
    for (const subject of [
      'gs.sf.p.000.journal',
      'gs.sf.agg.1m.region',
      'gs.sf.agg.1m.cell.9.q.8',
      'gs.sf.surge.9.q.8',
    ])
      engine.publish(subject, '{}');
    await engine.flush();
    await until('both rows', () => heard.length >= 2);
    await until('both refusals', () => refused.length >= 2);
    expect(heard).toEqual(['gs.sf.agg.1m.cell.9.q.8', 'gs.sf.surge.9.q.8']);
    expect(refused.join()).toMatch(/permissions violation/i);
  });

  it('can publish nothing, not even on the aggregate subjects', async () => {
    const heard: string[] = [];
    engine.subscribe('>', { callback: (_error, message) => void heard.push(message.subject) });
    await engine.flush();
    const refusals: string[] = [];
    const watching = (async () => {
      for await (const status of analyst.status())
        if (status.type === 'error') refusals.push(String(status.error));
    })();
    const subjects = ['gs.sf.agg.1m.region', 'gs.sf.p.000.in.ev', 'anything'];
    for (const subject of subjects) analyst.publish(subject, 'forged');
    await analyst.flush();
    await until('every refusal', () => refusals.length >= subjects.length);
    engine.publish('gs.end');
    await until('the end', () => heard.includes('gs.end'));
    expect(heard.filter((subject) => subjects.includes(subject))).toEqual([]);
    await analyst.close();
    await watching;
  });

  it('can neither see a stream nor create a consumer', async () => {
    await (await jetstreamManager(engine)).streams.add({ name: 'GS_sf_AGG', subjects: ['gs.sf.agg.>'] });
    await expect(jetstreamManager(analyst, { timeout: 1_000 })).rejects.toThrow(
      /permission|violation|enabled/i,
    );
    const unchecked = await jetstreamManager(analyst, { checkAPI: false, timeout: 1_000 });
    await expect(
      unchecked.consumers.add('GS_sf_AGG', { durable_name: 'spy', deliver_subject: 'gs.sf.p.000.in.ev' }),
    ).rejects.toThrow();
    expect((await (await jetstreamManager(engine)).streams.info('GS_sf_AGG')).state.consumer_count).toBe(0);
  });
});

describe('a producer', () => {
  const subjects = new Subjects('sf');
  let server: EmbeddedServer;
  let engine: NatsConnection;
  let producer: NatsConnection;
  let jsm: JetStreamManager;

  beforeEach(async () => {
    server = await start();
    const engineSide = await connectNats(server, 'engine');
    engine = engineSide.connection;
    await ensureStreams(engineSide.jsm, subjects, 4, {
      ingest: { historyMs: 3_600_000, bytesMax: 1_000_000 },
    });
    const { user, password, inboxPrefix } = server.producer;
    const producerSide = await connectNats({ url: server.url, user, password, inboxPrefix }, 'producer');
    producer = producerSide.connection;
    jsm = await jetstreamManager(producer, { timeout: 500 });
  });
  afterEach(async () => {
    await producer.close();
    await engine.close();
  });

  const logAs = (connection: NatsConnection, manager: JetStreamManager, stream: string): NatsLog =>
    new NatsLog(connection, manager, { stream, writer: 'producer', ackTimeoutMs: 500 });
  const bytes = new TextEncoder().encode('x');

  it('brings raw events and batches of event frames, and reads what is in the streams', async () => {
    const answer = await producer.request(subjects.ingest('driver.location'), '{}', { timeout: 5_000 });
    expect(answer.json()).toMatchObject({ stream: subjects.ingestStream, seq: 1 });
    const log = logAs(producer, jsm, subjects.engineStream);
    const frames = [0, 1, 2].map((partition) => ({ subject: subjects.events(partition), payload: bytes }));
    expect(await log.append(frames)).toEqual({ outcome: 'committed', firstSeq: 1 });
    expect(await log.last(subjects.events(1))).toMatchObject({ seq: 2 });
    expect(await log.next(subjects.events(2), 1)).toMatchObject({ seq: 3 });
    expect(await log.lastSeq()).toBe(3);
    const found = await jsm.direct.getMessage(subjects.engineStream, { last_by_subj: subjects.events(0) });
    expect(found?.seq).toBe(1);
  });

  it('writes no journal, no mail, no output, no row, not even in a batch with events', async () => {
    const log = logAs(producer, jsm, subjects.engineStream);
    const forbidden = [
      subjects.journal(0),
      subjects.mail(0),
      subjects.out(0),
      subjects.ingestCursor,
      subjects.aggregate('1m', 'region', ''),
      subjects.aggregateCursor(0),
    ];
    for (const subject of forbidden) {
      const batch = [
        { subject: subjects.events(0), payload: bytes },
        { subject, payload: bytes },
      ];
      expect((await log.append(batch)).outcome, subject).not.toBe('committed');
    }
    const { jsm: own } = await connectNats(server, 'engine');
    for (const stream of [subjects.engineStream, subjects.aggregateStream])
      expect((await own.streams.info(stream)).state.messages, stream).toBe(0);
  });

  it('makes no consumer, changes no stream, removes no message', async () => {
    await producer.request(subjects.ingest('driver.location'), '{}', { timeout: 5_000 });
    const { engineStream, ingestStream } = subjects;
    const spy = { name: 'spy', durable_name: 'spy', ack_policy: 'none' as const };
    const tries: [string, () => Promise<unknown>][] = [
      ['consumer', () => jsm.consumers.add(engineStream, spy)],
      [
        'push consumer',
        () => jsm.consumers.add(engineStream, { ...spy, deliver_subject: 'gs.sf.p.000.journal' }),
      ],
      ['reader', () => logAs(producer, jsm, engineStream).read(subjects.journal(0), 1, () => undefined)],
      ['purge', () => jsm.streams.purge(ingestStream)],
      ['delete message', () => jsm.streams.deleteMessage(ingestStream, 1)],
      ['delete stream', () => jsm.streams.delete(ingestStream)],
      ['update stream', () => jsm.streams.update(ingestStream, { max_msgs: 1 })],
      ['new stream', () => jsm.streams.add({ name: 'GS_mine', subjects: ['gs.mine.>'] })],
    ];
    for (const [what, attempt] of tries) await expect(attempt(), what).rejects.toThrow();
    const rollup = headers();
    rollup.set('Nats-Rollup', 'all');
    const answer = await producer.request(subjects.ingest('x'), '{}', { timeout: 5_000, headers: rollup });
    expect(answer.json()).toHaveProperty('error');
    const { jsm: own } = await connectNats(server, 'engine');
    const { state } = await own.streams.info(ingestStream);
    expect(state).toMatchObject({ messages: 1, consumer_count: 0 });
    expect((await own.streams.info(engineStream)).state.consumer_count).toBe(0);
  });

  it('hears neither the engine’s subjects nor the answers that others get', async () => {
    const refused: string[] = [];
    const heard: string[] = [];
    const subscribed = ['gs.>', '_INBOX.>', '>', 'gs.sf.agg.>'];
    for (const subject of subscribed) {
      producer.subscribe(subject, {
        callback: (error, message) => {
          if (error) refused.push(subject);
          else heard.push(message.subject);
        },
      });
    }
    await until('every refusal', () => refused.length === subscribed.length);
    await engine.request(subjects.events(0), 'x');
    await producer.flush();
    expect(heard).toEqual([]);
  });
});

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    .trim()
    .split(/\s+/)
    .filter(Boolean)
    .map(Number);
}
