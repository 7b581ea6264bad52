/**
 * A producer: packs checked events into frames, one frame sequence per partition, and appends them to the region's
 * stream in atomic batches. Each frame carries the producer's watermark; a quiet partition gets frames that carry
 * nothing else. Sequences make it safe to send anything again: a partition takes each event once, for ever (P3).
 */
import type { ActorEvent } from '../actor/behaviour.js';
import type { Registry } from '../actor/registry.js';
import { sleep, type Clock } from '../core/clock.js';
import { GroundswellError } from '../core/errors.js';
import { partitionOf } from '../core/hash.js';
import { actorId } from '../core/ids.js';
import type { Log, LogEntry } from '../log/log.js';
import type { Subjects } from '../log/subjects.js';
import {
  decodeEventFrame,
  encodeEventFrame,
  type EventFrame,
  type RefusedEvent,
} from '../partition/frame.js';
import type { ProducerMode } from '../partition/watermark.js';

export interface ProducerOptions {
  readonly log: Log;
  readonly subjects: Subjects;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly partitions: number;
  /** Stable over restarts: what this producer sent before under this id is not taken again. */
  readonly id: string;
  readonly mode: ProducerMode;
  readonly outOfOrderBoundMs: number;
  /** Most events in one frame. */
  readonly frameEvents: number;
  /** Frames of each partition that are sent together: fewer, larger batches. 4 by default. */
  readonly framesPerFlush?: number;
}

interface Lane {
  events: ActorEvent[];
  /** Sequence of the first buffered event. */
  seq: number;
  /** Events that the stream already has from an earlier run. */
  sentBefore: number;
  endedBefore: boolean;
}

const ATTEMPTS_MAX = 30;
const RETRY_LONGEST_MS = 5_000;
const BATCH_BYTES_MAX = 4 * 1024 * 1024;
const FRAMES_PER_FLUSH = 4;

export class Producer {
  readonly #options: ProducerOptions;
  readonly #lanes: Lane[];
  #buffered = 0;
  #latestMs = Number.NEGATIVE_INFINITY;
  #sentWatermarkMs = 0;
  /** Events that the stream has, those of earlier runs among them. */
  eventsSent = 0;
  /** Events that an earlier run had sent. */
  eventsResumed = 0;

