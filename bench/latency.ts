/**
 * How soon what was accepted can be read: a node at work on a steady live load, and a view of the region that follows its
 * committed outputs, as the HTTP server's does. Producer, engine and view share the process, nats-server the machine.
 *
 * - **Live values**: a share of the events are probes, drivers alone in a cell of their own, each of whose pings changes
 *   its status. Measured from when a ping was due until the view shows its status, or a later one, in its cell.
 * - **Rows of a minute**: from when the region's watermark may pass the minute (its end plus the out-of-order bound) until
 *   the view has each cell's row of it.
 *
 * An event is due when the rate says so, whatever the engine does, and its `ts` is that time: a pause of the process
 * counts for every event that was due in it. Where drivers go is simulated beforehand. What the load was, the run checks itself
 * when it is over: the events that took effect, and the cells that have a row.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock, type Clock } from '../src/core/clock.js';
import { silent } from '../src/core/logger.js';
import { LiveProducer } from '../src/ingest/live-producer.js';
import { RegionView } from '../src/serve/region-view.js';
import { CellTruth } from './latency/cell-truth.js';
import { startEngine, type MeasuredEngine } from './latency/engine.js';
import { placesIn, type Place } from './latency/places.js';
import { Samples, type Quantiles } from './live/samples.js';
import { CpuMeter, type CpuSeconds } from './machine.js';
import { canonicalMarket } from './market.js';
import { openStack, type Stack } from './stack.js';
import { RecordedWorkload } from './recorded-workload.js';
import type { Ping } from './workload.js';

export interface LatencyOptions {
  readonly eventsPerSecond: number;
  readonly drivers: number;
  /** Ends of minutes that are waited for. */
  readonly minutes: number;
  readonly seed: number;
  readonly partitions?: number;
  /** Nodes in processes of their own, as `start --workers` has them; the node is in this process unless given. */
  readonly workers?: number;
  /** Pings of probes in a second, and the cells they are in: at most the 1,024 of a geohash of four characters. */
  readonly probesPerSecond: number;
  readonly probeCells: number;
  /** Geohash prefixes of four characters: the drivers are in all but the last, where the probes are. */
  readonly cover: readonly string[];
  readonly outOfOrderBoundMs?: number;
  /** Nothing is measured before that: code gets warm, buffers grow. */
  readonly warmUpMs: number;
  readonly clock?: Clock;
  onMinute?(minute: ClosedMinute): void;
}

export interface ClosedMinute {
  /** Cells that have a row of it: as many as drivers were in. */
  readonly rows: number;
  /** From when the watermark may pass it until the last cell's row is there. */
  readonly lastRowMs: number;
  readonly firstRowMs: number;
}

export interface LatencyReport {
  readonly offered: number;
  readonly taken: number;
  readonly late: number;
  readonly seconds: number;
  /** From when a probe's ping was due until its cell shows it. */
  readonly dueToLiveMs: Quantiles;
  /** From when a probe's ping was due until it was offered: what of the above is the load generator's. */
  readonly dueToOfferedMs: Quantiles;
  readonly minutes: readonly ClosedMinute[];
  /** All rows of all those minutes. */
  readonly minuteToRowMs: Quantiles;
  readonly cpu: CpuSeconds & { readonly workers: number };
}

const MINUTE_MS = 60_000;
/** The generator looks what is due so often. */
const LOOK_EVERY_MS = 2;
const STATUSES = ['open', 'enroute', 'ontrip'] as const;
type ProbeStatus = (typeof STATUSES)[number];
const SHOWN_AS = { open: 'open', enroute: 'enroute', ontrip: 'busy' } as const;
/** At the end all that was offered is to be read within this. */
const SETTLE_MS = 60_000;
/** The load generator has not kept the rate when it is behind by so much at the end. */
const BEHIND_MAX_MS = 1_000;

/** Of the load: it goes through them there and back, over and over. */
const RECORDED_MAX = 3_000_000;

interface Probe {
  readonly driverId: string;
  readonly place: Place;
  /** Pings that its cell has not shown, oldest first: fewer than there are statuses, or nobody could tell them apart. */
  readonly waiting: { readonly status: ProbeStatus; readonly dueMs: number }[];
}

/** @throws Error when the engine or the load generator has not kept the rate, or anything is missing or too much */
export async function measureLatency(options: LatencyOptions): Promise<LatencyReport> {
  const { cover, partitions, workers = 0, outOfOrderBoundMs, clock = systemClock } = options;
  const stack = await openStack(canonicalMarket({ partitions, cover, outOfOrderBoundMs, live: true }), clock);
  let engine: MeasuredEngine | undefined;
  let view: RegionView | undefined;
  try {
    const { config } = stack.market;
    const nodes = await startEngine(stack, workers);
    engine = nodes;
    view = await RegionView.open({
      ...{ log: stack.log, subjects: stack.subjects, clock, logger: silent },
      ...{ partitions: config.partitions, windowsMs: config.windowsMs },
      allowedLatenessMs: config.allowedLatenessMs,
    });
    const before = await nodes.look();
    const run = new LatencyRun(options, stack, view, clock);
    await Promise.race([run.run(), stack.failed, nodes.ended, view.finished]);
    const { offered } = run;
    await until('every event taken', async () => (await nodes.look()).taken >= offered);
    const { taken, late, cpuSeconds } = await nodes.look();
    if (taken !== offered || late !== 0)
      throw new Error(`of ${offered} events ${taken} were taken, ${late} of them late`);
    const report = run.report();
    const cpu = { ...report.cpu, workers: cpuSeconds - before.cpuSeconds };
    return { ...report, cpu, taken, late };
  } finally {
    await view?.close();
    await engine?.close();
    await stack.close();
  }
}

