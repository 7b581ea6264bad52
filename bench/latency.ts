/**
 * How soon what was accepted can be read: a node at work on a steady live load, and a view of the region that follows its
 * committed outputs, as the HTTP server's does. The load is offered by a process of its own (`latency/load-process.ts`); engine and
 * view share this one, nats-server the machine.
 *
 * - **Live values**: a share of the events are probes, drivers alone in a cell of their own, each of whose pings changes
 *   its status. Measured from when a ping was due until the view shows its status, or a later one, in its cell.
 * - **Rows of a minute**: from when the region's watermark may pass the minute (its end plus the out-of-order bound) until
 *   the view has each cell's row of it.
 *
 * An event is due when the rate says so, whatever the engine does, and its `ts` is that time: a pause of any process
 * counts for every event that was due in it. Where drivers go is simulated beforehand. What the load was, the run checks itself
 * when it is over: the events that took effect, and the cells that have a row.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { silent } from '../src/core/logger.js';
import { RegionView } from '../src/serve/region-view.js';
import { startEngine, type MeasuredEngine } from './latency/engine.js';
import type { Answer } from './latency/load-process.js';
import { RemoteLoad } from './latency/remote-load.js';
import {
  isMeasured,
  Schedule,
  WAITING_MAX,
  type LoadOptions,
  type Measured,
  type ProbeStatus,
} from './latency/schedule.js';
import { WallTime } from './latency/wall-time.js';
import { Samples, type Quantiles } from './live/samples.js';
import { CpuMeter, type CpuSeconds } from './machine.js';
import { canonicalMarket } from './market.js';
import { openStack, type Stack } from './stack.js';

export interface LatencyOptions extends LoadOptions {
  /** Ends of minutes that are measured, and live values for as many whole minutes with those ends in them. */
  readonly minutes: number;
  /** So many ends of minutes pass before: the first one after a start meets cold code. */
  readonly warmUpMinutes: number;
  /** Before that nothing is waited for: buffers grow. */
  readonly warmUpMs: number;
  readonly partitions?: number;
  /** Nodes in processes of their own, as `start --workers` has them; the node is in this process unless given. */
  readonly workers?: number;
  readonly outOfOrderBoundMs?: number;
  /** The first minute ends so long after the first event: when it does unless given. */
  readonly minuteEndsInMs?: number;
  onMinute?(minute: ClosedMinute, measured: boolean): void;
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
  /** Ended before anything was measured: what cold code takes. */
  readonly warmUpMinutes: readonly ClosedMinute[];
  /** All rows of all those minutes. */
  readonly minuteToRowMs: Quantiles;
  readonly cpu: CpuSeconds & { readonly load: number; readonly workers: number };
}

const MINUTE_MS = 60_000;
/** It looks so often what is due to be shown, and which minute is over. */
const LOOK_EVERY_MS = 2;
const SHOWN_AS = { open: 'open', enroute: 'enroute', ontrip: 'busy' } as const;
/** At the end all that was offered is to be read within this. */
const SETTLE_MS = 60_000;
/** After a minute's rows may come, so long: then all is calm again. */
const CALM_MS = 3_000;
/** Until the first event is due: the load's process is told by then. */
const START_IN_MS = 100;

/** A ping of a probe that its cell has not shown. */
interface Waiting {
  readonly status: ProbeStatus;
  readonly event: number;
}

/** @throws Error when the engine or the load generator has not kept the rate, or anything is missing or too much */
export async function measureLatency(options: LatencyOptions): Promise<LatencyReport> {
  const { cover, partitions, workers = 0, outOfOrderBoundMs } = options;
  const clock = new WallTime();
  const stack = await openStack(canonicalMarket({ partitions, cover, outOfOrderBoundMs, live: true }), clock);
  let engine: MeasuredEngine | undefined;
  let load: RemoteLoad | undefined;
  let view: RegionView | undefined;
  try {
    const { config, options: marketOptions } = stack.market;
    const nodes = await startEngine(stack, workers);
    engine = nodes;
    view = await RegionView.open({
      ...{ log: stack.log, subjects: stack.subjects, clock, logger: silent },
      ...{ partitions: config.partitions, windowsMs: config.windowsMs },
      allowedLatenessMs: config.allowedLatenessMs,
    });
    const seconds = options.warmUpMs / 1_000 + (options.warmUpMinutes + options.minutes) * 60;
    load = await RemoteLoad.open(stack.target, marketOptions, options, seconds);
    const before = await nodes.look();
    const run = new LatencyRun(options, stack, load, view, clock);
    await Promise.race([run.run(), load.failed, stack.failed, nodes.ended, view.finished]);
    const { offered } = run.load;
    await until('every event taken', async () => (await nodes.look()).taken >= offered);
    const { taken, late, cpuSeconds } = await nodes.look();
    if (taken !== offered || late !== 0)
      throw new Error(`of ${offered} events ${taken} were taken, ${late} of them late`);
    const report = run.report();
    return { ...report, taken, late, cpu: { ...report.cpu, workers: cpuSeconds - before.cpuSeconds } };
  } finally {
    load?.close();
    await view?.close();
    await engine?.close();
    await stack.close();
  }
}

