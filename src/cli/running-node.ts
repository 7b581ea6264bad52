/**
 * A node with everything that people and programs reach it by: engine, view, intake over HTTP and raw subjects, the HTTP
 * server. What `start` leaves running, and what `demo` shows.
 */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { systemClock } from '../core/clock.js';
import { Cover, geohash30 } from '../core/geohash.js';
import type { Logger } from '../core/logger.js';
import { EventChecker } from '../ingest/check.js';
import { LiveProducer } from '../ingest/live-producer.js';
import { Producer } from '../ingest/producer.js';
import { RawPump } from '../ingest/raw-pump.js';
import { knownRegions, loadRegion } from '../ingest/region.js';
import type { NodeObserver } from '../node/status.js';
import { Metrics } from '../serve/http/metrics.js';
import { ROUTES } from '../serve/http/routes.js';
import { startHttp } from '../serve/http/server.js';
import { within } from '../serve/http/within.js';
import { Peers } from '../serve/nodes/peers.js';
import { RegionNodes, type NodeHere } from '../serve/nodes/region-nodes.js';
import { RegionView } from '../serve/region-view.js';
import { CommitLatency } from './commit-latency.js';
import { LastWords, producerOf } from './last-words.js';
import { hostWorkers, type HostedWorkers } from './hosted-workers.js';
import type { WorkerStart } from './worker-messages.js';
import { openEngine, type Engine } from './engine.js';
import type { EngineOptions } from './engine-options.js';
import { failureSignal, Opened } from './opened.js';
import { CONFIG_FOLDER, packageVersion } from './package-root.js';

export interface RunningNodeOptions extends Omit<
  EngineOptions,
  'node' | 'hosts' | 'live' | 'publishRows' | 'observer' | 'logger'
> {
  /** Of this node. */
  readonly name: string;
  readonly http: {
    readonly host: string;
    readonly port: number;
    /** Lets go of the port, when it was held until now. */
    release?(): Promise<void>;
  };
  /** Nodes that work in processes of their own, in the place of one in this process. */
  readonly workers?: {
    readonly count: number;
    readonly logLevel: WorkerStart['logLevel'];
    readonly logger: Logger;
  };
  readonly readyLagMax: number;
  readonly logger: Logger;
  /** The region ends with this node: when it stops, all windows may close. */
  readonly ends?: boolean;
  /** Called when the engine runs and takes nothing from outside yet. */
  beforeIntake?(engine: Engine): Promise<void>;
}

/** Options that are none of a worker's. */
const HERE_ONLY = {
  ...{ name: undefined, http: undefined, workers: undefined, readyLagMax: undefined },
  ...{ ends: undefined, logger: undefined, limits: undefined },
} as const;
/** A status waits no longer for what the stream says of the journals. */
const JOURNALS_MS = 1_000;

export class RunningNode {
  readonly engine: Engine;
  readonly view: RegionView;
  readonly latency: CommitLatency;
  /** Where its HTTP server answers. */
  readonly url: string;
  /** Rejects when a part fails; never resolves. */
  readonly failed: Promise<never>;
  readonly #intake: Opened;
  readonly #rest: Opened;
  readonly #begin: { draining: boolean };

  static async open(options: RunningNodeOptions): Promise<RunningNode> {
    const { logger } = options;
    const rest = new Opened();
    const intake = new Opened();
    const { failed, fail } = failureSignal();
    const begin = { draining: false };
    try {
      const metrics = new Metrics();
      rest.add('metrics', () => Promise.resolve(metrics.close()));
      const latency = new CommitLatency();
      const observer = latency.observing(metrics.observer);
      const engine = await openEngine({
        ...options,
        node: options.workers === undefined,
        hosts: options.workers !== undefined,
        live: true,
        publishRows: true,
        observer,
        // The server may be away for longer than any number of attempts: the node waits for it, and says that it is not ready.
        limits: { commitAttemptsMax: Number.POSITIVE_INFINITY, ...options.limits },
      });
      rest.add(
        () => engine.closing,
        () => engine.close(),
      );
      engine.failed.catch(fail);
      const workers = await openWorkers(engine, options, observer);
      if (workers !== undefined) {
        rest.add('workers, which drain', () => workers.close());
        workers.failed.catch(fail);
      }
      const { config, log, subjects, registry } = engine;
      const view = await RegionView.open({
        log,
        subjects,
        partitions: config.partitions,
        windowsMs: config.windowsMs,
        allowedLatenessMs: config.allowedLatenessMs,
        clock: systemClock,
        logger,
      });
      rest.add('the view of the region', () => view.close());
      view.finished.catch(fail);

      await options.beforeIntake?.(engine);
      const { current, checker } = openIntake(engine, options, intake);
      const covers = await otherCovers(config.name);
      const startedAtMs = systemClock.now();
      const http = await startHttp({
        ...options.http,
        logger,
        clock: systemClock,
        routes: ROUTES,
        facts: {
          version: packageVersion(),
          name: options.name,
          region: config,
          startedAtMs,
          clock: systemClock,
          node: workers?.node ?? engine.node!,
          nodes: regionNodes(engine, options, workers?.node ?? engine.node!, startedAtMs),
          registry,
          get producer() {
            return current();
          },
          checker,
          regionOf: (lat, lon) => covers.find(({ cover }) => cover.has(geohash30(lat, lon)))?.name,
          view,
          log,
          subjects,
          side: engine.logOf(subjects.sideStream),
          metrics,
          nats: () => engine.nats(),
          publisher: () => workers?.node.publisher() ?? publisherFacts(engine),
          streams: () => engine.streamSizes(),
          draining: () => begin.draining,
          surgeBounds: engine.model.bounds,
          readyLagMax: options.readyLagMax,
        },
      });
      rest.add('requests over HTTP', () => http.close());
      return new RunningNode({ engine, view, latency, url: http.url, failed, intake, rest, begin });
    } catch (error) {
      await intake.close().catch(() => undefined);
      await rest.close().catch(() => undefined);
      throw error;
    }
  }

