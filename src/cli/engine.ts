/**
 * Wires an engine for a command: the region's configuration, its actors, the data folder, a nats-server, the logs, and, where
 * the command does the work itself, a node. Owns what has to be there before what: they are closed in the opposite order.
 */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { marketActors } from '../../actors/index.js';
import { Registry } from '../actor/registry.js';
import { loadRegion, type RegionConfig } from '../ingest/region.js';
import { ConnectionWatch } from '../log/nats/connection-watch.js';
import type { NatsTarget } from '../log/nats/connect.js';
import { journalMessages } from '../log/nats/journal-messages.js';
import { NatsLog } from '../log/nats/nats-log.js';
import { NatsRequests } from '../log/nats/nats-requests.js';
import type { SupervisedServer } from '../log/nats/server/supervised.js';
import { streamSizes } from '../log/nats/streams.js';
import type { Requests } from '../log/requests.js';
import { Subjects } from '../log/subjects.js';
import type { LinearModel } from '../model/linear.js';
import { loadLinearModel } from '../model/load.js';
import type { DataFolder } from '../node/data-folder.js';
import type { Node } from '../node/node.js';
import type { Publishers } from '../serve/publishers.js';
import type { LmdbStore } from '../state/lmdb/lmdb-store.js';
import { accessTo, connectTo, ensureRegion, nameOf } from './engine-connection.js';
import type { openNode } from './engine-node.js';
import type { EngineOptions } from './engine-options.js';
import { bothEnded, failureSignal, Opened } from './opened.js';
import { CONFIG_FOLDER } from './package-root.js';

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
  /** How another thread or process of ours gets to the server: plain data. */
  readonly target: NatsTarget;
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
  /** What `close` waits for, in words. */
  readonly closing: string | undefined;
}

/** A region as its files describe it. */
export interface EngineConfig {
  readonly config: RegionConfig;
  readonly registry: Registry;
  readonly model: LinearModel;
}

/** The region's configuration and its actors: what `check` checks, and what every command starts from. */
export async function loadEngineConfig(options: {
  region: string;
  configFile?: string | undefined;
  partitions?: number | undefined;
  live?: boolean;
}): Promise<EngineConfig> {
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

/** @param loading the configuration, from whoever has loaded it */
export async function openEngine(
  options: EngineOptions,
  loading: EngineConfig | Promise<EngineConfig> = loadEngineConfig(options),
): Promise<Engine> {
  const { config, registry, model } = await loading;
  const subjects = new Subjects(config.name);
  const opened = new Opened();
  const { failed, fail } = failureSignal();
  try {
    const folder = await folderOf(options, opened);
    // A node is loaded while the server starts. Nothing is made on that before it is known that the snapshots are the region's.
    const [server, here] = await bothEnded(
      ownServer(options, folder, opened, fail),
      nodeOn(options, folder, config, opened),
    );
    const target = options.nats ?? accessTo(server!);
    const writer = randomUUID();
    const connected = await connectTo(target, config.name, options, opened);
    const { connection, jsm } = connected;
    await ensureRegion(connected, options, { config, registry, subjects, server });
    options.onRegion?.(target);
    const logOf = (stream: string): NatsLog => new NatsLog(connection, jsm, { stream, writer });
    const log = logOf(subjects.engineStream);
    const requests = new NatsRequests(connection);
    let membersChanged = (): void => undefined;
    const onMembers = (): void => {
      membersChanged();
    };
    const nodeId = folder?.nodeId;
    const parts = { config, registry, subjects, connected, log, logOf, requests, writer, onMembers };
    const own = await here?.open(options, { ...parts, store: here.store, nodeId: nodeId! }, opened, fail);
    return {
      ...{ config, subjects, registry, model, log, logOf, requests, server, target, nodeId, failed },
      node: own?.node,
      publishers: own?.publishers,
      instance: writer,
      onMembers: (listener) => {
        membersChanged = listener;
      },
      nats: () => ({
        url: nameOf(target),
        version: connection.info?.version ?? 'unknown',
        embedded: server !== undefined,
        connected: ConnectionWatch.of(connection).connected,
      }),
      streamSizes: () => streamSizes(jsm, subjects),
      journals: () => journalMessages(jsm, subjects),
      close: () => opened.close(),
      get closing() {
        return opened.closing;
      },
    };
  } catch (error) {
    await opened.close().catch(() => undefined);
    throw error;
  }
}

/** Where a node, or what hosts nodes, keeps its data. A client keeps nothing, and loads nothing of that. */
async function folderOf(options: EngineOptions, opened: Opened): Promise<DataFolder | undefined> {
  if (!options.node && options.hosts !== true) return undefined;
  const { openFolder } = await import('./engine-folder.js');
  return openFolder(options, randomUUID, opened);
}

/** What a node here needs before there is a server: its program, and its snapshots. */
async function nodeOn(
  options: EngineOptions,
  folder: DataFolder | undefined,
  config: RegionConfig,
  opened: Opened,
): Promise<{ store: LmdbStore; open: typeof openNode } | undefined> {
  if (!options.node) return undefined;
  const { openNode, openStore } = await import('./engine-node.js');
  return { store: await openStore(options, folder!, config, opened), open: openNode };
}

/** The server under the data folder, unless there is one elsewhere: whoever keeps nothing has that. */
async function ownServer(
  options: EngineOptions,
  folder: DataFolder | undefined,
  opened: Opened,
  fail: (error: unknown) => void,
): Promise<SupervisedServer | undefined> {
  if (options.nats !== undefined) return undefined;
  const { startServer } = await import('./engine-server.js');
  return startServer(folder!.path, options, opened, fail);
}
