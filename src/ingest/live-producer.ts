/**
 * Feeds a Producer in live time: gathers for a few ms, sends, one batch in flight while the next one gathers, and tells
 * the watermark to all partitions while nothing comes. Owns the bounds of what waits (P8) and the answer to "is it in the
 * stream"; the frames and their sequences are the Producer's.
 *
 * While the region is overloaded nothing is taken; what was taken before is still sent. A stream that does not answer ends
 * nothing. What was taken keeps its sequences and is sent again until the stream has
 * it, so that it takes effect once (P3); whoever waits in `flushed` for longer than the patience is told that it is not
 * known whether it will.
 */
import type { ActorEvent } from '../actor/behaviour.js';
import type { Clock } from '../core/clock.js';
import { errorOf, GroundswellError } from '../core/errors.js';
import { Wakeup } from '../core/wakeup.js';
import type { RefusedEvent } from '../partition/frame.js';
import type { Overload } from './back-pressure.js';
import { EVENT_BYTES_MAX, eventBytes } from './event-size.js';
import { LiveWatermark, QUIET_MS, reachesPane, TELL_EVERY_MS } from './live-watermark.js';
import type { Producer } from './producer.js';
import { settle, type Waiting } from './waiting.js';

export interface LiveProducerOptions {
  readonly producer: Producer;
  readonly clock: Clock;
  readonly outOfOrderBoundMs: number;
  /** How long events are gathered before they are sent, ms; 10 by default. */
  readonly lingerMs?: number;
  /** Most events that are taken and not yet in the stream; 100,000 by default. */
  readonly queueEventsMax?: number;
  /** Most bytes of them, estimated; 64 MiB by default. */
  readonly queueBytesMax?: number;
  /** All partitions hear the watermark at least so often, ms, and whenever it reaches a pane; 1,000 by default. */
  readonly watermarkEveryMs?: number;
  /** After so long without an event the watermark follows the wall clock, ms; 1,000 by default. */
  readonly quietMs?: number;
  /** How long the stream may not take a batch before those who wait are told, ms; 10,000 by default. */
  readonly patienceMs?: number;
}

const DEFAULTS = {
  lingerMs: 10,
  queueEventsMax: 100_000,
  queueBytesMax: 64 * 1024 * 1024,
  watermarkEveryMs: TELL_EVERY_MS,
  quietMs: QUIET_MS,
  patienceMs: 10_000,
};
/** Pause between two rounds of attempts, ms. */
const PAUSE_MS = 1_000;
/** So long after one was turned away by an overload, and after its end, others may come with what they could not say, ms. */
const COME_AGAIN_MS = 10_000;

export interface StopOptions {
  readonly end?: boolean;
  readonly watermarkMs?: number;
}

export class LiveProducer {
  readonly #options: Required<LiveProducerOptions>;
  readonly #producer: Producer;
  readonly #watermark: LiveWatermark;
  readonly #wakeup: Wakeup;
  #taken = 0;
  #packed = 0;
  #stored = 0;
  #bytesBuffered = 0;
  #bytesPacked = 0;
  /** Monotonic time of the oldest event that is not packed; undefined when there is none. */
  #gatheringSinceMs: number | undefined;
  #toldAtMs: number;
  #toldMs: number | undefined;
  #flushes: Waiting[] = [];
  #rooms: Waiting[] = [];
  #stopping = false;
  #ended = false;
  #running: Promise<void> | undefined;
  #stopped: Promise<void> | undefined;
  #failure: Error | undefined;
  /** Monotonic time until which those who were turned away are waited for: till then there is no quiet. */
  #waitForMs = Number.NEGATIVE_INFINITY;

  constructor(options: LiveProducerOptions) {
    this.#options = { ...DEFAULTS, ...options };
    this.#producer = options.producer;
    this.#watermark = new LiveWatermark({ ...this.#options, mode: options.producer.mode });
    this.#wakeup = new Wakeup(options.clock);
    this.#toldAtMs = options.clock.monotonic();
  }

