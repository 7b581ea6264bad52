/**
 * A producer: packs checked events into frames, one frame sequence per partition, and appends them to the region's
 * stream in atomic batches. Each frame carries the producer's watermark; a quiet partition gets frames that carry
 * nothing else. Sequences make it safe to send anything again: a partition takes each event once, for ever (P3).
 *
 * What was packed stays as it is until the stream has it: a batch whose fate is unknown is sent again with the same
 * frames and sequences, however often. One process at a time uses a producer's id.
 */
import type { ActorEvent } from '../actor/behaviour.js';
import type { Clock } from '../core/clock.js';
import { GroundswellError } from '../core/errors.js';
import { partitionOf } from '../core/hash.js';
import { actorId } from '../core/ids.js';
import type { Log, LogEntry } from '../log/log.js';
import type { Subjects } from '../log/subjects.js';
import type { RefusedEvent } from '../partition/frame.js';
import type { ProducerMode } from '../partition/watermark.js';
import { packFrames, type PackedFrame } from './event-frames.js';
import { producerHistory } from './producer-history.js';
import type { Routes } from './routes.js';
import { BatchBuilder, Unsent, type SendOutcome } from './unsent.js';

export interface ProducerOptions {
  readonly log: Log;
  readonly subjects: Subjects;
  /** A registry's routes, or a region card's. */
  readonly routes: Routes;
  readonly clock: Clock;
  readonly partitions: number;
  /** Stable over restarts: see `resume`. */
  readonly id: string;
  readonly mode: ProducerMode;
  readonly outOfOrderBoundMs: number;
  /** Most events in one frame. */
  readonly frameEvents: number;
  /** Frames of each partition that are sent together: fewer, larger batches. 4 by default. */
  readonly framesPerFlush?: number;
}

export interface PackOptions {
  /** What is promised, event time ms; by default the latest event less the out-of-order bound. It never goes back. */
  readonly watermarkMs?: number;
  /** Whether partitions without events hear the watermark too; true by default. */
  readonly toAll?: boolean;
  /** The producer's last word. */
  readonly end?: boolean;
  /**
   * Goes into the same atomic batch as all the frames. `sent` says where the first of them stands; the outcome is `stale`,
   * and nothing is stored, when a compare-and-set of one of them failed.
   */
  readonly with?: readonly LogEntry[];
}

export interface SendOptions {
  /** How long to try again while the stream does not take a batch, ms. By default about two minutes. */
  readonly patienceMs?: number;
}

interface Lane {
  events: ActorEvent[];
  /** Sequence of the first buffered event. */
  seq: number;
  /** Events that the stream already has from an earlier run. */
  sentBefore: number;
  endedBefore: boolean;
}

const FRAMES_PER_FLUSH = 4;

export class Producer {
  readonly #options: ProducerOptions;
  readonly #lanes: Lane[];
  readonly #unsent: Unsent;
  #sending = false;
  #buffered = 0;
  #latestMs = Number.NEGATIVE_INFINITY;
  #packedWatermarkMs = 0;
  /** Events that an earlier run had sent. */
  eventsResumed = 0;