class LatencyRun {
  readonly #options: LatencyOptions;
  readonly #boundMs: number;
  readonly #remote: RemoteLoad;
  /** Once it has stopped. */
  #load: Answer | undefined;
  readonly #view: RegionView;
  readonly #clock: WallTime;
  readonly #schedule: Schedule;
  readonly #cpu: CpuMeter;
  /** By cell, oldest first. */
  readonly #waiting = new Map<string, Waiting[]>();
  /** The next ping of a probe that is due. */
  #probes = 0;
  /** A probe's cell is behind by more pings than can be told apart. */
  #notKept: Error | undefined;
  /** Start of the first minute that is measured. */
  readonly #firstMinuteMs: number;
  readonly #measured: Measured;
  readonly #live = new Samples();
  readonly #rows = new Samples();
  readonly #minutes: ClosedMinute[] = [];
  readonly #warmUpMinutes: ClosedMinute[] = [];
  #cpuUsed: CpuSeconds = { process: 0, server: 0 };
  readonly #startedMs: number;
  /** End of the minute whose rows are waited for, and the cells that have theirs, each with when it came. */
  #closingMs: number;
  #closed = new Map<string, number>();

  constructor(options: LatencyOptions, stack: Stack, load: RemoteLoad, view: RegionView, clock: WallTime) {
    this.#options = options;
    this.#boundMs = stack.market.config.outOfOrderBoundMs;
    this.#remote = load;
    this.#view = view;
    this.#clock = clock;
    this.#cpu = new CpuMeter(stack.serverPid);
    const { minuteEndsInMs } = options;
    if (minuteEndsInMs !== undefined)
      clock.aheadMs = minuteEndAfter(clock.now()) - minuteEndsInMs - START_IN_MS - clock.now();
    this.#startedMs = Math.ceil(clock.now()) + START_IN_MS;
    this.#schedule = new Schedule(options, this.#startedMs);
    const warmMs = this.#startedMs + options.warmUpMs;
    this.#closingMs = minuteEndAfter(warmMs);
    this.#firstMinuteMs = this.#closingMs + (options.warmUpMinutes - 1) * MINUTE_MS;
    const calmMs = this.#firstMinuteMs + this.#boundMs + CALM_MS;
    this.#measured = {
      fromMs: Math.max(warmMs, calmMs),
      untilMs: calmMs + options.minutes * MINUTE_MS,
    };
    for (const { place } of this.#schedule.probes) this.#waiting.set(place.cell, []);
  }

