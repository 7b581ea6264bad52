/**
 * Reads the committed outputs of all partitions of a region, in stream order: what a replay's row file and the view of a
 * region are made from.
 */
import type { Log, LogReader } from '../log/log.js';
import { partitionOfSubject, type Subjects } from '../log/subjects.js';
import { decodeOutput, type OutputFrame, type Progress } from '../partition/output.js';

const TAKE_BYTES = 1024 * 1024;

export interface OutputReaderOptions {
  /** Most bytes that are taken, and decoded, at a time. */
  readonly takeBytes?: number;
  /** Awaited between two takes, so that a reader that is behind leaves others their share. */
  readonly turn?: () => Promise<void>;
}

export class OutputReader {
  readonly #log: Log;
  readonly #subjects: Subjects;
  readonly #takeBytes: number;
  readonly #turn: (() => Promise<void>) | undefined;
  readonly #progress = new Map<number, Progress>();
  #reader: LogReader | undefined;
  #lastSeq = 0;
  #wake: () => void = () => undefined;
  #woken = false;

  constructor(log: Log, subjects: Subjects, options: OutputReaderOptions = {}) {
    this.#log = log;
    this.#subjects = subjects;
    this.#takeBytes = options.takeBytes ?? TAKE_BYTES;
    this.#turn = options.turn;
  }

  /** Last progress heard of each partition. */
  get progress(): ReadonlyMap<number, Progress> {
    return this.#progress;
  }

  /** Sequence of the last message of the frames given last; 0 when there was none yet. */
  get lastSeq(): number {
    return this.#lastSeq;
  }

  /** Messages that the stream holds and that have not come yet. */
  get pending(): number {
    return this.#reader?.pending ?? 0;
  }

  /** Ends a wait: the reader's user has something new to look at. */
  wake(): void {
    this.#woken = true;
    this.#wake();
  }

  /** Frames from a sequence on, as they are committed; ends when the caller leaves the loop. An empty list is a wake. */
  async *frames(fromSeq: number): AsyncGenerator<OutputFrame[]> {
    const reader = await this.#log.read(this.#subjects.allOut, fromSeq, () => {
      this.wake();
    });
    this.#reader = reader;
    try {
      for (;;) {
        const messages = reader.take(this.#takeBytes);
        if (reader.failure !== undefined) throw reader.failure;
        const frames = messages.map(({ subject, payload }) => {
          const frame = decodeOutput(payload);
          if (frame.progress !== null) this.#progress.set(partitionOfSubject(subject), frame.progress);
          return frame;
        });
        this.#lastSeq = messages.at(-1)?.seq ?? this.#lastSeq;
        yield frames;
        if (messages.length > 0) {
          await this.#turn?.();
          continue;
        }
        if (!this.#woken) {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
        }
        this.#woken = false;
      }
    } finally {
      await reader.close();
    }
  }
}

/** Sum of a counter over partitions. */
export function sumCounter(progress: Iterable<Progress>, name: string): number {
  let sum = 0;
  for (const { counters } of progress) sum += counters[name] ?? 0;
  return sum;
}

/** Sums over partitions of all counters that begin in the same way, by what follows. */
export function sumCounters(progress: Iterable<Progress>, prefix: string): Map<string, number> {
  const sums = new Map<string, number>();
  for (const { counters } of progress)
    for (const [name, n] of Object.entries(counters)) {
      if (!name.startsWith(prefix)) continue;
      const rest = name.slice(prefix.length);
      sums.set(rest, (sums.get(rest) ?? 0) + n);
    }
  return sums;
}
