/**
 * Wires an engine for a command: the region's configuration, its actors, a nats-server (one of its own under the data
 * folder, or one elsewhere), the logs, and, where the command does the work itself, a node with its publishers.
 */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NatsConnection } from 'nats';
import { marketActors } from '../../actors/index.js';
import { Registry } from '../actor/registry.js';
import { systemClock } from '../core/clock.js';
import { silent, type Logger } from '../core/logger.js';
import { CARD_KEY, cardOf } from '../ingest/region-card.js';
import { loadRegion, type RegionConfig } from '../ingest/region.js';
import { connectNats, ensureStreams, type NatsTarget } from '../log/nats/connect.js';
import { ConnectionWatch } from '../log/nats/connection-watch.js';
import { NatsLog } from '../log/nats/nats-log.js';
import { locateNatsServer } from '../log/nats/server/locate.js';
import { superviseServer, type SupervisedServer } from '../log/nats/server/supervised.js';
import { streamSizes } from '../log/nats/streams.js';
import { Subjects } from '../log/subjects.js';
import type { LinearModel } from '../model/linear.js';
import { loadLinearModel } from '../model/load.js';
import { openDataFolder } from '../node/data-folder.js';
import { Node, type NodeLimits } from '../node/node.js';
import type { NodeObserver } from '../node/status.js';
import { aggregateTarget, Publisher, sideTarget, type PublishTarget } from '../serve/publisher.js';
import { LmdbStore } from '../state/lmdb/lmdb-store.js';
import { failureSignal, Opened } from './opened.js';
import { OutputRetention } from './output-retention.js';
import { CONFIG_FOLDER } from './package-root.js';

export interface EngineOptions {
  readonly region: string;
  readonly configFile?: string | undefined;
  readonly partitions?: number | undefined;
  /** Without it, a temporary folder that is removed at the end. */
  readonly dataDir?: string | undefined;
  /** A server elsewhere; without it, one of our own under the data folder. */
  readonly nats?: NatsTarget | undefined;
  /** A node in this process, which does the work; without one, nodes elsewhere must. */
  readonly node: boolean;
  /** Publish rows one by one on the aggregate subjects. */
  readonly publishRows: boolean;
  /** Tell live views what happens now. */
  readonly live: boolean;
  readonly retention?: Retention;
  /** Copies of each stream in a cluster; without it, as they are. */
  readonly replicas?: number;
  /** Limits that the region's file does not name. */
  readonly limits?: Partial<NodeLimits>;
  readonly maxFileStoreBytes?: number | undefined;
  readonly logger?: Logger;
  readonly observer?: NodeObserver;
  /** Steps of getting ready, for people. */
  readonly onProgress: (line: string) => void;
}

/** How long things stay in the streams, ms. */
export interface Retention {
  readonly aggregatesMs: number;
  readonly sidesMs: number;
  readonly outputsMs: number;
}

/** Raw events that may wait to be taken; more are refused where they are published. */
const INGEST_BYTES_MAX = 256 * 1024 ** 2;

export interface Engine {
  readonly config: RegionConfig;
  readonly subjects: Subjects;
  readonly registry: Registry;
  readonly model: LinearModel;
  readonly log: NatsLog;
  readonly node: Node | undefined;
  readonly publishers: readonly Publisher[];
  /** The embedded server; undefined with one elsewhere. */
  readonly server: SupervisedServer | undefined;
  /** The region's other streams. */
  logOf(stream: string): NatsLog;
  nats(): { url: string; version: string; embedded: boolean; connected: boolean };
  /** What the region's streams hold. */
  streamSizes(): Promise<{ stream: string; bytes: number; messages: number }[]>;
  /** Rejects when a part of the engine fails; never resolves. */
  readonly failed: Promise<never>;
  close(): Promise<void>;
}

/** The region's configuration and its actors: what `check` checks, and what every command starts from. */
export async function loadEngineConfig(options: {
  region: string;
  configFile?: string | undefined;
  partitions?: number | undefined;
  live?: boolean;
}): Promise<{ config: RegionConfig; registry: Registry; model: LinearModel }> {
  const { region, configFile, partitions, live = false } = options;
  const loaded = await loadRegion({
    name: region,
    dir: join(CONFIG_FOLDER, 'regions'),
    ...(configFile === undefined ? {} : { file: configFile }),
  });
  const config = partitions === undefined ? loaded : { ...loaded, partitions };
  const model = await loadLinearModel(join(CONFIG_FOLDER, 'models', `${config.model}.json`));
  return { config, model, registry: new Registry(marketActors({ ...config, model, live })) };
}

