/**
 * The resident actors of a partition: activation from their stored records, the set of changed ones, going back to the
 * last commit, passivation of idle ones. An actor that is not resident costs no memory.
 *
 * A snapshot lags the commits. So the last record of an actor that changed since stays here until the snapshot holds it
 * (P5): with the commit, or, when the actor has left (it was forgotten, or dropped to go back), in `#unsaved`.
 */
import type { ByteWriter } from '../core/bytes.js';
import { actorId, actorKey, actorType, type ActorId } from '../core/ids.js';
import type { RegisteredType, Registry } from '../actor/registry.js';
import {
  decodeActor,
  encodeActor,
  isTimed,
  loadedState,
  newResident,
  sizeOfState,
  type Resident,
} from './actor-record.js';
import { viewOf, type ActorView } from './actor-view.js';
import { ChangesWriter, type Changes } from './changes.js';
import { CallFailed, textOf } from './poison.js';

const writer = new ChangesWriter();

/** Where states of passive actors come from: a synchronous read of a snapshot. */
export interface ActorSource {
  get(id: ActorId): Uint8Array | undefined;
}

/** The record of an actor as of a commit; none when it was forgotten. */
interface CommittedRecord {
  readonly commit: number;
  readonly bytes: Uint8Array | undefined;
}

/** A commit that the snapshot may not hold. */
interface UnsavedCommit {
  readonly commit: number;
  readonly changes: Changes;
}

export class ActorTable {
  readonly #registry: Registry;
  readonly #source: ActorSource;
  /** By type, then by key: events and messages have these apart, and no id need be made for them. */
  readonly #residents = new Map<RegisteredType, Map<string, Resident>>();
  /** The type that was asked for last, and those of it: most often the next is of the same. */
  #lastType: RegisteredType | undefined;
  #ofLastType = new Map<string, Resident>();
  #size = 0;
  #dirty: Resident[] = [];
  /** Records that the snapshot may not hold, of actors that have left: rare, so that looking costs nothing. */
  readonly #unsaved = new Map<ActorId, CommittedRecord>();
  /** Oldest first. */
  #unsavedCommits: UnsavedCommit[] = [];
  /** Number of the last commit that the snapshot is known to hold. */
  #savedCommit = 0;
  #sweep: Iterator<Resident> | undefined;
  activations = 0;
  passivations = 0;
  /** Counts the steps, to tell how long an actor has not been touched. */
  step = 0;

  constructor(registry: Registry, source: ActorSource) {
    this.#registry = registry;
    this.#source = source;
  }

  get size(): number {
    return this.#size;
  }

  get dirtyCount(): number {
    return this.#dirty.length;
  }