class LatencyRun {
  offered = 0;
  readonly #options: LatencyOptions;
  readonly #boundMs: number;
  readonly #view: RegionView;
  readonly #clock: Clock;
  readonly #producer: LiveProducer;
  readonly #cpu: CpuMeter;
  readonly #probes: Probe[];
  readonly #probeOf = new Map<string, Probe>();
  readonly #workload: RecordedWorkload;
  readonly #firstMinuteMs: number;
  readonly #live = new Samples();
  readonly #offering = new Samples();
  readonly #rows = new Samples();
  readonly #minutes: ClosedMinute[] = [];
  #cpuUsed: CpuSeconds = { process: 0, server: 0 };
  /** Wall time less monotonic time. */
  readonly #wallMs: number;
  readonly #startedMs: number;
  #seconds = 0;
  /** End of the minute whose rows are waited for, and the cells that have theirs, each with when it came. */
  #closingMs: number;
  #closed = new Map<string, number>();

  constructor(options: LatencyOptions, stack: Stack, view: RegionView, clock: Clock) {
    this.#options = options;
    this.#boundMs = stack.market.config.outOfOrderBoundMs;
    this.#view = view;
    this.#clock = clock;
    const producer = stack.newProducer('live');
    this.#producer = new LiveProducer({ producer, clock, outOfOrderBoundMs: this.#boundMs });
    this.#cpu = new CpuMeter(stack.serverPid);
    const { drivers, seed, cover, eventsPerSecond, minutes, warmUpMs } = options;
    const seconds = (warmUpMs + minutes * MINUTE_MS) / 1_000;
    const events = Math.min(RECORDED_MAX, Math.ceil(eventsPerSecond * seconds));
    this.#workload = new RecordedWorkload({ drivers, events, seed, cover: cover.slice(0, -1) });
    this.#wallMs = clock.now() - clock.monotonic();
    this.#startedMs = Math.ceil(this.#now());
    this.#closingMs = minuteEndAfter(this.#startedMs + options.warmUpMs);
    this.#firstMinuteMs = this.#closingMs - MINUTE_MS;
    const places = placesIn(options.cover.at(-1)!).slice(0, options.probeCells);
    this.#probes = places.map((place, i) => ({ driverId: `probe-${i}`, place, waiting: [] }));
    for (const probe of this.#probes) this.#probeOf.set(probe.place.cell, probe);
  }

  async run(): Promise<void> {
    this.#producer.start();
    const unsubscribe = this.#view.subscribe({
      cells: (keys) => {
        this.#changed(keys);
      },
    });
    await this.#offerAll();
    this.#seconds = (this.#now() - this.#startedMs) / 1_000;
    this.#cpuUsed = this.#cpu.read();
    await until('every probe shown', () => this.#probes.every(({ waiting }) => waiting.length === 0));
    unsubscribe();
    await this.#producer.stop({ end: true });
    this.#expectRows();
  }

