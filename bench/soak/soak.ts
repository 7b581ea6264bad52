/**
 * A steady load for a long time, and what must not grow meanwhile: memory of nodes and server, LMDB files, streams,
 * journals, and the time from an accepted event to the live value that shows it. The load itself is `live/load.ts`.
 */
import { appendFile, copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream';
import { connect } from 'nats';
import { Servers } from '../crash/servers.js';
import { regionFile } from '../crash/trace.js';
import { locateNatsServer } from '../../src/log/nats/server/locate.js';
import { Subjects } from '../../src/log/subjects.js';
import { runLoad, type LoadReport } from '../live/load.js';
import { startNode } from '../live/node-process.js';
import { PROBE, REGIONS_FOLDER } from '../live/place.js';
import { Samples } from '../live/samples.js';
import { driftOf, type Bound, type Drift, type Series } from './drift.js';

export interface SoakOptions {
  readonly region: string;
  readonly folder: string;
  readonly nodes: number;
  readonly eventsPerSecond: number;
  readonly drivers: number;
  readonly seconds: number;
  readonly seed: number;
  readonly onSample?: (line: string) => void;
}

export interface SoakReport {
  readonly load: LoadReport;
  /** How long inputs, outputs and rows are kept in this run, seconds: after that, streams must not grow. */
  readonly keptSeconds: number;
  readonly drifts: readonly Drift[];
  readonly samples: number;
}

const MIB = 1_024 ** 2;
/** Rising by more than this is a leak. */
const BOUNDS = {
  memory: { shareAnHour: 0.05, valueAnHour: 20 },
  file: { shareAnHour: 0.1, valueAnHour: 20 },
  stream: { shareAnHour: 0.1, valueAnHour: 20 },
  journal: { shareAnHour: 0.1, valueAnHour: 500 },
  latency: { shareAnHour: 0.1, valueAnHour: 20 },
} as const satisfies Record<string, Bound>;
/** A run has at least so many spans of what is kept, and so many samples. */
const SPANS = 12;
const SAMPLES = 120;
const KEPT_SECONDS = { min: 60, max: 600 } as const;
const READY_MS = 60_000;

export async function runSoak(options: SoakOptions): Promise<SoakReport> {
  const { folder, region, nodes, seconds } = options;
  const keptSeconds = Math.round(Math.min(KEPT_SECONDS.max, Math.max(KEPT_SECONDS.min, seconds / SPANS)));
  await mkdir(folder, { recursive: true });
  const file = join(folder, `${region}.yaml`);
  await copyFile(regionFile(region), file);
  await appendFile(file, `\nhistory: ${keptSeconds}s\n`);
  const { path: binary } = await locateNatsServer();
  const servers = await Servers.start({ binary, folder: join(folder, 'nats'), count: 1 });
  const connection = await connect({ servers: servers.urls, name: 'soak' });
  const start = {
    region,
    readyMs: READY_MS,
    args: ['--nats', servers.url, '--config', file],
    env: {
      GROUNDSWELL_OUTPUTS_RETENTION: `${keptSeconds}s`,
      GROUNDSWELL_AGGREGATES_RETENTION: `${keptSeconds}s`,
    },
  };
  const others: Awaited<ReturnType<typeof startNode>>[] = [];
  try {
    for (let i = 2; i <= nodes; i++)
      others.push(await startNode({ ...start, dataDir: join(folder, `n${i}`) }));
    const sampler = new Sampler(await jetstreamManager(connection), region, servers);
    const load = runLoad({
      ...options,
      regionsDir: REGIONS_FOLDER,
      dataDir: join(folder, 'n1'),
      probe: PROBE,
      nodeArgs: start.args,
      nodeEnv: start.env,
      onReady: (url) => {
        sampler.start(
          [url, ...others.map((node) => node.url)],
          (seconds * 1_000) / SAMPLES,
          options.onSample,
        );
      },
      onStopping: () => {
        sampler.stop();
      },
      onLive: (ms) => {
        sampler.live(ms);
      },
    });
    const report = await Promise.race([load, sampler.failed, ...others.map(({ ended }) => ended)]);
    return { load: report, keptSeconds, drifts: sampler.drifts(), samples: sampler.samples };
  } finally {
    for (const node of others) await node.stop().catch(() => undefined);
    await connection.close();
    await servers.close();
  }
}

class Sampler {
  readonly #jsm: JetStreamManager;
  readonly #subjects: Subjects;
  readonly #servers: Servers;
  readonly #series = new Map<
    string,
    { unit: string; bound: Bound; points: { atMs: number; value: number }[] }
  >();
  readonly failed: Promise<never>;
  #fail: (error: unknown) => void = () => undefined;
  #slice = new Samples();
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  samples = 0;

  constructor(jsm: JetStreamManager, region: string, servers: Servers) {
    this.#jsm = jsm;
    this.#subjects = new Subjects(region);
    this.#servers = servers;
    this.failed = new Promise((_, reject) => {
      this.#fail = reject;
    });
    this.failed.catch(() => undefined);
  }

  live(ms: number): void {
    this.#slice.add(ms);
  }

  start(urls: readonly string[], everyMs: number, onSample: SoakOptions['onSample']): void {
    const next = (): void => {
      this.#timer = setTimeout(() => {
        this.#sample(urls).then(
          (line) => {
            onSample?.(line);
            if (!this.#stopped) next();
          },
          (error: unknown) => {
            this.#fail(error);
          },
        );
      }, everyMs).unref();
    };
    next();
  }

  /** What is being asked from now on is not waited for. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#fail = () => undefined;
  }

  drifts(): Drift[] {
    const series: Series[] = [...this.#series].map(([name, rest]) => ({ name, ...rest }));
    return series.flatMap((each) => driftOf(each) ?? []);
  }

  async #sample(urls: readonly string[]): Promise<string> {
    const atMs = Date.now();
    const seen: string[] = [];
    const add = (name: string, unit: string, bound: Bound, value: number | undefined): void => {
      if (value === undefined) return;
      const known = this.#series.get(name) ?? { unit, bound, points: [] };
      known.points.push({ atMs, value });
      this.#series.set(name, known);
      seen.push(`${name} ${value.toFixed(0)} ${unit}`);
    };
    for (const [i, url] of urls.entries()) {
      const { rssBytes, fileBytes } = await nodeFigures(url);
      add(`memory of node ${i + 1}`, 'MiB', BOUNDS.memory, rssBytes / MIB);
      add(`LMDB file of node ${i + 1}`, 'MiB', BOUNDS.file, fileBytes / MIB);
    }
    const serverBytes = this.#servers.rssBytes(0);
    add(
      'memory of nats-server',
      'MiB',
      BOUNDS.memory,
      serverBytes === undefined ? undefined : serverBytes / MIB,
    );
    const { engineStream, aggregateStream } = this.#subjects;
    for (const stream of [engineStream, aggregateStream]) {
      const { state } = await this.#jsm.streams.info(stream);
      add(`stream ${stream}`, 'MiB', BOUNDS.stream, state.bytes / MIB);
    }
    add('journals', 'messages', BOUNDS.journal, await this.#journalMessages());
    add('p99 accepted to live', 'ms', BOUNDS.latency, this.#slice.quantiles()?.p99);
    this.#slice = new Samples();
    this.samples++;
    return seen.join(', ');
  }

  async #journalMessages(): Promise<number> {
    const { engineStream, region } = this.#subjects;
    const { state } = await this.#jsm.streams.info(engineStream, {
      subjects_filter: `gs.${region}.p.*.journal`,
    });
    return Object.values(state.subjects ?? {}).reduce((a, b) => a + b, 0);
  }
}

async function nodeFigures(url: string): Promise<{ rssBytes: number; fileBytes: number }> {
  const metrics = await (await fetch(`${url}/metrics`)).text();
  const rss = /^process_resident_memory_bytes (\S+)$/m.exec(metrics)?.[1];
  const { node } = (await (await fetch(`${url}/v1/status`)).json()) as {
    node: { snapshot: { fileBytes: number } };
  };
  return { rssBytes: Number(rss), fileBytes: node.snapshot.fileBytes };
}
