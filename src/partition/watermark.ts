/**
 * Where event time stands in a partition. Stage 0 follows the partition's producers; stage s+1 follows the marks that
 * all partitions gave for stage s. Nothing here ever moves back.
 *
 * A watermark w is exclusive: everything older than w has been seen, an event at w may still come.
 */

export type ProducerMode = 'live' | 'replay';

/** What a partition knows of one producer; part of the journal. */
export interface ProducerState {
  readonly mode: ProducerMode;
  /** Number of events taken from it: the sequence of the next one (P3). */
  seq: number;
  watermarkMs: number;
  ended: boolean;
  /** Wall time of its last frame, ms UTC. */
  heardAtMs: number;
}

export interface TimeRules {
  /** How far out of order live events may come: what the wall clock is held back by. */
  readonly outOfOrderBoundMs: number;
  /** A live producer silent for longer no longer holds the watermark back. */
  readonly idleTimeoutMs: number;
  /**
   * A live producer silent for longer is forgotten, its high-water mark too: what it could send again would be late by
   * now. Never by default. One that replays is never forgotten.
   */
  readonly forgetAfterMs?: number;
  /**
   * How far a live producer's time may be ahead of ours: what it says beyond that is not believed. By default however far.
   * A replay's time is its own.
   */
  readonly clockToleranceMs?: number;
}

/** A live producer that says nothing any more, and has not said its last word. */
export interface SilentProducer {
  readonly producer: string;
  /** What it promised last, event time ms. */
  readonly watermarkMs: number;
  /** Wall time at which it was last heard, ms UTC. */
  readonly heardAtMs: number;
  /** It does speak, but its clock is ahead by so much, ms: what it says of time is not believed. */
  readonly aheadMs?: number;
}

export class ProducerTable {
  readonly #rules: TimeRules;
  readonly producers: Map<string, ProducerState>;
  readonly #heardAtMs = new Map<string, number>();
  /** By how much the last watermarks of producers were ahead of our time that were not believed, ms. */
  readonly #aheadMs = new Map<string, number>();

  constructor(rules: TimeRules, producers: Map<string, ProducerState>) {
    this.#rules = rules;
    this.producers = producers;
  }

