/**
 * The HTTP server for tests: the real one over loopback, with the real checker, producer and registry over a log in memory,
 * and a node whose status is what the test says.
 */
import { join } from 'node:path';
import { marketActors } from '../../../../actors/index.js';
import { Registry } from '../../../../src/actor/registry.js';
import { CONFIG_FOLDER } from '../../../../src/cli/package-root.js';
import { systemClock } from '../../../../src/core/clock.js';
import { Cover, geohash30 } from '../../../../src/core/geohash.js';
import { silent, type Logger } from '../../../../src/core/logger.js';
import { EventChecker } from '../../../../src/ingest/check.js';
import { LiveProducer, type LiveProducerOptions } from '../../../../src/ingest/live-producer.js';
import { Producer } from '../../../../src/ingest/producer.js';
import { loadRegion } from '../../../../src/ingest/region.js';
import type { Gauge } from '../../../../src/log/gauge.js';
import { MemoryLog } from '../../../../src/log/memory/memory-log.js';
import { Subjects } from '../../../../src/log/subjects.js';
import { loadLinearModel } from '../../../../src/model/load.js';
import {
  zeroStats,
  type ActorView,
  type NodeStatus,
  type PartitionStatus,
  type QuarantinedActors,
} from '../../../../src/node/status.js';
import { decodeEventFrame } from '../../../../src/partition/frame.js';
import type { HttpFacts, RoutePlugin } from '../../../../src/serve/http/facts.js';
import { Metrics } from '../../../../src/serve/http/metrics.js';
import { ROUTES } from '../../../../src/serve/http/routes.js';
import { startHttp, type HttpLimits, type HttpServer } from '../../../../src/serve/http/server.js';
import { RegionNodes } from '../../../../src/serve/nodes/region-nodes.js';
import { RegionView } from '../../../../src/serve/region-view.js';

const loaded = await loadRegion({ name: 'sf', dir: join(CONFIG_FOLDER, 'regions') });
export const region = { ...loaded, partitions: 2 };
const model = await loadLinearModel(join(CONFIG_FOLDER, 'models', `${region.model}.json`));
export const registry = new Registry(marketActors({ ...region, model, live: true }));
export const subjects = new Subjects('sf');
const nyc = new Cover(['dr5r']);

export const partitionStatus = (partition: number, more: Partial<PartitionStatus> = {}): PartitionStatus => ({
  partition,
  watermarkMs: 1_690_000_000_000,
  closedMs: [1_690_000_000_000],
  holder: 'http:n1:1',
  silent: [],
  commit: 7,
  committedAtMs: 1_690_000_000_500,
  epoch: 1,
  base: undefined,
  inputSeq: 40,
  journalSeq: 41,
  lagMessages: 0,
  quarantined: 0,
  residentActors: 12,
  activations: 20,
  passivations: 8,
  ...more,
});

export const nodeStatus = (more: Partial<NodeStatus> = {}): NodeStatus => ({
  state: 'running',
  serving: true,
  region: 'sf',
  partitionCount: 2,
  partitions: [partitionStatus(0), partitionStatus(1)],
  followed: [],
  members: [],
  counters: {},
  stats: zeroStats(),
  snapshot: { pendingActors: 0, fileBytes: 0 },
  clockBehindMs: 0,
  ...more,
});

export interface Given {
  readonly facts?: Partial<HttpFacts>;
  readonly status?: () => NodeStatus;
  readonly inspect?: (id: string) => Promise<ActorView | undefined>;
  readonly quarantined?: () => QuarantinedActors;
  readonly producer?: Partial<LiveProducerOptions>;
  readonly routes?: readonly RoutePlugin[];
  readonly logger?: Logger;
  readonly host?: string;
  readonly port?: number;
  readonly limits?: Partial<HttpLimits>;
  readonly log?: MemoryLog;
  /** Id of its producer. */
  readonly producerId?: string;
  /** How full its stream is. */
  readonly gauge?: Gauge;
}