  private constructor(parts: {
    engine: Engine;
    view: RegionView;
    latency: CommitLatency;
    url: string;
    failed: Promise<never>;
    intake: Opened;
    rest: Opened;
    begin: { draining: boolean };
  }) {
    this.engine = parts.engine;
    this.view = parts.view;
    this.latency = parts.latency;
    this.url = parts.url;
    this.failed = parts.failed;
    this.#intake = parts.intake;
    this.#rest = parts.rest;
    this.#begin = parts.begin;
  }

  /** Takes no more events from outside; what was taken is sent, and the producers say their last word. */
  async stopIntake(): Promise<void> {
    this.#begin.draining = true;
    await this.#intake.close();
  }

  /** What `close` waits for, in words. */
  get closing(): string | undefined {
    return this.#intake.closing ?? this.#rest.closing;
  }

  /** Drains: intake, step, commit, publishing, snapshots, then the server. */
  async close(): Promise<void> {
    try {
      await this.stopIntake();
    } finally {
      await this.#rest.close();
    }
  }
}

/** The processes that work in the place of a node here. What is no data stays here, and so does what is for people. */
async function openWorkers(
  engine: Engine,
  options: RunningNodeOptions,
  observer: NodeObserver,
): Promise<HostedWorkers | undefined> {
  const { workers, shared, dataDir } = options;
  if (workers === undefined) return undefined;
  const start = {
    ...(JSON.parse(JSON.stringify({ ...options, ...HERE_ONLY })) as WorkerStart['engine']),
    ...{ publishRows: true, live: true, shared: shared!, dataDir: dataDir! },
  };
  return hostWorkers({ ...workers, engine, start, observer });
}

/** The region as this node answers for it. */
function regionNodes(
  engine: Engine,
  { name, shared }: RunningNodeOptions,
  here: NodeHere,
  startedAtMs: number,
): RegionNodes {
  const { config, subjects, requests } = engine;
  return new RegionNodes({
    ...{ name, startedAtMs, here, clock: systemClock, version: packageVersion() },
    partitionCount: config.partitions,
    standbys: shared?.standbys ?? config.standbys,
    peers: shared === undefined ? undefined : new Peers({ requests, subjects }),
    journals: () => within(systemClock, JOURNALS_MS, engine.journals()),
  });
}

/** What takes events from outside: over HTTP, and on subjects. */
function openIntake(
  engine: Engine,
  { name, ends = false, logger }: RunningNodeOptions,
  intake: Opened,
): { current: () => LiveProducer; checker: EventChecker } {
  const { config, log, subjects, registry } = engine;
  const { partitions, outOfOrderBoundMs, limits, cover } = config;
  const clock = systemClock;
  const checker = new EventChecker({
    cover: new Cover(cover),
    nowMs: () => clock.now(),
    aheadMs: config.clockToleranceMs,
  });
  const common = {
    log,
    gauge: log,
    subjects,
    routes: registry.routes,
    clock,
    partitions,
    outOfOrderBoundMs,
    frameEvents: limits.frameEvents,
  };
  const newProducer = (id: string): Producer => new Producer({ ...common, id, mode: 'live' });
  let opened = 0;
  const open = (): LiveProducer => {
    // A name of its own for each start: what it sent before it was sent by another.
    const first = producerOf({ name, instance: engine.instance });
    const id = opened++ === 0 ? first : `${first}:${opened}`;
    const live = new LiveProducer({ producer: newProducer(id), clock, outOfOrderBoundMs });
    live.start();
    return live;
  };
  let producer = open();
  // Fenced is who was taken for dead, and is not: it goes on under another name.
  const current = (): LiveProducer => (producer.fenced ? (producer = open()) : producer);
  intake.add('events that were taken over HTTP', () => producer.stop({ end: true }));
  const lastWords = new LastWords({ members: () => engine.node?.members ?? [], newProducer, logger });
  engine.onMembers(() => {
    lastWords.look();
  });
  const pump = new RawPump({
    ...common,
    raw: engine.logOf(subjects.ingestStream),
    checker,
    writer: randomUUID(),
  });
  pump.start();
  intake.add('events that were taken from subjects', async () => {
    await pump.stop();
    // Nobody else takes raw events of this region: their time need not be waited for.
    if (ends) await sayLastWord(newProducer('ingest'));
  });
  return { current, checker };
}

async function sayLastWord(producer: Producer): Promise<void> {
  if (await producer.resume()) await producer.end(0);
}

function publisherFacts({ publishers }: Engine): { published: number; lagMessages: number } {
  return { published: publishers?.published ?? 0, lagMessages: publishers?.lagMessages ?? 0 };
}

/** Covers of the other regions there are, to tell a lost event where it belongs. */
async function otherCovers(own: string): Promise<{ name: string; cover: Cover }[]> {
  const dir = join(CONFIG_FOLDER, 'regions');
  const names = (await knownRegions(dir)).filter((name) => name !== own);
  const regions = await Promise.all(names.map((name) => loadRegion({ name, dir }).catch(() => undefined)));
  return regions.flatMap((region) =>
    region === undefined ? [] : [{ name: region.name, cover: new Cover(region.cover) }],
  );
}
