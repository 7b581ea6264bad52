/**
 * Brings events, messages and timers to their actors: each event once, an actor's own due timers before anything else, and
 * what comes for an actor in quarantine into its keeping. Owns what becomes of a call that failed.
 */
import type { ActorEvent } from '../actor/behaviour.js';
import type { EventRoute, RegisteredType, Registry } from '../actor/registry.js';
import { actorId, actorKey, actorType, type ActorId } from '../core/ids.js';
import { Times } from '../core/times.js';
import type { Resident, ResidentOrId } from './actor-record.js';
import type { ActorTable } from './actor-table.js';
import { CarefulCalls } from './careful-call.js';
import type { Caller, Dispatcher } from './dispatcher.js';
import { EventIds, type EventIdRules } from './event-ids.js';
import type { RefusedEvent } from './frame.js';
import type { HandlerGuard } from './handler-guard.js';
import { deadLetter, failureOf, isPoison, type Call, type Failure, type PoisonRules } from './poison.js';
import {
  keep,
  RELEASE_EVENT,
  releasedActor,
  viewOfQuarantine,
  type KeptCall,
  type QuarantinedActor,
} from './quarantine.js';
import type { Effects, StepEffects } from './step-effects.js';
import type { StepFacts } from './step-facts.js';
import type { TimerQueue } from './timers.js';

export interface DeliveryParts {
  readonly registry: Registry;
  readonly rules: PoisonRules;
  readonly ids: EventIdRules;
  readonly actors: ActorTable;
  readonly facts: StepFacts;
  readonly effects: StepEffects;
  readonly timers: readonly TimerQueue[];
  /** The partition's actors in quarantine: kept up here. */
  readonly quarantined: Map<ActorId, QuarantinedActor>;
  /** Each call can be taken back; otherwise one that fails is thrown, and the step is made again. */
  readonly careful: boolean;
  /** Set when each call is watched by itself. */
  readonly guard: HandlerGuard | undefined;
  dispatcher(effects: Effects): Dispatcher;
  /** Number of the commit that this goes into. */
  nextCommit(): number;
  onFailure(): void;
}

/** Timers of one actor that fire one after the other, before others have theirs. */
const TIMERS_IN_TURN = 100;

export class Delivery {
  readonly #parts: DeliveryParts;
  readonly #facts: StepFacts;
  readonly #direct: Dispatcher;
  readonly #careful: CarefulCalls | undefined;
  readonly #caller: Caller;
  #lastType: string | undefined;
  #lastRoute: EventRoute | undefined;
  /** Who took the last event. */
  #last: Resident | undefined;

  constructor(parts: DeliveryParts) {
    this.#parts = parts;
    this.#facts = parts.facts;
    this.#direct = parts.dispatcher(parts.effects);
    this.#careful = parts.careful
      ? new CarefulCalls({
          ...parts,
          onFailure: (actor, call, failure) => {
            this.#failed(actor, call, failure);
          },
          onUnusable: (id, call, failure) => {
            this.#unusable(id, call, failure);
          },
        })
      : undefined;
    this.#caller = this.#careful ?? this.#direct;
  }

  /** The step is committed. */
  settle(): void {
    this.#careful?.settle();
  }

