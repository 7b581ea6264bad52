/**
 * Calls handlers, and is the context they see. One context object serves all calls of a partition: it points at the
 * actor of the call that is running, and at nobody between calls. Effects are only collected (P4).
 */
import type { ActorContext, ActorEvent, EventHandler } from '../actor/behaviour.js';
import type { Registry } from '../actor/registry.js';
import type { RowDraft } from '../actor/row.js';
import { GroundswellError } from '../core/errors.js';
import { partitionOfKey } from '../core/hash.js';
import type { ActorId } from '../core/ids.js';
import { Times } from '../core/times.js';
import type { Resident } from './actor-record.js';
import { expectValues } from './finite-values.js';
import { CallFailed, deadLetter, plainBody, textOf, type Call } from './poison.js';
import { whyNotPlain } from './plain-data.js';
import type { RowAbout } from './row-block.js';
import type { Effects } from './step-effects.js';
import type { StageMarks } from './watermark.js';

/** What is called: the handlers of actors. Gives false when a call failed, and nothing is left of it. */
export interface Caller {
  /** Undefined when no behaviour is registered for its type. @throws CallFailed when its state cannot be made or loaded */
  activate(type: string, key: string): Resident | undefined;
  event(actor: Resident, event: ActorEvent, handler: EventHandler<unknown>): boolean;
  message(actor: Resident, name: string, atMs: number, body: unknown): boolean;
  timer(actor: Resident, name: string, atMs: number): boolean;
}

interface Surroundings {
  readonly region: string;
  readonly partition: number;
  readonly partitions: number;
  readonly registry: Registry;
  readonly marks: StageMarks;
  /** Event time per stage up to which an actor's own timers have fired before it hears anything else. */
  readonly limits: readonly number[];
  readonly effects: Effects;
  activate(type: string, key: string): Resident | undefined;
  markDirty(actor: Resident): void;
}

/** Calls handlers as they are: fast, and what fails leaves everything as it stood. Then the whole step is made again. */
export class Dispatcher implements ActorContext, Caller {
  readonly #here: Surroundings;
  readonly #effects: Effects;
  /** What is said of the row that is being emitted. */
  readonly #about: { -readonly [K in keyof RowAbout]: RowAbout[K] };
  #calling: Resident | undefined;
  /** What is set up to this time fires next, and need not be noted: event time, ms UTC. */
  firesUntilMs = Number.NEGATIVE_INFINITY;

  constructor(surroundings: Surroundings) {
    this.#here = surroundings;
    this.#effects = surroundings.effects;
    const { region, partitions: expected } = surroundings;
    this.#about = { region, watermark: 0, final: false, expected, reported: 0 };
  }

  activate(type: string, key: string): Resident | undefined {
    return this.#here.activate(type, key);
  }

  /** @throws CallFailed */
  event(actor: Resident, event: ActorEvent, handler: EventHandler<unknown>): true {
    this.#enter(actor);
    try {
      const given: unknown = handler.handle(actor.state, event, this);
      if (given !== undefined) expectNoPromise(actor, event.type, given);
    } catch (error) {
      throw failed(actor, event.type, error);
    } finally {
      this.#calling = undefined;
    }
    return true;
  }

  /** @throws CallFailed */
  message(actor: Resident, name: string, atMs: number, body: unknown): true {
    const handler = actor.type.behaviour.messages?.[name];
    if (handler === undefined) {
      this.unhandled(actor.id, { kind: 'message', name, atMs, body });
      return true;
    }
    this.#enter(actor);
    try {
      const given: unknown = handler.handle(actor.state, body, this, atMs);
      if (given !== undefined) expectNoPromise(actor, name, given);
    } catch (error) {
      throw failed(actor, name, error);
    } finally {
      this.#calling = undefined;
    }
    return true;
  }

  /** @throws CallFailed */
  timer(actor: Resident, name: string, atMs: number): true {
    const handler = actor.type.behaviour.timers?.[name];
    actor.timers!.delete(name);
    this.#enter(actor);
    try {
      if (handler === undefined) this.unhandled(actor.id, { kind: 'timer', name, atMs, body: undefined });
      const given: unknown = handler?.(actor.state, this, atMs);
      if (given !== undefined) expectNoPromise(actor, name, given);
    } catch (error) {
      throw failed(actor, name, error);
    } finally {
      this.#calling = undefined;
    }
    return true;
  }

  /** Buries what no behaviour takes: another version of it said so, or one that is not registered here. */
  unhandled(id: ActorId, call: Call): void {
    const message = `No behaviour of "${id.slice(0, id.indexOf('/'))}" takes the ${call.kind} "${call.name}".`;
    this.#effects.side(deadLetter(id, call, { reason: 'unhandled', message, stack: undefined }));
    this.#effects.count('dead.unhandled', 1);
  }

