/**
 * A region that moves: its snapshot taken from a real nats-server while it works, restored on another one, with other
 * partitions, under another name. Hunts rows that are missing, wrong or twice afterwards, and a region that is overwritten
 * although somebody works on it.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JetStreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from 'nats';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Row } from '../../src/actor/row.js';
import { sleep, systemClock } from '../../src/core/clock.js';
import { partitionOf } from '../../src/core/hash.js';
import { connectNats, ensureStreams } from '../../src/log/nats/connect.js';
import { ensureLeases } from '../../src/log/nats/lease-bucket.js';
import { NatsLeases } from '../../src/log/nats/nats-leases.js';
import { NatsLog } from '../../src/log/nats/nats-log.js';
import { NatsObjects } from '../../src/log/nats/nats-objects.js';
import { startEmbeddedServer, type EmbeddedServer } from '../../src/log/nats/server/embedded.js';
import { locateNatsServer, WAYS } from '../../src/log/nats/server/locate.js';
import { releaseWay } from '../../src/log/nats/server/release.js';
import { Subjects } from '../../src/log/subjects.js';
import { decodeBase } from '../../src/node/base/base-format.js';
import { restoreBase } from '../../src/node/base/base-maker.js';
import { lastControl } from '../../src/node/base/journal-tail.js';
import { OwnOutputs } from '../../src/serve/own-outputs.js';
import { aggregateTarget, Publisher } from '../../src/serve/publisher.js';
import { decodeOutput } from '../../src/partition/output.js';
import { MemoryStore } from '../../src/state/memory/memory-store.js';
import { Sandbox } from '../support/cli.js';
import { Engine, run, subjects, type EngineOptions } from '../support/engine.js';
import { MINUTE, smallCity, T0, type RawEvent } from '../support/market.js';
import { until } from '../support/until.js';

const sandbox = new Sandbox();
let binary: string;
let servers: Server[] = [];

/** A nats-server with a region on it, or room for one. */
class Server {
  readonly #folder = mkdtempSync(join(tmpdir(), 'gs-region-snapshot-'));
  server!: EmbeddedServer;
  connection!: NatsConnection;
  jsm!: JetStreamManager;

