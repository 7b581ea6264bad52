/**
 * The behaviours of a region, checked and put in order at start: every send has a receiver, every event one home,
 * and the declared sends give each type its stage, its depth in the flow of time.
 */
import { GroundswellError } from '../core/errors.js';
import type { Behaviour, EventHandler } from './behaviour.js';

/** Behaviours as the engine holds them: of any state type. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- a registry holds behaviours of many state types
export type AnyBehaviour = Behaviour<any>;

export interface RegisteredType {
  readonly behaviour: AnyBehaviour;
  /** 0 for types nobody sends to; otherwise one more than the deepest sender. */
  readonly stage: number;
  /** Types it sends to: in time, or async. */
  readonly sends: ReadonlyMap<string, 'timed' | 'async'>;
}

export interface EventRoute {
  readonly type: RegisteredType;
  /** The type's name: all that a producer needs of it. */
  readonly actorType: string;
  /** Field of the event that holds the actor's key. */
  readonly keyField: string;
  readonly handler: EventHandler<unknown>;
}

/** Events that the engine makes for itself. */
const RESERVED_EVENTS: readonly string[] = ['refused', 'actor.release'];

export class Registry {
  readonly types: ReadonlyMap<string, RegisteredType>;
  readonly routes: ReadonlyMap<string, EventRoute>;
  /** Number of stages: the deepest type's stage + 1. */
  readonly stages: number;

  /** @throws GroundswellError GS_BEHAVIOUR for a clash, a send without receiver, or a cycle of timed sends */
  constructor(behaviours: readonly AnyBehaviour[]) {
    const byType = new Map<string, AnyBehaviour>();
    for (const behaviour of behaviours) {
      if (!/^[a-z0-9_-]{1,32}$/.test(behaviour.type)) {
        throw refuse(`Actor type "${behaviour.type}" is not one lower-case token of 1 to 32 characters.`);
      }
      if (byType.has(behaviour.type)) throw refuse(`Actor type "${behaviour.type}" is registered twice.`);
      byType.set(behaviour.type, behaviour);
    }
    const stageOf = stagesOf(byType);
    const types = new Map<string, RegisteredType>();
    for (const [type, behaviour] of byType)
      types.set(type, { behaviour, stage: stageOf.get(type)!, sends: sendsOf(behaviour) });
    this.types = types;
    this.stages = Math.max(0, ...stageOf.values()) + 1;
    this.routes = routesOf(types);
  }
}

function refuse(message: string): GroundswellError {
  return new GroundswellError('GS_BEHAVIOUR', message);
}

function sendsOf(behaviour: AnyBehaviour): Map<string, 'timed' | 'async'> {
  return new Map(
    behaviour.sends.map((send) => (typeof send === 'string' ? [send, 'timed'] : [send.to, 'async'])),
  );
}

function timedSends(behaviour: AnyBehaviour): string[] {
  return behaviour.sends.filter((send) => typeof send === 'string');
}

/** Longest path from a type nobody sends to; depth first, with the path kept to name a cycle. */
function stagesOf(byType: ReadonlyMap<string, AnyBehaviour>): Map<string, number> {
  const senders = new Map<string, string[]>();
  for (const [type, behaviour] of byType) {
    for (const send of behaviour.sends) {
      const to = typeof send === 'string' ? send : send.to;
      if (!byType.has(to)) throw refuse(`Actor type "${type}" sends to "${to}", which is not registered.`);
    }
    for (const to of timedSends(behaviour)) senders.set(to, [...(senders.get(to) ?? []), type]);
  }
  const stage = new Map<string, number>();
  const visit = (type: string, path: readonly string[]): number => {
    const known = stage.get(type);
    if (known !== undefined) return known;
    if (path.includes(type)) {
      const cycle = [type, ...path.slice(0, path.indexOf(type) + 1)].join(' → ');
      throw refuse(
        `The sends ${cycle} form a cycle, so no window of it could ever close. Declare one of them async.`,
      );
    }
    const depth = Math.max(-1, ...(senders.get(type) ?? []).map((from) => visit(from, [type, ...path]))) + 1;
    stage.set(type, depth);
    return depth;
  };
  for (const type of byType.keys()) visit(type, []);
  return stage;
}

function routesOf(types: ReadonlyMap<string, RegisteredType>): Map<string, EventRoute> {
  const routes = new Map<string, EventRoute>();
  for (const type of types.values()) {
    for (const [event, handler] of Object.entries(type.behaviour.events ?? {})) {
      if (RESERVED_EVENTS.includes(event))
        throw refuse(`"${type.behaviour.type}" receives the event "${event}", which is the engine's own.`);
      const other = routes.get(event);
      if (other) {
        throw refuse(
          `Event "${event}" is received by both "${other.type.behaviour.type}" and "${type.behaviour.type}".`,
        );
      }
      if (type.stage !== 0) {
        throw refuse(
          `"${type.behaviour.type}" receives the event "${event}", but is at stage ${type.stage}: events go to stage 0.`,
        );
      }
      routes.set(event, { type, actorType: type.behaviour.type, keyField: handler.key, handler });
    }
  }
  return routes;
}
