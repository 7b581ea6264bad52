/**
 * A steady live load on a node, and what one sees of it from outside:
 *
 * - a probe: a driver alone in a cell of the region changes its status; the time from the answer that its ping was
 *   accepted until the cell's live value shows it, read from the node's event stream;
 * - the region's row of each minute: how long after the minute's end plus the out-of-order bound it comes;
 * - the node's memory.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { loadRegion } from '../../src/ingest/region.js';
import { CanonicalWorkload, type Ping } from '../workload.js';
import { startNode } from './node-process.js';
import { Samples, type Quantiles } from './samples.js';
import { Watcher } from './watcher.js';

export interface LoadOptions {
  readonly region: string;
  readonly regionsDir: string;
  readonly dataDir: string;
  readonly eventsPerSecond: number;
  readonly drivers: number;
  readonly seconds: number;
  readonly seed: number;
  /** A cell of the region; the workload leaves out the four-character geohash around it. */
  readonly probe: { readonly cell: string; readonly lat: number; readonly lon: number };
  /** Further words and variables of the node's start. */
  readonly nodeArgs?: readonly string[];
  readonly nodeEnv?: NodeJS.ProcessEnv;
  /** The node is ready; and, all being measured, is about to be stopped. */
  onReady?(url: string): void;
  onStopping?(): void;
  onSecond?(now: Progress): void;
  /** The probe was seen so long after it was accepted. */
  onLive?(acceptedToLiveMs: number): void;
}

export interface Progress {
  readonly second: number;
  readonly accepted: number;
  readonly liveMs: Quantiles | undefined;
  readonly rssBytes: number;
}

export interface LoadReport {
  readonly accepted: number;
  readonly refused: number;
  readonly seconds: number;
  readonly eventsPerSecond: number;
  /** Requests that were told to wait. */
  readonly pushedBack: number;
  readonly postMs: Quantiles;
  readonly acceptedToLiveMs: Quantiles;
  readonly sentToLiveMs: Quantiles;
  readonly minuteToRegionRowMs: Quantiles | undefined;
  readonly regionRows: number;
  readonly late: number;
  /** Of the node's process, without nats-server: processors used on average. */
  readonly cores: number;
  /** What the region's stream holds per event: frames, mail, journal and outputs. */
  readonly streamBytesPerEvent: number;
  readonly actors: number;
  readonly rss: {
    readonly firstMiB: number;
    readonly lastMiB: number;
    readonly maxMiB: number;
    readonly perHourMiB: number;
  };
  readonly drain: { readonly code: number | null; readonly seconds: number };
  readonly complaints: readonly string[];
}

const TICK_MS = 100;
const POST_EVENTS_MAX = 1_000;
const PROBE_WAIT_MS = 20_000;
const READY_MS = 60_000;
/** Memory is looked at when this share of the time has passed: a heap grows at first. */
const SETTLED = 1 / 3;

export async function runLoad(options: LoadOptions): Promise<LoadReport> {
  const node = await startNode({
    region: options.region,
    dataDir: options.dataDir,
    readyMs: READY_MS,
    args: options.nodeArgs,
    env: options.nodeEnv,
  });
  try {
    options.onReady?.(node.url);
    const run = new LoadRun(options, node.url);
    await Promise.race([run.run(), node.ended]);
    const after = await run.look();
    options.onStopping?.();
    const drain = await node.stop();
    return { ...run.report(), ...after, drain, complaints: node.complaints };
  } catch (error) {
    await node.stop().catch(() => undefined);
    throw error;
  }
}

class LoadRun {
  readonly #options: LoadOptions;
  readonly #url: string;
  readonly #post = new Samples();
  readonly #acceptedToLive = new Samples();
  readonly #sentToLive = new Samples();
  readonly #toRegionRow = new Samples();
  readonly #rss: { atMs: number; bytes: number }[] = [];
  #boundMs = 0;
  #cpuBefore = 0;
  #accepted = 0;
  #refused = 0;
  #pushedBack = 0;
  #regionRows = 0;
  #startedMs = 0;
  #endedMs = 0;
  #shown: ((status: string, atMs: number) => void) | undefined;

  constructor(options: LoadOptions, url: string) {
    this.#options = options;
    this.#url = url;
  }

