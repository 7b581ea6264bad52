/** What stage-0 actors tell the cells, collected: counters by name, by cell and minute. */
import { live } from '../../../actors/live.js';
import { market } from '../../../actors/market.js';
import { addTally, defineActor, type ActorEvent, type Behaviour, type Tally } from '../../../src/index.js';
import { Driven, MINUTE } from '../partition/driven.js';

export const A = '9q8yyk';
/** Another cell of the same gh5, one of the same gh4 only, and one of neither. */
export const B = '9q8yym';
export const C = '9q8yuz';
export const D = '9q9000';
/** A minute to count from: event times in the tests are seconds after it. */
export const T0 = 1_000 * MINUTE;
export const at = (seconds: number): number => T0 + seconds * 1_000;

export class Collected {
  readonly driven: Driven;
  readonly #tallies = new Map<string, Tally>();
  /** Messages to cells, as they came. */
  messages = 0;

  constructor(behaviour: Behaviour) {
    const cell = defineActor({
      type: 'cell',
      sends: [],
      state: () => ({}),
      messages: {
        add: {
          handle: (_, tally: Tally, ctx, startMs) => {
            this.messages++;
            const name = `${ctx.key} ${(startMs - T0) / MINUTE}`;
            this.#tallies.set(name, addTally(this.#tallies.get(name) ?? market.zero(), tally));
          },
        },
      },
    }) as Behaviour;
    this.driven = new Driven([behaviour, cell, live() as Behaviour]);
  }

  async step(events: readonly ActorEvent[], watermarkSeconds: number): Promise<void> {
    await this.driven.step(events, at(watermarkSeconds));
  }

  /** `cell minute` → the counters that are not 0, in the names given, or all but those of distinct counts. */
  counts(...names: (typeof market.names)[number][]): Record<string, Record<string, number>> {
    const wanted = names.length > 0 ? names : market.names.filter((name) => !/^(drivers|riders)_/.test(name));
    const all: Record<string, Record<string, number>> = {};
    for (const [key, { n }] of [...this.#tallies].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const counters = wanted.flatMap((name) => {
        const value = n[market.index[name]] ?? 0;
        return value === 0 ? [] : [[name, value] as const];
      });
      if (counters.length > 0) all[key] = Object.fromEntries(counters);
    }
    return all;
  }

  /** A counter summed over all cells whose key starts with a prefix, in a minute. */
  sum(name: (typeof market.names)[number], minute: number, prefix = ''): number {
    let sum = 0;
    for (const [key, { n }] of this.#tallies)
      if (key.startsWith(prefix) && key.endsWith(` ${minute}`)) sum += n[market.index[name]] ?? 0;
    return sum;
  }

  /** The sketch of a cell's minute. */
  sketch(cell: string, minute: number): readonly number[] {
    return this.#tallies.get(`${cell} ${minute}`)?.q ?? [];
  }
}
