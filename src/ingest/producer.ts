/**
 * A producer: packs checked events into frames, one frame sequence per partition, and appends them to the region's
 * stream in atomic batches. Each frame carries the producer's watermark; a quiet partition gets frames that carry
 * nothing else. Sequences make it safe to send anything again: a partition takes each event once, for ever (P3).
 *
 * What was packed stays as it is until the stream has it: a batch whose fate is unknown is sent again with the same
 * frames and sequences, however often.
 *
 * One process at a time uses a producer's id: who resumes it claims it (`producer-session.ts`), and from then on the stream
 * refuses every batch of whoever used it before, also one that was under way. So what it reads of its history is all there
 * ever will be, and no two processes give one sequence to different events.
 */
import type { ActorEvent } from '../actor/behaviour.js';
import { GroundswellError } from '../core/errors.js';
import { partitionOf, partitionOfKey } from '../core/hash.js';
import type { RefusedEvent } from '../partition/frame.js';
import { RecordBuffer } from '../partition/record-buffer.js';
import { RELEASE_EVENT, releasedActor } from '../partition/quarantine.js';
import type { ProducerMode } from '../partition/watermark.js';
import { BackPressure, type Overload } from './back-pressure.js';
import { packFrames, type PackedFrame } from './event-frames.js';
import { producerHistory } from './producer-history.js';
import type { PackOptions, ProducerOptions, SendOptions } from './producer-options.js';
import { fencedOff, ProducerSession } from './producer-session.js';
import { awaitRoom } from './room.js';
import { BatchBuilder, Unsent, type SendOutcome } from './unsent.js';

export type { PackOptions, ProducerOptions, SendOptions } from './producer-options.js';

interface Lane {
  /** What is buffered, a frame's worth at most in each. */
  lots: RecordBuffer[];
  count: number;
  /** Sequence of the first buffered event. */
  seq: number;
  /** Events that the stream already has from an earlier run. */
  sentBefore: number;
  endedBefore: boolean;
}

const FRAMES_PER_FLUSH = 1;
/** The first flush comes after so many events of a partition, so that others have something to do; then ever more are gathered. */
const FIRST_EVENTS = 512;

export class Producer {
  readonly #options: ProducerOptions;
  readonly #lanes: Lane[];
  readonly #unsent: Unsent;
  readonly #pressure: BackPressure | undefined;
  #session: ProducerSession | undefined;
  #sending = false;
  #fenced = false;
  #buffered = 0;
  /** Events of a partition that are gathered for a flush, and the most that ever are. */
  #gathered: number;
  readonly #gatheredMax: number;
  #latestMs = Number.NEGATIVE_INFINITY;
  #packedWatermarkMs = 0;
  #known = false;
  /** Events that an earlier run had sent. */
  eventsResumed = 0;