  async run(): Promise<void> {
    const { region, regionsDir, probe, seconds } = this.#options;
    this.#boundMs = (await loadRegion({ name: region, dir: regionsDir })).outOfOrderBoundMs;
    const cells = await Watcher.open(this.#url, `1m/cell/${probe.cell}`, {
      live: true,
      onEvent: ({ event, data, atMs }) => {
        if (event === 'live') this.#live(data as { values: Record<string, number> }, atMs);
      },
    });
    const rows = await Watcher.open(this.#url, '1m/region', {
      live: false,
      onEvent: ({ event, data, atMs }) => {
        if (event === 'row') this.#regionRow(data as { end: number; rev: number }, atMs);
      },
    });
    this.#cpuBefore = metricOf(
      await (await fetch(`${this.#url}/metrics`)).text(),
      'process_cpu_seconds_total',
    );
    this.#startedMs = Date.now();
    const untilMs = this.#startedMs + seconds * 1_000;
    const work = Promise.all([this.#produce(untilMs), this.#probe(untilMs), this.#watchMemory(untilMs)]);
    await Promise.race([work, cells.finished, rows.finished]);
    this.#endedMs = Date.now();
    await cells.close();
    await rows.close();
  }

  report(): Omit<LoadReport, 'late' | 'cores' | 'streamBytesPerEvent' | 'actors' | 'drain' | 'complaints'> {
    const seconds = (this.#endedMs - this.#startedMs) / 1_000;
    return {
      accepted: this.#accepted,
      refused: this.#refused,
      seconds,
      eventsPerSecond: this.#accepted / seconds,
      pushedBack: this.#pushedBack,
      postMs: this.#post.quantiles()!,
      acceptedToLiveMs: this.#acceptedToLive.quantiles()!,
      sentToLiveMs: this.#sentToLive.quantiles()!,
      minuteToRegionRowMs: this.#toRegionRow.quantiles(),
      regionRows: this.#regionRows,
      rss: this.#memory(),
    };
  }

  /** What the node says of itself at the end. */
  async look(): Promise<Pick<LoadReport, 'late' | 'cores' | 'streamBytesPerEvent' | 'actors'>> {
    const { node } = (await (await fetch(`${this.#url}/v1/status`)).json()) as {
      node: { counters: Record<string, number>; partitions: { residentActors: number }[]; region: string };
    };
    const metrics = await (await fetch(`${this.#url}/metrics`)).text();
    const cpuSeconds = metricOf(metrics, 'process_cpu_seconds_total');
    const bytes = metricOf(metrics, `groundswell_stream_bytes{stream="GS_${node.region}"}`);
    return {
      late: node.counters['late'] ?? 0,
      cores: (cpuSeconds - this.#cpuBefore) / ((Date.now() - this.#startedMs) / 1_000),
      streamBytesPerEvent: bytes / this.#accepted,
      actors: node.partitions.reduce((sum, { residentActors }) => sum + residentActors, 0),
    };
  }

  /** Sends the workload, a tick at a time, each when its time has come. */
  async #produce(untilMs: number): Promise<void> {
    const { drivers, eventsPerSecond, seconds, seed, region, regionsDir } = this.#options;
    const around = this.#options.probe.cell.slice(0, 4);
    const { cover: all } = await loadRegion({ name: region, dir: regionsDir });
    const cover = all.filter((prefix) => prefix !== around);
    const perTick = Math.round((eventsPerSecond * TICK_MS) / 1_000);
    const events = perTick * 10 * (seconds + 5);
    const workload = new CanonicalWorkload({ drivers, events, seed, cover, eventsPerSecond });
    let tick = 0;
    let pings: Ping[] = [];
    for (const more of workload.ticks()) {
      pings.push(...more);
      for (; pings.length >= perTick; pings = pings.slice(perTick)) {
        const dueMs = this.#startedMs + ++tick * TICK_MS;
        if (dueMs > untilMs) return;
        const waitMs = dueMs - Date.now();
        if (waitMs > 0) await sleep(waitMs);
        const posts: Promise<void>[] = [];
        for (let i = 0; i < perTick; i += POST_EVENTS_MAX)
          posts.push(this.#postAll(pings.slice(i, Math.min(perTick, i + POST_EVENTS_MAX)), dueMs - TICK_MS));
        await Promise.all(posts);
      }
    }
  }

  /** Sends pings as of a tick's time: the workload says who goes where, the rate says when. */
  async #postAll(pings: readonly Ping[], tickMs: number): Promise<void> {
    let body = '';
    for (const [i, { type, driverId, lat, lon, status }] of pings.entries()) {
      const ts = tickMs + Math.floor((i * TICK_MS) / pings.length);
      body += `${JSON.stringify({ type, driverId, lat, lon, ts, status })}\n`;
    }
    const startedMs = performance.now();
    const answer = await this.#send(body);
    this.#post.add(performance.now() - startedMs);
    this.#accepted += answer.accepted;
    this.#refused += answer.refused;
  }

  async #send(body: string): Promise<{ accepted: number; refused: number }> {
    for (;;) {
      const response = await fetch(`${this.#url}/v1/events`, {
        method: 'POST',
        headers: { 'content-type': 'application/x-ndjson' },
        body,
      });
      if (response.ok) return (await response.json()) as { accepted: number; refused: number };
      if (response.status !== 429 && response.status !== 503)
        throw new Error(`POST /v1/events: ${response.status} ${await response.text()}`);
      await response.arrayBuffer();
      this.#pushedBack++;
      await sleep(Number(response.headers.get('retry-after') ?? '1') * 1_000);
    }
  }

  /** One change after another, each when the last one was seen. */
  async #probe(untilMs: number): Promise<void> {
    const { lat, lon } = this.#options.probe;
    for (let i = 0; Date.now() < untilMs; i++) {
      const status = i % 2 === 0 ? 'open' : 'enroute';
      const seen = this.#waitFor(status);
      const sentMs = Date.now();
      await this.#send(
        JSON.stringify({ type: 'driver.location', driverId: 'probe', lat, lon, ts: sentMs, status }),
      );
      const acceptedMs = Date.now();
      const shownMs = await Promise.race([seen, sleep(PROBE_WAIT_MS)]);
      if (shownMs === undefined) throw new Error(`the probe was not shown within ${PROBE_WAIT_MS / 1_000} s`);
      const acceptedToLiveMs = Math.max(0, shownMs - acceptedMs);
      this.#acceptedToLive.add(acceptedToLiveMs);
      this.#options.onLive?.(acceptedToLiveMs);
      this.#sentToLive.add(shownMs - sentMs);
      await sleep(37);
    }
  }

  #waitFor(status: string): Promise<number> {
    return new Promise((resolve) => {
      this.#shown = (seen, atMs) => {
        if (seen === status) resolve(atMs);
      };
    });
  }

  #live({ values }: { values: Record<string, number> }, atMs: number): void {
    for (const status of ['open', 'enroute']) if (values[status] === 1) this.#shown?.(status, atMs);
  }

  #regionRow({ end, rev }: { end: number; rev: number }, atMs: number): void {
    if (rev > 0 || end - 60_000 < this.#startedMs) return;
    this.#regionRows++;
    this.#toRegionRow.add(atMs - end - this.#boundMs);
  }

  async #watchMemory(untilMs: number): Promise<void> {
    for (let second = 1; Date.now() < untilMs; second++) {
      await sleep(1_000);
      if (second % 5 !== 0) continue;
      const text = await (await fetch(`${this.#url}/metrics`)).text();
      const bytes = metricOf(text, 'process_resident_memory_bytes');
      this.#rss.push({ atMs: Date.now(), bytes });
      this.#options.onSecond?.({
        second,
        accepted: this.#accepted,
        liveMs: this.#acceptedToLive.quantiles(),
        rssBytes: bytes,
      });
    }
  }

  #memory(): LoadReport['rss'] {
    const MiB = 1_024 ** 2;
    const settled = this.#rss.slice(Math.floor(this.#rss.length * SETTLED));
    const first = settled[0];
    const last = settled.at(-1);
    if (first === undefined || last === undefined)
      return { firstMiB: 0, lastMiB: 0, maxMiB: 0, perHourMiB: 0 };
    return {
      firstMiB: first.bytes / MiB,
      lastMiB: last.bytes / MiB,
      maxMiB: Math.max(...this.#rss.map(({ bytes }) => bytes)) / MiB,
      perHourMiB: slopePerHour(settled) / MiB,
    };
  }
}

/** A value of a metric with its labels; NaN when it is not there. */
function metricOf(text: string, name: string): number {
  const line = text.split('\n').find((each) => each.startsWith(`${name} `));
  return Number(line?.slice(name.length + 1) ?? Number.NaN);
}

/** Least squares: bytes an hour. */
function slopePerHour(points: readonly { atMs: number; bytes: number }[]): number {
  const n = points.length;
  const x = points.map(({ atMs }) => atMs / 3_600_000);
  const meanX = x.reduce((a, b) => a + b, 0) / n;
  const meanY = points.reduce((a, { bytes }) => a + bytes, 0) / n;
  let above = 0;
  let below = 0;
  for (const [i, { bytes }] of points.entries()) {
    above += (x[i]! - meanX) * (bytes - meanY);
    below += (x[i]! - meanX) ** 2;
  }
  return below === 0 ? 0 : above / below;
}
