/**
 * Speaks for nodes that died: says the last word of their HTTP producers, so that the region's time waits for nobody who
 * cannot come. Claiming a producer's id fences it off (P1), so one that was only held up sends nothing under it any more.
 */
import { messageOf } from '../core/errors.js';
import type { Logger } from '../core/logger.js';
import type { Producer } from '../ingest/producer.js';
import type { MemberStatus } from '../node/status.js';

export interface LastWordsOptions {
  members(): readonly MemberStatus[];
  newProducer(id: string): Producer;
  readonly logger: Logger;
}

/** Id of the producer behind a node's HTTP intake: of its own for each start. */
export function producerOf({ name, instance }: Pick<MemberStatus, 'name' | 'instance'>): string {
  return `http:${name}:${instance.slice(0, 8)}`;
}

export class LastWords {
  readonly #options: LastWordsOptions;
  /** Instances whose producers were seen to. */
  readonly #said = new Set<string>();

  constructor(options: LastWordsOptions) {
    this.#options = options;
  }

  /** Looks who has died. One node does it for all; where it fails, the idle time-out does the same later. */
  look(): void {
    const members = this.#options.members();
    const living = members.filter(({ alive }) => alive);
    const first = living.reduce<MemberStatus | undefined>(
      (least, one) => (least === undefined || one.id < least.id ? one : least),
      undefined,
    );
    for (const dead of members) {
      if (dead.alive || dead.self || this.#said.has(dead.instance)) continue;
      this.#said.add(dead.instance);
      if (first?.self === true && dead.http !== undefined) this.#say(dead).catch(this.#onFailure);
    }
  }

  async #say(dead: MemberStatus): Promise<void> {
    const producer = this.#options.newProducer(producerOf(dead));
    if (await producer.resume()) await producer.end(0);
  }

  readonly #onFailure = (error: unknown): void => {
    const cause = messageOf(error);
    this.#options.logger.warn({ cause }, 'the last word of a dead node’s producer could not be said');
  };
}