export async function openEngine(options: EngineOptions): Promise<Engine> {
  const { config, registry, model } = await loadEngineConfig(options);
  const { logger = silent } = options;
  const subjects = new Subjects(config.name);
  const opened = new Opened();
  const { failed, fail } = failureSignal();
  try {
    const dataDir = await folderFor(options, opened);
    let store: LmdbStore | undefined;
    if (options.node) {
      const folder = await openDataFolder(dataDir);
      opened.add(() => folder.release());
      store = await LmdbStore.open(folder.snapshots, { region: config.name, partitions: config.partitions });
      const opening = store;
      opened.add(() => opening.close());
    }
    const server = options.nats === undefined ? await startServer(dataDir, options, opened, fail) : undefined;
    const target = options.nats ?? server!;
    const writer = randomUUID();
    const { connection, jsm } = await connectNats(target, `groundswell ${config.name}`, {
      lost: () => {
        logger.warn({ nats: nameOf(target.url) }, 'nats-server is away');
      },
      restored: () => {
        logger.info({ nats: nameOf(target.url) }, 'nats-server is back');
      },
      failed: (error) => {
        logger.error({ nats: nameOf(target.url), error }, 'nats-server says that something is wrong');
      },
    });
    opened.add(() => closeConnection(connection));
    await ensureStreams(jsm, subjects, config.partitions, {
      ...options.retention,
      ...(options.replicas === undefined ? {} : { replicas: options.replicas }),
      ...(options.node ? { ingest: { historyMs: config.historyMs, bytesMax: INGEST_BYTES_MAX } } : {}),
      metadata: options.node ? { [CARD_KEY]: cardOf(config, registry) } : {},
    });
    const logOf = (stream: string): NatsLog => new NatsLog(connection, jsm, { stream, writer });
    const log = logOf(subjects.engineStream);

    let node: Node | undefined;
    const publishers: Publisher[] = [];
    if (store !== undefined) {
      // Opened before the node, and so closed after it: its last commit is published too.
      const targets: PublishTarget[] = [sideTarget(logOf(subjects.sideStream), subjects)];
      if (options.publishRows) targets.push(aggregateTarget(logOf(subjects.aggregateStream), subjects));
      for (const to of targets) {
        for (let partition = 0; partition < config.partitions; partition++)
          publishers.push(
            new Publisher({ source: log, target: to, subjects, partition, clock: systemClock }),
          );
      }
      opened.add(() => Promise.all(publishers.map((publisher) => publisher.stop())));
      await Promise.all(publishers.map((publisher) => publisher.start()));
      for (const publisher of publishers) publisher.finished.catch(fail);
      node = newNode(options, { config, registry, subjects, log, store, writer });
      const starting = node;
      opened.add(() => starting.stop());
      await starting.start();
      starting.finished.catch(fail);
      if (options.retention !== undefined) {
        const outputs = new OutputRetention({
          log,
          subjects,
          clock: systemClock,
          publishers,
          keepMs: options.retention.outputsMs,
          onFailure: (error) => {
            logger.warn({ err: error }, 'old outputs could not be removed now');
          },
        });
        outputs.start();
        opened.add(() => outputs.stop());
      }
    }
    const nats = (): ReturnType<Engine['nats']> => ({
      url: nameOf(target.url),
      version: connection.info?.version ?? 'unknown',
      embedded: server !== undefined,
      connected: ConnectionWatch.of(connection).connected,
    });
    return {
      config,
      subjects,
      registry,
      model,
      log,
      node,
      publishers,
      server,
      logOf,
      nats,
      streamSizes: () => streamSizes(jsm, subjects),
      failed,
      close: () => opened.close(),
    };
  } catch (error) {
    await opened.close().catch(() => undefined);
    throw error;
  }
}

/** The data folder; a temporary one is removed at the end. */
async function folderFor({ dataDir }: EngineOptions, opened: Opened): Promise<string> {
  if (dataDir !== undefined) return dataDir;
  const temporary = await mkdtemp(join(tmpdir(), 'groundswell-'));
  opened.add(() => rm(temporary, { recursive: true, force: true }));
  return temporary;
}

async function startServer(
  dataDir: string,
  options: EngineOptions,
  opened: Opened,
  fail: (error: unknown) => void,
): Promise<SupervisedServer> {
  const { logger = silent, maxFileStoreBytes, onProgress } = options;
  const { path } = await locateNatsServer({ onProgress });
  const lines = logger.child({ from: 'nats-server' });
  const server = await superviseServer({
    dataDir,
    binary: path,
    clock: systemClock,
    ...(maxFileStoreBytes === undefined ? {} : { maxFileStoreBytes }),
    onLog: ({ level, message }) => {
      // What it says of itself at each start is for who asks; its password is new at each start, in a file of ours alone.
      const expected = level === 'info' || message.startsWith('Plaintext passwords');
      lines[expected ? 'debug' : level]({}, message);
    },
    onRestart: (why) => {
      logger.warn({ why }, 'the embedded nats-server had ended and was started again');
    },
  });
  opened.add(() => server.stop());
  server.failed.catch(fail);
  if (options.publishRows) onProgress(`rows are published at ${server.url} (no user needed to subscribe)`);
  return server;
}

/** A URL without user and password. */
function nameOf(url: string): string {
  return url.replace(/\/\/[^@/]*@/, '//');
}

async function closeConnection(connection: NatsConnection): Promise<void> {
  if (!connection.isClosed()) await connection.close();
}

function newNode(
  options: EngineOptions,
  parts: {
    config: RegionConfig;
    registry: Registry;
    subjects: Subjects;
    log: NatsLog;
    store: LmdbStore;
    writer: string;
  },
): Node {
  const { config, writer, ...rest } = parts;
  const { limits } = config;
  const { logger = silent, observer } = options;
  return new Node({
    ...rest,
    clock: systemClock,
    partitions: config.partitions,
    partition: {
      writer,
      time: {
        outOfOrderBoundMs: config.outOfOrderBoundMs,
        idleTimeoutMs: config.idleTimeoutMs,
        forgetAfterMs: config.historyMs,
      },
      paneMs: config.windowsMs[0]!,
      duplicateWindowMs: config.duplicateWindowMs,
    },
    limits: {
      turnBytes: limits.turnBytes,
      uncommittedEventsMax: limits.stepEvents,
      batchBytesMax: limits.commitBytes,
      residentActorsMax: limits.residentActors,
      historyMs: config.historyMs,
      ...options.limits,
    },
    ...(observer === undefined ? {} : { observer }),
    onRetry: (cause, attempt) => {
      logger.warn({ cause, attempt }, 'a commit was not taken yet, and is tried again');
    },
  });
}