  /** Cells that drivers were in are recomputed from the load. */
  #expectRows(): void {
    const truth = new CellTruth(this.#firstMinuteMs);
    for (let number = 0; number < this.offered; number++) truth.ping(this.#event(number));
    for (const [i, { rows }] of this.#minutes.entries()) {
      const expected = truth.cellsOf(this.#firstMinuteMs + (i + 1) * MINUTE_MS);
      if (rows !== expected)
        throw new Error(`${rows} cells have a row of a minute, and drivers were in ${expected}`);
    }
  }

  report(): Omit<LatencyReport, 'taken' | 'late' | 'cpu'> & { readonly cpu: CpuSeconds } {
    return {
      offered: this.offered,
      seconds: this.#seconds,
      dueToLiveMs: measured(this.#live, 'live values'),
      dueToOfferedMs: measured(this.#offering, 'offers'),
      minutes: this.#minutes,
      minuteToRowMs: measured(this.#rows, 'rows'),
      cpu: this.#cpuUsed,
    };
  }

  /** The load, until the last minute's rows are there. */
  async #offerAll(): Promise<void> {
    const { eventsPerSecond, minutes } = this.#options;
    const lastMs = this.#closingMs + (minutes - 1) * MINUTE_MS;
    while (this.#minutes.length < minutes) {
      const nowMs = this.#now();
      let dueMs = this.#dueMs(this.offered);
      for (; dueMs <= nowMs; dueMs = this.#dueMs(this.offered)) {
        const outcome = this.#producer.offer(this.#eventDue(dueMs));
        if (outcome !== 'taken') throw new Error(`the producer's queue is ${outcome}: the rate was not kept`);
        this.offered++;
      }
      if (nowMs > lastMs + this.#boundMs + SETTLE_MS) throw new Error('the rows of a minute did not come');
      this.#settleMinute();
      await sleep(LOOK_EVERY_MS);
    }
    const behindMs = this.#now() - this.#dueMs(this.offered);
    if (behindMs > BEHIND_MAX_MS)
      throw new Error(
        `the load generator is ${Math.round(behindMs)} ms behind: no load of ${eventsPerSecond} events/s`,
      );
  }

  #dueMs(event: number): number {
    return this.#startedMs + (event * 1_000) / this.#options.eventsPerSecond;
  }

  /** The next event, on its way: a probe is waited for from here on. */
  #eventDue(dueMs: number): Ping {
    const probe = this.#probeAt(this.offered);
    if (probe !== undefined) {
      const { place, waiting } = probe.probe;
      if (waiting.length === STATUSES.length - 1)
        throw new Error(
          `${place.cell} has not shown what was due ${Math.round(this.#now() - waiting[0]!.dueMs)} ms ago: the rate was not kept`,
        );
      waiting.push({ status: probe.status, dueMs });
      if (this.#isMeasured(dueMs)) this.#offering.add(this.#now() - dueMs);
    }
    return this.#event(this.offered, probe);
  }

  /** An event of the load: the workload says who goes where, the rate says when. */
  #event(number: number, probe = this.#probeAt(number)): Ping {
    const ts = Math.floor(this.#dueMs(number));
    if (probe !== undefined) {
      const { driverId, place } = probe.probe;
      return { type: 'driver.location', driverId, ...place, ts, status: probe.status };
    }
    const { length } = this.#workload;
    const at = (number - this.#probesBefore(number)) % (2 * length);
    return this.#workload.ping(at < length ? at : 2 * length - 1 - at, ts);
  }

  /** Whose event it is, when it is a probe's. */
  #probeAt(number: number): { probe: Probe; status: ProbeStatus } | undefined {
    const before = this.#probesBefore(number);
    if (this.#probesBefore(number + 1) === before) return undefined;
    const round = Math.floor(before / this.#probes.length);
    return {
      probe: this.#probes[before % this.#probes.length]!,
      status: STATUSES[round % STATUSES.length]!,
    };
  }

  #probesBefore(number: number): number {
    const { eventsPerSecond, probesPerSecond } = this.#options;
    return Math.floor((number * probesPerSecond) / eventsPerSecond);
  }

  /** The view has taken in something about cells. */
  #changed(keys: readonly string[]): void {
    const nowMs = this.#now();
    const closing = nowMs >= this.#closingMs + this.#boundMs;
    for (const key of keys) {
      const probe = this.#probeOf.get(key);
      if (probe !== undefined && probe.waiting.length > 0) this.#shown(probe, nowMs);
      if (closing && !this.#closed.has(key) && this.#view.latest('cell', key, '1m')?.end === this.#closingMs)
        this.#closed.set(key, nowMs);
    }
  }

  #shown({ place, waiting }: Probe, nowMs: number): void {
    const values = this.#view.live(place.cell);
    const at = waiting.findIndex(({ status }) => values?.[SHOWN_AS[status]] === 1);
    for (const { dueMs } of waiting.splice(0, at + 1))
      if (this.#isMeasured(dueMs)) this.#live.add(nowMs - dueMs);
  }

  #isMeasured(dueMs: number): boolean {
    return dueMs >= this.#startedMs + this.#options.warmUpMs;
  }

  /** When the region has closed the minute that is waited for, all of its rows are there: on to the next. */
  #settleMinute(): void {
    if (this.#view.watermarkMs < this.#closingMs) return;
    const times = [...this.#closed.values()].map((atMs) => atMs - this.#closingMs - this.#boundMs);
    for (const time of times) this.#rows.add(time);
    const minute = {
      rows: times.length,
      firstRowMs: times.reduce((a, b) => Math.min(a, b)),
      lastRowMs: times.reduce((a, b) => Math.max(a, b)),
    };
    this.#minutes.push(minute);
    this.#options.onMinute?.(minute);
    this.#closingMs += MINUTE_MS;
    this.#closed = new Map();
  }

  /** Wall time that passes evenly. */
  #now(): number {
    return this.#clock.monotonic() + this.#wallMs;
  }
}

function minuteEndAfter(ms: number): number {
  return (Math.floor(ms / MINUTE_MS) + 1) * MINUTE_MS;
}

function measured(samples: Samples, what: string): Quantiles {
  const quantiles = samples.quantiles();
  if (quantiles === undefined) throw new Error(`no ${what} were measured`);
  return quantiles;
}

async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const untilMs = performance.now() + SETTLE_MS;
  while (!(await isSo())) {
    if (performance.now() > untilMs) throw new Error(`${what}: not within ${SETTLE_MS / 1_000} s`);
    await sleep(LOOK_EVERY_MS);
  }
}
