/** Servers and nodes of one region, as operators would run them, and the question whether all of it has settled. */
import { appendFile, copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from 'nats';
import { locateNatsServer } from '../../src/log/nats/server/locate.js';
import { Subjects } from '../../src/log/subjects.js';
import type { NodeStatus } from '../../src/node/status.js';
import type { RegionConfig } from '../../src/ingest/region.js';
import { NodeProcess } from './node-process.js';
import { Servers } from './servers.js';
import { waitFor } from './waiting.js';

export interface StackOptions {
  readonly folder: string;
  readonly region: RegionConfig;
  /** The region's file; how many standbys it has is written to a copy. */
  readonly regionFile: string;
  readonly nodes: number;
  /** Undefined: as the region's file says. */
  readonly standbys: number | undefined;
  readonly cluster: boolean;
  onUnexpectedEnd(node: NodeProcess, what: string): void;
  /** A first start failed, and is tried again. */
  onNotStarted(what: string): void;
}

const SETTLED = { deadlineMs: 60_000, pollMs: 100 };
const LAG_MAX = 2_000;

export class Stack {
  readonly servers: Servers;
  readonly nodes: readonly NodeProcess[];
  readonly connection: NatsConnection;
  readonly region: RegionConfig;
  readonly regionFile: string;
  readonly standbys: number | undefined;
  readonly #folder: string;
  readonly #jsm: JetStreamManager;

  static async open(options: StackOptions): Promise<Stack> {
    const { folder, region, standbys, cluster } = options;
    await mkdir(folder, { recursive: true });
    const regionFile = join(folder, `${region.name}.yaml`);
    await copyFile(options.regionFile, regionFile);
    if (standbys !== undefined && !/^standbys:/m.test(await readFile(regionFile, 'utf8')))
      await appendFile(regionFile, `\nstandbys: ${standbys}\n`);
    const { path: binary } = await locateNatsServer();
    const servers = await Servers.start({ binary, folder: join(folder, 'nats'), count: cluster ? 3 : 1 });
    let connection: NatsConnection | undefined;
    const nodes: NodeProcess[] = [];
    try {
      connection = await connect({
        servers: servers.urls,
        name: 'crash test',
        maxReconnectAttempts: -1,
        reconnectTimeWait: 100,
      });
      for (let i = 1; i <= options.nodes; i++) {
        const node: NodeProcess = new NodeProcess({
          name: `n${i}`,
          region: region.name,
          regionFile,
          nats: servers.url,
          replicas: cluster ? 3 : 1,
          folder,
          onUnexpectedEnd: (what) => {
            options.onUnexpectedEnd(node, what);
          },
        });
        nodes.push(node);
      }
      await Promise.all(
        nodes.map((node) =>
          startAgain(node, (error) => {
            options.onNotStarted(messageOf(error));
          }),
        ),
      );
      const jsm = await jetstreamManager(connection);
      return new Stack({ servers, nodes, connection, region, regionFile, standbys }, folder, jsm);
    } catch (error) {
      await Promise.all(nodes.map((node) => node.close()));
      await connection?.close();
      await servers.close();
      throw error;
    }
  }

  private constructor(
    parts: Pick<Stack, 'servers' | 'nodes' | 'connection' | 'region' | 'regionFile' | 'standbys'>,
    folder: string,
    jsm: JetStreamManager,
  ) {
    this.#folder = folder;
    this.servers = parts.servers;
    this.nodes = parts.nodes;
    this.connection = parts.connection;
    this.region = parts.region;
    this.regionFile = parts.regionFile;
    this.standbys = parts.standbys;
    this.#jsm = jsm;
  }

  /** Number of the server that leads the region's stream; of a single server, its own. */
  async leader(): Promise<number> {
    if (this.servers.count === 1) return 0;
    const { engineStream } = new Subjects(this.region.name);
    const info = await this.#jsm.streams.info(engineStream).catch(() => undefined);
    return Math.max(0, this.servers.indexOf(info?.cluster?.leader ?? ''));
  }

  /** Resolves when every partition has one owner and its standbys, and all of it flows. @throws Error saying what does not */
  async settled(): Promise<void> {
    let why = 'nothing is known';
    await waitFor(
      'all has settled',
      async () => {
        const statuses = await Promise.all(this.nodes.map((node) => node.status()));
        why = unsettled(statuses, this.region.partitions, this.standbys ?? 0) ?? '';
        return why === '' ? true : undefined;
      },
      SETTLED,
    ).catch(async (error: unknown) => {
      await this.#keepStatuses();
      throw new Error(`${messageOf(error)}: ${why}`, { cause: error });
    });
  }

  /** What each node says, into its folder: for whoever looks for the reason. */
  async #keepStatuses(): Promise<void> {
    const name = `unsettled-${new Date().toISOString()}.json`;
    const statuses = await Promise.all(this.nodes.map(async (node) => [node.name, await node.whole()]));
    await writeFile(join(this.#folder, name), JSON.stringify(Object.fromEntries(statuses), undefined, 1));
  }

  async close(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.close()));
    await this.connection.close();
    await this.servers.close();
  }
}

const START_TRIES = 10;
const START_PAUSE_MS = 500;

/** Starts a node, and again when that fails, as a service manager would. @throws Error when it never comes up */
export async function startAgain(node: NodeProcess, onFailure: (error: unknown) => void): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      await node.start();
      return;
    } catch (error) {
      await node.kill();
      onFailure(error);
      if (tries === START_TRIES) throw error;
      await sleep(START_PAUSE_MS);
    }
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Why things have not settled; undefined when they have. */
export function unsettled(
  statuses: readonly (NodeStatus | undefined)[],
  partitions: number,
  standbys: number,
): string | undefined {
  const owners = new Map<number, number>();
  const ready = new Map<number, number>();
  for (const [i, status] of statuses.entries()) {
    const name = `n${i + 1}`;
    if (status === undefined) return `${name} does not answer`;
    if (status.serving === false) return `${name} does not serve`;
    for (const { partition, lagMessages } of status.partitions) {
      owners.set(partition, (owners.get(partition) ?? 0) + 1);
      if (lagMessages > LAG_MAX) return `${name} is ${lagMessages} messages behind in partition ${partition}`;
    }
    for (const { partition, ready: isReady } of status.followed ?? [])
      if (isReady) ready.set(partition, (ready.get(partition) ?? 0) + 1);
  }
  const wanted = Math.min(standbys, statuses.length - 1);
  for (let partition = 0; partition < partitions; partition++) {
    const count = owners.get(partition) ?? 0;
    if (count !== 1) return `partition ${partition} has ${count} owners`;
    if ((ready.get(partition) ?? 0) < wanted)
      return `partition ${partition} has ${ready.get(partition) ?? 0} standbys that are ready, of ${wanted}`;
  }
  return undefined;
}
