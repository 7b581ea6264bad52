/**
 * Where a partition stands: its time, its producers, its input, its counters. All that a step changes besides the actors
 * and what it says; copied with each commit, so that the step after it can be made again from there.
 */
import type { Control } from './journal.js';
import { ProducerTable, StageMarks, type TimeRules } from './watermark.js';

/** Inputs and silence after which the input position is committed for its own sake. */
const POSITION_INPUTS_MAX = 1_000;
const POSITION_MS = 10_000;

export class StepFacts {
  producers: ProducerTable;
  marks: StageMarks;
  readonly counters: Map<string, number>;
  /** Event time up to which each stage has closed: all its timers have fired. */
  readonly closed: number[];
  /** Event time up to which each stage may close; what is due until then fires over several steps. */
  readonly limits: number[];
  /** Stages with timers that are due and have not fired. */
  readonly due: boolean[];
  watermarkMs: number;
  inputSeq: number;
  wallMs = 0;
  /** Inputs since the last commit, and those that said more than how far time is. */
  inputsTaken = 0;
  inputsTold = 0;
  committedWallMs: number;
  marksMoved = false;
  closedMoved = false;

  static recovered(
    control: Control | undefined,
    { time, stages, partitions }: { time: TimeRules; stages: number; partitions: number },
  ): StepFacts {
    const producers = new Map([...(control?.producers ?? [])].map(([id, p]) => [id, { ...p }]));
    return new StepFacts(
      new ProducerTable(time, producers),
      new StageMarks(stages, partitions, control?.marks),
      control?.closed ?? new Array<number>(stages).fill(0),
      control ?? { counters: new Map(), watermarkMs: 0, inputSeq: 0, wallMs: 0 },
    );
  }

  private constructor(
    producers: ProducerTable,
    marks: StageMarks,
    closed: readonly number[],
    at: Pick<Control, 'counters' | 'watermarkMs' | 'inputSeq' | 'wallMs'>,
  ) {
    this.producers = producers;
    this.marks = marks;
    this.closed = [...closed];
    this.limits = [...closed];
    this.due = closed.map(() => false);
    this.counters = new Map(at.counters);
    this.watermarkMs = at.watermarkMs;
    this.inputSeq = at.inputSeq;
    this.committedWallMs = at.wallMs;
  }

  copy(): StepFacts {
    const copy = new StepFacts(this.producers.copy(), this.marks.copy(), this.closed, this);
    for (const [stage, limitMs] of this.limits.entries()) copy.limits[stage] = limitMs;
    copy.wallMs = this.wallMs;
    copy.inputsTaken = this.inputsTaken;
    copy.inputsTold = this.inputsTold;
    copy.committedWallMs = this.committedWallMs;
    copy.marksMoved = this.marksMoved;
    copy.closedMoved = this.closedMoved;
    return copy;
  }

  /** Looks at the clock: gives true when the stage-0 watermark has moved by what producers and clock allow. */
  observe(wallMs: number): boolean {
    this.wallMs = wallMs;
    const watermarkMs = this.producers.watermarkMs(wallMs);
    if (watermarkMs === undefined || watermarkMs <= this.watermarkMs) return false;
    this.watermarkMs = watermarkMs;
    return true;
  }

  took(seq: number, told: boolean): void {
    this.inputSeq = seq;
    this.inputsTaken++;
    if (told) this.inputsTold++;
  }

  /** Was told something that stands nowhere else. */
  heard(): void {
    this.inputsTold++;
  }

  raiseLimit(stage: number, earliestTimerMs: number): void {
    const limitMs = stage === 0 ? this.watermarkMs : this.marks.limitMs(stage);
    if (limitMs > this.limits[stage]!) this.limits[stage] = limitMs;
    this.due[stage] = earliestTimerMs <= this.limits[stage]!;
  }

  /** Closes a stage as far as its timers have fired. */
  close(stage: number, earliestTimerMs: number): void {
    const limitMs = this.limits[stage]!;
    this.due[stage] = earliestTimerMs <= limitMs;
    const closedMs = Math.min(limitMs, earliestTimerMs - 1);
    if (closedMs <= this.closed[stage]!) return;
    this.closed[stage] = closedMs;
    this.closedMoved = true;
  }

  /** Gives a partition's mark for a stage, by panes. */
  giveMark(stage: number, partition: number, paneMs: number): void {
    const markMs = Math.floor(this.closed[stage]! / paneMs) * paneMs;
    if (markMs <= this.marks.get(stage, partition)) return;
    this.marks.raise(stage, partition, markMs);
    this.marksMoved = true;
  }

  /**
   * Whether to commit for the sake of the input position alone: inputs that only say how far time is are read again after a
   * crash, and say the same. An idle region then writes a few commits a minute.
   */
  get isPositionDue(): boolean {
    if (this.inputsTaken === 0) return false;
    const silentMs = this.wallMs - this.committedWallMs;
    return this.inputsTaken >= POSITION_INPUTS_MAX || silentMs >= POSITION_MS || silentMs < 0;
  }

  /** What was taken and moved is committed. */
  settle(): void {
    this.inputsTaken = 0;
    this.inputsTold = 0;
    this.committedWallMs = this.wallMs;
    this.marksMoved = false;
    this.closedMoved = false;
  }
}
