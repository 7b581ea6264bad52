/** The effects of one call, held back until it is known that the call succeeded. */
import { FeatureVector, type RowDraft } from '../actor/row.js';
import type { Resident } from './actor-record.js';
import { expectRow } from './finite-values.js';
import type { Mergeable, OpenMessage } from './outbox.js';
import type { SideOutput } from './output.js';
import type { RowAbout } from './row-block.js';
import type { Effects, StepEffects } from './step-effects.js';

type Merge = (receiver: Mergeable, into: unknown, from: unknown) => { readonly body: unknown } | undefined;

export class CallEffects implements Effects {
  #held: ((into: StepEffects, merge: Merge) => void)[] = [];

  say(here: boolean, place: number, message: OpenMessage, receiver: Mergeable | undefined): void {
    this.#held.push((effects, merge) => {
      const merging =
        receiver?.combine === undefined
          ? undefined
          : (into: unknown, from: unknown) => merge(receiver, into, from);
      effects.outbox(here, place).putCarefully(message, merging);
    });
  }

  schedule(atMs: number, name: string, actor: Resident): void {
    this.#held.push((effects) => {
      effects.schedule(atMs, name, actor);
    });
  }

  emit(draft: RowDraft, about: RowAbout): void {
    // Here, where it fails the call: when it is applied, the call has succeeded.
    expectRow(draft);
    const { features } = draft;
    // Whoever says it fills the same objects again.
    const row = {
      ...draft,
      features: features instanceof FeatureVector ? features.toObject() : { ...features },
    };
    const then = { ...about };
    this.#held.push((effects) => {
      effects.emit(row, then);
    });
  }

  side(side: SideOutput): void {
    this.#held.push((effects) => {
      effects.side(side);
    });
  }

  show(actor: Resident, values: Readonly<Record<string, number>>): void {
    this.#held.push((effects) => {
      effects.show(actor, values);
    });
  }

  count(name: string, by: number): void {
    this.#held.push((effects) => {
      effects.count(name, by);
    });
  }

  /** Lets the effects take place, in the order in which they were said. */
  applyTo(effects: StepEffects, merge: Merge): void {
    const held = this.#held;
    this.#held = [];
    for (const apply of held) apply(effects, merge);
  }

  drop(): void {
    this.#held = [];
  }
}
