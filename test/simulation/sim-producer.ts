/**
 * Programs that tell the region what happened, over real producers: a replay that begins anew under its id when it died, and
 * one that feeds live and offers again, under the events' ids, what it was not told to be there.
 */
import { GroundswellError } from '../../src/core/errors.js';
import { sleep } from '../../src/core/clock.js';
import { SteadyClock } from '../../src/core/steady-clock.js';
import type { Routes } from '../../src/ingest/routes.js';
import { LiveProducer } from '../../src/ingest/live-producer.js';
import { Producer } from '../../src/ingest/producer.js';
import { subjects } from '../support/engine.js';
import type { Dice } from './dice.js';
import type { Plan } from './schedule.js';
import { SimProcess, type Scheduler } from './sim-clock.js';
import { SimLog } from './sim-log.js';
import { SimConnection, type SimServer } from './sim-server.js';
import type { Arrival } from './workload.js';

export interface ProducerSettings {
  readonly index: number;
  readonly plan: Plan;
  readonly scheduler: Scheduler;
  readonly server: SimServer;
  readonly routes: Routes;
  readonly dice: Dice;
  readonly wallStartMs: number;
  readonly arrivals: readonly Arrival[];
  /** What its last word promises, event time ms. */
  readonly untilMs: number;
}

const RESTART_MS = 1_000;

export abstract class ProducerHost {
  readonly settings: ProducerSettings;
  process: SimProcess | undefined;
  connection: SimConnection | undefined;
  /** The region knows of it. */
  greeted = false;
  /** It may tell what it knows. */
  released = false;
  /** It has said its last word, and knows that it was heard. */
  done = false;
  /** It is not started again: what it has not told is never told. */
  abandoned = false;
  /** Tags of the events that it was told to be in the stream. */
  readonly delivered = new Set<number>();
  readonly failures: unknown[] = [];
  #starts = 0;

  constructor(settings: ProducerSettings) {
    this.settings = settings;
  }

  get id(): string {
    return `${this.settings.plan.mode}-${this.settings.index}`;
  }

  start(): void {
    if (this.abandoned || this.done) return;
    const { scheduler, server, wallStartMs } = this.settings;
    const process = new SimProcess(`${this.id}#${++this.#starts}`, scheduler, wallStartMs);
    this.process = process;
    this.connection = new SimConnection(server, process);
    const again = (): void => {
      scheduler.after(RESTART_MS, undefined, `${this.id} again`, () => {
        this.start();
      });
    };
    process.onEnd(again);
    process.after(0, 'starts', () => {
      this.run(process).then(
        () => {
          process.kill();
        },
        (error: unknown) => {
          if (!(error instanceof GroundswellError && error.code === 'GS_LOG')) this.failures.push(error);
          scheduler.note(process.name, `ended: ${String(error)}`);
          process.kill();
        },
      );
    });
  }

  kill(): void {
    this.process?.kill();
  }

  abandon(): void {
    this.abandoned = true;
    this.process?.kill();
  }

  protected abstract run(process: SimProcess): Promise<void>;

  protected producer(process: SimProcess): Producer {
    const { plan, server, routes, dice } = this.settings;
    return new Producer({
      log: new SimLog({
        connection: this.connection!,
        stream: server.stream(subjects.engineStream, plan.payloadBytesMax),
        dice: dice.of(`log ${this.#starts}`),
      }),
      subjects,
      routes,
      clock: new SteadyClock(process.clock),
      partitions: plan.partitions,
      id: this.id,
      mode: plan.mode,
      outOfOrderBoundMs: plan.boundMs,
      frameEvents: plan.frameEvents,
      framesPerFlush: plan.framesPerFlush,
    });
  }

  protected async whenReleased(process: SimProcess): Promise<void> {
    while (!this.released) await sleep(process.clock, 10);
  }
}

/** Tells all it has, in order, as fast as its pace allows; after a death from the beginning. */
export class ReplayHost extends ProducerHost {
  protected async run(process: SimProcess): Promise<void> {
    const { arrivals, dice, plan, untilMs } = this.settings;
    const producer = this.producer(process);
    if (!(await producer.resume())) await producer.flush({ watermarkMs: 0 });
    this.greeted = true;
    await this.whenReleased(process);
    const pace = dice.of('pace');
    const pauseMs = (0.6 * plan.chaosMs) / Math.max(1, arrivals.length / 4);
    let tags: number[] = [];
    for (const { checked, event } of arrivals) {
      producer.offer(checked);
      tags.push(event.tag);
      if (!producer.full && !pace.chance(0.25)) continue;
      await producer.flush();
      for (const tag of tags) this.delivered.add(tag);
      tags = [];
      await sleep(process.clock, pace.wait(pauseMs));
    }
    await producer.end(untilMs);
    for (const tag of tags) this.delivered.add(tag);
    this.done = true;
  }
}

/** Tells each event when it has happened, and again when it does not know whether it was heard. */
export class LiveHost extends ProducerHost {
  protected async run(process: SimProcess): Promise<void> {
    const { arrivals, plan, untilMs } = this.settings;
    const { clock } = process;
    const producer = this.producer(process);
    await producer.resume();
    const live = new LiveProducer({ producer, clock, outOfOrderBoundMs: plan.boundMs, queueEventsMax: 50 });
    live.start();
    this.greeted = true;
    await this.whenReleased(process);
    const known = [...arrivals].filter(({ event }) => !this.delivered.has(event.tag));
    for (const { checked, event, atMs } of known) {
      const waitMs = atMs - clock.now();
      if (waitMs > 0) await sleep(clock, waitMs);
      while (live.offer(checked) === 'full') await live.room();
      live.flushed().then(
        () => this.delivered.add(event.tag),
        () => undefined,
      );
    }
    for (;;) {
      const flushed = await live.flushed().then(
        () => true,
        () => false,
      );
      if (flushed) break;
    }
    // A last word of a time that has not come is not believed: then the nodes' clocks close the windows.
    await live.stop(plan.clockToleranceMs === undefined ? { end: true, watermarkMs: untilMs } : {});
    this.done = true;
  }
}