  static async start(): Promise<Server> {
    const one = new Server();
    one.server = await startEmbeddedServer({ dataDir: one.#folder, binary, clock: systemClock });
    ({ connection: one.connection, jsm: one.jsm } = await connectNats(one.server, 'test'));
    servers.push(one);
    return one;
  }

  get url(): string {
    const { user, password, url } = this.server;
    return url.replace('//', `//${user}:${password}@`);
  }

  log(stream = subjects.engineStream): NatsLog {
    return new NatsLog(this.connection, this.jsm, {
      stream,
      writer: `test-${Math.floor(performance.now())}`,
    });
  }

  objects(region = 'sf'): Promise<NatsObjects> {
    const bucket = new Subjects(region).baseBucket;
    return NatsObjects.open({ connection: this.connection, jsm: this.jsm, bucket });
  }

  /** An engine on the region, its store filled from the bases, as a node's is. */
  async engine(options: EngineOptions): Promise<Engine> {
    const log = this.log();
    const store = new MemoryStore();
    for (let partition = 0; partition < options.partitions!; partition++) {
      const base = (await lastControl(log, subjects.journal(partition)))?.base;
      if (base !== undefined) await restoreBase(base, partition, store, await this.objects());
    }
    return Engine.start({ ...options, log, store, clock: systemClock });
  }

  async rowsUpTo(seq: number): Promise<Row[]> {
    const log = this.log();
    const rows: Row[] = [];
    for (let next = await log.next(subjects.allOut, 1); next !== undefined && next.seq <= seq;) {
      rows.push(...decodeOutput(next.payload).rows);
      next = await log.next(subjects.allOut, next.seq + 1);
    }
    return rows;
  }

  async stop(): Promise<void> {
    await this.connection.close();
    await this.server.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

beforeAll(async () => {
  // Never GitHub from a test.
  binary = (await locateNatsServer({ ways: WAYS.filter((way) => way !== releaseWay) })).path;
}, 180_000);
afterEach(async () => {
  for (const one of servers) await one.stop();
  servers = [];
});
afterAll(() => sandbox.close());

function lines(rows: readonly Row[]): string[] {
  return rows.map((row) => JSON.stringify({ ...row, watermark: 0, completeness: null })).sort();
}

interface Told {
  readonly id: string;
  readonly region: string;
  readonly partitions: number;
  readonly actors: number;
  readonly from: string | null;
}

async function command(...args: string[]): Promise<Told> {
  const { code, stdout, stderr } = await sandbox.run([...args, '--json']);
  expect({ code, stderr: code === 0 ? '' : stderr }, args.join(' ')).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout) as Told;
}

async function refusal(...args: string[]): Promise<string> {
  const { code, stderr } = await sandbox.run(args);
  expect(code, args.join(' ')).toBeGreaterThan(0);
  return stderr;
}

/** Waits until a region that gets no more events has done all there was to do. */
async function rest(log: NatsLog): Promise<void> {
  let lastSeq = -1;
  await until(
    'nothing more comes',
    async () => {
      const before = lastSeq;
      lastSeq = await log.lastSeq();
      return before === lastSeq;
    },
    { pollMs: 1_000 },
  );
}

const events = smallCity({ durationMs: 8 * MINUTE });
const cutMs = T0 + 4 * MINUTE;
const before = events.filter(({ ts }) => ts < cutMs);
const after = events.filter(({ ts }) => ts >= cutMs);

describe('a region on another server', () => {
  const options: EngineOptions = { partitions: 5, frameEvents: 4 };

  it('P3 P5 P7 goes on as if nothing had been, from a snapshot that was taken while it worked', async () => {
    const truth = lines((await run(events, options)).rows);
    const [old, other] = [await Server.start(), await Server.start()];
    await ensureStreams(old.jsm, subjects, 5);
    const engine = await old.engine(options);
    const producer = engine.producer();
    await producer.send(before);
    const backup = sandbox.path('backup');
    const taking = command('snapshot', '--region', 'sf', '--nats', old.url, '--out', backup);
    // The region does not stand still for it.
    let sent = 0;
    let isTaken = false;
    const taken = taking.finally(() => (isTaken = true));
    while (!isTaken && sent < after.length) {
      await producer.send(after.slice(sent, (sent += 5)));
      await sleep(systemClock, 5);
    }
    const { id, actors } = await taken;
    expect(actors).toBeGreaterThan(20);
    await engine.stop();
    const manifest = (await (await old.objects()).get(`region/${id}/manifest`))!;
    let text = '';
    for await (const chunk of manifest) text += Buffer.from(chunk).toString();
    const { cutSeq } = JSON.parse(text) as { cutSeq: number };

    await command('restore', '--region', 'sf', '--from', backup, '--at', id, '--nats', other.url);
    const again = await other.engine(options);
    const resumed = again.producer();
    await resumed.producer.resume();
    await resumed.send(events);
    const { rows } = await again.results(await resumed.end());
    await again.stop();
    expect(lines([...(await old.rowsUpTo(cutSeq)), ...rows])).toEqual(truth);
  }, 120_000);
});

describe('a region at rest', () => {
  let here: Server;
  beforeEach(async () => {
    here = await Server.start();
    await ensureStreams(here.jsm, subjects, 4);
  });

  /** Half of the events, the producer's last word, and all rows published. */
  async function firstHalf(feed: readonly RawEvent[] = before): Promise<Row[]> {
    const engine = await here.engine({ partitions: 4 });
    const producer = engine.producer('first');
    await producer.send(feed);
    await producer.producer.end(cutMs);
    await rest(here.log());
    await engine.stop();
    for (let partition = 0; partition < 4; partition++) {
      const target = aggregateTarget(here.log(subjects.aggregateStream), subjects);
      const publisher = new Publisher({
        outputs: new OwnOutputs(here.log()),
        target,
        subjects,
        partition,
        clock: systemClock,
      });
      await publisher.start();
      await publisher.stop();
    }
    return here.rowsUpTo(await here.log().lastSeq());
  }

  it('P7 gets other partitions, keeps its rows and goes on as if it had always had them', async () => {
    const truth = lines((await run(events, { partitions: 4 })).rows);
    const rowsBefore = await firstHalf();
    const published = await here.log(subjects.aggregateStream).lastSeq();
    const made = await command('repartition', '--region', 'sf', '--partitions', '7', '--nats', here.url);
    expect(made.partitions).toBe(7);
    await ensureStreams(here.jsm, subjects, 7);
    await expect(ensureStreams(here.jsm, subjects, 4)).rejects.toMatchObject({
      code: 'GS_STREAM_CONFIG',
      remedy: expect.stringContaining('groundswell repartition') as string,
    });
    const info = await here.jsm.streams.info(subjects.aggregateStream);
    expect(info.state.last_seq).toBe(published);
    expect(info.state.messages).toBeGreaterThan(100);
    const engine = await here.engine({ partitions: 7 });
    const producer = engine.producer('second');
    await producer.send(after);
    const { rows } = await engine.results(await producer.end());
    await engine.stop();
    expect(lines([...rowsBefore, ...rows])).toEqual(truth);
    const listed = (await command('snapshot', '--region', 'sf', '--nats', here.url, '--list')) as unknown;
    expect(listed).toMatchObject([
      { id: made.from, partitions: 4 },
      { id: made.id, partitions: 7 },
    ]);

    // And back to before, with what it has become removed.
    const back = ['restore', '--region', 'sf', '--at', made.from!, '--nats', here.url];
    expect(await refusal(...back)).toMatch(/--yes-replace/);
    await command(...back, '--yes-replace');
    const old = await here.engine({ partitions: 4 });
    const third = old.producer('third');
    await third.send(after);
    const again = await old.results(await third.end());
    await old.stop();
    expect(lines([...rowsBefore, ...again.rows])).toEqual(truth);
  }, 120_000);

  it('takes another name, and its own actor with it', async () => {
    await firstHalf();
    const { id } = await command('snapshot', '--region', 'sf', '--nats', here.url);
    const into = ['restore', '--region', 'sf', '--at', id, '--into', 'nyc', '--nats', here.url];
    const made = await command(...into);
    expect(made).toMatchObject({ region: 'nyc', partitions: 4, from: id });
    const nyc = new Subjects('nyc');
    const objects = await here.objects('nyc');
    const log = here.log(nyc.engineStream);
    const ids = new Map<string, number>();
    for (let partition = 0; partition < 4; partition++) {
      const { base } = (await lastControl(log, nyc.journal(partition)))!;
      const { header, records } = await decodeBase('base', (await objects.get(base!.name))!);
      expect(header).toMatchObject({ region: 'nyc', partition });
      for await (const group of records) for (const [actor] of group) ids.set(actor, partition);
    }
    expect(ids.size).toBe(made.actors);
    expect(ids.has('region/sf')).toBe(false);
    expect(ids.get('region/nyc')).toBe(partitionOf('region/nyc', 4));
    // It is there now.
    expect(await refusal(...into)).toMatch(/the region nyc is there/i);
  }, 60_000);

  it('is left alone while nodes work on it, and while producers have not ended', async () => {
    const engine = await here.engine({ partitions: 4 });
    await engine.producer('never-ends').sendEach(before.slice(0, 100));
    await rest(here.log());
    await engine.stop();
    const words = ['repartition', '--region', 'sf', '--partitions', '7', '--nats', here.url];
    expect(await refusal(...words)).toMatch(/never-ends.*--forget never-ends/s);
    await ensureLeases(here.jsm, subjects);
    const leases = new NatsLeases(here.connection, here.jsm, { bucket: subjects.nodesBucket });
    const value = new TextEncoder().encode('{}');
    await leases.write({ name: 'node-a', value, ttlMs: 30_000 });
    expect(await refusal(...words)).toMatch(/at work: node-a/);
    const restore = ['restore', '--region', 'sf', '--at', '2100-01-01', '--nats', here.url, '--yes-replace'];
    expect(await refusal(...restore)).toMatch(/at work: node-a/);
    await leases.remove('node-a');
    await command(...words, '--forget', 'never-ends');
  }, 60_000);
});

describe('wrong usage', () => {
  it.each([
    [['snapshot', '--region', 'sf'], /--nats/],
    [['snapshot', '--region', 'S F', '--nats', 'nats://127.0.0.1:1'], /no name of a region/],
    [['restore', '--region', 'sf', '--nats', 'nats://127.0.0.1:1'], /--at/],
    [['repartition', '--region', 'sf', '--partitions', '0'], /whole number/],
  ])('%j is named', async (args, says) => {
    expect(await refusal(...args)).toMatch(says);
  });

  it('names a snapshot that is not there, and those that are', async () => {
    const here = await Server.start();
    expect(await refusal('snapshot', '--region', 'sf', '--nats', here.url)).toMatch(/no region sf/);
    await ensureStreams(here.jsm, subjects, 2);
    const { id } = await command('snapshot', '--region', 'sf', '--nats', here.url);
    const restore = ['restore', '--region', 'sf', '--nats', here.url, '--at'];
    expect(await refusal(...restore, 'nothing')).toContain(id);
    expect(await refusal(...restore, '2001-01-01')).toContain(id);
    expect((await sandbox.run(['snapshot', '--region', 'sf', '--nats', here.url, '--remove', id])).code).toBe(
      0,
    );
    expect(await refusal(...restore, id)).toMatch(/there is none/);
  }, 60_000);
});
