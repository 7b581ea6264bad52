/**
 * The measurements on the canonical workload, each on a new server and a new data folder:
 *
 * - end to end: producer, server and engine at the same time, from the first event produced until every window is
 *   final in `out`;
 * - the parts alone, on one stream: the producer first, then a reader that fetches, a null reader that fetches and
 *   decodes, and last the engine, all reading the same frames by the same consumers.
 */
import { systemClock } from '../src/core/clock.js';
import { isEventSubject } from '../src/log/subjects.js';
import { decodeEventFrame } from '../src/partition/frame.js';
import { decodeOutput, type OutputFrame } from '../src/partition/output.js';
import { readToEnd, type LogMessage, type LogReader } from '../src/log/log.js';
import { OutputReader, sumCounter } from '../src/serve/output-reader.js';
import type { Producer } from '../src/ingest/producer.js';
import type { Node } from '../src/node/node.js';
import { Wakeup } from '../src/node/wakeup.js';
import { CpuMeter, type CpuSeconds } from './machine.js';
import { RowDigest } from './row-digest.js';
import { openStack, type Market, type Stack } from './stack.js';
import { CanonicalWorkload } from './workload.js';

export interface CanonicalSize {
  readonly drivers: number;
  readonly events: number;
  readonly seed: number;
}

/** What the engine made of the events: the same for every run of a size. */
export interface Result {
  /** Events that took effect in an actor. */
  readonly taken: number;
  readonly late: number;
  readonly rows: Readonly<Record<string, number>>;
  /** Hash of the sorted rows, but for watermark and completeness. */
  readonly rowsHash: string;
}

export interface Timing {
  readonly seconds: number;
  readonly eventsPerSecond: number;
}

export interface EngineTiming extends Timing {
  /** Until the last minute that holds an event is final everywhere. The rest is the long windows running out. */
  readonly lastMinute: Timing;
  /** Until the producer had said its last word; 0 where it was done before. */
  readonly producedSeconds: number;
  readonly rows: number;
  readonly cpu: CpuSeconds;
  readonly batches: number;
  readonly batchBytes: number;
}

export interface Alone {
  readonly producer: Timing;
  /** Bytes of event frames per event. */
  readonly bytesPerEvent: number;
  readonly rawReader: Timing;
  readonly nullReader: Timing;
  readonly engine: EngineTiming;
}

const MINUTE_MS = 60_000;
/** Past presence and the longest window: everything has closed by then. */
const CLOSE_AFTER_MS = 2 * 3_600_000;
const TAKE_BYTES = 256 * 1024;

/** Producer, server and engine at the same time. */
export async function runEndToEnd(
  market: Market,
  size: CanonicalSize,
): Promise<{ timing: EngineTiming; result: Result }> {
  const stack = await openStack(market);
  try {
    const node = await stack.startNode();
    const run = new EngineRun(stack, node, size.events);
    const reading = run.readUntilFinal();
    await Promise.race([run.produce(size), reading, stack.failed]);
    await Promise.race([reading, stack.failed]);
    return { timing: run.timing(), result: await resultOf(stack, run) };
  } finally {
    await stack.close();
  }
}

/** Producer, readers and engine one after another, on the same stream. */
export async function runAlone(
  market: Market,
  size: CanonicalSize,
): Promise<{ alone: Alone; result: Result }> {
  const stack = await openStack(market);
  try {
    const { producer, seconds: producing } = await produceAll(stack, size);
    const raw = await drain(stack, (message) => message.payload.byteLength);
    const none = await drain(stack, ({ subject, payload }) =>
      isEventSubject(subject) ? decodeEventFrame(payload).events.length : 0,
    );
    if (none.sum !== size.events)
      throw new Error(
        `the null reader saw ${none.sum} events of ${size.events}: nothing here is to be believed`,
      );

    const startedMs = systemClock.monotonic();
    const node = await stack.startNode();
    const run = new EngineRun(stack, node, size.events, startedMs);
    run.ended(producer);
    await Promise.race([run.readUntilFinal(), stack.failed]);
    return {
      alone: {
        producer: timingOf(size.events, producing),
        bytesPerEvent: raw.sum / size.events,
        rawReader: timingOf(size.events, raw.seconds),
        nullReader: timingOf(size.events, none.seconds),
        engine: run.timing(),
      },
      result: await resultOf(stack, run),
    };
  } finally {
    await stack.close();
  }
}

/** One engine at work on the workload, watched through what it commits to `out`. */
class EngineRun {
  readonly #stack: Stack;
  readonly #node: Node;
  readonly #events: number;
  readonly #outputs: OutputReader;
  readonly #startedMs: number;
  readonly #cpu: CpuMeter;
  #cpuUsed: CpuSeconds = { process: 0, server: 0 };
  #latestMs = Number.POSITIVE_INFINITY;
  #untilMs = Number.POSITIVE_INFINITY;
  #producedSeconds = 0;
  #lastMinuteSeconds = Number.NaN;
  #seconds = Number.NaN;
  #rows = 0;

  constructor(stack: Stack, node: Node, events: number, startedMs = systemClock.monotonic()) {
    this.#stack = stack;
    this.#node = node;
    this.#events = events;
    this.#outputs = new OutputReader(stack.log, stack.subjects);
    this.#startedMs = startedMs;
    this.#cpu = new CpuMeter(stack.serverPid);
  }

