/**
 * The real node, the real actors and the real producer over a log and snapshots in memory: for tests of what the engine
 * promises. Nothing in it waits for a clock on the wall, so the same call gives the same run.
 */
import { join } from 'node:path';
import { marketActors } from '../../actors/index.js';
import type { Row } from '../../src/actor/row.js';
import { Registry } from '../../src/actor/registry.js';
import type { Clock } from '../../src/core/clock.js';
import { CONFIG_FOLDER } from '../../src/cli/package-root.js';
import { Producer } from '../../src/ingest/producer.js';
import type { Log } from '../../src/log/log.js';
import { MemoryLog } from '../../src/log/memory/memory-log.js';
import { Subjects } from '../../src/log/subjects.js';
import { loadLinearModel } from '../../src/model/load.js';
import { Node, type MembershipOptions, type NodeLimits, type NodeOptions } from '../../src/node/node.js';
import { decodeOutput, type Progress, type SideOutput } from '../../src/partition/output.js';
import type { ProducerMode } from '../../src/partition/watermark.js';
import { OutputReader, sumCounter } from '../../src/serve/output-reader.js';
import { MemoryStore } from '../../src/state/memory/memory-store.js';
import type { SnapshotStore } from '../../src/state/store.js';
import { EagerClock } from './eager-clock.js';
import { checked, MINUTE, type RawEvent } from './market.js';

export const REGION = 'sf';
export const subjects = new Subjects(REGION);
export const WINDOWS_MS = [1, 5, 15, 60].map((minutes) => minutes * MINUTE);
const model = await loadLinearModel(join(CONFIG_FOLDER, 'models', 'surge-linear.json'));

export interface Settings {
  readonly partitions?: number;
  readonly outOfOrderBoundMs?: number;
  readonly allowedLatenessMs?: number;
  readonly presenceMs?: number;
  readonly windowsMs?: readonly number[];
  readonly limits?: Partial<NodeLimits>;
  /** Most events in one input frame. */
  readonly frameEvents?: number;
  /** Frames of each partition that are sent together. */
  readonly framesPerFlush?: number;
  readonly payloadBytesMax?: number;
}

export interface EngineOptions extends Settings {
  readonly log?: Log;
  readonly store?: SnapshotStore;
  readonly clock?: Clock;
  /** Name of the node's writer: no two nodes share one. */
  readonly writer?: string;
  /** Other nodes of the region; without it, the node is alone. */
  readonly membership?: MembershipOptions;
  readonly onCommitted?: NodeOptions['onCommitted'];
  readonly temporary?: boolean;
}

/** All that the world was told. */
export interface Results {
  readonly rows: Row[];
  readonly sides: SideOutput[];
  /** Sum of a counter over partitions. */
  readonly count: (name: string) => number;
  readonly progress: ReadonlyMap<number, Progress>;
}

let writers = 0;

export function registryOf(settings: Settings = {}): Registry {
  const { presenceMs = 300_000, allowedLatenessMs = 10 * MINUTE, windowsMs = WINDOWS_MS } = settings;
  return new Registry(marketActors({ presenceMs, allowedLatenessMs, windowsMs, model, live: true }));
}

export class Engine {
  readonly settings: Settings;
  readonly partitions: number;
  readonly log: Log;
  readonly store: SnapshotStore;
  readonly clock: Clock;
  readonly registry: Registry;
  readonly node: Node;
  /** Reasons for which a batch was tried again. */
  readonly retries: string[] = [];

  static async start(options: EngineOptions = {}): Promise<Engine> {
    const engine = new Engine(options);
    await engine.node.start();
    return engine;
  }

  /** A node that is not started yet. */
  constructor(options: EngineOptions = {}) {
    this.settings = options;
    this.partitions = options.partitions ?? 4;
    this.log = options.log ?? newLog(options);
    this.store = options.store ?? new MemoryStore();
    this.clock = options.clock ?? new EagerClock();
    this.registry = registryOf(options);
    this.node = new Node({
      log: this.log,
      store: this.store,
      subjects,
      clock: this.clock,
      registry: this.registry,
      partitions: this.partitions,
      partition: {
        writer: options.writer ?? `writer-${++writers}`,
        time: { outOfOrderBoundMs: options.outOfOrderBoundMs ?? 5_000, idleTimeoutMs: 30_000 },
        paneMs: MINUTE,
        duplicateWindowMs: 15 * MINUTE,
      },
      // A commit with every turn, as many places to break as there can be.
      limits: { commitEveryMs: 0, replayCommitEveryMs: 0, snapshotEveryMs: 0, ...options.limits },
      ...(options.membership === undefined ? {} : { membership: options.membership }),
      ...(options.onCommitted === undefined ? {} : { onCommitted: options.onCommitted }),
      ...(options.temporary === undefined ? {} : { temporary: options.temporary }),
      onRetry: (cause) => this.retries.push(cause),
    });
  }