  /** Whether anything is known of an actor whose type is registered. */
  isKnown(id: ActorId): boolean {
    if (!this.#registry.types.has(actorType(id))) return false;
    return this.#resident(id) !== undefined || this.committed(id) !== undefined;
  }

  /** An actor that is resident and not forgotten: it counts as touched. */
  touch(type: RegisteredType, key: string): Resident | undefined {
    const actor = this.#ofType(type).get(key);
    if (actor === undefined || actor.forgotten) return undefined;
    actor.touchedIn = this.step;
    return actor;
  }

  /**
   * The actor, activated from its stored record, or new with its behaviour's first state. Undefined when no behaviour is
   * registered for its type.
   * @throws CallFailed when its behaviour cannot make or load its state
   */
  activate(typeName: string, key: string): Resident | undefined {
    const last = this.#lastType;
    const type = last?.behaviour.type === typeName ? last : this.#registry.types.get(typeName);
    if (type === undefined) return undefined;
    const known = this.#ofType(type).get(key);
    if (known !== undefined) {
      known.touchedIn = this.step;
      if (known.forgotten) this.#renew(known);
      return known;
    }
    const id = actorId(typeName, key);
    const unsaved = this.#unsaved.size === 0 ? undefined : this.#unsaved.get(id);
    const stored = unsaved === undefined ? this.#source.get(id) : unsaved.bytes;
    const actor = newResident(id, type);
    actor.changedIn = unsaved?.commit ?? 0;
    actor.touchedIn = this.step;
    if (stored === undefined) this.#renew(actor);
    else load(actor, stored);
    this.#enter(actor);
    this.activations++;
    return actor;
  }

  markDirty(actor: Resident): void {
    if (actor.dirty) return;
    // In this order: who is broken off between the two has it twice, not without a trace.
    this.#dirty.push(actor);
    actor.dirty = true;
  }

  /** An actor without activating it; undefined when nothing is known of it. `nextCommit` is what its changes go into. */
  look(id: ActorId, where: { partition: number; nextCommit: number }): ActorView | undefined {
    const type = this.#registry.types.get(actorType(id));
    if (type === undefined) return undefined;
    const { partition, nextCommit } = where;
    const known = this.#resident(id);
    if (known !== undefined) {
      if (known.forgotten) return undefined;
      const commit = known.dirty ? nextCommit : known.changedIn;
      return viewOf(type, known, { id, partition, resident: true, commit });
    }
    const unsaved = this.#unsaved.get(id);
    const stored = this.committed(id);
    if (stored === undefined) return undefined;
    const record = decodeActor(stored);
    const state = loadedState(type, record.state);
    return viewOf(
      type,
      { ...record, state },
      { id, partition, resident: false, commit: unsaved?.commit ?? 0 },
    );
  }

  /** The last committed record of an actor that is not resident. */
  committed(id: ActorId): Uint8Array | undefined {
    const unsaved = this.#unsaved.get(id);
    return unsaved === undefined ? this.#source.get(id) : unsaved.bytes;
  }

  /**
   * Encodes the changed actors of this step, and changes nothing.
   * @throws CallFailed when one cannot be encoded, or its state is larger than it may be
   */
  encodeChanges(stateBytesMax: number): Changes {
    // Whoever encoded before may have been broken off.
    writer.clear();
    for (const actor of this.#dirty) {
      const { id, forgotten } = actor;
      if (forgotten) {
        writer.addForgotten(id, !actor.timed);
        continue;
      }
      let record = encoded(actor);
      if (record.length > stateBytesMax) {
        expectSize(actor, stateBytesMax);
        // It was written over, for its state to be measured.
        record = encoded(actor);
      }
      const timed = isTimed(actor);
      writer.add(id, record, { timed, timedAsBefore: timed === actor.timed });
    }
    return writer.take();
  }

  /** The changes are a commit now: the next set begins. */
  committedChanges(commit: number, changes: Changes): void {
    const actors = this.#dirty;
    if (actors.length === 0) return;
    for (let place = 0; place < actors.length; place++) {
      const actor = actors[place]!;
      actor.dirty = false;
      if (actor.changedAt >= 0) changes.follows(place, commit - actor.changedIn, actor.changedAt);
      actor.changedIn = commit;
      actor.changedAt = place;
      actor.timed = isTimed(actor);
      if (!actor.forgotten) continue;
      this.#leave(actor);
      this.#unsaved.set(actor.id, { commit, bytes: undefined });
    }
    this.#unsavedCommits.push({ commit, changes });
    this.#dirty = [];
  }

  /** Drops the actors that changed since the last commit: who is called again is as that commit left it. */
  dropChanged(): Set<ActorId> {
    const dropped = new Set<ActorId>();
    const changedIn = new Set<number>();
    for (const actor of this.#dirty) {
      actor.dirty = false;
      dropped.add(actor.id);
      changedIn.add(actor.changedIn);
      this.#leave(actor);
    }
    this.#dirty = [];
    for (const { commit, changes } of this.#unsavedCommits) {
      if (!changedIn.has(commit)) continue;
      for (const { id, bytes } of changes) if (dropped.has(id)) this.#unsaved.set(id, { commit, bytes });
    }
    return dropped;
  }

  /**
   * Passivates actors not touched since a step, whose last change is in the snapshot, at most so many. Looks at a bounded
   * number of actors per call and goes on from there at the next.
   */
  passivate(options: {
    untouchedSince: number;
    snapshotCommit: number;
    maxVisits: number;
    maxLeaving?: number;
  }): void {
    const { untouchedSince, snapshotCommit, maxVisits, maxLeaving = Number.POSITIVE_INFINITY } = options;
    this.saved(snapshotCommit);
    let leaving = 0;
    for (let visits = 0; visits < maxVisits && leaving < maxLeaving; visits++) {
      this.#sweep ??= this.#all();
      const next = this.#sweep.next();
      if (next.done === true) {
        this.#sweep = undefined;
        return;
      }
      const actor = next.value;
      const idle = actor.touchedIn < untouchedSince;
      if (actor.dirty || actor.changedIn > snapshotCommit || !idle) continue;
      this.#leave(actor);
      this.passivations++;
      leaving++;
    }
  }

  /** Begins anew, as one who was never addressed. */
  #renew(actor: Resident): void {
    try {
      actor.state = actor.type.behaviour.state(actor.key);
    } catch (error) {
      throw unusable(actor, 'its first state cannot be made', error);
    }
    // As after a commit, which would have forgotten them too.
    actor.seen = undefined;
    actor.forgotten = false;
  }