  /** Points at nobody: after a call that was broken off. */
  leave(): void {
    this.#calling = undefined;
  }

  /** Points the context at an actor, which counts as changed from here on. */
  #enter(actor: Resident): void {
    this.#here.markDirty(actor);
    this.#calling = actor;
  }

  // What a handler sees: ActorContext.

  get region(): string {
    return this.#here.region;
  }

  get key(): string {
    return this.#actor().key;
  }

  get watermark(): number {
    return this.#here.limits[this.#actor().type.stage]!;
  }

  send(type: string, key: string, name: string, atMs: number, body: unknown): void {
    const from = this.#actor().type;
    const target = this.#here.registry.types.get(type);
    const declared = from.sends.get(type);
    if (target === undefined || declared === undefined)
      throw refuse(`"${from.behaviour.type}" sends to "${type}", but does not declare it in sends.`);
    const why = whyNotPlain(body);
    if (why !== undefined)
      throw refuse(`The message "${name}" to "${type}" holds ${why}, which is no plain data.`);
    const partition = partitionOfKey(type, key, this.#here.partitions);
    // Timed mail to an actor here is delivered within the step, before its stage closes further.
    const here = declared === 'timed' && partition === this.#here.partition;
    const receiver = target.behaviour.messages?.[name];
    this.#effects.say(here, here ? target.stage : partition, [type, key, name, atMs, body], receiver);
  }

  schedule(timer: string, atMs: number): void {
    const actor = this.#actor();
    const timers = (actor.timers ??= new Times());
    if (timers.get(timer) === atMs) return;
    if (!Number.isFinite(atMs)) throw refuse(`The timer "${timer}" is set for ${atMs}, which is no time.`);
    timers.set(timer, atMs);
    if (atMs > this.firesUntilMs) this.#effects.schedule(atMs, timer, actor);
  }

  cancel(timer: string): void {
    this.#actor().timers?.delete(timer);
  }

  due(timer: string): number | undefined {
    return this.#actor().timers?.get(timer);
  }

  emit(draft: RowDraft): void {
    const { stage } = this.#actor().type;
    const { marks, partitions } = this.#here;
    const { end, repeats } = draft;
    const lastEnd = repeats === undefined ? end : end + repeats.times * repeats.everyMs;
    const about = this.#about;
    about.watermark = this.watermark;
    about.final = lastEnd <= about.watermark;
    about.reported = stage === 0 ? partitions : marks.reported(stage, lastEnd);
    this.#effects.emit(draft, about);
  }

  show(values: Readonly<Record<string, number>>): void {
    expectValues(values);
    this.#effects.show(this.#actor(), values);
  }

  late(event: ActorEvent): void {
    this.#expectCall();
    this.#effects.side({ kind: 'late', type: event.type, body: event });
    this.count('late');
    this.count(`late.${event.type}`);
  }

  dead(type: string, reason: string, body: unknown): void {
    this.#expectCall();
    this.#effects.side({ kind: 'dead', type, body: { reason, body: plainBody(body) } });
    this.count(`dead.${reason}`);
  }

  count(name: string, by = 1): void {
    this.#expectCall();
    this.#effects.count(name, by);
  }

  forget(): void {
    const actor = this.#actor();
    actor.forgotten = true;
    actor.timers = undefined;
  }

  /** Whose call is running. No getter, for it is asked all the time: V8 enters its runtime for a private one. */
  #actor(): Resident {
    this.#expectCall();
    return this.#calling!;
  }

  /** A handler that kept its context, such as one that awaits something, speaks for nobody. */
  #expectCall(): void {
    if (this.#calling === undefined) throw refuse('A handler used its context after its call had ended.');
  }
}

function refuse(message: string): GroundswellError {
  return new GroundswellError('GS_BEHAVIOUR', message);
}

/** Handlers are synchronous: what comes after an `await` is of no step. */
function expectNoPromise(actor: Resident, what: string, given: unknown): void {
  if ((typeof given !== 'object' && typeof given !== 'function') || given === null) return;
  if (typeof (given as { then?: unknown }).then !== 'function') return;
  // Its own failure, later, is no failure of the process.
  if (given instanceof Promise) given.catch(() => undefined);
  const { type } = actor.type.behaviour;
  throw new CallFailed('promise', `${type}: the handler of "${what}" gave back a promise: it must not wait.`);
}

function failed(actor: Resident, what: string, error: unknown): CallFailed {
  if (error instanceof CallFailed) return error;
  const { type } = actor.type.behaviour;
  return new CallFailed('threw', `${type}: the handler of "${what}" threw: ${textOf(error)}`, error);
}