  producer(id = 'test', log: Log = this.log, mode: ProducerMode = 'replay'): TestProducer {
    return new TestProducer(
      new Producer({
        log,
        subjects,
        routes: this.registry.routes,
        clock: this.clock,
        partitions: this.partitions,
        id,
        mode,
        outOfOrderBoundMs: this.settings.outOfOrderBoundMs ?? 5_000,
        frameEvents: this.settings.frameEvents ?? 64,
        framesPerFlush: this.settings.framesPerFlush ?? 1,
      }),
    );
  }

  /** Waits until every stage is closed up to a time everywhere; gives what was said until then. Fails with the node. */
  async results(untilMs: number, log: Log = this.log): Promise<Results> {
    const failed = this.node.finished.then(() => {
      throw new Error('the node was stopped before it was done');
    });
    failed.catch(() => undefined);
    return Promise.race([readResults(log, this.partitions, untilMs), failed]);
  }

  async stop(): Promise<void> {
    await this.node.stop();
  }
}

export function newLog({ payloadBytesMax }: Settings = {}): MemoryLog {
  return new MemoryLog(payloadBytesMax === undefined ? {} : { payloadBytesMax });
}

/** A producer that is fed with raw events. */
export class TestProducer {
  readonly producer: Producer;

  constructor(producer: Producer) {
    this.producer = producer;
  }

  /** Offers events, and sends whenever there is enough for full frames. */
  async send(events: Iterable<RawEvent>): Promise<void> {
    for (const event of events) {
      this.producer.offer(checked(event));
      if (this.producer.full) await this.producer.flush();
    }
  }

  /** Sends events, one frame each, with the watermark they allow. */
  async sendEach(events: Iterable<RawEvent>): Promise<void> {
    for (const event of events) {
      this.producer.offer(checked(event));
      await this.producer.flush();
    }
  }

  /** Says the last word: all windows close. Gives the time up to which they do. */
  async end(): Promise<number> {
    const untilMs = Math.ceil((this.producer.latestMs ?? 0) / MINUTE) * MINUTE + 120 * MINUTE;
    await this.producer.end(untilMs);
    return untilMs;
  }
}

async function readResults(log: Log, partitions: number, untilMs: number): Promise<Results> {
  const outputs = new OutputReader(log, subjects);
  const rows: Row[] = [];
  const sides: SideOutput[] = [];
  for await (const frames of outputs.frames(1)) {
    for (const frame of frames) {
      rows.push(...frame.rows);
      sides.push(...frame.sides);
    }
    const { progress } = outputs;
    if (progress.size === partitions && [...progress.values()].every((p) => p.closed.at(-1)! >= untilMs))
      break;
  }
  return {
    rows,
    sides,
    progress: outputs.progress,
    count: (name) => sumCounter(outputs.progress.values(), name),
  };
}

/** What the log tells the world now, whoever is still at work. */
export async function outputsNow(
  log: Log,
  partitions: number,
): Promise<{ rows: Row[]; sides: SideOutput[] }> {
  const rows: Row[] = [];
  const sides: SideOutput[] = [];
  for (let partition = 0; partition < partitions; partition++) {
    const reader = await log.read(subjects.out(partition), 1, () => undefined);
    for (const { payload } of reader.take(Number.POSITIVE_INFINITY)) {
      const frame = decodeOutput(payload);
      rows.push(...frame.rows);
      sides.push(...frame.sides);
    }
    await reader.close();
  }
  return { rows, sides };
}

/** One run from the first event to the last window, undisturbed unless the options say otherwise. */
export async function run(events: Iterable<RawEvent>, options: EngineOptions = {}): Promise<Results> {
  const engine = await Engine.start(options);
  const producer = engine.producer();
  await producer.send(events);
  const results = await engine.results(await producer.end());
  await engine.stop();
  return results;
}