  constructor(options: ProducerOptions) {
    this.#options = options;
    this.#unsent = new Unsent(options.log, options.clock);
    this.#lanes = Array.from({ length: options.partitions }, () => ({
      events: [],
      seq: 0,
      sentBefore: 0,
      endedBefore: false,
    }));
  }

  get id(): string {
    return this.#options.id;
  }

  get mode(): ProducerMode {
    return this.#options.mode;
  }

  /** Latest event time offered, ms UTC; undefined before the first event. */
  get latestMs(): number | undefined {
    return Number.isFinite(this.#latestMs) ? this.#latestMs : undefined;
  }

  /** Sequence of the next event for each partition, behind all that was offered. */
  get positions(): number[] {
    return this.#lanes.map(({ seq, events }) => seq + events.length);
  }

  /** Events that this run has put into the stream. */
  get eventsSent(): number {
    return this.#unsent.eventsSent;
  }

  /** Something was packed that the stream is not known to have. */
  get unsent(): boolean {
    return !this.#unsent.empty;
  }

  /**
   * Looks up what an earlier run under this id has sent. Gives true when there was one.
   *
   * A replay is then given all its events again, in the same order, and sends those that are missing. A live producer goes
   * on behind what is there: what it is given is new.
   */
  async resume(): Promise<boolean> {
    const { id, mode } = this.#options;
    const history = await producerHistory(this.#options);
    const other = history.find((known) => known !== undefined && known.mode !== mode);
    if (other !== undefined) {
      throw new GroundswellError(
        'GS_USAGE',
        `The producer ${id} is known to the region as a ${other.mode} one, and cannot be a ${mode} one.`,
        { remedy: 'Give the producer an id of its own.' },
      );
    }
    for (const [partition, known] of history.entries()) {
      if (known === undefined) continue;
      const lane = this.#lanes[partition]!;
      if (mode === 'live') {
        lane.seq = known.seq;
      } else {
        lane.sentBefore = known.seq;
        lane.endedBefore = known.ended;
      }
    }
    return history.some((known) => known !== undefined);
  }

  /** Goes on from `positions` that were kept elsewhere, in the place of `resume`. */
  continueAt(positions: readonly number[]): void {
    for (const [partition, lane] of this.#lanes.entries()) lane.seq = positions[partition]!;
  }

  /** True when an earlier run of this replay had already said its last word. */
  get ended(): boolean {
    return this.#lanes.every((lane) => lane.endedBefore);
  }

  /** Whether any behaviour receives events of a type. */
  needs(eventType: string): boolean {
    return this.#options.routes.has(eventType);
  }

  /** Takes an event for its actor's partition. An event that no behaviour receives is dropped early: gives false. */
  offer(event: ActorEvent): boolean {
    const route = this.#options.routes.get(event.type);
    if (route === undefined) return false;
    const to = actorId(route.actorType, event[route.keyField] as string);
    this.#put(partitionOf(to, this.#options.partitions), event);
    if (event.ts > this.#latestMs) this.#latestMs = event.ts;
    return true;
  }

  /** Takes an event that was refused, for the dead side subject: it travels the same way, so it gets there once. */
  refuse(event: RefusedEvent): void {
    this.#put(partitionOf(`refused/${event.claimed}`, this.#options.partitions), event);
  }

  /** True when there is enough for a few full frames to every partition: time to `flush`. */
  get full(): boolean {
    const { framesPerFlush = FRAMES_PER_FLUSH, frameEvents, partitions } = this.#options;
    return this.#buffered >= framesPerFlush * frameEvents * partitions;
  }

  /** Sends all that is buffered, and the watermark to every partition. Resolves when the stream has it. */
  async flush(options: PackOptions & SendOptions = {}): Promise<SendOutcome> {
    // What an earlier flush could not send goes first, as it is: so it never grows while the stream is away.
    const before = await this.send(options);
    if (before.outcome === 'stale') return before;
    this.pack(options);
    return this.send(options);
  }

  /** Moves the watermark without events: all partitions hear it. */
  async advanceTo(watermarkMs: number): Promise<void> {
    await this.flush({ watermarkMs });
  }

  /** Sends the rest and the last word: everything up to the watermark closes, and nothing more comes from here. */
  async end(watermarkMs: number): Promise<void> {
    await this.flush({ watermarkMs, end: true });
  }

  /**
   * Gives all that is buffered its frames and sequences, for `send`.
   * @throws GroundswellError GS_INTERNAL when there are entries `with` it and the whole does not fit one batch
   */
  pack(options: PackOptions = {}): void {
    const { outOfOrderBoundMs, subjects, log } = this.#options;
    const { with: extras, toAll = true, end = false } = options;
    const allowedMs = options.watermarkMs ?? this.#latestMs - outOfOrderBoundMs;
    const watermarkMs = Math.max(allowedMs, this.#packedWatermarkMs);
    const batches = new BatchBuilder(log.batchEntriesMax, extras);
    let resumed = 0;
    for (const [partition, lane] of this.#lanes.entries()) {
      // Of what is buffered, that which an earlier run has sent.
      const skip = Math.min(lane.events.length, Math.max(0, lane.sentBefore - lane.seq));
      resumed += skip;
      const events = skip === 0 ? lane.events : lane.events.slice(skip);
      const subject = subjects.events(partition);
      const frames = this.#framesOf(lane, events, lane.seq + skip, { watermarkMs, toAll, end });
      for (const { payload, events } of frames) batches.add({ subject, payload }, events);
    }
    this.#unsent.add(batches.done());
    for (const lane of this.#lanes) {
      lane.seq += lane.events.length;
      lane.events = [];
    }
    this.eventsResumed += resumed;
    this.#packedWatermarkMs = watermarkMs;
    this.#buffered = 0;
  }

  /**
   * Sends what is packed; tries again as long as the stream may come back. Sending twice does no harm (P3).
   * @throws GroundswellError GS_LOG when the stream did not take it: it stays packed, and the next `send` goes on there
   */
  async send(options: SendOptions = {}): Promise<SendOutcome> {
    if (this.#sending) throw new GroundswellError('GS_INTERNAL', `${this.id} is sending already.`);
    this.#sending = true;
    try {
      return await this.#unsent.send(options.patienceMs ?? Number.POSITIVE_INFINITY);
    } finally {
      this.#sending = false;
    }
  }

  #put(partition: number, event: ActorEvent): void {
    const lane = this.#lanes[partition]!;
    if (lane.endedBefore && lane.seq + lane.events.length >= lane.sentBefore) {
      throw new GroundswellError(
        'GS_REPLAY_OLD',
        `${this.#options.id} was sent to its end before, and now has further events.`,
      );
    }
    lane.events.push(event);
    this.#buffered++;
  }

  /** Frames for a partition: none when there is nothing to say to it. */
  #framesOf(
    lane: Lane,
    events: readonly ActorEvent[],
    seq: number,
    { watermarkMs, toAll, end }: { watermarkMs: number; toAll: boolean; end: boolean },
  ): PackedFrame[] {
    if (events.length === 0) {
      if (!toAll && !end) return [];
      // What was sent before carried its own watermark, and an end that was said is not said twice.
      if (lane.seq + lane.events.length < lane.sentBefore || lane.endedBefore) return [];
    }
    const { id, mode, frameEvents, log } = this.#options;
    return packFrames({ producer: id, mode, seq, watermarkMs, end, events }, this.#packedWatermarkMs, {
      frameEvents,
      payloadBytesMax: log.payloadBytesMax,
    });
  }
}