  /** The same as it is now, for going back: all that the calls below change. */
  copy(): ProducerTable {
    const copy = new ProducerTable(
      this.#rules,
      new Map([...this.producers].map(([id, p]) => [id, { ...p }])),
    );
    for (const [id, heardAtMs] of this.#heardAtMs) copy.#heardAtMs.set(id, heardAtMs);
    return copy;
  }

  /** Latest event time that a producer can mean when our time is `nowMs`; what is later comes from a clock that is wrong. */
  latestMs(mode: ProducerMode, nowMs: number): number {
    if (mode === 'replay') return Number.POSITIVE_INFINITY;
    return nowMs + (this.#rules.clockToleranceMs ?? Number.POSITIVE_INFINITY);
  }

  /**
   * Notes a frame's header. Gives how many of the frame's events were seen before (P3).
   *
   * A live watermark from a clock that is ahead moves nothing, for it never could be taken back; and who sends such is not
   * waited for: it counts as silent.
   * @param nowMs our time for that: by default the wall time
   */
  hear(
    frame: {
      producer: string;
      mode: ProducerMode;
      seq: number;
      count: number;
      watermarkMs: number;
      end: boolean;
    },
    wallMs: number,
    nowMs = wallMs,
  ): number {
    let producer = this.producers.get(frame.producer);
    if (producer === undefined) {
      this.#forgetOld(wallMs);
      const { mode } = frame;
      // One that feeds live may have been forgotten: what it sent before is not missing.
      const seq = mode === 'live' ? frame.seq : 0;
      producer = { mode, seq, watermarkMs: Number.MIN_SAFE_INTEGER, ended: false, heardAtMs: wallMs };
      this.producers.set(frame.producer, producer);
    }
    producer.heardAtMs = wallMs;
    const believed = frame.watermarkMs <= this.latestMs(producer.mode, nowMs);
    if (believed) {
      this.#heardAtMs.set(frame.producer, wallMs);
      this.#aheadMs.delete(frame.producer);
    } else {
      this.#aheadMs.set(frame.producer, frame.watermarkMs - nowMs);
    }
    const seen = Math.min(frame.count, Math.max(0, producer.seq - frame.seq));
    producer.seq = Math.max(producer.seq, frame.seq + frame.count);
    if (believed && frame.watermarkMs > producer.watermarkMs) producer.watermarkMs = frame.watermarkMs;
    // Who feeds live may come back under the same name; the end of a replay is the end.
    if (frame.end || producer.mode === 'live') producer.ended = frame.end;
    return seen;
  }

  /** The stage-0 watermark that the producers allow now; undefined while no producer was ever heard. */
  watermarkMs(wallMs: number): number | undefined {
    let replayMin = Number.POSITIVE_INFINITY;
    let activeMin = Number.POSITIVE_INFINITY;
    let endedMax = Number.NEGATIVE_INFINITY;
    let live = false;
    for (const [id, producer] of this.producers) {
      live ||= producer.mode === 'live';
      if (producer.ended) {
        endedMax = Math.max(endedMax, producer.watermarkMs);
      } else if (producer.mode === 'replay') {
        replayMin = Math.min(replayMin, producer.watermarkMs);
      } else {
        const heardAtMs = this.#heardAtMs.get(id) ?? this.#startListening(id, wallMs);
        if (wallMs - heardAtMs <= this.#rules.idleTimeoutMs)
          activeMin = Math.min(activeMin, producer.watermarkMs);
      }
    }
    // While a replay is attached, idle or not, the wall clock moves nothing.
    if (Number.isFinite(replayMin)) return Math.min(replayMin, activeMin);
    if (Number.isFinite(activeMin)) return activeMin;
    // A region that was ever fed live goes on with the clock, also when all have said their last word.
    if (live) return Math.max(endedMax, Math.floor(wallMs) - this.#rules.outOfOrderBoundMs);
    return Number.isFinite(endedMax) ? endedMax : undefined;
  }

  /** No replay is attached. */
  get live(): boolean {
    for (const { mode, ended } of this.producers.values()) if (mode === 'replay' && !ended) return false;
    return true;
  }

  /** What came was all of replays, attached or ended: it was never fed live, and nothing is of now. Not so as long as nothing came. */
  get replayed(): boolean {
    for (const { mode } of this.producers.values()) if (mode === 'live') return false;
    return this.producers.size > 0;
  }

  /** The producer that holds the watermark back: the active one with the lowest. */
  holder(wallMs: number): string | undefined {
    const limitMs = this.watermarkMs(wallMs);
    for (const [id, producer] of this.producers)
      if (!producer.ended && producer.watermarkMs === limitMs) return id;
    return undefined;
  }

  /** Live producers whose time is waited for no more, though they have not said their last word. */
  silent(wallMs: number): SilentProducer[] {
    const silent: SilentProducer[] = [];
    for (const [id, { mode, ended, watermarkMs, heardAtMs }] of this.producers) {
      if (mode !== 'live' || ended) continue;
      const listenedMs = this.#heardAtMs.get(id) ?? this.#startListening(id, wallMs);
      if (wallMs - listenedMs > this.#rules.idleTimeoutMs)
        silent.push({ producer: id, watermarkMs, heardAtMs, ...this.#aheadOf(id) });
    }
    return silent;
  }

  #aheadOf(id: string): { aheadMs?: number } {
    const aheadMs = this.#aheadMs.get(id);
    return aheadMs === undefined ? {} : { aheadMs };
  }

  /** Looked at when a new one comes: so there are never many more than there are producers. */
  #forgetOld(wallMs: number): void {
    const { forgetAfterMs = Number.POSITIVE_INFINITY } = this.#rules;
    for (const [id, { mode, heardAtMs }] of this.producers) {
      if (mode !== 'live' || wallMs - heardAtMs <= forgetAfterMs) continue;
      this.producers.delete(id);
      this.#heardAtMs.delete(id);
      this.#aheadMs.delete(id);
    }
  }

  /** After a recovery nobody has been heard yet: a live producer gets its full time-out from the first look on. */
  #startListening(id: string, wallMs: number): number {
    this.#heardAtMs.set(id, wallMs);
    return wallMs;
  }
}

/** Marks of all partitions for all stages, and so how far each stage here may close. */
export class StageMarks {
  readonly stages: number;
  readonly partitions: number;
  #marks: number[];
  #limits: number[];
  /** Another has the same lists: they are not to be written to. */
  #isShared = false;

  /** @param from marks, or others to be a copy of */
  constructor(stages: number, partitions: number, from?: readonly number[] | StageMarks) {
    this.stages = stages;
    this.partitions = partitions;
    if (from instanceof StageMarks) {
      this.#marks = from.#marks;
      this.#limits = from.#limits;
      this.#isShared = from.#isShared = true;
      return;
    }
    this.#marks = from ? [...from] : new Array<number>(stages * partitions).fill(0);
    this.#limits = Array.from({ length: stages }, (_, stage) => this.#minOf(stage));
  }

  /** `marks[stage * partitions + partition]`, ms UTC; 0 = none given yet. */
  get marks(): readonly number[] {
    return this.#marks;
  }

  /** Both have the same lists until a mark of one moves: most copies are made between the ends of two minutes. */
  copy(): StageMarks {
    return new StageMarks(this.stages, this.partitions, this);
  }

  get(stage: number, partition: number): number {
    return this.#marks[stage * this.partitions + partition]!;
  }

  /** Takes a mark; an older one than known is without effect. */
  raise(stage: number, partition: number, markMs: number): void {
    const at = stage * this.partitions + partition;
    const before = this.#marks[at]!;
    if (markMs <= before) return;
    if (this.#isShared) {
      this.#marks = [...this.#marks];
      this.#limits = [...this.#limits];
      this.#isShared = false;
    }
    this.#marks[at] = markMs;
    if (before === this.#limits[stage]) this.#limits[stage] = this.#minOf(stage);
  }

  /** Takes a partition's marks, by stage. */
  raiseAll(partition: number, marks: readonly number[]): void {
    for (let stage = 0; stage < marks.length; stage++) this.raise(stage, partition, marks[stage]!);
  }

  /** Event time up to which a stage may close by the marks of the stage below (stage ≥ 1). */
  limitMs(stage: number): number {
    return this.#limits[stage - 1]!;
  }

  /** Partitions whose mark for the stage below has reached a time. */
  reported(stage: number, endMs: number): number {
    if (this.limitMs(stage) >= endMs) return this.partitions;
    let count = 0;
    for (let p = 0; p < this.partitions; p++) if (this.get(stage - 1, p) >= endMs) count++;
    return count;
  }

  #minOf(stage: number): number {
    let min = Number.POSITIVE_INFINITY;
    for (let p = 0; p < this.partitions; p++) min = Math.min(min, this.get(stage, p));
    return min;
  }
}
