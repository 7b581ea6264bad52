/**
 * What the node measures of itself, for Prometheus. Owns the names and helps (`docs/METRICS.md` lists the same), and that
 * the number of time series is bounded: labels are partitions, patterns of routes and words that the code knows, never
 * riders, drivers or addresses.
 *
 * Most values are kept where they arise and are read when somebody asks; only histograms and counts of HTTP are kept here.
 */
import { monitorEventLoopDelay, type IntervalHistogram } from 'node:perf_hooks';
import { collectDefaultMetrics, Counter, Histogram, Registry } from 'prom-client';
import type { NodeObserver } from '../../node/status.js';
import type { HttpFacts, MetricsPort, RoutePlugin, StreamSize } from './facts.js';
import { METRIC_PREFIX, metricSet, type MetricSet } from './metric-set.js';
import { nodeMetrics } from './node-metrics.js';
import { readiness } from './readiness.js';
import { within } from './within.js';

const QUANTILES = [0.5, 0.9, 0.99, 1] as const;
const STREAMS_WAIT_MS = 2_000;
/** Sizes of streams are asked of the server no more often than this. */
const STREAMS_FRESH_MS = 1_000;
/** The defaults measure the delay of the event loop too, in six metrics; ours has quantiles as labels. */
const LEFT_OUT = /^nodejs_eventloop_lag/;

export class Metrics implements MetricsPort {
  readonly registry = new Registry();
  readonly intake = { accepted: 0, refused: 0 };
  /** What the node tells as it happens. */
  readonly observer: NodeObserver;
  readonly #requests: Counter;
  readonly #requestSeconds: Histogram;
  readonly #loopDelay: IntervalHistogram;
  readonly #fill: (facts: HttpFacts, here: Measured) => void;
  #streams: { atMs: number; sizes: readonly StreamSize[] } | undefined;
  #asking: Promise<readonly StreamSize[]> | undefined;

