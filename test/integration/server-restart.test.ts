// Hunts: a node that does not outlive its server; rows that are lost, doubled or different because the server died under
// them; a reader or publisher that sleeps on after it came back; a lost stream taken for a server that is away.
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JetStreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from 'nats';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Row } from '../../src/actor/row.js';
import { systemClock } from '../../src/core/clock.js';
import { readToEnd, type AppendOutcome, type LogEntry } from '../../src/log/log.js';
import { connectNats, ensureStreams } from '../../src/log/nats/connect.js';
import { NatsLog } from '../../src/log/nats/nats-log.js';
import { locateNatsServer, WAYS } from '../../src/log/nats/server/locate.js';
import { releaseWay } from '../../src/log/nats/server/release.js';
import { superviseServer, type SupervisedServer } from '../../src/log/nats/server/supervised.js';
import { OwnOutputs } from '../../src/serve/own-outputs.js';
import { aggregateTarget, Publisher, sideTarget } from '../../src/serve/publisher.js';
import { LmdbStore } from '../../src/state/lmdb/lmdb-store.js';
import { Engine, run, subjects, type Results, type Settings, type TestProducer } from '../support/engine.js';
import { MINUTE, smallCity } from '../support/market.js';
import { repeated, sorted } from '../support/rows.js';
import { until } from '../support/until.js';

const PARTITIONS = 4;
const SETTINGS: Settings = { partitions: PARTITIONS, windowsMs: [MINUTE, 5 * MINUTE], frameEvents: 32 };
const events = smallCity({
  cover: ['9q8y'],
  seed: 7,
  drivers: 40,
  requestsPerMinute: 10,
  durationMs: 10 * MINUTE,
  pingEveryMs: 5_000,
});
/** Every window is final by then. */
const untilMs = Math.ceil(Math.max(...events.map(({ ts }) => ts)) / MINUTE) * MINUTE + 120 * MINUTE;
const KILLS = 6;
const TEST_MS = 180_000;

let binary: string;
let undisturbed: string[];
let stack: Stack;

/** Tells of every batch at the moment when it is on its way. */
class WatchedLog extends NatsLog {
  onAppend: () => void = () => undefined;

  override append(entries: readonly LogEntry[]): Promise<AppendOutcome> {
    const outcome = super.append(entries);
    this.onAppend();
    return outcome;
  }
}

/** A node with its publishers on a server of its own, as a command wires it. */
class Stack {
  readonly dataDir = mkdtempSync(join(tmpdir(), 'gs-restart-'));
  readonly heard: string[] = [];
  server!: SupervisedServer;
  connection!: NatsConnection;
  jsm!: JetStreamManager;
  store!: LmdbStore;
  engine!: Engine;
  /** The node's own way to its stream. */
  nodeLog!: WatchedLog;
  publishers: Publisher[] = [];

  static async open(): Promise<Stack> {
    const made = new Stack();
    await made.#start();
    return made;
  }

  logOf(stream: string): WatchedLog {
    return new WatchedLog(this.connection, this.jsm, { stream, writer: randomUUID() });
  }

