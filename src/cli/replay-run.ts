/**
 * One replay through an engine: feeds events to a producer, reads committed rows, and ends when every window is final.
 * Started again after a crash, with the same feed and data, it sends what is missing and reads all rows again.
 */
import type { ActorEvent } from '../actor/behaviour.js';
import { sleep, systemClock } from '../core/clock.js';
import { GroundswellError } from '../core/errors.js';
import { Cover } from '../core/geohash.js';
import { EventChecker } from '../ingest/check.js';
import { Producer } from '../ingest/producer.js';
import { decodeOutput } from '../partition/output.js';
import type { ProducerMode } from '../partition/watermark.js';
import { countRows, type RowBlock } from '../partition/row-block.js';
import { OutputReader, sumCounter, sumCounters } from '../serve/output-reader.js';
import type { Engine } from './engine.js';
import type { Feed } from './feed.js';

export interface ReplayOptions {
  readonly engine: Engine;
  readonly feed: Feed;
  /** Names the feed: a second run under the same name goes on where the first stopped. */
  readonly producerId: string;
  /** Live events are of now; `replay` by default. */
  readonly mode?: ProducerMode;
  /** Event time runs at most so many times as fast as wall time; Infinity for as fast as possible. */
  readonly speed: number;
  /** Rows as they are committed; only those whose windows ended after `afterMs` are this replay's. */
  onRows(blocks: readonly RowBlock[], afterMs: number): Promise<void>;
  onProgress?(progress: ReplayProgress): void;
  /** Told, in words, when events begin to wait for a region that is overloaded. */
  onWait?(message: string): void;
  /** Called when all events are sent, before time is run out: the time for other producers to say their last word. */
  beforeClosing?(): Promise<void>;
}

export interface ReplayProgress {
  readonly fraction: number | undefined;
  readonly events: number;
  readonly rows: number;
}

export interface ReplaySummary {
  readonly events: number;
  readonly accepted: number;
  readonly rejected: Readonly<Record<string, number>>;
  /** The first few refusals, in words: line, field, reason. All are on the dead side subjects. */
  readonly refusals: readonly string[];
  /** Events after their window's allowed lateness: kept on the late side subject. */
  readonly late: number;
  /** Ride events that no ride of that state can have: kept on the dead side subject. */
  readonly impossible: number;
  /** Other calls that are dead letters, by reason: kept on the dead side subject. */
  readonly dead: Readonly<Record<string, number>>;
  /** Events dropped because their `id` was seen within the duplicate window. */
  readonly duplicates: number;
  readonly rows: Readonly<Record<string, number>>;
  /** Event time, ms UTC, of the first and the last accepted event. */
  readonly firstMs: number | null;
  readonly lastMs: number | null;
  /** Events that an earlier run of the same replay had already sent. */
  readonly resumed: number;
  readonly seconds: number;
  readonly eventsPerSecond: number;
}

const MINUTE_MS = 60_000;
const IMPOSSIBLE = 'impossible_transition';
/** How far past the last event the watermark is moved at first; further when timers still stand then. */
const CLOSE_AFTER_MS = 2 * 3_600_000;
const CLOSE_ROUNDS_MAX = 64;
const BODY_CHARS_MAX = 1_024;
const REFUSALS_SHOWN = 5;

export async function runReplay(options: ReplayOptions): Promise<ReplaySummary> {
  const startedMs = systemClock.monotonic();
  const { engine } = options;
  const replay = new Replay(options);
  await replay.begin();
  const reading = replay.read();
  reading.catch(() => undefined);
  await Promise.race([replay.send(), reading, engine.failed]);
  await Promise.race([reading, engine.failed]);
  return replay.summary((systemClock.monotonic() - startedMs) / 1000);
}

class Replay {
  readonly #options: ReplayOptions;
  readonly #producer: Producer;
  readonly #checker: EventChecker;
  readonly #outputs: OutputReader;
  readonly #rejected = new Map<string, number>();
  readonly #rows = new Map<string, number>();
  readonly #refusals: string[] = [];
  #events = 0;
  #accepted = 0;
  #rowCount = 0;
  #firstMs: number | undefined;
  /** Rows of windows that ended at or before this are none of this replay's. */
  #afterMs = Number.POSITIVE_INFINITY;
  #regionWatermarkMs = 0;
  #resuming = false;
  #paceFromMs: number | undefined;
  /** Event time that all stages must reach; undefined while events are being sent. */
  #untilMs: number | undefined;
  #failure: unknown;
  /** Resolves when it is known which rows are this replay's: at the first accepted event, or at the end. */
  readonly #begun: Promise<void>;
  #begin: () => void = () => undefined;
  #closing: (() => void) | undefined;
  #finished = false;

