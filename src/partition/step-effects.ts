/**
 * What handlers have said since the last commit, and where they say it: messages, timers, rows, side outputs, values to
 * show, counters. Collected, never performed (P4); thrown away whole when the step is made again.
 */
import type { RowDraft } from '../actor/row.js';
import type { Resident } from './actor-record.js';
import type { MailMessage } from './frame.js';
import { Outbox, type Mergeable, type OpenMessage } from './outbox.js';
import type { SideOutput } from './output.js';
import { RowBlocks, type RowAbout } from './row-block.js';
import { Shown } from './shown.js';
import type { TimerQueue } from './timers.js';

/** Where a handler's effects go. */
export interface Effects {
  /** @param place of the receiver: its stage, when it is told within the step, else its partition */
  say(here: boolean, place: number, message: OpenMessage, receiver: Mergeable | undefined): void;
  schedule(atMs: number, name: string, actor: Resident): void;
  emit(draft: RowDraft, about: RowAbout): void;
  side(side: SideOutput): void;
  show(actor: Resident, values: Readonly<Record<string, number>>): void;
  count(name: string, by: number): void;
}

export class StepEffects implements Effects {
  /** Messages that leave, by the receiver's partition. */
  readonly mail: readonly Outbox[];
  /** Messages for actors here, by the receiver's stage: delivered within the step. */
  readonly local: readonly Outbox[];
  readonly rows = new RowBlocks();
  readonly shown = new Shown();
  readonly #timers: readonly TimerQueue[];
  readonly #counters: Map<string, number>;
  #sides: SideOutput[] = [];

  constructor(timers: readonly TimerQueue[], partitions: number, counters: Map<string, number>) {
    this.mail = Array.from({ length: partitions }, () => new Outbox());
    this.#timers = timers;
    this.#counters = counters;
    this.local = timers.map(() => new Outbox());
  }

  /** There is something for the world to know. */
  get tells(): boolean {
    return this.rows.count > 0 || this.#sides.length > 0 || this.shown.count > 0;
  }

  /** Messages wait to leave. */
  get leaves(): boolean {
    return this.mail.some(({ size }) => size > 0);
  }

  /** Messages wait for actors here. */
  get waits(): boolean {
    return this.local.some(({ size }) => size > 0);
  }

  /** Messages could not be merged, whether or not the handler that said them told so. */
  get broken(): boolean {
    return this.local.some(isBroken) || this.mail.some(isBroken);
  }

  say(here: boolean, place: number, message: OpenMessage, receiver: Mergeable | undefined): void {
    this.outbox(here, place).put(message, receiver);
  }

  outbox(here: boolean, place: number): Outbox {
    return here ? this.local[place]! : this.mail[place]!;
  }

  /** Takes what leaves, by partition. */
  takeMail(): Map<number, readonly MailMessage[]> {
    const mail = new Map<number, readonly MailMessage[]>();
    for (const [partition, outbox] of this.mail.entries())
      if (outbox.size > 0) mail.set(partition, outbox.take());
    return mail;
  }

  schedule(atMs: number, name: string, actor: Resident): void {
    this.#timers[actor.type.stage]!.add(atMs, name, actor);
  }

  emit(draft: RowDraft, about: RowAbout): void {
    this.rows.emit(draft, about);
  }

  side(side: SideOutput): void {
    this.#sides.push(side);
  }

  show(actor: Resident, values: Readonly<Record<string, number>>): void {
    this.shown.put(actor, values);
  }

  count(name: string, by: number): void {
    this.#counters.set(name, (this.#counters.get(name) ?? 0) + by);
  }

  takeSides(): SideOutput[] {
    const sides = this.#sides;
    this.#sides = [];
    return sides;
  }
}

function isBroken({ broken }: Outbox): boolean {
  return broken;
}