  async #start(): Promise<void> {
    this.server = await superviseServer({
      dataDir: this.dataDir,
      binary: this.#breakable(),
      clock: systemClock,
    });
    const listener = { lost: () => this.heard.push('lost'), restored: () => this.heard.push('restored') };
    ({ connection: this.connection, jsm: this.jsm } = await connectNats(this.server, 'test', listener));
    await ensureStreams(this.jsm, subjects, PARTITIONS);
    this.store = await LmdbStore.open(join(this.dataDir, 'snapshots'), {
      region: 'sf',
      partitions: PARTITIONS,
    });
    const log = this.logOf(subjects.engineStream);
    this.nodeLog = log;
    // One kind is told of what is committed, the other reads it from the stream.
    const told = new OwnOutputs(log);
    for (let partition = 0; partition < PARTITIONS; partition++) told.begin(subjects.out(partition));
    this.engine = new Engine({
      ...SETTINGS,
      log,
      store: this.store,
      clock: systemClock,
      writer: randomUUID(),
      onCommitted: (outputs) => {
        told.committed(outputs);
      },
    });
    const kinds = [
      { target: sideTarget(this.logOf(subjects.sideStream), subjects), outputs: new OwnOutputs(log) },
      { target: aggregateTarget(this.logOf(subjects.aggregateStream), subjects), outputs: told },
    ];
    for (const kind of kinds) {
      for (let partition = 0; partition < PARTITIONS; partition++) {
        const publisher = new Publisher({ ...kind, subjects, partition, clock: systemClock });
        await publisher.start();
        this.publishers.push(publisher);
      }
    }
    await this.engine.node.start();
  }

  /** nats-server, as long as the file `broken` is not there. */
  #breakable(): string {
    const program = join(this.dataDir, 'nats-server');
    const script = `#!/bin/sh\nif [ -e "${this.broken}" ] && [ "$1" != --version ]; then echo "not now" >&2; exit 3; fi\nexec "${binary}" "$@"\n`;
    writeFileSync(program, script, { mode: 0o755 });
    return program;
  }

  get broken(): string {
    return join(this.dataDir, 'broken');
  }

  /** Kills the server with -9; resolves when the engine's connection stands again. */
  async killServer(): Promise<void> {
    const before = this.heard.length;
    process.kill(this.server.pid, 'SIGKILL');
    await until('the connection stands again', () => this.heard.slice(before).includes('restored'));
  }

  /** The server has come back so often. */
  heardBack(times: number): boolean {
    return this.heard.filter((what) => what === 'restored').length >= times;
  }

  /** Every message on the aggregate subjects: `agg` and `surge`. */
  async published(): Promise<{ rows: Row[]; surges: string[] }> {
    const log = this.logOf(subjects.aggregateStream);
    const rows: Row[] = [];
    const surges: string[] = [];
    const text = new TextDecoder();
    for await (const { payload } of readToEnd(log, 'gs.sf.agg.>', 1))
      rows.push(JSON.parse(text.decode(payload)) as Row);
    for await (const { subject, payload } of readToEnd(log, 'gs.sf.surge.>', 1))
      surges.push(`${subject} ${(JSON.parse(text.decode(payload)) as Row).start}`);
    return { rows, surges };
  }

  async close(): Promise<void> {
    await this.engine.stop().catch(() => undefined);
    for (const publisher of this.publishers) await publisher.stop().catch(() => undefined);
    await this.store.close();
    await this.connection.close();
    await this.server.stop();
    rmSync(this.dataDir, { recursive: true, force: true });
  }
}

/** Sends a part of the events in small batches. */
async function send(producer: TestProducer, part: typeof events): Promise<void> {
  for (let i = 0; i < part.length; i += 100) {
    await producer.send(part.slice(i, i + 100));
    await producer.producer.flush();
  }
}

/** The `nth` of so many parts of the events. */
function partOf(all: typeof events, nth: number, parts: number): typeof events {
  return all.slice(Math.floor(((nth - 1) * all.length) / parts), Math.floor((nth * all.length) / parts));
}

/** The rows are those of a run that nothing disturbed, and each was published once. */
async function expectUndisturbed(results: Results): Promise<void> {
  expect(repeated(results.rows)).toEqual([]);
  expect(sorted(results.rows)).toEqual(undisturbed);
  await until('everything is published', async () => {
    const { rows } = await stack.published();
    return rows.length >= undisturbed.length;
  });
  const { rows, surges } = await stack.published();
  expect(repeated(rows)).toEqual([]);
  expect(sorted(rows)).toEqual(undisturbed);
  expect(new Set(surges).size).toBe(surges.length);
}

beforeAll(async () => {
  // Never GitHub from a test.
  binary = (await locateNatsServer({ ways: WAYS.filter((way) => way !== releaseWay) })).path;
  undisturbed = sorted((await run(events, SETTINGS)).rows);
  expect(undisturbed.length).toBeGreaterThan(500);
}, 180_000);
beforeEach(async () => {
  stack = await Stack.open();
}, 60_000);
afterEach(() => stack.close(), 60_000);

