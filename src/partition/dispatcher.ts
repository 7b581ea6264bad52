/**
 * Calls handlers, and is the context they see. One context object serves all calls of a partition: it points at the
 * actor of the call that is running. Effects are only collected here (P4).
 */
import type { ActorContext, ActorEvent } from '../actor/behaviour.js';
import type { Registry } from '../actor/registry.js';
import type { Row, RowDraft } from '../actor/row.js';
import { GroundswellError, messageOf } from '../core/errors.js';
import { partitionOf } from '../core/hash.js';
import { actorId } from '../core/ids.js';
import type { Resident } from './actor-table.js';
import type { Outbox } from './outbox.js';
import type { SideOutput } from './output.js';
import type { TimerQueue } from './timers.js';
import type { StageMarks } from './watermark.js';

interface Surroundings {
  readonly region: string;
  readonly partition: number;
  readonly partitions: number;
  readonly registry: Registry;
  readonly marks: StageMarks;
  /** Event time per stage up to which an actor's own timers have fired before it hears anything else. */
  readonly limits: readonly number[];
  readonly timers: readonly TimerQueue[];
  readonly local: readonly Outbox[];
  readonly remote: Outbox;
  readonly counters: Map<string, number>;
  emitRow(row: Row): void;
  emitSide(side: SideOutput): void;
  show(actor: Resident, values: Readonly<Record<string, number>>): void;
  markDirty(actor: Resident): void;
}

export class Dispatcher implements ActorContext {
  readonly #here: Surroundings;
  #actor!: Resident;

  constructor(surroundings: Surroundings) {
    this.#here = surroundings;
  }

  event(actor: Resident, event: ActorEvent): void {
    const handler = actor.type.behaviour.events![event.type]!;
    this.#enter(actor);
    try {
      handler.handle(actor.state, event, this);
    } catch (error) {
      throw failed(actor, event.type, error);
    }
  }

  message(actor: Resident, name: string, atMs: number, body: unknown): void {
    const handler = actor.type.behaviour.messages?.[name];
    if (handler === undefined) {
      throw new GroundswellError(
        'GS_BEHAVIOUR',
        `"${actor.type.behaviour.type}" has no handler for the message "${name}".`,
      );
    }
    this.#enter(actor);
    try {
      handler.handle(actor.state, body, this, atMs);
    } catch (error) {
      throw failed(actor, name, error);
    }
  }

  timer(actor: Resident, name: string, atMs: number): void {
    const handler = actor.type.behaviour.timers?.[name];
    if (handler === undefined) {
      throw new GroundswellError(
        'GS_BEHAVIOUR',
        `"${actor.type.behaviour.type}" has no handler for the timer "${name}".`,
      );
    }
    actor.timers!.delete(name);
    this.#enter(actor);
    try {
      handler(actor.state, this, atMs);
    } catch (error) {
      throw failed(actor, name, error);
    }
  }

  /** Points the context at an actor, which counts as changed from here on. */
  #enter(actor: Resident): void {
    this.#actor = actor;
    this.#here.markDirty(actor);
  }

  // What a handler sees: ActorContext.

  get region(): string {
    return this.#here.region;
  }

  get key(): string {
    return this.#actor.key;
  }

  get watermark(): number {
    return this.#here.limits[this.#actor.type.stage]!;
  }

  send(type: string, key: string, name: string, atMs: number, body: unknown): void {
    const from = this.#actor.type;
    const target = this.#here.registry.types.get(type);
    const declared = from.sends.get(type);
    if (target === undefined || declared === undefined) {
      throw new GroundswellError(
        'GS_BEHAVIOUR',
        `"${from.behaviour.type}" sends to "${type}", but does not declare it in sends.`,
      );
    }
    const to = actorId(type, key);
    // Timed mail to an actor here is delivered within the step, before its stage closes further.
    const here = declared === 'timed' && partitionOf(to, this.#here.partitions) === this.#here.partition;
    const outbox = here ? this.#here.local[target.stage]! : this.#here.remote;
    outbox.put(to, name, atMs, body, target.behaviour.messages?.[name]);
  }

  schedule(timer: string, atMs: number): void {
    const actor = this.#actor;
    const timers = (actor.timers ??= new Map<string, number>());
    if (timers.get(timer) === atMs) return;
    timers.set(timer, atMs);
    this.#here.timers[actor.type.stage]!.add(atMs, { actor, name: timer });
  }

  cancel(timer: string): void {
    this.#actor.timers?.delete(timer);
  }

  due(timer: string): number | undefined {
    return this.#actor.timers?.get(timer);
  }

  emit(draft: RowDraft): void {
    const { stage } = this.#actor.type;
    const { marks, partitions, region } = this.#here;
    const { level, key, window, start, end, rev, features, surge, children } = draft;
    const watermark = this.watermark;
    const reported = stage === 0 ? partitions : marks.reported(stage, end);
    const final = end <= watermark;
    const completeness =
      children === undefined
        ? { expected: partitions, reported }
        : { expected: partitions, reported, children };
    // Literals, not spreads: rows of a kind have one shape, in memory and on the wire.
    this.#here.emitRow(
      surge === undefined
        ? { region, level, key, window, start, end, rev, final, features, watermark, completeness }
        : { region, level, key, window, start, end, rev, final, features, surge, watermark, completeness },
    );
  }

  show(values: Readonly<Record<string, number>>): void {
    this.#here.show(this.#actor, values);
  }

  late(event: ActorEvent): void {
    this.#here.emitSide({ kind: 'late', type: event.type, body: event });
    this.count('late');
    this.count(`late.${event.type}`);
  }

  dead(type: string, reason: string, body: unknown): void {
    this.#here.emitSide({ kind: 'dead', type, body: { reason, body } });
    this.count(`dead.${reason}`);
  }

  count(name: string, by = 1): void {
    this.#here.counters.set(name, (this.#here.counters.get(name) ?? 0) + by);
  }

  forget(): void {
    this.#actor.forgotten = true;
    this.#actor.timers = undefined;
  }
}

function failed(actor: Resident, what: string, error: unknown): GroundswellError {
  if (error instanceof GroundswellError) return error;
  const { type } = actor.type.behaviour;
  return new GroundswellError('GS_HANDLER', `${type}: the handler of "${what}" threw: ${messageOf(error)}`, {
    cause: error,
  });
}