  constructor(options: ReplayOptions) {
    this.#begun = new Promise((resolve) => {
      this.#begin = resolve;
    });
    const { config, log, subjects } = options.engine;
    this.#options = options;
    this.#producer = this.#producerOf(options.producerId, options.mode ?? 'replay');
    this.#checker = new EventChecker({ cover: new Cover(config.cover), nowMs: () => systemClock.now() });
    this.#outputs = new OutputReader(log, subjects);
  }

  async begin(): Promise<void> {
    const { log, subjects, config } = this.#options.engine;
    this.#resuming = await this.#producer.resume();
    for (let partition = 0; partition < config.partitions; partition++) {
      const last = await log.last(subjects.out(partition));
      const progress = last === undefined ? null : decodeOutput(last.payload).progress;
      this.#regionWatermarkMs = Math.max(this.#regionWatermarkMs, progress?.watermarkMs ?? 0);
    }
  }

  async send(): Promise<void> {
    try {
      for await (const { raws, lines, malformed, atOnce = false } of this.#options.feed.batches) {
        for (const { line, message, text } of malformed)
          this.#refuse('unknown', 'malformed', `line ${line}: ${message}`, text);
        for (let i = 0; i < raws.length; i++) {
          const waitMs = this.#take(raws[i], lines[i]!);
          if (waitMs > 0) {
            await this.#producer.flush();
            await sleep(systemClock, waitMs);
          } else if (this.#producer.full) {
            await this.#producer.flush();
          }
        }
        if (atOnce) await this.#producer.flush();
        this.#tell();
      }
      await this.#producer.flush();
      await this.#options.beforeClosing?.();
      await this.#close();
    } catch (error) {
      this.#failure = error;
      this.#begin();
      this.#outputs.wake();
      throw error;
    }
  }

  /** Reads rows until every partition has closed every stage. */
  async read(): Promise<void> {
    await this.#begun;
    for await (const frames of this.#outputs.frames(1)) {
      if (this.#failure !== undefined) return;
      for (const { blocks } of frames) {
        const afterMs = this.#afterMs;
        for (const block of blocks) {
          const { level } = block.kind;
          const count = countRows(block, afterMs);
          this.#rows.set(level, (this.#rows.get(level) ?? 0) + count);
          this.#rowCount += count;
        }
        await this.#options.onRows(blocks, afterMs);
      }
      this.#tell();
      if (this.#closedMs() >= (this.#untilMs ?? Number.POSITIVE_INFINITY)) {
        if (this.#finished) return;
        this.#closing?.();
        this.#closing = undefined;
      }
    }
  }

  summary(seconds: number): ReplaySummary {
    const progress = [...this.#outputs.progress.values()];
    const dead = sumCounters(progress, 'dead.');
    const impossible = dead.get(IMPOSSIBLE) ?? 0;
    dead.delete(IMPOSSIBLE);
    return {
      events: this.#events,
      accepted: this.#accepted,
      rejected: Object.fromEntries(this.#rejected),
      refusals: this.#refusals,
      late: sumCounter(progress, 'late'),
      impossible,
      dead: Object.fromEntries(dead),
      duplicates: sumCounter(progress, 'duplicates'),
      rows: Object.fromEntries(this.#rows),
      firstMs: this.#firstMs ?? null,
      lastMs: this.#producer.latestMs ?? null,
      resumed: this.#producer.eventsResumed,
      seconds: Number(seconds.toFixed(3)),
      eventsPerSecond: Math.round(this.#events / seconds),
    };
  }

  /** Takes one raw event. Gives how long to wait before the next, ms. */
  #take(raw: unknown, line: number): number {
    const checked = this.#checker.check(raw);
    if (checked.outcome === 'refused') {
      const { type, reason, message } = checked;
      this.#refuse(type, reason, `line ${line}: ${message}`, JSON.stringify(raw) ?? String(raw));
      return 0;
    }
    const event = checked.event as ActorEvent;
    if (this.#firstMs === undefined) {
      if (!this.#resuming && event.ts < this.#regionWatermarkMs)
        throw tooOld(event.ts, this.#regionWatermarkMs, this.#options.engine.config.name);
      // The first event of the file need not be the earliest: others may be older by the out-of-order bound.
      const earliestMs = event.ts - this.#options.engine.config.outOfOrderBoundMs;
      this.#afterMs = Math.floor(earliestMs / MINUTE_MS) * MINUTE_MS;
      this.#begin();
    }
    if (!this.#producer.offer(event)) {
      this.#refuse(
        event.type,
        'unneeded',
        `line ${line}: no behaviour receives ${event.type}`,
        JSON.stringify(raw),
      );
      return 0;
    }
    this.#firstMs = Math.min(event.ts, this.#firstMs ?? event.ts);
    this.#events++;
    this.#accepted++;
    const { speed } = this.#options;
    if (!Number.isFinite(speed)) return 0;
    this.#paceFromMs ??= systemClock.monotonic() - event.ts / speed;
    return this.#paceFromMs + event.ts / speed - systemClock.monotonic();
  }

  #refuse(type: string, reason: string, message: string, body: string): void {
    this.#events++;
    this.#rejected.set(reason, (this.#rejected.get(reason) ?? 0) + 1);
    if (this.#refusals.length < REFUSALS_SHOWN) this.#refusals.push(message);
    this.#producer.refuse({
      type: 'refused',
      ts: 0,
      claimed: type,
      reason,
      message,
      body: body.slice(0, BODY_CHARS_MAX),
    });
  }

  /** Moves the watermark on until no timer stands any more, then says the last word. */
  async #close(): Promise<void> {
    const { latestMs } = this.#producer;
    if (latestMs === undefined) {
      await this.#producer.end(0);
      this.#finished = true;
      this.#untilMs = 0;
      this.#begin();
      this.#outputs.wake();
      return;
    }
    const closer = await this.#closer(latestMs);
    let untilMs = Math.ceil(latestMs / MINUTE_MS) * MINUTE_MS + CLOSE_AFTER_MS;
    for (let round = 0; ; round++) {
      await closer.advanceTo(untilMs);
      await this.#reached(untilMs);
      const latestTimerMs = Math.max(...[...this.#outputs.progress.values()].map((p) => p.latestTimerMs));
      if (latestTimerMs <= untilMs) break;
      if (round >= CLOSE_ROUNDS_MAX) {
        throw new GroundswellError(
          'GS_BEHAVIOUR',
          `After the end of the events timers were set again ${round} times: some actor never ends.`,
        );
      }
      untilMs = Math.ceil(latestTimerMs / MINUTE_MS) * MINUTE_MS + CLOSE_AFTER_MS;
    }
    await closer.end(untilMs);
    this.#finished = true;
    this.#outputs.wake();
  }

  /** Who moves time on behind the last event. A live producer is not believed when it speaks of hours to come. */
  async #closer(latestMs: number): Promise<Producer> {
    const producer = this.#producer;
    if (producer.mode === 'replay') return producer;
    await producer.end(latestMs);
    return this.#producerOf(`${producer.id}:end`, 'replay');
  }

  #producerOf(id: string, mode: ProducerMode): Producer {
    const { config, log, subjects, registry } = this.#options.engine;
    return new Producer({
      log,
      gauge: log,
      onWait: ({ message }) => this.#options.onWait?.(message),
      subjects,
      routes: registry.routes,
      clock: systemClock,
      partitions: config.partitions,
      id,
      mode,
      outOfOrderBoundMs: config.outOfOrderBoundMs,
      frameEvents: config.limits.frameEvents,
    });
  }

  async #reached(untilMs: number): Promise<void> {
    this.#untilMs = untilMs;
    const reached = new Promise<void>((resolve) => {
      this.#closing = resolve;
    });
    this.#outputs.wake();
    await reached;
  }

  /** Event time up to which the last stage is closed in every partition. */
  #closedMs(): number {
    const { partitions } = this.#options.engine.config;
    const progress = [...this.#outputs.progress.values()];
    if (this.#finished && this.#untilMs === 0) return 0;
    return progress.length < partitions ? -1 : Math.min(...progress.map(({ closed }) => closed.at(-1)!));
  }

  #tell(): void {
    this.#options.onProgress?.({
      fraction: this.#options.feed.fraction(),
      events: this.#events,
      rows: this.#rowCount,
    });
  }
}

function tooOld(eventMs: number, watermarkMs: number, region: string): GroundswellError {
  const text = (ms: number): string => new Date(ms).toISOString();
  return new GroundswellError(
    'GS_REPLAY_OLD',
    `The first event is of ${text(eventMs)}, but region ${region} is closed up to ${text(watermarkMs)}.`,
  );
}
