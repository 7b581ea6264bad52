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
import { Metrics } from '../serve/http/metrics.js';
import { ROUTES } from '../serve/http/routes.js';
import { startHttp } from '../serve/http/server.js';
import { RegionView } from '../serve/region-view.js';
import { CommitLatency } from './commit-latency.js';
import { openEngine, type Engine, type EngineOptions } from './engine.js';
import { failureSignal, Opened } from './opened.js';
import { CONFIG_FOLDER, packageVersion } from './package-root.js';

export interface RunningNodeOptions extends Omit<
  EngineOptions,
  'node' | 'live' | 'publishRows' | 'observer' | 'logger'
> {
  /** Of this node. */
  readonly name: string;
  readonly http: { readonly host: string; readonly port: number };
  readonly readyLagMax: number;
  readonly logger: Logger;
  /** The region ends with this node: when it stops, all windows may close. */
  readonly ends?: boolean;
  /** Called when the engine runs and takes nothing from outside yet. */
  beforeIntake?(engine: Engine): Promise<void>;
}

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
      rest.add(() => Promise.resolve(metrics.close()));
      const latency = new CommitLatency();
      const engine = await openEngine({
        ...options,
        node: true,
        live: true,
        publishRows: true,
        observer: latency.observing(metrics.observer),
        // The server may be away for longer than any number of attempts: the node waits for it, and says that it is not ready.
        limits: { commitAttemptsMax: Number.POSITIVE_INFINITY, ...options.limits },
      });
      rest.add(() => engine.close());
      engine.failed.catch(fail);
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
      rest.add(() => view.close());
      view.finished.catch(fail);

      await options.beforeIntake?.(engine);
      const { producer, checker } = openIntake(engine, options, intake);
      const covers = await otherCovers(config.name);
      const http = await startHttp({
        ...options.http,
        logger,
        clock: systemClock,
        routes: ROUTES,
        facts: {
          version: packageVersion(),
          name: options.name,
          region: config,
          startedAtMs: systemClock.now(),
          clock: systemClock,
          node: engine.node!,
          registry,
          producer,
          checker,
          regionOf: (lat, lon) => covers.find(({ cover }) => cover.has(geohash30(lat, lon)))?.name,
          view,
          log,
          subjects,
          side: engine.logOf(subjects.sideStream),
          metrics,
          nats: () => engine.nats(),
          publisher: () => publisherFacts(engine),
          streams: () => engine.streamSizes(),
          draining: () => begin.draining,
          surgeBounds: engine.model.bounds,
          readyLagMax: options.readyLagMax,
        },
      });
      rest.add(() => http.close());
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

  /** Drains: intake, step, commit, publishing, snapshots, then the server. */
  async close(): Promise<void> {
    try {
      await this.stopIntake();
    } finally {
      await this.#rest.close();
    }
  }
}

/** What takes events from outside: over HTTP, and on subjects. */
function openIntake(
  engine: Engine,
  { name, ends = false }: RunningNodeOptions,
  intake: Opened,
): { producer: LiveProducer; checker: EventChecker } {
  const { config, log, subjects, registry } = engine;
  const { partitions, outOfOrderBoundMs, limits, cover } = config;
  const clock = systemClock;
  const checker = new EventChecker({ cover: new Cover(cover), nowMs: () => clock.now() });
  const common = {
    log,
    subjects,
    routes: registry.routes,
    clock,
    partitions,
    outOfOrderBoundMs,
    frameEvents: limits.frameEvents,
  };
  const newProducer = (id: string): Producer => new Producer({ ...common, id, mode: 'live' });
  // A name of its own for each start: what it sent before it was sent by another.
  const id = `http:${name}:${randomUUID().slice(0, 8)}`;
  const producer = new LiveProducer({ producer: newProducer(id), clock, outOfOrderBoundMs });
  producer.start();
  intake.add(() => producer.stop({ end: true }));
  const pump = new RawPump({
    ...common,
    raw: engine.logOf(subjects.ingestStream),
    checker,
    writer: randomUUID(),
  });
  pump.start();
  intake.add(async () => {
    await pump.stop();
    // Nobody else takes raw events of this region: their time need not be waited for.
    if (ends) await sayLastWord(newProducer('ingest'));
  });
  return { producer, checker };
}

async function sayLastWord(producer: Producer): Promise<void> {
  if (await producer.resume()) await producer.end(0);
}

function publisherFacts({ publishers }: Engine): { published: number; lagMessages: number } {
  let published = 0;
  let lagMessages = 0;
  for (const publisher of publishers) {
    published += publisher.published;
    lagMessages += publisher.lagMessages;
  }
  return { published, lagMessages };
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