  constructor(options: ProducerOptions) {
    this.#options = options;
    const { log, clock, subjects, gauge, framesPerFlush = FRAMES_PER_FLUSH, frameEvents } = options;
    this.#gatheredMax = framesPerFlush * frameEvents;
    this.#gathered = Math.min(FIRST_EVENTS, this.#gatheredMax);
    this.#unsent = new Unsent(log, clock, async () => (await this.#session?.isOurs()) !== true);
    this.#pressure = gauge === undefined ? undefined : new BackPressure({ gauge, subjects, clock });
    this.#lanes = Array.from({ length: options.partitions }, () => ({
      lots: [],
      count: 0,
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

  /** The region has heard of it, or will with the next frames: an event or a watermark, of this or an earlier run. */
  get begun(): boolean {
    return this.#known || this.#packedWatermarkMs > 0 || this.positions.some((seq) => seq > 0);
  }

  /** Sequence of the next event for each partition, behind all that was offered. */
  get positions(): number[] {
    return this.#lanes.map(({ seq, count }) => seq + count);
  }

  /** Events that this run has put into the stream. */
  get eventsSent(): number {
    return this.#unsent.eventsSent;
  }

  /** Why no more events should be sent now, as of the last look. */
  get overload(): Overload | undefined {
    return this.#pressure?.overload;
  }

  /** Looks how full the stream is, at most once a second; gives what `overload` is then. */
  async look(): Promise<Overload | undefined> {
    return this.#pressure?.look(this.#unsent.bytesSent);
  }

  /** How far the stream's clock is ahead of this machine's, ms; 0 while it is not known. */
  get streamAheadMs(): number {
    return this.#pressure?.aheadMs ?? 0;
  }

  /** Something was packed that the stream is not known to have. */
  get unsent(): boolean {
    return !this.#unsent.empty;
  }

  /**
   * Claims the id, and looks up what earlier runs under it have sent. Gives true when there was one. Another process that
   * uses the id is fenced off by that.
   *
   * A replay is then given all its events again, in the same order, and sends those that are missing. A live producer goes
   * on behind what is there: what it is given is new.
   */
  async resume(): Promise<boolean> {
    const { id, mode } = this.#options;
    this.#session = await ProducerSession.claim(this.#options);
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
    this.#known = history.some((known) => known !== undefined);
    return this.#known;
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
    return this.#options.routes.has(eventType) || eventType === RELEASE_EVENT;
  }

  /** Takes an event for its actor's partition. An event that no behaviour receives is dropped early: gives false. */
  offer(event: ActorEvent): boolean {
    const route = this.#options.routes.get(event.type);
    if (route === undefined) return this.#offerRelease(event);
    const key = event[route.keyField] as string;
    this.#put(partitionOfKey(route.actorType, key, this.#options.partitions), event);
    if (event.ts > this.#latestMs) this.#latestMs = event.ts;
    return true;
  }

  /** The engine's own event, for whoever has the actor: its time says nothing about others. */
  #offerRelease(event: ActorEvent): boolean {
    const to = event.type === RELEASE_EVENT ? releasedActor(event) : undefined;
    if (to === undefined) return false;
    this.#put(partitionOf(to, this.#options.partitions), event);
    return true;
  }

  /** Takes an event that was refused, for the dead side subject: it travels the same way, so it gets there once. */
  refuse(event: RefusedEvent): void {
    this.#put(partitionOf(`refused/${event.claimed}`, this.#options.partitions), event);
  }

  /** True when there is enough for a full frame to every partition, at the beginning less: time to `flush`. */
  get full(): boolean {
    return this.#buffered >= this.#gathered * this.#options.partitions;
  }

  /**
   * Sends all that is buffered, and the watermark to every partition. Resolves when the stream has it. Events wait as long as
   * the region is overloaded.
   * @throws GroundswellError GS_OVERLOAD when the stream stays full
   */
  async flush(options: PackOptions & SendOptions = {}): Promise<SendOutcome> {
    // Entries that go along must not grow old; whoever has such asks before it takes events.
    if (this.#buffered > 0 && options.with === undefined) await this.#room();
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
    const batches = new BatchBuilder(log.batchEntriesMax, {
      extras,
      condition: this.#session?.condition,
    });
    for (const [partition, lane] of this.#lanes.entries()) {
      const subject = subjects.events(partition);
      const frames = this.#framesOf(lane, { watermarkMs, toAll, end });
      for (const { payload, events } of frames) batches.add({ subject, payload }, events);
    }
    this.#unsent.add(batches.done());
    for (const lane of this.#lanes) {
      lane.seq += lane.count;
      lane.count = 0;
      lane.lots = [];
    }
    this.#packedWatermarkMs = watermarkMs;
    if (this.full) this.#gathered = Math.min(2 * this.#gathered, this.#gatheredMax);
    this.#buffered = 0;
  }

  /**
   * Sends what is packed; tries again as long as the stream may come back. Sending twice does no harm (P3).
   * @throws GroundswellError GS_LOG when the stream did not take it: it stays packed, and the next `send` goes on there;
   *   GS_FENCED when another process has claimed the id: nothing more of this one is ever stored
   */
  async send(options: SendOptions = {}): Promise<SendOutcome> {
    if (this.#sending) throw new GroundswellError('GS_INTERNAL', `${this.id} is sending already.`);
    this.#sending = true;
    try {
      if (this.#fenced) throw fencedOff(this.id);
      const outcome = await this.#unsent.send(options.patienceMs ?? Number.POSITIVE_INFINITY);
      this.#fenced = outcome.outcome === 'stale' && this.#session !== undefined;
      if (this.#fenced) throw fencedOff(this.id);
      return outcome;
    } finally {
      this.#sending = false;
    }
  }

  async #room(): Promise<void> {
    await awaitRoom({
      clock: this.#options.clock,
      look: () => this.look(),
      onWait: (overload) => this.#options.onWait?.(overload),
    });
  }

  #put(partition: number, event: ActorEvent): void {
    const lane = this.#lanes[partition]!;
    if (lane.seq < lane.sentBefore) {
      // An earlier run has sent it.
      lane.seq++;
      this.eventsResumed++;
      return;
    }
    if (lane.endedBefore) {
      throw new GroundswellError(
        'GS_REPLAY_OLD',
        `${this.#options.id} was sent to its end before, and now has further events.`,
      );
    }
    let lot = lane.lots.at(-1);
    if (lot === undefined || lot.count === this.#options.frameEvents)
      lane.lots.push((lot = new RecordBuffer()));
    lot.add(event);
    lane.count++;
    this.#buffered++;
  }

  /** Frames for a partition: none when there is nothing to say to it. */
  #framesOf(
    { lots, count, seq, sentBefore, endedBefore }: Lane,
    { watermarkMs, toAll, end }: { watermarkMs: number; toAll: boolean; end: boolean },
  ): PackedFrame[] {
    if (count === 0) {
      if (!toAll && !end) return [];
      // What was sent before carried its own watermark, and an end that was said is not said twice.
      if (seq < sentBefore || endedBefore) return [];
    }
    const { id, mode, log } = this.#options;
    const head = { producer: id, mode, seq, watermarkMs, end };
    return packFrames(head, lots, this.#packedWatermarkMs, log.payloadBytesMax);
  }
}
