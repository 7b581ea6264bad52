/**
 * An engine for measuring, wired as `src/cli/engine.ts` wires it, except that the node starts when the bench says so:
 * embedded nats-server (`sync_interval: always`), LMDB snapshots, the publisher of side outputs, all on a new folder.
 */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock, type Clock } from '../src/core/clock.js';
import type { Producer } from '../src/ingest/producer.js';
import { connectNats, ensureStreams, type NatsTarget } from '../src/log/nats/connect.js';
import { NatsLog } from '../src/log/nats/nats-log.js';
import { startEmbeddedServer } from '../src/log/nats/server/embedded.js';
import { locateNatsServer } from '../src/log/nats/server/locate.js';
import { Subjects } from '../src/log/subjects.js';
import { VmGuard } from '../src/node/handler-guard.js';
import { Node, type NodeOptions } from '../src/node/node.js';
import { sideTarget } from '../src/serve/publisher.js';
import { Publishers } from '../src/serve/publishers.js';
import { LmdbStore } from '../src/state/lmdb/lmdb-store.js';
import type { Market } from './market.js';
import { producerOn } from './open-producer.js';

export interface Stack {
  readonly market: Market;
  readonly subjects: Subjects;
  readonly log: NatsLog;
  /** Where the server and the snapshots keep their files; removed at the end. */
  readonly folder: string;
  readonly serverPid: number;
  /** For processes of their own; it can be sent to them. */
  readonly target: NatsTarget;
  /** Rejects when the server or a publisher fails; never resolves. */
  readonly failed: Promise<never>;
  logOf(stream: string): NatsLog;
  /** A replay's producer. */
  newProducer(): Producer;
  /** A node that has everything but its start, and the publisher of what it will say. */
  newNode(): Promise<Node>;
  close(): Promise<void>;
}

/** What a node of the market is told, wherever it runs. */
export function nodeOptionsOf(
  { config, registry }: Market,
  writer: string,
): Pick<NodeOptions, 'registry' | 'partitions' | 'partition' | 'limits'> {
  return {
    registry,
    partitions: config.partitions,
    partition: {
      writer,
      time: { outOfOrderBoundMs: config.outOfOrderBoundMs, idleTimeoutMs: config.idleTimeoutMs },
      paneMs: config.windowsMs[0]!,
      duplicateWindowMs: config.duplicateWindowMs,
      guard: new VmGuard(),
    },
    limits: {
      turnBytes: config.limits.turnBytes,
      uncommittedEventsMax: config.limits.stepEvents,
      batchBytesMax: config.limits.commitBytes,
      residentActorsMax: config.limits.residentActors,
    },
  };
}

/** @param clock what producers and the node tell the time by */
export async function openStack(market: Market, clock: Clock = systemClock): Promise<Stack> {
  const { config } = market;
  const { partitions } = config;
  const subjects = new Subjects(config.name);
  const opened: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (let undo = opened.pop(); undo !== undefined; undo = opened.pop()) await undo();
  };
  try {
    let fail: (error: unknown) => void = () => undefined;
    const failed = new Promise<never>((_, reject) => {
      fail = reject;
    });
    failed.catch(() => undefined);

    const folder = await mkdtemp(join(tmpdir(), 'groundswell-bench-'));
    opened.push(() => rm(folder, { recursive: true, force: true }));
    const { path: binary } = await locateNatsServer({});
    const server = await startEmbeddedServer({ dataDir: folder, binary, clock: systemClock });
    opened.push(() => server.stop());
    const { connection, jsm } = await connectNats(server, 'groundswell bench');
    opened.push(() => connection.close());
    await ensureStreams(jsm, subjects, partitions);
    await server.stage();
    const writer = randomUUID();
    const logOf = (stream: string): NatsLog => new NatsLog(connection, jsm, { stream, writer });
    const log = logOf(subjects.engineStream);

    const newProducer = (): Producer => producerOn(log, market, { clock });

    const newNode = async (): Promise<Node> => {
      const store = await LmdbStore.open(join(folder, 'snapshots'), { region: config.name, partitions });
      store.expectWrites();
      opened.push(() => store.close());
      const targets = [sideTarget(logOf(subjects.sideStream), subjects)];
      const publishers = new Publishers({ source: log, targets, subjects, clock, onFailure: fail });
      opened.push(() => publishers.close());
      const node = new Node({
        ...{ ...nodeOptionsOf(market, writer), log, store, subjects, clock },
        ...publishers.nodeHooks,
      });
      opened.push(() => node.stop());
      return node;
    };
    const { url, user, password, pid: serverPid } = server;
    const target = { url, user, password };
    return { market, subjects, log, folder, target, serverPid, failed, logOf, newProducer, newNode, close };
  } catch (error) {
    await close().catch(() => undefined);
    throw error;
  }
}