  event(event: ActorEvent): void {
    const { type, ts, id } = event;
    const route = this.#routeOf(type);
    if (route === undefined) {
      this.#ownEvent(event);
      return;
    }
    const actor = this.#receiverOf(event, route);
    if (actor === undefined) return;
    if (id !== undefined && !this.#takesId(actor, id, event)) return;
    if (!this.#caller.event(actor, event, route.handler)) return;
    if (actor.trouble !== undefined) actor.trouble = undefined;
    if (id !== undefined) this.#remember(actor, id, ts);
  }

  message(type: string, key: string, name: string, atMs: number, body: unknown): void {
    const actor = this.#receiver(type, key, 'message', name, atMs, body);
    if (actor === undefined || !this.#caller.message(actor, name, atMs, body)) return;
    if (actor.trouble !== undefined) actor.trouble = undefined;
  }

  /**
   * A timer of the queue is due. One that its actor does not have any more, or that waits for a release, is passed over. What
   * else is due of its actor fires with it, and what that sets: actors of one stage are told nothing of each other, so nobody
   * can tell, and an actor that has an hour to close is at hand once, not sixty times.
   * @returns how many fired
   */
  timer(actorOrId: ResidentOrId, name: string, atMs: number): number {
    let actor: Resident | undefined;
    if (typeof actorOrId !== 'string' && actorOrId.resident) {
      actor = actorOrId;
      actor.touchedIn = this.#parts.actors.step;
    } else {
      const id = typeof actorOrId === 'string' ? actorOrId : actorOrId.id;
      actor = this.#activate(actorType(id), actorKey(id), 'timer', name, atMs, undefined);
    }
    if (actor?.timers?.get(name) !== atMs || actor.trouble?.quarantine !== undefined) return 0;
    if (this.#careful === undefined) return this.#closeUp(actor, name, atMs);
    this.#fire(actor, name, atMs);
    return 1;
  }

  /** Fires a timer, and then what is due of its actor: what is left of that is in the queue afterwards. */
  #closeUp(actor: Resident, name: string, atMs: number): number {
    const { stage } = actor.type;
    const limitMs = this.#facts.limits[stage]!;
    this.#direct.firesUntilMs = limitMs;
    this.#fire(actor, name, atMs);
    const fired = 1 + this.#catchUp(actor, TIMERS_IN_TURN - 1);
    this.#direct.firesUntilMs = Number.NEGATIVE_INFINITY;
    if (fired === TIMERS_IN_TURN)
      for (const [left, leftMs] of actor.timers ?? [])
        if (leftMs <= limitMs) this.#parts.timers[stage]!.add(leftMs, left, actor);
    return fired;
  }

  /** Most events are of the type of the one before. */
  #routeOf(type: string): EventRoute | undefined {
    if (type !== this.#lastType) {
      this.#lastType = type;
      this.#lastRoute = this.#parts.registry.routes.get(type);
    }
    return this.#lastRoute;
  }

  /** An event that is for no actor. */
  #ownEvent(event: ActorEvent): void {
    const { effects } = this.#parts;
    if (event.type === 'refused') {
      const { claimed, reason, message, ts, body } = event as RefusedEvent;
      effects.side({ kind: 'dead', type: claimed, body: { reason, message, ts, body } });
      effects.count(`refused.${reason}`, 1);
    } else if (event.type === RELEASE_EVENT) {
      const id = releasedActor(event);
      if (id !== undefined) this.#release(id);
    } else {
      effects.count('unrouted', 1);
    }
  }

  /**
   * Lets an actor out of quarantine: it takes what was kept, in order and each as of when it came, so that it does what it
   * would have done then; its timers are due again. What it says is late for those it tells, and falls under their rules.
   */
  #release(id: ActorId): void {
    const actor = this.#parts.actors.isKnown(id)
      ? this.#activate(actorType(id), actorKey(id), 'event', 'release', 0, undefined)
      : undefined;
    const quarantine = actor?.trouble?.quarantine;
    if (actor === undefined || quarantine === undefined) return;
    this.#parts.actors.markDirty(actor);
    this.#parts.quarantined.delete(id);
    actor.trouble = undefined;
    const { stage } = actor.type;
    for (const [name, atMs] of actor.timers ?? []) this.#parts.timers[stage]!.add(atMs, name, actor);
    const { limits, due } = this.#facts;
    const limitMs = limits[stage]!;
    due[stage] = true;
    for (const { kind, name, atMs, body, limitMs: thenMs } of quarantine.kept) {
      limits[stage] = thenMs;
      if (kind === 'event') this.event(body as ActorEvent);
      else this.message(actorType(id), actorKey(id), name, atMs, body);
    }
    limits[stage] = limitMs;
    this.#parts.effects.count('released', 1);
  }

  /**
   * As `#receiver`, for an event; most often it is resident and waits for nothing, and no id need be made. Often it is who took
   * the one before, for a frame is taken actor by actor.
   */
  #receiverOf(event: ActorEvent, { type, actorType, keyField }: EventRoute): Resident | undefined {
    const key = event[keyField] as string;
    const last = this.#last;
    const known = last?.key === key && last.type === type && isReady(last) ? last : this.#touch(type, key);
    if (known !== undefined && known.trouble === undefined) {
      if (known.timers !== undefined && this.#facts.due[type.stage]) this.#catchUp(known);
      if (isReady(known)) return (this.#last = known);
    }
    this.#last = undefined;
    return this.#receiver(actorType, key, 'event', event.type, event.ts, event);
  }

  #touch(type: RegisteredType, key: string): Resident | undefined {
    return this.#careful === undefined ? this.#parts.actors.touch(type, key) : undefined;
  }