  #resident(id: ActorId): Resident | undefined {
    const type = this.#registry.types.get(actorType(id));
    return type && this.#residents.get(type)?.get(actorKey(id));
  }

  #ofType(type: RegisteredType): Map<string, Resident> {
    if (type === this.#lastType) return this.#ofLastType;
    let ofType = this.#residents.get(type);
    if (ofType === undefined) this.#residents.set(type, (ofType = new Map<string, Resident>()));
    this.#lastType = type;
    return (this.#ofLastType = ofType);
  }

  *#all(): Iterator<Resident> {
    for (const ofType of this.#residents.values()) yield* ofType.values();
  }

  #enter(actor: Resident): void {
    this.#ofType(actor.type).set(actor.key, actor);
    this.#size++;
  }

  #leave(actor: Resident): void {
    if (!actor.resident) return;
    this.#residents.get(actor.type)!.delete(actor.key);
    this.#size--;
    actor.resident = false;
    // A timer that is set still points at it, by its id: it must not hold what it was.
    actor.state = undefined;
    actor.timers = undefined;
    actor.seen = undefined;
  }

  /** The snapshot holds what was changed up to a commit: nothing of that is kept here any more. */
  saved(snapshotCommit: number): void {
    if (snapshotCommit <= this.#savedCommit) return;
    this.#savedCommit = snapshotCommit;
    while (this.#unsavedCommits.length > 0 && this.#unsavedCommits[0]!.commit <= snapshotCommit)
      this.#unsavedCommits.shift();
    for (const [id, { commit }] of this.#unsaved) if (commit <= snapshotCommit) this.#unsaved.delete(id);
  }
}

function load(actor: Resident, stored: Uint8Array): void {
  const { state, timers, seen, trouble } = decodeActor(stored);
  try {
    actor.state = loadedState(actor.type, state);
  } catch (error) {
    throw unusable(actor, 'its stored state cannot be loaded', error);
  }
  actor.timers = timers;
  actor.seen = seen;
  actor.trouble = trouble;
  actor.timed = isTimed(actor);
}

function encoded(actor: Resident): ByteWriter {
  try {
    return encodeActor(actor);
  } catch (error) {
    throw unusable(actor, 'its state cannot be stored', error);
  }
}

/** The record has more in it than state and timers, so it may be larger. */
function expectSize(actor: Resident, stateBytesMax: number): void {
  if (sizeOfState(actor) > stateBytesMax)
    throw new CallFailed('state_size', `The state of ${actor.id} is larger than ${stateBytesMax} bytes.`);
}

function unusable({ id }: Resident, what: string, cause: unknown): CallFailed {
  return new CallFailed('threw', `${id}: ${what}: ${textOf(cause)}`, cause);
}
