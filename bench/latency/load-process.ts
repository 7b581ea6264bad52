/**
 * The load of the latency bench, offered by a process of its own, as producers are: a steady rate, each event when it is due.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { LiveProducer } from '../../src/ingest/live-producer.js';
import type { NatsTarget } from '../../src/log/nats/connect.js';
import { Samples, type Quantiles } from '../live/samples.js';
import { cpuSecondsSoFar } from '../machine.js';
import { canonicalMarket, type MarketOptions } from '../market.js';
import { openProducer } from '../open-producer.js';
import { RecordedWorkload } from '../recorded-workload.js';
import { obey } from '../told-process.js';
import { CellTruth } from './cell-truth.js';
import { isMeasured, Schedule, type LoadOptions, type Measured } from './schedule.js';
import { WallTime } from './wall-time.js';

export type Order =
  | {
      readonly order: 'prepare';
      readonly target: NatsTarget;
      readonly market: MarketOptions;
      readonly load: LoadOptions;
      /** Events that the longest run needs. */
      readonly events: number;
    }
  /** Answered when it has stopped. */
  | {
      readonly order: 'offer';
      readonly startedMs: number;
      readonly measured: Measured;
      readonly aheadMs: number;
    }
  /** No event is offered from now on. */
  | { readonly order: 'stop' }
  /** The cells that drivers were in for any time, of so many minutes from one on. */
  | { readonly order: 'cells'; readonly firstMinuteMs: number; readonly minutes: number };

export interface Answer {
  readonly offered: number;
  /** Of probes: from when one was due until it was offered. */
  readonly dueToOfferedMs: Quantiles | undefined;
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly cells: readonly number[];
}

/** It looks what is due so often. */
const LOOK_EVERY_MS = 2;
/** It has not kept the rate when it is behind by so much at the end. */
const BEHIND_MAX_MS = 1_000;
/** Of the load: it goes through them there and back, over and over. */
const RECORDED_MAX = 3_000_000;
const MINUTE_MS = 60_000;

class Load {
  readonly #options: LoadOptions;
  readonly #workload: RecordedWorkload;
  readonly #producer: LiveProducer;
  readonly #clock: WallTime;
  readonly #offering = new Samples();
  #schedule: Schedule | undefined;
  #offered = 0;
  #stopped = false;
  #seconds = 0;
  #cpuSeconds = 0;

  static async prepare(order: Extract<Order, { order: 'prepare' }>): Promise<Load> {
    const clock = new WallTime();
    const market = canonicalMarket(order.market);
    const producer = await openProducer(order.target, market, { mode: 'live', clock });
    const { outOfOrderBoundMs } = market.config;
    return new Load(order, new LiveProducer({ producer, clock, outOfOrderBoundMs }), clock);
  }

  private constructor(
    { load, events }: Extract<Order, { order: 'prepare' }>,
    producer: LiveProducer,
    clock: WallTime,
  ) {
    this.#options = load;
    this.#producer = producer;
    this.#clock = clock;
    const { drivers, seed, cover, eventsPerSecond } = load;
    this.#workload = new RecordedWorkload({
      ...{ drivers, seed, cover: cover.slice(0, -1), eventsPerSecond },
      events: Math.min(RECORDED_MAX, events),
    });
  }

  /** @throws Error when the rate was not kept */
  async offer({ startedMs, measured, aheadMs }: Extract<Order, { order: 'offer' }>): Promise<void> {
    this.#clock.aheadMs = aheadMs;
    const schedule = new Schedule(this.#options, startedMs);
    this.#schedule = schedule;
    const usedBefore = cpuSecondsSoFar();
    this.#producer.start();
    while (!this.#isStopped()) {
      const nowMs = this.#clock.now();
      for (let dueMs = schedule.dueMs(this.#offered); dueMs <= nowMs;) {
        if (schedule.isProbe(this.#offered) && isMeasured(measured, dueMs))
          this.#offering.add(this.#clock.now() - dueMs);
        const outcome = this.#producer.offer(schedule.event(this.#offered, this.#workload));
        if (outcome !== 'taken') throw new Error(`the producer's queue is ${outcome}: the rate was not kept`);
        dueMs = schedule.dueMs(++this.#offered);
      }
      await sleep(LOOK_EVERY_MS);
    }
    const behindMs = this.#clock.now() - schedule.dueMs(this.#offered);
    if (behindMs > BEHIND_MAX_MS)
      throw new Error(`the load was offered ${Math.round(behindMs)} ms late: the rate was not kept`);
    this.#seconds = (this.#clock.now() - startedMs) / 1_000;
    this.#cpuSeconds = cpuSecondsSoFar() - usedBefore;
    await this.#producer.stop({ end: true });
  }

  stop(): void {
    this.#stopped = true;
  }

  #isStopped(): boolean {
    return this.#stopped;
  }

  /** Recomputed from the pings as they were offered. */
  cellsOf(firstMinuteMs: number, minutes: number): number[] {
    const truth = new CellTruth(firstMinuteMs);
    for (let number = 0; number < this.#offered; number++)
      truth.ping(this.#schedule!.event(number, this.#workload));
    return Array.from({ length: minutes }, (_, i) => truth.cellsOf(firstMinuteMs + (i + 1) * MINUTE_MS));
  }

  answer(cells: readonly number[]): Answer {
    return {
      offered: this.#offered,
      dueToOfferedMs: this.#offering.quantiles(),
      seconds: this.#seconds,
      cpuSeconds: this.#cpuSeconds,
      cells,
    };
  }
}

let load: Load | undefined;

obey<Order, Answer>('load-process', async (order) => {
  if (order.order === 'prepare') load = await Load.prepare(order);
  if (order.order === 'offer') await load!.offer(order);
  if (order.order === 'stop') load!.stop();
  return load!.answer(order.order === 'cells' ? load!.cellsOf(order.firstMinuteMs, order.minutes) : []);
});
