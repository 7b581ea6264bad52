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
import { SteadyClock } from '../core/steady-clock.js';
import { silent, type Logger } from '../core/logger.js';
import { CARD_KEY, cardOf } from '../ingest/region-card.js';
import { loadRegion, type RegionConfig } from '../ingest/region.js';
import { connectNats, ensureStreams, type NatsTarget } from '../log/nats/connect.js';
import { ConnectionWatch } from '../log/nats/connection-watch.js';
import { journalMessages } from '../log/nats/journal-messages.js';
import { ensureLeases } from '../log/nats/lease-bucket.js';
import { NatsLeases } from '../log/nats/nats-leases.js';
import { NatsLog } from '../log/nats/nats-log.js';
import { NatsObjects } from '../log/nats/nats-objects.js';
import { NatsRequests } from '../log/nats/nats-requests.js';
import { locateNatsServer } from '../log/nats/server/locate.js';
import { superviseServer, type SupervisedServer } from '../log/nats/server/supervised.js';
import { streamSizes } from '../log/nats/streams.js';
import type { Requests } from '../log/requests.js';
import { Subjects } from '../log/subjects.js';
import type { LinearModel } from '../model/linear.js';
import { loadLinearModel } from '../model/load.js';
import type { BasesOptions } from '../node/bases.js';
import { openDataFolder, type DataFolder } from '../node/data-folder.js';
import { InputHold } from '../node/input-hold.js';
import { VmGuard } from '../node/handler-guard.js';
import { Node, type MembershipOptions, type NodeLimits } from '../node/node.js';
import type { NodeObserver } from '../node/status.js';
import { untilClaimed } from '../serve/nodes/first-share.js';
import { answerPeers } from '../serve/nodes/peer-server.js';
import { aggregateTarget, sideTarget, type PublishTarget } from '../serve/publisher.js';
import { Publishers } from '../serve/publishers.js';
import type { LmdbStore } from '../state/lmdb/lmdb-store.js';
import { openSnapshots } from '../state/lmdb/open-snapshots.js';
import { failureSignal, Opened } from './opened.js';
import { OutputRetention } from './output-retention.js';
import { CONFIG_FOLDER, packageVersion } from './package-root.js';

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
  /** The node shares the region with others; without it, it owns all partitions. */
  readonly shared?: Shared | undefined;
  /** No node here, but in processes that this one starts: what they need of folder and streams is made here. */
  readonly hosts?: boolean;
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
  /** How base snapshots are kept; without it there are none, and journals stay whole. */
  readonly bases?: Omit<BasesOptions, 'objects'>;
  /** Limit of the engine's stream; without it, none but the store's. */
  readonly engineBytesMax?: number | undefined;
  readonly logger?: Logger;
  readonly observer?: NodeObserver;
  /** Steps of getting ready, for people. */
  readonly onProgress: (line: string) => void;
}

/** What the other nodes of the region get to know of this one. */
export interface Shared {
  readonly name: string;
  readonly weight: number;
  /** As the region's file says unless given. */
  readonly standbys?: number | undefined;
  /** Where its HTTP server answers. */
  readonly http?: string | undefined;
}

/** How long things stay in the streams, ms. */
export interface Retention {
  readonly aggregatesMs: number;
  readonly sidesMs: number;
  readonly outputsMs: number;
}

/** Of the embedded server's store: producers are asked to wait when the engine's stream has nearly so much. */
const ENGINE_SHARE = 0.8;
/** Raw events that may wait to be taken; more are refused where they are published. */
const INGEST_BYTES_MAX = 256 * 1024 ** 2;

