/** A region as users have it, for tests of what comes in: an embedded nats-server, LMDB, a node; and what it says to the world. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Row } from '../../src/actor/row.js';
import type { Registry } from '../../src/actor/registry.js';
import { loadEngineConfig } from '../../src/cli/engine.js';
import { systemClock } from '../../src/core/clock.js';
import { CARD_KEY, cardOf } from '../../src/ingest/region-card.js';
import type { RegionConfig } from '../../src/ingest/region.js';
import { connectNats, ensureStreams } from '../../src/log/nats/connect.js';
import { NatsLog } from '../../src/log/nats/nats-log.js';
import { startEmbeddedServer, type EmbeddedServer } from '../../src/log/nats/server/embedded.js';
import { locateNatsServer, WAYS } from '../../src/log/nats/server/locate.js';
import { releaseWay } from '../../src/log/nats/server/release.js';
import type { Log } from '../../src/log/log.js';
import type { StreamSettings } from '../../src/log/nats/streams.js';
import { Subjects } from '../../src/log/subjects.js';
import { InputHold } from '../../src/node/input-hold.js';
import { Node } from '../../src/node/node.js';
import type { SideOutput } from '../../src/partition/output.js';
import { OutputReader, sumCounter } from '../../src/serve/output-reader.js';
import { LmdbStore } from '../../src/state/lmdb/lmdb-store.js';
import { MINUTE } from './market.js';

export interface Said {
  readonly rows: readonly Row[];
  readonly sides: readonly SideOutput[];
  /** Sum of a counter over partitions. */
  readonly count: (name: string) => number;
}

export interface RealRegionOptions {
  readonly streams?: StreamSettings;
  /** Most events in one frame. */
  readonly frameEvents?: number;
  /** The node's log, made of the real one. */
  readonly nodeLog?: (log: NatsLog) => Log;
  /** Producers are asked to wait when more input messages than this wait in a partition. */
  readonly lagMessagesMax?: number;
}

export class RealRegion {
  readonly config: RegionConfig;
  readonly registry: Registry;
  readonly subjects: Subjects;
  readonly dataDir: string;
  server!: EmbeddedServer;
  node!: Node;
  #connected!: Awaited<ReturnType<typeof connectNats>>;
  readonly #binary: string;
  readonly #options: RealRegionOptions;
  /** Reasons for which commits were tried again. */
  readonly retries: string[] = [];
  #closing: (() => Promise<unknown>)[] = [];

  static async open(partitions = 4, options: RealRegionOptions = {}): Promise<RealRegion> {
    const { path } = await locateNatsServer({ ways: WAYS.filter((way) => way !== releaseWay) });
    const { config: loaded, registry } = await loadEngineConfig({ region: 'sf', partitions });
    const { frameEvents = loaded.limits.frameEvents } = options;
    const config = { ...loaded, limits: { ...loaded.limits, frameEvents } };
    const dataDir = await mkdtemp(join(tmpdir(), 'gs-region-'));
    const region = new RealRegion(config, registry, dataDir, path, options);
    region.server = await startEmbeddedServer({ dataDir, binary: path, clock: systemClock });
    region.#connected = await connectNats(region.server, 'a node of the tests');
    await ensureStreams(region.#connected.jsm, region.subjects, partitions, {
      ingest: { historyMs: config.historyMs, bytesMax: 64 * 1024 * 1024 },
      ...options.streams,
      metadata: { [CARD_KEY]: cardOf(config, registry) },
    });
    await region.startNode();
    return region;
  }

  private constructor(
    config: RegionConfig,
    registry: Registry,
    dataDir: string,
    binary: string,
    options: RealRegionOptions,
  ) {
    this.#options = options;
    this.config = config;
    this.registry = registry;
    this.subjects = new Subjects(config.name);
    this.dataDir = dataDir;
    this.#binary = binary;
  }

  /** What `openProducer` needs to bring events in as producers do. */
  get target(): { url: string; region: string; user: string; password: string } {
    const { url, producer } = this.server;
    return { url, region: this.config.name, user: producer.user, password: producer.password };
  }

  logOf(stream: string): NatsLog {
    const { connection, jsm } = this.#connected;
    return new NatsLog(connection, jsm, { stream, writer: randomUUID() });
  }

  get log(): NatsLog {
    return this.logOf(this.subjects.engineStream);
  }

  async startNode(): Promise<void> {
    const { config, registry, subjects } = this;
    const { partitions } = config;
    const store = await LmdbStore.open(join(this.dataDir, 'snapshots'), { region: config.name, partitions });
    const { nodeLog = (log) => log, lagMessagesMax } = this.#options;
    const { log } = this;
    this.node = new Node({
      log: nodeLog(log),
      store,
      subjects,
      clock: systemClock,
      registry,
      partitions,
      partition: {
        writer: randomUUID(),
        time: {
          outOfOrderBoundMs: config.outOfOrderBoundMs,
          idleTimeoutMs: config.idleTimeoutMs,
          clockToleranceMs: config.clockToleranceMs,
        },
        paneMs: MINUTE,
        duplicateWindowMs: config.duplicateWindowMs,
      },
      onRetry: (cause) => this.retries.push(cause),
    });
    const { node } = this;
    if (lagMessagesMax !== undefined) {
      const lags = () => node.status().partitions;
      const hold = new InputHold({
        log,
        subjects,
        clock: systemClock,
        partitions,
        lagMessagesMax,
        lags,
        lookEveryMs: 100,
      });
      hold.start();
      this.#closing.push(() => hold.stop());
    }
    this.#closing.push(
      () => node.stop(),
      () => store.close(),
    );
    await node.start();
  }

  async stopNode(): Promise<void> {
    for (const close of this.#closing) await close();
    this.#closing = [];
  }

  /** Ends the server as a crash would, and starts it again where its clients look for it. */
  async crashServer(): Promise<{ restart(): Promise<void> }> {
    const { server } = this;
    const { port } = new URL(server.url);
    process.kill(server.pid, 'SIGKILL');
    await server.exited.catch(() => undefined);
    return {
      restart: async () => {
        this.server = await startEmbeddedServer({
          dataDir: this.dataDir,
          binary: this.#binary,
          clock: systemClock,
          identity: {
            port: Number(port),
            password: server.password,
            producerPassword: server.producer.password,
          },
        });
      },
    };
  }

  /** All that was said, once every stage is closed up to a time everywhere. */
  async said(untilMs: number): Promise<Said> {
    const outputs = new OutputReader(this.log, this.subjects);
    const rows: Row[] = [];
    const sides: SideOutput[] = [];
    for await (const frames of outputs.frames(1)) {
      for (const frame of frames) {
        rows.push(...frame.rows);
        sides.push(...frame.sides);
      }
      const progress = [...outputs.progress.values()];
      const closed = progress.every((one) => one.closed.at(-1)! >= untilMs);
      if (progress.length === this.config.partitions && closed) break;
    }
    return { rows, sides, count: (name) => sumCounter(outputs.progress.values(), name) };
  }

  async close(): Promise<void> {
    await this.stopNode();
    await this.#connected.connection.close();
    await this.server.stop();
    await rm(this.dataDir, { recursive: true, force: true });
  }
}
