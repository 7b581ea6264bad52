/**
 * Wires an engine for a command: the region's configuration, its actors, a nats-server (one of its own under the data
 * folder, or one elsewhere), the logs, and, where the command does the work itself, a node.
 */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NatsConnection } from 'nats';
import { marketActors } from '../../actors/index.js';
import { Registry } from '../actor/registry.js';
import { systemClock } from '../core/clock.js';
import { GroundswellError } from '../core/errors.js';
import { loadRegion, type RegionConfig } from '../ingest/region.js';
import { connectNats, ensureStreams, type NatsTarget } from '../log/nats/connect.js';
import { NatsLog } from '../log/nats/nats-log.js';
import { startEmbeddedServer, type EmbeddedServer } from '../log/nats/server/embedded.js';
import { locateNatsServer } from '../log/nats/server/locate.js';
import { Subjects } from '../log/subjects.js';
import { loadLinearModel } from '../model/load.js';
import { openDataFolder } from '../node/data-folder.js';
import { Node } from '../node/node.js';
import { aggregateTarget, Publisher, sideTarget, type PublishTarget } from '../serve/publisher.js';
import { LmdbStore } from '../state/lmdb/lmdb-store.js';
import { CONFIG_FOLDER } from './package-root.js';

export interface EngineOptions {
  readonly region: string;
  readonly configFile?: string | undefined;
  readonly partitions?: number | undefined;
  /** Without it, a temporary folder that is removed at the end. */
  readonly dataDir?: string | undefined;
  /** A server elsewhere: then this process is no node, and has no data folder. */
  readonly nats?: NatsTarget | undefined;
  /** Publish rows one by one on the aggregate subjects. */
  readonly publishRows: boolean;
  /** Steps of getting ready, for people. */
  readonly onProgress: (line: string) => void;
}

export interface Engine {
  readonly config: RegionConfig;
  readonly subjects: Subjects;
  readonly registry: Registry;
  readonly log: NatsLog;
  readonly node: Node | undefined;
  /** Rejects when a part of the engine fails; never resolves before `close`. */
  readonly failed: Promise<never>;
  close(): Promise<void>;
}

/** The region's configuration and its actors: what `check` checks, and what every command starts from. */
export async function loadEngineConfig(options: {
  region: string;
  configFile?: string | undefined;
  partitions?: number | undefined;
}): Promise<{
  config: RegionConfig;
  registry: Registry;
}> {
  const { region, configFile, partitions } = options;
  const loaded = await loadRegion({
    name: region,
    dir: join(CONFIG_FOLDER, 'regions'),
    ...(configFile === undefined ? {} : { file: configFile }),
  });
  const config = partitions === undefined ? loaded : { ...loaded, partitions };
  const model = await loadLinearModel(join(CONFIG_FOLDER, 'models', `${config.model}.json`));
  return { config, registry: new Registry(marketActors({ ...config, model })) };
}

export async function openEngine(options: EngineOptions): Promise<Engine> {
  const { config, registry } = await loadEngineConfig(options);
  const subjects = new Subjects(config.name);
  /** What was opened, in order: closed in the opposite one. */
  const opened: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    let failure: unknown;
    for (let undo = opened.pop(); undo !== undefined; undo = opened.pop()) {
      // One part that fails to close must not keep the others open.
      await undo().catch((error: unknown) => (failure ??= error));
    }
    if (failure !== undefined) throw asError(failure);
  };
  try {
    let fail: (error: unknown) => void = () => undefined;
    const failed = new Promise<never>((_, reject) => {
      fail = reject;
    });
    failed.catch(() => undefined);

    let target = options.nats;
    let store: LmdbStore | undefined;
    if (target === undefined) {
      let dataDir = options.dataDir;
      if (dataDir === undefined) {
        const temporary = await mkdtemp(join(tmpdir(), 'groundswell-'));
        opened.push(() => rm(temporary, { recursive: true, force: true }));
        dataDir = temporary;
      }
      const folder = await openDataFolder(dataDir);
      opened.push(() => folder.release());
      const opening = await LmdbStore.open(folder.snapshots, {
        region: config.name,
        partitions: config.partitions,
      });
      opened.push(() => opening.close());
      store = opening;
      const server = await startServer(dataDir, options.onProgress);
      let stopping = false;
      opened.push(async () => {
        stopping = true;
        await server.stop();
      });
      server.exited.then(({ code, signal }) => {
        if (!stopping) fail(serverGone(code, signal, server.logFile));
      }, fail);
      if (options.publishRows)
        options.onProgress(`rows are published at ${server.url} (no user needed to subscribe)`);
      target = { url: server.url, user: server.user, password: server.password };
    }
    const writer = randomUUID();
    const { connection, jsm } = await connectNats(target, `groundswell ${config.name}`);
    opened.push(() => closeConnection(connection));
    await ensureStreams(jsm, subjects, config.partitions);
    const logOf = (stream: string): NatsLog => new NatsLog(connection, jsm, { stream, writer });
    const log = logOf(subjects.engineStream);

    let node: Node | undefined;
    if (store !== undefined) {
      // Opened before the node, and so closed after it: its last commit is published too.
      const targets: PublishTarget[] = [sideTarget(logOf(subjects.sideStream), subjects)];
      if (options.publishRows) targets.push(aggregateTarget(logOf(subjects.aggregateStream), subjects));
      const publishers = targets.flatMap((to) =>
        Array.from(
          { length: config.partitions },
          (_, partition) =>
            new Publisher({ source: log, target: to, subjects, partition, clock: systemClock }),
        ),
      );
      opened.push(() => Promise.all(publishers.map((publisher) => publisher.stop())));
      await Promise.all(publishers.map((publisher) => publisher.start()));
      for (const publisher of publishers) publisher.finished.catch(fail);
      const starting = newNode(config, registry, subjects, log, store, writer);
      opened.push(() => starting.stop());
      await starting.start();
      starting.finished.catch(fail);
      node = starting;
    }
    return { config, subjects, registry, log, node, failed, close };
  } catch (error) {
    await close().catch(() => undefined);
    throw error;
  }
}

function serverGone(code: number | null, signal: string | null, logFile: string): GroundswellError {
  return new GroundswellError(
    'GS_NATS_START',
    `The embedded nats-server ended (${signal ?? `exit code ${code ?? '?'}`}).`,
    {
      remedy: `Read ${logFile}, then run the same command again: nothing that was committed is lost.`,
    },
  );
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

async function startServer(dataDir: string, onProgress: (line: string) => void): Promise<EmbeddedServer> {
  const { path } = await locateNatsServer({ onProgress });
  return startEmbeddedServer({ dataDir, binary: path, clock: systemClock });
}

async function closeConnection(connection: NatsConnection): Promise<void> {
  if (!connection.isClosed()) await connection.close();
}

function newNode(
  config: RegionConfig,
  registry: Registry,
  subjects: Subjects,
  log: NatsLog,
  store: LmdbStore,
  writer: string,
): Node {
  const { limits } = config;
  return new Node({
    log,
    store,
    subjects,
    clock: systemClock,
    registry,
    partitions: config.partitions,
    partition: {
      writer,
      time: { outOfOrderBoundMs: config.outOfOrderBoundMs, idleTimeoutMs: config.idleTimeoutMs },
      paneMs: config.windowsMs[0]!,
      duplicateWindowMs: config.duplicateWindowMs,
    },
    limits: {
      turnBytes: limits.turnBytes,
      uncommittedEventsMax: limits.stepEvents,
      batchBytesMax: limits.commitBytes,
      residentActorsMax: limits.residentActors,
      historyMs: config.historyMs,
    },
  });
}
