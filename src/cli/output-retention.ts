/** Removes outputs that are published and old: views begin in what is kept, and nobody else reads them. */
import type { Clock } from '../core/clock.js';
import type { Log } from '../log/log.js';
import type { Subjects } from '../log/subjects.js';
import { Positions } from '../node/retention.js';
import type { Publisher } from '../serve/publisher.js';

export interface OutputRetentionOptions {
  readonly log: Log;
  readonly subjects: Subjects;
  readonly clock: Clock;
  readonly publishers: () => readonly Publisher[];
  /** How long outputs stay after they were published, ms. */
  readonly keepMs: number;
  onFailure(error: unknown): void;
}

const EVERY_MS = 60_000;

export class OutputRetention {
  readonly #options: OutputRetentionOptions;
  readonly #positions: Positions;
  #cancel: () => void = () => undefined;
  #running: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(options: OutputRetentionOptions) {
    this.#options = options;
    this.#positions = new Positions(options.clock, options.keepMs);
  }

  start(): void {
    if (this.#stopped) return;
    this.#cancel = this.#options.clock.after(EVERY_MS, () => {
      this.#running = this.tend()
        .catch((error: unknown) => {
          this.#options.onFailure(error);
        })
        .finally(() => {
          this.start();
        });
    });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancel();
    await this.#running;
  }

  /** Notes how far outputs are published, and removes what has been behind that for the whole time. */
  async tend(): Promise<void> {
    const { log, subjects, publishers } = this.#options;
    const through = new Map<number, number>();
    for (const { partition, publishedThrough } of publishers())
      through.set(partition, Math.min(through.get(partition) ?? Number.POSITIVE_INFINITY, publishedThrough));
    for (const [partition, seq] of through) {
      const old = this.#positions.note(partition, seq);
      // The last one stays: it tells how far the partition has come.
      if (old !== undefined) await log.purge(subjects.out(partition), old);
    }
  }
}