describe('a node whose server dies', () => {
  it(
    'P3 P6 P7: killed with -9 again and again while events flow, the rows are those of an undisturbed run, none twice',
    async () => {
      const { engine, nodeLog } = stack;
      // The producer has a log of its own: only the node's batches are counted.
      const producer = engine.producer('test', stack.logOf(subjects.engineStream));
      let armed = false;
      nodeLog.onAppend = () => {
        if (!armed) return;
        armed = false;
        // The batch is on its way: whether the server still stores it is chance, and nobody is told.
        process.kill(stack.server.pid, 'SIGKILL');
      };
      // Read from the beginning, through every restart.
      const reading = engine.results(untilMs);
      for (let kills = 1; kills <= KILLS; kills++) {
        armed = true;
        await send(producer, partOf(events, kills, KILLS));
        await until('it was killed and has come back', () => stack.heardBack(kills));
      }
      expect(await producer.end()).toBe(untilMs);
      await expectUndisturbed(await reading);
      expect(engine.retries.length).toBeGreaterThan(0);
    },
    TEST_MS,
  );

  it(
    'whoever reads its outputs reads on, each frame once',
    async () => {
      const { engine } = stack;
      const producer = engine.producer();
      const log = stack.logOf(subjects.engineStream);
      const reader = await log.read(subjects.allOut, 1, () => undefined);
      const seqs: number[] = [];
      const half = Math.floor(events.length / 2);
      await send(producer, events.slice(0, half));
      await stack.killServer();
      await send(producer, events.slice(half));
      await producer.end();
      await engine.results(untilMs);
      const stored: number[] = [];
      for await (const { seq } of readToEnd(log, subjects.allOut, 1)) stored.push(seq);
      await until('the reader has them all', () => {
        seqs.push(...reader.take(1).map(({ seq }) => seq));
        return seqs.length >= stored.length || reader.failure !== undefined;
      });
      expect(reader.failure).toBeUndefined();
      expect(seqs).toEqual(stored);
      await reader.close();
    },
    TEST_MS,
  );

  it(
    'goes on after its server was away for seconds while it had nothing to do',
    async () => {
      const { engine, server } = stack;
      const producer = engine.producer();
      const reading = engine.results(untilMs);
      const half = Math.floor(events.length / 2);
      await send(producer, events.slice(0, half));
      await until('it has nothing left to do', () => idle(engine), { pollMs: 20 });
      writeFileSync(stack.broken, '');
      process.kill(server.pid, 'SIGKILL');
      // Each failed start waits twice as long as the one before: five of them are some three seconds.
      await until('it could not be started', () => failedStarts(server.logFile) > 0, { pollMs: 20 });
      await until('the connection is lost', () => stack.heard.includes('lost'));
      const goneMs = systemClock.monotonic();
      await until('seconds have passed', () => systemClock.monotonic() - goneMs > 3_000, { pollMs: 20 });
      rmSync(stack.broken);
      await until('the connection stands again', () => stack.heard.includes('restored'));
      await send(producer, events.slice(half));
      await producer.end();
      await expectUndisturbed(await reading);
    },
    TEST_MS,
  );

  it.each(['idle', 'at work'])(
    'and one whose stream is deleted fails with GS_STREAM_LOST within seconds, %s',
    async (what) => {
      const { engine } = stack;
      const producer = engine.producer();
      const half = Math.floor(events.length / 2);
      await send(producer, events.slice(0, half));
      if (what === 'idle') await until('it has nothing left to do', () => idle(engine), { pollMs: 20 });
      const finished = engine.node.finished.catch((error: unknown) => error);
      const startedMs = systemClock.monotonic();
      await stack.jsm.streams.delete(subjects.engineStream);
      expect(await finished).toMatchObject({ code: 'GS_STREAM_LOST' });
      expect(systemClock.monotonic() - startedMs).toBeLessThan(20_000);
      await expect(stack.publishers[0]!.finished).rejects.toMatchObject({ code: 'GS_STREAM_LOST' });
    },
    TEST_MS,
  );
});

function idle({ node }: Engine): boolean {
  const { partitions } = node.status();
  return partitions.every(({ lagMessages }) => lagMessages === 0);
}

function failedStarts(logFile: string): number {
  try {
    return readFileSync(logFile, 'utf8').split('not now').length - 1;
  } catch {
    return 0;
  }
}