  async produce(size: CanonicalSize): Promise<void> {
    this.ended(await produce(this.#stack, size));
    this.#producedSeconds = this.#elapsed();
    this.#outputs.wake();
  }

  /** Nothing more is produced: from now on there is a time at which everything is final. */
  ended(producer: Producer): void {
    this.#latestMs = producer.latestMs!;
    this.#untilMs = closeMs(producer);
  }

  async readUntilFinal(): Promise<void> {
    for await (const frames of this.#outputs.frames(1)) {
      for (const { rows } of frames) this.#rows += rows.length;
      const closedMs = this.#closedMs();
      if (Number.isNaN(this.#lastMinuteSeconds) && closedMs >= this.#latestMs)
        this.#lastMinuteSeconds = this.#elapsed();
      if (closedMs >= this.#untilMs) break;
    }
    this.#seconds = this.#elapsed();
    this.#cpuUsed = this.#cpu.read();
  }

  timing(): EngineTiming {
    const { batches, batchBytes } = this.#node.stats;
    return {
      ...timingOf(this.#events, this.#seconds),
      lastMinute: timingOf(this.#events, this.#lastMinuteSeconds),
      producedSeconds: this.#producedSeconds,
      rows: this.#rows,
      cpu: this.#cpuUsed,
      batches,
      batchBytes,
    };
  }

  counted(): { taken: number; late: number } {
    const progress = [...this.#outputs.progress.values()];
    const timers = Math.max(...progress.map(({ latestTimerMs }) => latestTimerMs));
    if (timers > this.#untilMs) throw new Error('a timer still stands at the end: not every window is final');
    const late = sumCounter(progress, 'late');
    return { taken: this.#node.stats.events - late - sumCounter(progress, 'repeated'), late };
  }

  /** Event time up to which the last stage is closed in every partition. */
  #closedMs(): number {
    const progress = [...this.#outputs.progress.values()];
    if (progress.length < this.#stack.market.config.partitions) return -1;
    return Math.min(...progress.map(({ closed }) => closed.at(-1)!));
  }

  #elapsed(): number {
    return (systemClock.monotonic() - this.#startedMs) / 1000;
  }
}

function closeMs(producer: Producer): number {
  return Math.ceil(producer.latestMs! / MINUTE_MS) * MINUTE_MS + CLOSE_AFTER_MS;
}

async function produce(stack: Stack, { drivers, events, seed }: CanonicalSize): Promise<Producer> {
  const producer = stack.newProducer();
  const { cover } = stack.market.config;
  for await (const pings of new CanonicalWorkload({ drivers, events, seed, cover })) {
    for (const ping of pings) producer.offer(ping);
    if (producer.full) await producer.flush();
  }
  await producer.end(closeMs(producer));
  return producer;
}

async function produceAll(
  stack: Stack,
  size: CanonicalSize,
): Promise<{ producer: Producer; seconds: number }> {
  const startedMs = systemClock.monotonic();
  const producer = await produce(stack, size);
  return { producer, seconds: (systemClock.monotonic() - startedMs) / 1000 };
}

/** Reads the inputs of all partitions to their end, as a node does; gives the sum of what `use` gave. */
async function drain(
  stack: Stack,
  use: (message: LogMessage) => number,
): Promise<{ sum: number; seconds: number }> {
  const { log, subjects, market } = stack;
  const { partitions } = market.config;
  const lastSeq = await log.lastSeq();
  const startedMs = systemClock.monotonic();
  const wakeup = new Wakeup(systemClock);
  const readers: LogReader[] = [];
  for (let p = 0; p < partitions; p++)
    readers.push(
      await log.read(subjects.inputs(p), 1, () => {
        wakeup.wake();
      }),
    );
  let sum = 0;
  let seen = 0;
  while (seen < lastSeq) {
    wakeup.arm();
    let worked = false;
    for (const reader of readers) {
      if (reader.failure !== undefined) throw reader.failure;
      const messages = reader.take(TAKE_BYTES);
      for (const message of messages) sum += use(message);
      seen += messages.length;
      if (messages.length > 0) worked = true;
    }
    if (worked) await new Promise((resolve) => setImmediate(resolve));
    else await wakeup.wait(200);
  }
  const seconds = (systemClock.monotonic() - startedMs) / 1000;
  for (const reader of readers) await reader.close();
  return { sum, seconds };
}

/** Reads the rows again from the stream, after the clock has stopped. */
async function resultOf(stack: Stack, run: EngineRun): Promise<Result> {
  const digest = new RowDigest();
  const rows: Record<string, number> = {};
  for (let p = 0; p < stack.market.config.partitions; p++) {
    for await (const { payload } of readToEnd(stack.log, stack.subjects.out(p), 1)) {
      const frame: OutputFrame = decodeOutput(payload);
      for (const row of frame.rows) {
        digest.add(row);
        const kind = `${row.level} ${row.window}`;
        rows[kind] = (rows[kind] ?? 0) + 1;
      }
    }
  }
  return { ...run.counted(), rows, rowsHash: digest.value() };
}

function timingOf(events: number, seconds: number): Timing {
  return { seconds, eventsPerSecond: events / seconds };
}