  constructor(options: ProducerOptions) {
    this.#options = options;
    this.#lanes = Array.from({ length: options.partitions }, () => ({
      events: [],
      seq: 0,
      sentBefore: 0,
      endedBefore: false,
    }));
  }

  /** Latest event time offered, ms UTC; undefined before the first event. */
  get latestMs(): number | undefined {
    return Number.isFinite(this.#latestMs) ? this.#latestMs : undefined;
  }

  /** Looks up what an earlier run under this id has sent. Gives true when there was one. */
  async resume(): Promise<boolean> {
    const { log, subjects, id } = this.#options;
    let found = false;
    for (const [partition, lane] of this.#lanes.entries()) {
      const last = await log.last(subjects.events(partition));
      if (last === undefined) continue;
      const frame = decodeEventFrame(last.payload);
      if (frame.producer !== id) continue;
      found = true;
      lane.sentBefore = frame.seq + frame.events.length;
      lane.endedBefore = frame.end;
    }
    return found;
  }

  /** True when an earlier run under this id had already said its last word. */
  get ended(): boolean {
    return this.#lanes.every((lane) => lane.endedBefore);
  }

  /** Takes an event for its actor's partition. An event that no behaviour receives is dropped early: gives false. */
  offer(event: ActorEvent): boolean {
    const route = this.#options.registry.routes.get(event.type);
    if (route === undefined) return false;
    if (event.ts > this.#latestMs) this.#latestMs = event.ts;
    const to = actorId(route.type.behaviour.type, event[route.keyField] as string);
    this.#put(partitionOf(to, this.#options.partitions), event);
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
  async flush(): Promise<void> {
    const watermarkMs = Number.isFinite(this.#latestMs)
      ? Math.max(0, this.#latestMs - this.#options.outOfOrderBoundMs)
      : 0;
    await this.#send(watermarkMs, false);
  }

  /** Moves the watermark without events: all partitions hear it. */
  async advanceTo(watermarkMs: number): Promise<void> {
    await this.#send(watermarkMs, false);
  }

  /** Sends the rest and the last word: everything up to the watermark closes, and nothing more comes from here. */
  async end(watermarkMs: number): Promise<void> {
    await this.#send(watermarkMs, true);
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

  async #send(watermarkMs: number, end: boolean): Promise<void> {
    const watermark = Math.max(watermarkMs, this.#sentWatermarkMs);
    let entries: LogEntry[] = [];
    let bytes = 0;
    for (const [partition, lane] of this.#lanes.entries()) {
      for (const payload of this.#framesOf(lane, watermark, end)) {
        if (
          bytes + payload.byteLength > BATCH_BYTES_MAX ||
          entries.length >= this.#options.log.batchEntriesMax
        ) {
          await this.#append(entries);
          entries = [];
          bytes = 0;
        }
        entries.push({ subject: this.#options.subjects.events(partition), payload });
        bytes += payload.byteLength;
      }
    }
    if (entries.length > 0) await this.#append(entries);
    this.#sentWatermarkMs = watermark;
    this.#buffered = 0;
  }

  /** Frames of what is buffered for a partition, less what an earlier run has sent. */
  #framesOf(lane: Lane, watermarkMs: number, end: boolean): Uint8Array[] {
    const { id, mode, frameEvents, log } = this.#options;
    const skip = Math.min(lane.events.length, Math.max(0, lane.sentBefore - lane.seq));
    const events = lane.events.slice(skip);
    let seq = lane.seq + skip;
    lane.seq += lane.events.length;
    lane.events = [];
    this.eventsResumed += skip;
    this.eventsSent += events.length;
    // What was sent before carried its own watermark, and an end that was said is not said twice.
    if (events.length === 0 && (lane.seq < lane.sentBefore || lane.endedBefore)) return [];
    const frames: Uint8Array[] = [];
    do {
      const part = events.splice(0, frameEvents);
      const last = events.length === 0;
      const frame: EventFrame = {
        producer: id,
        mode,
        seq,
        watermarkMs: last ? watermarkMs : this.#sentWatermarkMs,
        end: last && end,
        events: part,
      };
      frames.push(...encodeWithin(frame, log.payloadBytesMax, this.#sentWatermarkMs));
      seq += part.length;
    } while (events.length > 0);
    return frames;
  }

  /** Appends a batch; tries again as long as the stream may come back. Sending twice does no harm (P3). */
  async #append(entries: readonly LogEntry[]): Promise<void> {
    const { log, clock } = this.#options;
    for (let attempt = 1; ; attempt++) {
      const outcome = await log.append(entries);
      if (outcome.outcome === 'committed') return;
      const final = outcome.outcome === 'refused' && !outcome.retry;
      if (final || attempt >= ATTEMPTS_MAX) {
        throw new GroundswellError('GS_LOG', `The stream did not take a batch of events: ${outcome.cause}.`);
      }
      await sleep(clock, Math.min(RETRY_LONGEST_MS, 50 * 2 ** (attempt - 1)));
    }
  }
}

/** A frame that is too large for one message, in halves; the watermark goes with the last one. */
function encodeWithin(frame: EventFrame, bytesMax: number, watermarkBeforeMs: number): Uint8Array[] {
  const whole = encodeEventFrame(frame);
  if (whole.byteLength <= bytesMax) return [whole];
  const { events } = frame;
  if (events.length <= 1) {
    throw new GroundswellError(
      'GS_FRAME_TOO_LARGE',
      `An event of type ${events[0]?.type ?? '?'} takes ${whole.byteLength} bytes.`,
      {
        remedy: 'Send smaller events, or raise max_payload of nats-server.',
      },
    );
  }
  const half = Math.ceil(events.length / 2);
  const first = { ...frame, events: events.slice(0, half), watermarkMs: watermarkBeforeMs, end: false };
  const second = { ...frame, events: events.slice(half), seq: frame.seq + half };
  return [
    ...encodeWithin(first, bytesMax, watermarkBeforeMs),
    ...encodeWithin(second, bytesMax, watermarkBeforeMs),
  ];
}