  /** The actor, ready to be called; undefined when it is not to be: it is not there, or in quarantine. */
  #receiver(
    type: string,
    key: string,
    kind: 'event' | 'message',
    name: string,
    atMs: number,
    body: unknown,
  ): Resident | undefined {
    const actor = this.#activate(type, key, kind, name, atMs, body);
    if (actor === undefined) return undefined;
    if (actor.trouble?.quarantine === undefined) {
      if (this.#facts.due[actor.type.stage] && actor.timers !== undefined) {
        this.#catchUp(actor);
        if (actor.forgotten) return this.#receiver(type, key, kind, name, atMs, body);
      }
      if (actor.trouble?.quarantine === undefined) return actor;
    }
    this.#keep(actor, { kind, name, atMs, body, limitMs: this.#facts.limits[actor.type.stage]! });
    return undefined;
  }

  #activate(
    type: string,
    key: string,
    kind: Call['kind'],
    name: string,
    atMs: number,
    body: unknown,
  ): Resident | undefined {
    try {
      const actor = this.#caller.activate(type, key);
      // A timer of it stays in its record, for those who know its type.
      if (actor === undefined && kind !== 'timer')
        this.#direct.unhandled(actorId(type, key), { kind, name, atMs, body });
      return actor;
    } catch (error) {
      if (this.#careful === undefined || !isPoison(error)) throw error;
      this.#unusable(actorId(type, key), { kind, name, atMs, body }, failureOf(error));
      return undefined;
    }
  }

  /** Fires what is due of an actor, so many timers at most; gives how many did. */
  #catchUp(actor: Resident, most = Number.POSITIVE_INFINITY): number {
    const { stage } = actor.type;
    let fired = 0;
    for (; fired < most && actor.trouble?.quarantine === undefined; fired++) {
      const first = actor.timers?.firstBy(this.#facts.limits[stage]!);
      if (first === undefined) break;
      this.#fire(actor, first, actor.timers!.get(first)!);
    }
    return fired;
  }

  #fire(actor: Resident, name: string, atMs: number): void {
    if (this.#caller.timer(actor, name, atMs) && actor.trouble !== undefined) actor.trouble = undefined;
  }

  /** Events with an id take effect once within the duplicate window, per entity. One that does not is counted. */
  #takesId(actor: Resident, id: string, event: ActorEvent): boolean {
    const { seen } = actor;
    const { ids, effects } = this.#parts;
    const { watermarkMs } = this.#facts;
    if (seen === undefined) return true;
    if (seen.has(id, watermarkMs, ids)) {
      effects.count('duplicates', 1);
      return false;
    }
    if (seen.hasRoom(watermarkMs, ids)) return true;
    const message = `${actor.id} has taken as many events with an id as are remembered within the duplicate window.`;
    const call = { kind: 'event', name: event.type, atMs: event.ts, body: event } as const;
    this.#bury(actor.id, call, { reason: 'too_many_ids', message, stack: undefined });
    return false;
  }

  #remember(actor: Resident, id: string, ts: number): void {
    (actor.seen ??= new EventIds()).add(id, ts, this.#facts.watermarkMs, this.#parts.ids);
  }

  #keep(actor: Resident, call: KeptCall): void {
    const quarantine = actor.trouble!.quarantine!;
    if (keep(quarantine, call, this.#parts.rules)) {
      this.#parts.actors.markDirty(actor);
      this.#list(actor);
      return;
    }
    const message = `The quarantine of ${actor.id} keeps no more.`;
    this.#bury(actor.id, call, { reason: 'quarantined_full', message, stack: undefined });
  }

  /** A call failed and was taken back. */
  #failed(actor: Resident, call: Call, failure: Failure): void {
    const { rules, actors, effects } = this.#parts;
    actors.markDirty(actor);
    this.#bury(actor.id, call, failure);
    const trouble = (actor.trouble ??= { failures: 0, quarantine: undefined });
    trouble.failures++;
    if (call.kind === 'timer') this.#setAgain(actor, call);
    if (trouble.failures >= rules.quarantineAfter && trouble.quarantine === undefined) {
      trouble.quarantine = { sinceMs: this.#facts.wallMs, kept: [], keptBytes: 0 };
      effects.count('quarantined', 1);
      this.#list(actor);
    }
    this.#parts.onFailure();
  }

  /** An actor cannot be called at all, for its state can be neither loaded nor stored: its record stays as it is. */
  #unusable(id: ActorId, call: Call, failure: Failure): void {
    this.#bury(id, call, failure);
    this.#parts.onFailure();
  }

  /** A periodic timer is due again, its period later and not before its stage has closed further. */
  #setAgain(actor: Resident, { name, atMs }: Call): void {
    const { stage, behaviour } = actor.type;
    const everyMs = behaviour.failedTimerAgainMs;
    if (everyMs === undefined) return;
    const closedMs = Math.max(atMs, this.#facts.closed[stage]!);
    const againMs = atMs + (Math.floor((closedMs - atMs) / everyMs) + 1) * everyMs;
    (actor.timers ??= new Times()).set(name, againMs);
    this.#parts.timers[stage]!.add(againMs, name, actor);
  }

  #bury(id: ActorId, call: Call, failure: Failure): void {
    this.#parts.effects.side(deadLetter(id, call, failure));
    this.#parts.effects.count(`dead.${failure.reason}`, 1);
  }

  #list(actor: Resident): void {
    const { failures, quarantine } = actor.trouble!;
    const { quarantined } = this.#parts;
    const commit = quarantined.get(actor.id)?.commit ?? this.#parts.nextCommit();
    const view = viewOfQuarantine(quarantine!);
    quarantined.set(actor.id, { actor: actor.id, failures, ...view, commit });
  }
}

function isReady({ resident, forgotten, trouble }: Resident): boolean {
  return resident && !forgotten && trouble === undefined;
}
