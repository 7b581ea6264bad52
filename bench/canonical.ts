/**
 * The measurements on the canonical workload, each on a new server and a new data folder:
 *
 * - end to end: producer, server and engine at the same time, from the first event produced until every window is
 *   final in `out`;
 * - the parts alone, on one stream: the producer first, then a reader that fetches, a null reader that fetches and
 *   decodes, and last the engine, all reading the same frames by the same consumers.
 */
import type { Row } from '../src/index.js';
import { systemClock } from '../src/core/clock.js';
import { isEventSubject } from '../src/log/subjects.js';
import { decodeEventFrame } from '../src/partition/frame.js';
import { decodeOutput } from '../src/partition/output.js';
import { countRows } from '../src/partition/row-block.js';
import { readToEnd, type LogMessage, type LogReader } from '../src/log/log.js';
import { OutputReader, sumCounter } from '../src/serve/output-reader.js';
import type { Producer } from '../src/ingest/producer.js';
import type { Node } from '../src/node/node.js';
import { Wakeup } from '../src/core/wakeup.js';
import { CpuMeter, type CpuSeconds } from './machine.js';
import { RowDigest } from './row-digest.js';
import type { Market } from './market.js';
import { openStack, type Stack } from './stack.js';
import { produceAll } from './producer-process.js';
import { RecordedWorkload } from './recorded-workload.js';
import { RemoteProducer } from './remote-producer.js';

export interface CanonicalSize {
  readonly drivers: number;
  readonly events: number;
  readonly seed: number;
  /** Share of the drivers that stay in one cell; none unless given. */
  readonly hotShare?: number;
}

/** What is at work on the workload: a node here, or several elsewhere, as one. */
export type EngineAtWork = Pick<Node, 'finished'> & {
  readonly stats: Pick<Node['stats'], 'events' | 'batches' | 'batchBytes'>;
};

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
  readonly cpu: CpuSeconds & { readonly producer: number };
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

/**
 * Producer, server and engine at the same time.
 * @param onRow gets every row that the engine made, once the clock has stopped
 */
export async function runEndToEnd(
  market: Market,
  size: CanonicalSize,
  onRow?: (row: Row) => void,
): Promise<{ timing: EngineTiming; result: Result }> {
  const stack = await openStack(market);
  try {
    const node = await stack.newNode();
    await node.start();
    const producer = await RemoteProducer.open(stack.target, market, size);
    const run = new EngineRun(stack, node, size.events);
    await run.finish(producer.produce());
    return { timing: run.timing(), result: await resultOf(stack, run, onRow) };
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
    const workload = new RecordedWorkload({ ...size, cover: market.config.cover });
    const producer = stack.newProducer();
    const startedMs = systemClock.monotonic();
    await produceAll(producer, workload);
    const producing = (systemClock.monotonic() - startedMs) / 1000;
    const raw = await drain(stack, (message) => message.payload.byteLength);
    const none = await drain(stack, ({ subject, payload }) =>
      isEventSubject(subject) ? decodeEventFrame(payload).events.length : 0,
    );
    if (none.sum !== size.events)
      throw new Error(
        `the null reader saw ${none.sum} events of ${size.events}: nothing here is to be believed`,
      );

    const node = await stack.newNode();
    const run = new EngineRun(stack, node, size.events);
    await node.start();
    await run.finish(producer);
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

/** Sends the whole workload. Resolves when the stream has it. */
export async function produce(stack: Stack, size: CanonicalSize): Promise<Producer> {
  const producer = stack.newProducer();
  await produceAll(producer, new RecordedWorkload({ ...size, cover: stack.market.config.cover }));
  return producer;
}

/** Who has produced, here or in another process. */
interface Producing {
  readonly latestMs: number | undefined;
  /** Processor seconds of its process, when it has one of its own. */
  readonly cpuSeconds?: number;
  advanceTo(watermarkMs: number): Promise<void>;
  end(watermarkMs: number): Promise<void>;
}

/** One engine at work on the workload, watched through what it commits to `out`. The clock starts with it. */
export class EngineRun {
  readonly #stack: Stack;
  readonly #node: EngineAtWork;
  readonly #events: number;
  readonly #outputs: OutputReader;
  readonly #startedMs = systemClock.monotonic();
  readonly #cpu: CpuMeter;
  #cpuUsed = { process: 0, server: 0, producer: 0 };
  #untilMs = Number.POSITIVE_INFINITY;
  #reached: () => void = () => undefined;
  #finished = false;
  #producedSeconds = 0;
  #lastMinuteSeconds = 0;
  #seconds = 0;
  #rows = 0;

  constructor(stack: Stack, node: EngineAtWork, events: number) {
    this.#stack = stack;
    this.#node = node;
    this.#events = events;
    this.#outputs = new OutputReader(stack.log, stack.subjects);
    this.#cpu = new CpuMeter(stack.serverPid);
  }

  /** Lets time run out behind what is produced; resolves when every window is final in `out`. */
  async finish(producing: Promise<Producing> | Producing): Promise<void> {
    const { failed } = this.#stack;
    const failing = Promise.race([failed, this.#node.finished]);
    const reading = this.#read();
    await Promise.race([this.#runOut(producing), reading, failing]);
    await Promise.race([reading, failing]);
    if (!this.#finished) throw new Error('the node stopped before every window was final');
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

  async #runOut(producing: Promise<Producing> | Producing): Promise<void> {
    const producer = await producing;
    if (producing instanceof Promise) this.#producedSeconds = this.#elapsed();
    const lastMinuteMs = (Math.floor(producer.latestMs! / MINUTE_MS) + 1) * MINUTE_MS;
    await producer.advanceTo(lastMinuteMs);
    await this.#closed(lastMinuteMs);
    this.#lastMinuteSeconds = this.#elapsed();
    await producer.end(lastMinuteMs + CLOSE_AFTER_MS);
    await this.#closed(lastMinuteMs + CLOSE_AFTER_MS);
    this.#seconds = this.#elapsed();
    this.#cpuUsed = { ...this.#cpu.read(), producer: producer.cpuSeconds ?? 0 };
    this.#finished = true;
    this.#outputs.wake();
  }

  /** Resolves when the last stage is closed up to a time in every partition, and the rows of that are read. */
  #closed(untilMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.#untilMs = untilMs;
      this.#reached = resolve;
      this.#outputs.wake();
    });
  }

  async #read(): Promise<void> {
    for await (const frames of this.#outputs.frames(1)) {
      if (this.#finished) return;
      for (const { blocks } of frames)
        for (const block of blocks) this.#rows += countRows(block, Number.NEGATIVE_INFINITY);
      if (this.#closedMs() >= this.#untilMs) this.#reached();
    }
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

/** What the run made of the events, and the rows, read again from the stream after the clock has stopped. */
export async function resultOf(stack: Stack, run: EngineRun, onRow?: (row: Row) => void): Promise<Result> {
  const digest = new RowDigest();
  const rows: Record<string, number> = {};
  for (let p = 0; p < stack.market.config.partitions; p++) {
    for await (const { payload } of readToEnd(stack.log, stack.subjects.out(p), 1)) {
      for (const row of decodeOutput(payload).rows) {
        digest.add(row);
        onRow?.(row);
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