  /** Events that are taken and not known to be in the stream. */
  get queued(): number {
    return this.#taken - this.#stored;
  }

  /** Events, and bytes of them, that can still be taken: whoever takes many at once asks before. */
  get free(): { readonly events: number; readonly bytes: number } {
    if (this.#stopping || this.overload !== undefined) return { events: 0, bytes: 0 };
    const bytes = this.#options.queueBytesMax - this.#bytesBuffered - this.#bytesPacked;
    return { events: this.#options.queueEventsMax - this.queued, bytes };
  }

  /** Why the stream does not take what is sent; undefined again as soon as it does. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Another process has claimed the producer's id: nothing more is taken or sent, ever. */
  get fenced(): boolean {
    return this.#failure instanceof GroundswellError && this.#failure.code === 'GS_FENCED';
  }

  /** Why the region takes no more events now, whoever sends them. */
  get overload(): Overload | undefined {
    return this.#producer.overload;
  }

  /** Somebody could not even offer its events, and will come again with them: their time is waited for. */
  turnedAway(): void {
    this.#waitForMs = this.#options.clock.monotonic() + COME_AGAIN_MS;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /**
   * Takes an event. `full`: nothing is taken, for as much waits as may; there is room again when `room` resolves.
   * `unneeded`: no behaviour of the region receives events of its type.
   */
  offer(event: ActorEvent): 'taken' | 'full' | 'unneeded' {
    if (!this.#producer.needs(event.type)) return 'unneeded';
    // Whoever could not be taken now comes again with what it has: there is no quiet.
    this.#watermark.heard();
    if (this.overload !== undefined) this.turnedAway();
    if (this.#isFull()) return 'full';
    this.#producer.offer(event);
    this.#took(eventBytes(event));
    return 'taken';
  }

  /** Takes an event that was refused, for the dead side subject. */
  refuse(event: RefusedEvent): 'taken' | 'full' {
    if (this.#isFull()) return 'full';
    this.#producer.refuse(event);
    this.#took(eventBytes({ ...event }));
    return 'taken';
  }

  /**
   * Resolves when everything that was taken before the call is in the stream. Rejects with GS_LOG when the stream did not
   * take it for longer than the patience: then it is not known whether it is there, and it is still sent on. Rejects with
   * GS_FENCED when another process uses the producer's id.
   */
  flushed(): Promise<void> {
    if (this.queued === 0) return Promise.resolve();
    return this.#wait(this.#flushes);
  }

  /** Resolves as soon as there is room again. Rejects with GS_LOG when there will be none, for it is stopped. */
  room(): Promise<void> {
    if (!this.#isFull()) return Promise.resolve();
    return this.#wait(this.#rooms);
  }

  /**
   * Sends what is queued, and ends; nothing is taken any more. With `end` it says the producer's last word, so that it no
   * longer holds back the region's time. Rejects with GS_LOG when the stream does not take it all.
   * @param options.watermarkMs what the last word promises, event time ms; by default as far as the events allow
   */
  stop(options: StopOptions = {}): Promise<void> {
    this.#stopped ??= this.#stop(options);
    return this.#stopped;
  }

  async #stop({ end = false, watermarkMs }: StopOptions): Promise<void> {
    this.#stopping = true;
    this.#wakeup.wake();
    await this.#running;
    try {
      if (this.#producer.unsent) await this.#send();
      // Who never said anything has no last word either.
      this.#pack(end && (this.#producer.begun || watermarkMs !== undefined), watermarkMs);
      await this.#send();
    } catch (error) {
      this.#fail(error);
      throw error;
    } finally {
      this.#ended = true;
      settle(this.#rooms, stopped());
      settle(this.#flushes, this.#failure ?? stopped());
    }
  }

  async #run(): Promise<void> {
    while (!this.#stopping) {
      this.#wakeup.arm();
      this.#mindOverload();
      const dueInMs = this.#dueInMs();
      if (dueInMs > 0) {
        await this.#wakeup.wait(dueInMs);
        continue;
      }
      try {
        if (!this.#producer.unsent) this.#pack(false);
        await this.#send();
      } catch (error) {
        this.#fail(error);
        if (this.fenced) return;
        this.#wakeup.arm();
        if (!this.#isStopping()) await this.#wakeup.wait(PAUSE_MS);
      }
    }
  }

  /** Looks on the side whether the region is overloaded: what is due to be sent does not wait for the answer. */
  #mindOverload(): void {
    if (this.#options.clock.monotonic() < this.#waitForMs) this.#watermark.heard();
    this.#producer.look().then(
      (overload) => {
        if (overload === undefined && !this.#isFull()) settle(this.#rooms);
      },
      () => undefined,
    );
  }

  /** How long until there is something to send, ms; not above 0 when there is. */
  #dueInMs(): number {
    const { clock, lingerMs, watermarkEveryMs } = this.#options;
    if (this.#producer.unsent || this.#producer.full) return 0;
    const gatheringSinceMs = this.#gatheringSinceMs ?? Number.POSITIVE_INFINITY;
    const dueMs = Math.min(gatheringSinceMs + lingerMs, this.#toldAtMs + watermarkEveryMs);
    return Math.min(dueMs - clock.monotonic(), this.#watermark.paneInMs(this.#toldMs));
  }

  /** Packs all that has gathered, and when it is time, the watermark for all partitions. */
  #pack(end: boolean, lastWordMs?: number): void {
    const nowMs = this.#options.clock.monotonic();
    const watermarkMs = lastWordMs ?? this.#watermark.after(this.#producer);
    // A live producer says that it is there, though time stands; a replay has nothing to say then.
    const news =
      watermarkMs !== undefined && (this.#producer.mode === 'live' || watermarkMs !== this.#toldMs);
    const due =
      nowMs - this.#toldAtMs >= this.#options.watermarkEveryMs ||
      (watermarkMs !== undefined && reachesPane(watermarkMs, this.#toldMs));
    this.#producer.pack({ watermarkMs: watermarkMs ?? 0, toAll: due && news, end });
    if (due) this.#toldAtMs = nowMs;
    if (due && news) this.#toldMs = watermarkMs;
    this.#packed = this.#taken;
    this.#bytesPacked = this.#bytesBuffered;
    this.#bytesBuffered = 0;
    this.#gatheringSinceMs = undefined;
  }

  async #send(): Promise<void> {
    await this.#producer.send({ patienceMs: this.#options.patienceMs });
    this.#stored = this.#packed;
    this.#bytesPacked = 0;
    this.#failure = undefined;
    settle(this.#flushes, undefined, this.#stored);
    if (!this.#isFull()) settle(this.#rooms);
  }

  #took(bytes: number): void {
    this.#taken++;
    // Over the limit by what was added to it since it was checked, such as its cell.
    this.#bytesBuffered += Math.min(bytes, EVENT_BYTES_MAX);
    if (this.#gatheringSinceMs !== undefined && !this.#producer.full) return;
    this.#gatheringSinceMs ??= this.#options.clock.monotonic();
    this.#wakeup.wake();
  }

  #isStopping(): boolean {
    return this.#stopping;
  }

  #isFull(): boolean {
    const { queueEventsMax, queueBytesMax } = this.#options;
    return (
      this.#stopping ||
      this.overload !== undefined ||
      this.queued >= queueEventsMax ||
      this.#bytesBuffered + this.#bytesPacked >= queueBytesMax
    );
  }

  #wait(list: Waiting[]): Promise<void> {
    if (this.#ended) return Promise.reject(this.#failure ?? stopped());
    return new Promise((resolve, reject) => {
      list.push({ upTo: this.#taken, resolve, reject });
    });
  }

  #fail(error: unknown): void {
    this.#failure = errorOf(error);
    settle(this.#flushes, this.#failure);
    if (!this.fenced) return;
    this.#stopping = true;
    this.#ended = true;
    settle(this.#rooms, this.#failure);
  }
}

function stopped(): GroundswellError {
  return new GroundswellError('GS_LOG', 'The producer is stopped.', { remedy: 'Start another one.' });
}
