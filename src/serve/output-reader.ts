/** Reads the committed outputs of all partitions of a region, in stream order: what a replay's row file is made from. */
import type { Log, LogReader } from '../log/log.js';
import { partitionOfSubject, type Subjects } from '../log/subjects.js';
import { decodeOutput, type OutputFrame, type Progress } from '../partition/output.js';

const TAKE_BYTES = 1024 * 1024;

export class OutputReader {
  readonly #log: Log;
  readonly #subjects: Subjects;
  readonly #progress = new Map<number, Progress>();
  #wake: () => void = () => undefined;
  #woken = false;

  constructor(log: Log, subjects: Subjects) {
    this.#log = log;
    this.#subjects = subjects;
  }

  /** Last progress heard of each partition. */
  get progress(): ReadonlyMap<number, Progress> {
    return this.#progress;
  }

  /** Ends a wait: the reader's user has something new to look at. */
  wake(): void {
    this.#woken = true;
    this.#wake();
  }

  /** Frames from a sequence on, as they are committed; ends when the caller leaves the loop. An empty list is a wake. */
  async *frames(fromSeq: number): AsyncGenerator<OutputFrame[]> {
    const reader: LogReader = await this.#log.read(this.#subjects.allOut, fromSeq, () => {
      this.wake();
    });
    try {
      for (;;) {
        const messages = reader.take(TAKE_BYTES);
        if (reader.failure !== undefined) throw reader.failure;
        const frames = messages.map(({ subject, payload }) => {
          const frame = decodeOutput(payload);
          if (frame.progress !== null) this.#progress.set(partitionOfSubject(subject), frame.progress);
          return frame;
        });
        yield frames;
        if (messages.length > 0) continue;
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