  constructor() {
    const registers = [this.registry];
    this.#requests = new Counter({
      name: `${METRIC_PREFIX}http_requests_total`,
      help: 'HTTP requests by pattern of the route and status; "unmatched" has no route, "unparsed" is no HTTP, "aborted" has no answer.',
      labelNames: ['route', 'status'],
      registers,
    });
    this.#requestSeconds = new Histogram({
      name: `${METRIC_PREFIX}http_request_seconds`,
      help: 'Time from a request to the end of its answer, by pattern of the route; event streams are left out.',
      labelNames: ['route'],
      buckets: [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10],
      registers,
    });
    this.observer = observerInto(registers);
    this.#fill = definitions(metricSet(this.registry));
    this.#loopDelay = monitorEventLoopDelay({ resolution: 10 });
    this.#loopDelay.enable();
    collectDefaultMetrics({ register: this.registry });
    for (const { name } of this.registry.getMetricsAsArray())
      if (LEFT_OUT.test(name)) this.registry.removeSingleMetric(name);
  }

  requestEnded(route: string, status: number | 'aborted', seconds: number | undefined): void {
    this.#requests.inc({ route, status: String(status) });
    if (seconds !== undefined) this.#requestSeconds.observe({ route }, seconds);
  }

  get contentType(): string {
    return this.registry.contentType;
  }

  async text(facts: HttpFacts, streams: Measured['streams']): Promise<string> {
    const sizes = await this.#sizesOf(facts);
    const loopDelay = QUANTILES.map((quantile): readonly [number, number] => [
      quantile,
      nanosToSeconds(this.#loopDelay.percentile(quantile * 100)),
    ]);
    this.#loopDelay.reset();
    this.#fill(facts, { streams, sizes, loopDelay });
    return this.registry.metrics();
  }

  /** Ends the measuring of the event loop. */
  close(): void {
    this.#loopDelay.disable();
  }

  /** Sizes of streams; none while the server does not answer. One question at a time. */
  async #sizesOf(facts: HttpFacts): Promise<readonly StreamSize[]> {
    const { clock } = facts;
    const nowMs = clock.monotonic();
    if (this.#streams !== undefined && nowMs - this.#streams.atMs < STREAMS_FRESH_MS)
      return this.#streams.sizes;
    this.#asking ??= facts
      .streams()
      .then(
        (sizes) => {
          this.#streams = { atMs: clock.monotonic(), sizes };
          return sizes;
        },
        () => [],
      )
      .finally(() => (this.#asking = undefined));
    return (await within(clock, STREAMS_WAIT_MS, this.#asking)) ?? [];
  }
}

/** What is measured outside the facts at the moment of asking. */
export interface Measured {
  readonly streams: { readonly size: number; readonly cutOff: number };
  readonly sizes: readonly StreamSize[];
  readonly loopDelay: readonly (readonly [quantile: number, seconds: number])[];
}

function nanosToSeconds(nanos: number): number {
  return Number.isFinite(nanos) ? nanos / 1e9 : 0;
}

function observerInto(registers: Registry[]): NodeObserver {
  const histogram = (name: string, help: string, buckets: number[]): Histogram =>
    new Histogram({ name: METRIC_PREFIX + name, help, buckets, registers });
  const seconds = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10];
  const commitSeconds = histogram(
    'commit_seconds',
    'Time from a batch of commits to its acknowledgement.',
    seconds,
  );
  const commitBytes = histogram(
    'commit_bytes',
    'Size of an acknowledged batch of commits.',
    [1e3, 1e4, 3e4, 1e5, 3e5, 1e6, 3e6, 1e7, 3e7],
  );
  const commitMessages = histogram(
    'commit_messages',
    'Messages in an acknowledged batch of commits.',
    [1, 3, 10, 30, 100, 300, 1_000],
  );
  const snapshotSeconds = histogram(
    'snapshot_write_seconds',
    'Time of a round of snapshots, all partitions.',
    seconds,
  );
  const snapshotActors = new Counter({
    name: `${METRIC_PREFIX}snapshot_actors_written_total`,
    help: 'States of actors written to snapshots.',
    registers,
  });
  return {
    committed(batch) {
      commitSeconds.observe(batch.seconds);
      commitBytes.observe(batch.bytes);
      commitMessages.observe(batch.messages);
    },
    snapshotWritten(write) {
      snapshotSeconds.observe(write.seconds);
      snapshotActors.inc(write.actors);
    },
  };
}

/** Metrics of this process's edge; those of the node are in `node-metrics.ts`. */
function definitions(set: MetricSet): (facts: HttpFacts, here: Measured) => void {
  const { gauge, total } = set;
  const info = gauge('info', 'Always 1; version of groundswell, name of the node, region.', [
    'version',
    'name',
    'region',
  ]);
  const ready = gauge('ready', '1 when the node is ready, as /readyz has it.');
  const connected = gauge('nats_connected', '1 while there is a connection to nats-server.');
  const streamBytes = gauge('stream_bytes', 'Size of a stream of the region in nats-server.', ['stream']);
  const streamMessages = gauge('stream_messages', 'Messages in a stream of the region.', ['stream']);
  const published = total('published_messages_total', 'Rows, surge multipliers and side outputs published.');
  const publisherLag = gauge('publisher_lag_messages', 'Committed outputs that are not published yet.');
  const viewLag = gauge(
    'view_lag_messages',
    'Committed outputs that the view of the rows has not taken in yet.',
  );
  const viewKeys = gauge('view_keys', 'Keys that the view of the rows keeps, of all levels.');
  const viewRefused = total(
    'view_refused_total',
    'Rows and live values not kept, for there were too many keys.',
  );
  const queued = gauge('ingest_queue_events', 'Events taken over HTTP that wait to be sent to the stream.');
  const queueFree = gauge(
    'ingest_queue_free_events',
    'Events that could still be taken; without room the answer is 429.',
  );
  const items = total('ingest_events_total', 'Events answered over HTTP by outcome: accepted, refused.', [
    'outcome',
  ]);
  const open = gauge('sse_streams', 'Open event streams.');
  const cutOff = total('sse_cut_off_total', 'Event streams cut off because their reader was too slow.');
  const loopDelay = gauge(
    'event_loop_delay_seconds',
    'Delay of the event loop since the last scrape, by quantile; 1 is the longest.',
    ['quantile'],
  );
  const ofNode = nodeMetrics(set);

  return (facts, here) => {
    const status = facts.node.status();
    info([[{ version: facts.version, name: facts.name, region: facts.region.name }, 1]]);
    ready([[{}, readiness(facts, status).length === 0 ? 1 : 0]]);
    connected([[{}, facts.nats().connected ? 1 : 0]]);
    streamBytes(here.sizes.map(({ stream, bytes }) => [{ stream }, bytes]));
    streamMessages(here.sizes.map(({ stream, messages }) => [{ stream }, messages]));
    const publisher = facts.publisher();
    published([[{}, publisher.published]]);
    publisherLag([[{}, publisher.lagMessages]]);
    const { keys, refused: notKept } = facts.view.stats;
    viewLag([[{}, facts.view.lagMessages]]);
    viewKeys([[{}, keys]]);
    viewRefused([[{}, notKept]]);
    queued([[{}, facts.producer.queued]]);
    queueFree([[{}, facts.producer.free.events]]);
    const { accepted, refused } = facts.metrics.intake;
    items([
      [{ outcome: 'accepted' }, accepted],
      [{ outcome: 'refused' }, refused],
    ]);
    open([[{}, here.streams.size]]);
    cutOff([[{}, here.streams.cutOff]]);
    loopDelay(here.loopDelay.map(([quantile, seconds]) => [{ quantile: String(quantile) }, seconds]));
    ofNode(status, facts.clock.now());
  };
}

/** GET /metrics */
export const metricsRoutes: RoutePlugin = (app, facts) => {
  app.get('/metrics', async (_request, reply) => {
    const text = await facts.metrics.text(facts, app.streams);
    return reply.type(facts.metrics.contentType).send(text);
  });
};