export interface TestNode {
  readonly http: HttpServer;
  readonly url: string;
  readonly facts: HttpFacts;
  readonly log: MemoryLog;
  readonly side: MemoryLog;
  readonly view: RegionView;
  readonly producer: LiveProducer;
  /** Everything that the stream was given, refused ones among it. */
  events(): Promise<Record<string, unknown>[]>;
  close(): Promise<void>;
}

export async function startNode(given: Given = {}): Promise<TestNode> {
  const log = given.log ?? new MemoryLog();
  const side = new MemoryLog();
  const producer = new LiveProducer({
    producer: new Producer({
      log,
      subjects,
      routes: registry.routes,
      clock: systemClock,
      partitions: region.partitions,
      id: given.producerId ?? 'http:test',
      ...(given.gauge === undefined ? {} : { gauge: given.gauge }),
      mode: 'live',
      outOfOrderBoundMs: region.outOfOrderBoundMs,
      frameEvents: region.limits.frameEvents,
    }),
    clock: systemClock,
    outOfOrderBoundMs: region.outOfOrderBoundMs,
    lingerMs: 1,
    ...given.producer,
  });
  producer.start();
  const view = await RegionView.open({
    log,
    subjects,
    partitions: region.partitions,
    windowsMs: region.windowsMs,
    allowedLatenessMs: region.allowedLatenessMs,
    clock: systemClock,
    logger: silent,
  });
  const metrics = new Metrics();
  const status = given.status ?? ((): NodeStatus => nodeStatus());
  const facts: HttpFacts = {
    version: '1.2.3',
    name: 'n1',
    region,
    startedAtMs: 1_690_000_000_000,
    clock: systemClock,
    node: { status },
    nodes: new RegionNodes({
      name: 'n1',
      version: '1.2.3',
      startedAtMs: 1_690_000_000_000,
      partitionCount: region.partitions,
      standbys: 0,
      clock: systemClock,
      here: {
        get serving() {
          return status().serving;
        },
        get members() {
          return status().members;
        },
        status,
        owns: () => true,
        inspect: given.inspect ?? (() => Promise.resolve(undefined)),
        quarantined: given.quarantined ?? (() => ({ count: 0, actors: [] })),
      },
    }),
    registry,
    producer,
    checker: new EventChecker({ cover: new Cover(region.cover), nowMs: () => systemClock.now() }),
    regionOf: (lat, lon) => (nyc.has(geohash30(lat, lon)) ? 'nyc' : undefined),
    view,
    log,
    subjects,
    side,
    metrics,
    nats: () => ({ url: 'nats://127.0.0.1:4222', version: '2.15.1', embedded: true, connected: true }),
    publisher: () => ({ published: 3, lagMessages: 0 }),
    streams: () => Promise.resolve([{ stream: 'GS_sf', bytes: 1_000, messages: 10 }]),
    draining: () => false,
    readyLagMax: 1_000,
    ...given.facts,
  };
  const http = await startHttp({
    host: given.host ?? '127.0.0.1',
    port: given.port ?? 0,
    logger: given.logger ?? silent,
    clock: systemClock,
    facts,
    routes: given.routes ?? ROUTES,
    ...(given.limits === undefined ? {} : { limits: given.limits }),
  });
  return {
    http,
    url: http.url,
    facts,
    log,
    side,
    view,
    producer,
    events: () => storedEvents(log),
    async close() {
      await http.close();
      await producer.stop().catch(() => undefined);
      await view.close();
      metrics.close();
    },
  };
}

async function storedEvents(log: MemoryLog): Promise<Record<string, unknown>[]> {
  const events: Record<string, unknown>[] = [];
  for (let partition = 0; partition < region.partitions; partition++) {
    const reader = await log.read(subjects.events(partition), 1, () => undefined);
    for (const { payload } of reader.take(Number.MAX_SAFE_INTEGER))
      events.push(...decodeEventFrame(payload).events);
    await reader.close();
  }
  return events;
}

/** The error of an answer, which every answer from 400 on has. */
export interface Problem {
  readonly code: string;
  readonly message: string;
  readonly remedy: string;
}

export async function problemOf(response: Response): Promise<Problem & { status: number }> {
  const body = (await response.json()) as { error: Problem };
  return { status: response.status, ...body.error };
}
