/**
 * Calls handlers carefully: each call can be taken back by itself. What it says is held until it is known that it
 * succeeded, and its actor is restored when it did not; so any number of failing calls leave nothing but dead letters.
 *
 * It costs an encoding of the actor's state with every call. So it is done only while there is poison about.
 */
import type { ActorEvent, EventHandler } from '../actor/behaviour.js';
import type { ActorId } from '../core/ids.js';
import { encodeState, resetDecoder, restoreState, type Resident } from './actor-record.js';
import { CallEffects } from './call-effects.js';
import type { Caller, Dispatcher } from './dispatcher.js';
import { HandlerTimeout, type HandlerGuard } from './handler-guard.js';
import type { Mergeable } from './outbox.js';
import {
  CallFailed,
  failureOf,
  isPoison,
  textOf,
  type Call,
  type Failure,
  type PoisonRules,
} from './poison.js';
import type { Effects, StepEffects } from './step-effects.js';

export interface CarefulOptions {
  readonly rules: PoisonRules;
  /** Set when each call is watched by itself. */
  readonly guard: HandlerGuard | undefined;
  /** Where what succeeded takes effect. */
  readonly effects: StepEffects;
  /** Calls handlers, whose effects go to those it is given. */
  dispatcher(effects: Effects): Dispatcher;
  /** A call failed, and was taken back. */
  onFailure(actor: Resident, call: Call, failure: Failure): void;
  /** A call could not be made, for its actor's state cannot be stored: it is as it was. */
  onUnusable(id: ActorId, call: Call, failure: Failure): void;
}

/** A call that was broken off while the process had no processor time is made again so often. */
const STARVED_CALLS_MAX = 3;

export class CarefulCalls implements Caller {
  readonly #options: CarefulOptions;
  readonly #held = new CallEffects();
  readonly #dispatcher: Dispatcher;
  /** Encoded states as the last call of this step left them. */
  readonly #savepoints = new Map<Resident, Uint8Array>();
  /** Handlers that were broken off in this step, and what that took, ms. */
  readonly #slow = new Set<string>();
  #timeLostMs = 0;

  constructor(options: CarefulOptions) {
    this.#options = options;
    this.#dispatcher = options.dispatcher(this.#held);
  }

  activate(type: string, key: string): Resident | undefined {
    return this.#watched(() => this.#dispatcher.activate(type, key));
  }

  event(actor: Resident, event: ActorEvent, handler: EventHandler<unknown>): boolean {
    const { type: name, ts: atMs } = event;
    return this.#call(actor, { kind: 'event', name, atMs, body: copyOf(event) }, () =>
      this.#dispatcher.event(actor, event, handler),
    );
  }

  message(actor: Resident, name: string, atMs: number, body: unknown): boolean {
    return this.#call(actor, { kind: 'message', name, atMs, body: copyOf(body) }, () =>
      this.#dispatcher.message(actor, name, atMs, body),
    );
  }

  timer(actor: Resident, name: string, atMs: number): boolean {
    return this.#call(actor, { kind: 'timer', name, atMs, body: undefined }, () =>
      this.#dispatcher.timer(actor, name, atMs),
    );
  }

  /** The step is committed. */
  settle(): void {
    this.#savepoints.clear();
    this.#slow.clear();
    this.#timeLostMs = 0;
  }

  #call(actor: Resident, call: Call, perform: () => void): boolean {
    for (let attempt = 1; ; attempt++) {
      const before = this.#savepoint(actor, call);
      if (before === undefined) return false;
      const error = this.#attempt(actor, call, before, perform);
      if (error === undefined) return true;
      if (error instanceof HandlerTimeout && error.starved && attempt < STARVED_CALLS_MAX) continue;
      if (error instanceof HandlerTimeout) this.#lost(actor, call);
      // It has been tried: it is not due any more.
      if (call.kind === 'timer') actor.timers?.delete(call.name);
      this.#savepoints.delete(actor);
      this.#options.onFailure(actor, call, failureOf(error));
      return false;
    }
  }

  #savepoint(actor: Resident, call: Call): Uint8Array | undefined {
    try {
      return this.#savepoints.get(actor) ?? encodedState(actor);
    } catch (error) {
      if (!isPoison(error)) throw error;
      this.#options.onUnusable(actor.id, call, failureOf(error));
      return undefined;
    }
  }

  /** Makes a call; one that fails is taken back, and its error given. */
  #attempt(
    actor: Resident,
    call: Call,
    before: Uint8Array,
    perform: () => void,
  ): CallFailed | HandlerTimeout | undefined {
    try {
      this.#expectFast(actor, call);
      this.#watched(perform);
      if (actor.forgotten) {
        this.#savepoints.delete(actor);
      } else {
        const after = encodedState(actor);
        this.#expectSize(actor, before, after);
        this.#savepoints.set(actor, after);
      }
    } catch (error) {
      if (!isPoison(error)) throw error;
      this.#held.drop();
      restoreState(actor, before);
      return error;
    }
    this.#held.applyTo(this.#options.effects, (receiver, into, from) => this.#merge(receiver, into, from));
    return undefined;
  }

  #watched<T>(what: () => T): T {
    const { guard, rules } = this.#options;
    if (guard === undefined) return what();
    try {
      return guard.run(rules.handlerTimeMaxMs, what);
    } catch (error) {
      if (error instanceof HandlerTimeout) {
        this.#dispatcher.leave();
        resetDecoder();
      }
      throw error;
    }
  }

  /** Merges copies of two messages; undefined when the receiver's behaviour cannot: then both go. */
  #merge(receiver: Mergeable, into: unknown, from: unknown): { readonly body: unknown } | undefined {
    try {
      const [copy, other] = structuredClone<[unknown, unknown]>([into, from]);
      return { body: this.#watched(() => receiver.combine!(copy, other)) };
    } catch {
      this.#options.effects.count('unmerged', 1);
      return undefined;
    }
  }

  /** A smaller limit than the state has already kept to stops nothing but its growth. */
  #expectSize(actor: Resident, before: Uint8Array, after: Uint8Array): void {
    const { actorStateBytesMax } = this.#options.rules;
    if (after.byteLength <= actorStateBytesMax || after.byteLength <= before.byteLength) return;
    throw new CallFailed(
      'state_size',
      `The state of ${actor.id} would take ${after.byteLength} bytes, more than ${actorStateBytesMax}.`,
    );
  }

  #lost(actor: Resident, call: Call): void {
    this.#slow.add(handlerOf(actor, call));
    this.#timeLostMs += this.#options.rules.handlerTimeMaxMs;
  }

  /** A step must end before its node's lease does, however many calls in it never would. */
  #expectFast(actor: Resident, call: Call): void {
    if (this.#timeLostMs < this.#options.rules.timeLostMaxMs || !this.#slow.has(handlerOf(actor, call)))
      return;
    throw new CallFailed(
      'time',
      `${actor.type.behaviour.type}: "${call.name}" took too long for others in the same step, and was not called.`,
    );
  }
}

function handlerOf(actor: Resident, { kind, name }: Call): string {
  return `${actor.type.behaviour.type}/${kind}/${name}`;
}

function encodedState(actor: Resident): Uint8Array {
  try {
    return encodeState(actor);
  } catch (error) {
    throw new CallFailed('threw', `The state of ${actor.id} cannot be stored: ${textOf(error)}`, error);
  }
}

/** What came, as it came: a handler may change it before it fails. */
function copyOf(body: unknown): unknown {
  try {
    return structuredClone(body);
  } catch {
    return body;
  }
}
