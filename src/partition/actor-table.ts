/**
 * The resident actors of a partition: activation from the snapshot, the set of changed ones, passivation of idle
 * ones. An actor that is not resident costs no memory; one that changed since the last snapshot never leaves (P5).
 */
import { pack, unpack } from 'msgpackr';
import type { RegisteredType, Registry } from '../actor/registry.js';
import { viewOf, type ActorView } from './actor-view.js';
import { actorKey, actorType, type ActorId } from '../core/ids.js';
import { GroundswellError } from '../core/errors.js';

/** Where states of passive actors come from: a synchronous read of a snapshot. */
export interface ActorSource {
  get(id: ActorId): Uint8Array | undefined;
}

export interface Resident {
  readonly id: ActorId;
  readonly key: string;
  readonly type: RegisteredType;
  state: unknown;
  /** Due time by timer name. */
  timers: Map<string, number> | undefined;
  /** Recently seen event ids with the event's time. */
  seen: Map<string, number> | undefined;
  /** In the set of changed actors of the step that is being made. */
  dirty: boolean;
  forgotten: boolean;
  /** False once this object has left the table. */
  resident: boolean;
  /** Number of the last commit that changed it. */
  changedIn: number;
  /** Number of the last step that touched it. */
  touchedIn: number;
}

export type ResidentOrId = Resident | ActorId;

/** A changed actor as a commit carries it: the encoded record, or none when it was forgotten. */
export interface ActorChange {
  readonly id: ActorId;
  readonly bytes: Uint8Array | undefined;
  readonly timed: boolean;
}

type StoredActor = [state: unknown, timers: (string | number)[], seen: (string | number)[]];

export class ActorTable {
  readonly #registry: Registry;
  readonly #source: ActorSource;
  readonly #residents = new Map<ActorId, Resident>();
  #dirty: Resident[] = [];
  #sweep: Iterator<Resident> | undefined;
  activations = 0;
  passivations = 0;

  constructor(registry: Registry, source: ActorSource) {
    this.#registry = registry;
    this.#source = source;
  }

  get size(): number {
    return this.#residents.size;
  }

  get dirtyCount(): number {
    return this.#dirty.length;
  }

  /** The actor, activated from its stored record, or new with its behaviour's first state. */
  activate(id: ActorId, step: number): Resident {
    const known = this.#residents.get(id);
    if (known !== undefined) {
      known.touchedIn = step;
      return known;
    }
    const type = this.#registry.types.get(actorType(id));
    if (type === undefined) {
      throw new GroundswellError(
        'GS_BEHAVIOUR',
        `No behaviour is registered for the actor ${id}, but there is mail or state for it.`,
      );
    }
    const key = actorKey(id);
    const stored = this.#source.get(id);
    const actor: Resident = {
      id,
      key,
      type,
      state: undefined,
      timers: undefined,
      seen: undefined,
      dirty: false,
      forgotten: false,
      resident: true,
      changedIn: 0,
      touchedIn: step,
    };
    if (stored === undefined) actor.state = type.behaviour.state(key);
    else this.#decode(actor, stored);
    this.#residents.set(id, actor);
    this.activations++;
    return actor;
  }

  markDirty(actor: Resident): void {
    if (actor.dirty) return;
    actor.dirty = true;
    this.#dirty.push(actor);
  }

  /** An actor without activating it; undefined when nothing is known of it. `nextCommit` is what its changes go into. */
  look(id: ActorId, where: { partition: number; nextCommit: number }): ActorView | undefined {
    const type = this.#registry.types.get(actorType(id));
    if (type === undefined) return undefined;
    const { partition, nextCommit } = where;
    const known = this.#residents.get(id);
    if (known !== undefined) {
      if (known.forgotten) return undefined;
      const { state, timers, seen, dirty, changedIn } = known;
      const commit = dirty ? nextCommit : changedIn;
      return viewOf(type, state, { id, partition, timers, seen, resident: true, commit });
    }
    const stored = this.#source.get(id);
    if (stored === undefined) return undefined;
    const { state, timers, seen } = decodeActor(stored);
    const { store } = type.behaviour;
    const loaded: unknown = store ? store.decode(state) : state;
    return viewOf(type, loaded, { id, partition, timers, seen, resident: false, commit: 0 });
  }

  /** Encodes the changed actors of this commit and starts the next set. */
  takeChanges(commit: number): ActorChange[] {
    const changes = this.#dirty.map((actor) => {
      actor.dirty = false;
      actor.changedIn = commit;
      // It stays until the snapshot has forgotten it too: who is addressed again must not find what was (P5).
      if (actor.forgotten) return { id: actor.id, bytes: undefined, timed: false };
      return {
        id: actor.id,
        bytes: encode(actor),
        timed: actor.timers !== undefined && actor.timers.size > 0,
      };
    });
    this.#dirty = [];
    return changes;
  }

  /**
   * Passivates actors not touched since a step, whose last change is in the snapshot. Looks at a bounded number of
   * actors per call and goes on from there at the next.
   */
  passivate(options: { untouchedSince: number; snapshotCommit: number; maxVisits: number }): void {
    for (let visits = 0; visits < options.maxVisits; visits++) {
      this.#sweep ??= this.#residents.values();
      const next = this.#sweep.next();
      if (next.done === true) {
        this.#sweep = undefined;
        return;
      }
      const actor = next.value;
      const idle = actor.forgotten || actor.touchedIn < options.untouchedSince;
      if (actor.dirty || actor.changedIn > options.snapshotCommit || !idle) continue;
      this.#residents.delete(actor.id);
      actor.resident = false;
      this.passivations++;
    }
  }

  #decode(actor: Resident, stored: Uint8Array): void {
    const record = decodeActor(stored);
    const { store } = actor.type.behaviour;
    actor.state = store ? store.decode(record.state) : record.state;
    actor.timers = record.timers;
    actor.seen = record.seen;
  }
}

function encode(actor: Resident): Uint8Array {
  const { store } = actor.type.behaviour;
  const record: StoredActor = [
    store ? store.encode(actor.state) : actor.state,
    actor.timers === undefined ? [] : [...actor.timers].flat(),
    actor.seen === undefined ? [] : [...actor.seen].flat(),
  ];
  return pack(record);
}

/** The stored record of an actor, opened: for activation, recovery of timers, and looking inside. */
export function decodeActor(stored: Uint8Array): {
  state: unknown;
  timers: Map<string, number> | undefined;
  seen: Map<string, number> | undefined;
} {
  const [state, timers, seen] = unpack(stored) as StoredActor;
  return { state, timers: pairs(timers), seen: pairs(seen) };
}

function pairs(flat: readonly (string | number)[]): Map<string, number> | undefined {
  if (flat.length === 0) return undefined;
  const map = new Map<string, number>();
  for (let i = 0; i < flat.length; i += 2) map.set(flat[i] as string, flat[i + 1] as number);
  return map;
}