  async run(): Promise<void> {
    const unsubscribe = this.#view.subscribe({
      cells: (keys) => {
        this.#changed(keys);
      },
    });
    const offering = this.#remote.offer(this.#startedMs, this.#measured, this.#clock.aheadMs);
    await Promise.race([this.#minutesEnd(), offering]);
    this.#cpuUsed = this.#cpu.read();
    this.#remote.stop();
    this.#load = await offering;
    this.#noteDue(Number.POSITIVE_INFINITY);
    const { offered } = this.#load;
    // What was due when it was told to stop may not have been offered any more.
    for (const [cell, waiting] of this.#waiting)
      this.#waiting.set(
        cell,
        waiting.filter(({ event }) => event < offered),
      );
    if (this.#notKept !== undefined) throw this.#notKept;
    await until('every probe shown', () => [...this.#waiting.values()].every(({ length }) => length === 0));
    unsubscribe();
    const expected = await this.#remote.cells(this.#firstMinuteMs, this.#minutes.length);
    for (const [i, { rows }] of this.#minutes.entries())
      if (rows !== expected[i])
        throw new Error(`${rows} cells have a row of a minute, and drivers were in ${expected[i]}`);
  }

  report(): Omit<LatencyReport, 'taken' | 'late' | 'cpu'> & {
    readonly cpu: Omit<LatencyReport['cpu'], 'workers'>;
  } {
    const { offered, seconds, cpuSeconds, dueToOfferedMs } = this.load;
    return {
      offered,
      seconds,
      dueToLiveMs: measured(this.#live.quantiles(), 'live values'),
      dueToOfferedMs: measured(dueToOfferedMs, 'offers'),
      minutes: this.#minutes,
      warmUpMinutes: this.#warmUpMinutes,
      minuteToRowMs: measured(this.#rows.quantiles(), 'rows'),
      cpu: { ...this.#cpuUsed, load: cpuSeconds },
    };
  }

  /** What was offered. */
  get load(): Answer {
    if (this.#load === undefined) throw new Error('the load goes on');
    return this.#load;
  }

  /** Resolves when all is measured, and the last minute's rows are there. */
  async #minutesEnd(): Promise<void> {
    const { minutes } = this.#options;
    for (let nowMs = this.#clock.now(); ; nowMs = this.#clock.now()) {
      if (this.#minutes.length >= minutes && nowMs >= this.#measured.untilMs) return;
      if (nowMs > this.#measured.untilMs + SETTLE_MS) throw new Error('the rows of a minute did not come');
      this.#noteDue(nowMs);
      if (this.#notKept !== undefined) throw this.#notKept;
      this.#settleMinute();
      await sleep(LOOK_EVERY_MS);
    }
  }

  /** What is due by now, and offered, is waited for. */
  #noteDue(nowMs: number): void {
    const offered = this.#load?.offered ?? Number.POSITIVE_INFINITY;
    for (; ; this.#probes++) {
      const event = this.#schedule.eventOfProbe(this.#probes);
      const dueMs = this.#schedule.dueMs(event);
      if (dueMs > nowMs || event >= offered) return;
      const { probe, status } = this.#schedule.probePing(this.#probes);
      const waiting = this.#waiting.get(probe.place.cell)!;
      if (waiting.length === WAITING_MAX) {
        const sinceMs = Math.round(nowMs - this.#schedule.dueMs(waiting[0]!.event));
        this.#notKept ??= new Error(
          `${probe.place.cell} has not shown what was due ${sinceMs} ms ago: the rate was not kept`,
        );
        return;
      }
      waiting.push({ status, event });
    }
  }

  /** The view has taken in something about cells. */
  #changed(keys: readonly string[]): void {
    const nowMs = this.#clock.now();
    this.#noteDue(nowMs);
    const closing = nowMs >= this.#closingMs + this.#boundMs;
    for (const key of keys) {
      const waiting = this.#waiting.get(key);
      if (waiting !== undefined && waiting.length > 0) this.#shown(key, waiting, nowMs);
      if (closing && !this.#closed.has(key) && this.#view.latest('cell', key, '1m')?.end === this.#closingMs)
        this.#closed.set(key, nowMs);
    }
  }

  #shown(cell: string, waiting: Waiting[], nowMs: number): void {
    const values = this.#view.live(cell);
    const at = waiting.findIndex(({ status }) => values?.[SHOWN_AS[status]] === 1);
    for (const { event } of waiting.splice(0, at + 1)) {
      const dueMs = this.#schedule.dueMs(event);
      if (isMeasured(this.#measured, dueMs)) this.#live.add(nowMs - dueMs);
    }
  }

  /** When the region has closed the minute that is waited for, all of its rows are there: on to the next. */
  #settleMinute(): void {
    if (this.#view.watermarkMs < this.#closingMs || this.#minutes.length === this.#options.minutes) return;
    const times = [...this.#closed.values()].map((atMs) => atMs - this.#closingMs - this.#boundMs);
    const minute = {
      rows: times.length,
      firstRowMs: times.reduce((a, b) => Math.min(a, b)),
      lastRowMs: times.reduce((a, b) => Math.max(a, b)),
    };
    const counts = this.#closingMs > this.#firstMinuteMs;
    if (counts) for (const time of times) this.#rows.add(time);
    (counts ? this.#minutes : this.#warmUpMinutes).push(minute);
    this.#options.onMinute?.(minute, counts);
    this.#closingMs += MINUTE_MS;
    this.#closed = new Map();
  }
}

function minuteEndAfter(ms: number): number {
  return (Math.floor(ms / MINUTE_MS) + 1) * MINUTE_MS;
}

function measured(quantiles: Quantiles | undefined, what: string): Quantiles {
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
