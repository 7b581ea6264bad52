/** The publishers of the partitions that are owned here: they come and go with them. */
import { sleep } from '../core/clock.js';
import { GroundswellError } from '../core/errors.js';
import type { Log } from '../log/log.js';
import type { NodeOptions } from '../node/node-options.js';
import { OwnOutputs } from './own-outputs.js';
import { Publisher, type PublisherOptions } from './publisher.js';

export interface PublishersOptions extends Omit<PublisherOptions, 'partition' | 'target' | 'outputs'> {
  readonly source: Log;
  readonly targets: readonly PublisherOptions['target'][];
  /** Something failed that does not pass. */
  onFailure(error: unknown): void;
}

const AGAIN_MS = 1_000;

export class Publishers {
  readonly #options: PublishersOptions;
  readonly #outputs: OwnOutputs;
  readonly #byPartition = new Map<number, readonly Publisher[]>();
  /** What was begun for a partition last: what follows waits for it. */
  readonly #doing = new Map<number, Promise<void>>();
  readonly #wanted = new Set<number>();
  /** Messages of publishers that have ended. */
  #published = 0;

  constructor(options: PublishersOptions) {
    this.#options = options;
    this.#outputs = new OwnOutputs(options.source);
  }

  /** What a node tells its publishers. */
  get nodeHooks(): Required<Pick<NodeOptions, 'onOwned' | 'onDropped' | 'onCommitted'>> {
    return {
      onOwned: (partition) => {
        this.begin(partition);
      },
      onDropped: (partition) => {
        this.end(partition);
      },
      onCommitted: (outputs) => {
        this.#outputs.committed(outputs);
      },
    };
  }

  get all(): readonly Publisher[] {
    return [...this.#byPartition.values()].flat();
  }

  /** Messages that went out since the start. */
  get published(): number {
    return this.all.reduce((sum, { published }) => sum + published, this.#published);
  }

  /** Outputs in the stream that were not looked at yet. */
  get lagMessages(): number {
    return this.all.reduce((sum, { lagMessages }) => sum + lagMessages, 0);
  }

  /** Publishes the outputs of a partition from now on. */
  begin(partition: number): void {
    this.#wanted.add(partition);
    this.#outputs.begin(this.#options.subjects.out(partition));
    this.#after(partition, async () => {
      while (this.#wanted.has(partition) && !this.#byPartition.has(partition)) {
        await this.#start(partition).catch(unlessPassing);
        if (!this.#byPartition.has(partition)) await sleep(this.#options.clock, AGAIN_MS);
      }
    });
  }

  /** Publishes what is committed by now, and no more: the partition's next owner does. */
  end(partition: number): void {
    this.#wanted.delete(partition);
    this.#outputs.end(this.#options.subjects.out(partition));
    this.#after(partition, async () => {
      const publishers = this.#byPartition.get(partition) ?? [];
      this.#byPartition.delete(partition);
      // What cannot be published now, the partition's next owner publishes.
      await Promise.all(publishers.map((publisher) => publisher.stop().catch(unlessPassing)));
      for (const { published } of publishers) this.#published += published;
    });
  }

  /** Publishes what is committed by now, of all partitions, then ends. */
  async close(): Promise<void> {
    const partitions = new Set([...this.#doing.keys(), ...this.#byPartition.keys()]);
    for (const partition of partitions) this.end(partition);
    await Promise.all(this.#doing.values());
  }

  async #start(partition: number): Promise<void> {
    const { targets, subjects, clock } = this.#options;
    const parts = { outputs: this.#outputs, subjects, clock, partition };
    const publishers = targets.map((target) => new Publisher({ ...parts, target }));
    try {
      await Promise.all(publishers.map((publisher) => publisher.start()));
    } catch (error) {
      await Promise.all(publishers.map((publisher) => publisher.stop().catch(() => undefined)));
      throw error;
    }
    for (const publisher of publishers) publisher.finished.catch(this.#onFailure);
    this.#byPartition.set(partition, publishers);
  }

  readonly #onFailure = (error: unknown): void => {
    this.#options.onFailure(error);
  };

  #after(partition: number, what: () => Promise<void>): void {
    const before = this.#doing.get(partition) ?? Promise.resolve();
    const doing = before.then(what).catch(this.#onFailure);
    this.#doing.set(partition, doing);
  }
}

/** A log that does not answer now may do so later. */
function unlessPassing(error: unknown): void {
  if (!(error instanceof GroundswellError) || error.code !== 'GS_LOG') throw error;
}