export interface Engine {
  readonly config: RegionConfig;
  readonly subjects: Subjects;
  readonly registry: Registry;
  readonly model: LinearModel;
  readonly log: NatsLog;
  readonly node: Node | undefined;
  /** Of this process alone. */
  readonly instance: string;
  /** Calls back whenever the nodes of the region have changed. */
  onMembers(listener: () => void): void;
  /** Of the node, or of the folder. */
  readonly nodeId: string | undefined;
  /** How other nodes are asked. */
  readonly requests: Requests;
  readonly publishers: Publishers | undefined;
  /** The embedded server; undefined with one elsewhere. */
  readonly server: SupervisedServer | undefined;
  /** The region's other streams. */
  logOf(stream: string): NatsLog;
  nats(): { url: string; version: string; embedded: boolean; connected: boolean };
  /** What the region's streams hold. */
  streamSizes(): Promise<{ stream: string; bytes: number; messages: number }[]>;
  /** Messages in the journals, by partition. */
  journals(): Promise<ReadonlyMap<number, number>>;
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
    const { node: hasNode, hosts = false } = options;
    let store: LmdbStore | undefined;
    let folder: DataFolder | undefined;
    if (hasNode || hosts) {
      const locked = await openDataFolder(dataDir, randomUUID);
      folder = locked;
      opened.add(() => locked.release());
    }
    if (hasNode && folder !== undefined) {
      store = await openSnapshots({
        folder: folder.snapshots,
        identity: { region: config.name, partitions: config.partitions },
        clock: systemClock,
        onLost: (why) => {
          logger.warn({}, why);
        },
      });
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
      ...(options.engineBytesMax === undefined ? {} : { engineBytesMax: options.engineBytesMax }),
      // The store's other streams need room too.
      ...(server === undefined
        ? {}
        : { engineBytesAdvised: Math.floor(server.storeBytesMax * ENGINE_SHARE) }),
      ...(hasNode || hosts ? { ingest: { historyMs: config.historyMs, bytesMax: INGEST_BYTES_MAX } } : {}),
      metadata: hasNode || hosts ? { [CARD_KEY]: cardOf(config, registry) } : {},
    });
    const logOf = (stream: string): NatsLog => new NatsLog(connection, jsm, { stream, writer });
    const log = logOf(subjects.engineStream);
    const requests = new NatsRequests(connection);

    let node: Node | undefined;
    let membersChanged = (): void => undefined;
    let publishers: Publishers | undefined;
    if (store !== undefined) {
      const targets: PublishTarget[] = [sideTarget(logOf(subjects.sideStream), subjects)];
      if (options.publishRows) targets.push(aggregateTarget(logOf(subjects.aggregateStream), subjects));
      const publishing = new Publishers({
        source: log,
        targets,
        subjects,
        clock: systemClock,
        onFailure: fail,
      });
      publishers = publishing;
      // Closed after the node: its last commit is published too.
      opened.add(() => publishing.close());
      const { shared } = options;
      let membership: MembershipOptions | undefined;
      if (shared !== undefined) {
        const { replicas } = options;
        await ensureLeases(jsm, subjects, replicas === undefined ? {} : { replicas });
        const { nodesBucket: bucket } = subjects;
        membership = {
          ...{ leases: new NatsLeases(connection, jsm, { bucket }), id: folder!.nodeId, name: shared.name },
          ...{
            weight: shared.weight,
            standbys: shared.standbys ?? config.standbys,
            version: packageVersion(),
          },
          ...(shared.http === undefined ? {} : { http: shared.http }),
        };
      }
      let bases: BasesOptions | undefined;
      if (options.bases !== undefined) {
        const { replicas } = options;
        const objects = await NatsObjects.open({
          ...{ connection, jsm, bucket: subjects.baseBucket },
          ...(replicas === undefined ? {} : { replicas }),
        });
        bases = { ...options.bases, objects };
      }
      node = newNode(options, {
        bases,
        ...{ config, registry, subjects, log, store, writer, publishing, membership },
        onMembers: () => {
          membersChanged();
        },
      });
      const starting = node;
      if (membership !== undefined) {
        const { id, name } = membership;
        const answering = await answerPeers({
          ...{ requests, subjects, id, name, node: starting },
          publisher: () => ({ published: publishing.published, lagMessages: publishing.lagMessages }),
        });
        // Closed after the node: it tells how its draining goes.
        opened.add(() => answering.close());
      }
      opened.add(() => starting.stop());
      await starting.start();
      starting.finished.catch(fail);
      // Ready is who has what is its own: as a node that is alone, which owns all when it has started.
      await untilClaimed(starting, systemClock);
      const hold = new InputHold({
        log,
        subjects,
        clock: systemClock,
        partitions: config.partitions,
        lagMessagesMax: config.limits.lagMessages,
        lags: () => starting.status().partitions,
        onFailure: (cause) => {
          logger.warn({ cause }, 'whether producers are to wait could not be told now');
        },
      });
      hold.start();
      opened.add(() => hold.stop());
      if (options.retention !== undefined) {
        const outputs = new OutputRetention({
          log,
          subjects,
          clock: systemClock,
          publishers: () => publishing.all,
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
      instance: writer,
      onMembers: (listener) => {
        membersChanged = listener;
      },
      nodeId: folder?.nodeId,
      requests,
      publishers,
      server,
      logOf,
      nats,
      streamSizes: () => streamSizes(jsm, subjects),
      journals: () => journalMessages(jsm, subjects),
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
    publishing: Publishers;
    membership: MembershipOptions | undefined;
    bases: BasesOptions | undefined;
    onMembers: () => void;
  },
): Node {
  const { config, writer, publishing, membership, bases, ...rest } = parts;
  const { limits } = config;
  const { logger = silent, observer } = options;
  return new Node({
    ...rest,
    ...(bases === undefined ? {} : { bases }),
    clock: new SteadyClock(systemClock),
    partitions: config.partitions,
    partition: {
      writer,
      time: {
        outOfOrderBoundMs: config.outOfOrderBoundMs,
        idleTimeoutMs: config.idleTimeoutMs,
        forgetAfterMs: config.historyMs,
        clockToleranceMs: config.clockToleranceMs,
      },
      paneMs: config.windowsMs[0]!,
      duplicateWindowMs: config.duplicateWindowMs,
      poison: {
        actorStateBytesMax: limits.actorStateBytesMax,
        handlerTimeMaxMs: limits.handlerTimeMaxMs,
        quarantineAfter: limits.quarantineAfter,
        quarantineKeepMax: limits.quarantineKeepMax,
      },
      guard: new VmGuard(),
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
    ...(membership === undefined ? {} : { membership }),
    logger,
    onOwned: (partition) => {
      publishing.begin(partition);
    },
    onDropped: (partition) => {
      publishing.end(partition);
    },
    onRetry: (cause, attempt) => {
      logger.warn({ cause, attempt }, 'a commit was not taken yet, and is tried again');
    },
  });
}
