/**
 * An actor in memory, and as it is stored: state, timers, event ids, and what is wrong with it. Owns the record's layout: a
 * byte that tells which parts there are, the parts, and the state up to the end. A state that its behaviour stores as bytes
 * stands there as it is; any other is packed with msgpack.
 */
import { clearSource, pack, unpack } from 'msgpackr';
import type { RegisteredType } from '../actor/registry.js';
import { ByteReader, ByteWriter } from '../core/bytes.js';
import { actorKey, type ActorId } from '../core/ids.js';
import { Times } from '../core/times.js';
import { EventIds } from './event-ids.js';
import { loadTrouble, storeTrouble, type StoredTrouble, type Trouble } from './quarantine.js';

export interface Resident {
  readonly id: ActorId;
  readonly key: string;
  readonly type: RegisteredType;
  state: unknown;
  /** Due time by timer name. */
  timers: Times | undefined;
  /** Ids of the events that it has taken lately. */
  seen: EventIds | undefined;
  /** Its failures, when its last call was one. */
  trouble: Trouble | undefined;
  /** In the set of changed actors of the step that is being made. */
  dirty: boolean;
  forgotten: boolean;
  /** False once this object has left the table. */
  resident: boolean;
  /** Number of the last commit that changed it. */
  changedIn: number;
  /** Its place among the changes of that commit; -1 where that is not known. */
  changedAt: number;
  /** As of that commit recovery must look at it. */
  timed: boolean;
  /** Number of the last step that touched it. */
  touchedIn: number;
}

/** An actor of which nothing is known yet. */
export function newResident(id: ActorId, type: RegisteredType): Resident {
  return {
    id,
    key: actorKey(id),
    type,
    state: undefined,
    timers: undefined,
    seen: undefined,
    trouble: undefined,
    dirty: false,
    forgotten: false,
    resident: true,
    changedIn: 0,
    changedAt: -1,
    timed: false,
    touchedIn: 0,
  };
}

/** Recovery must look at it: it has timers, or is in quarantine. */
export function isTimed({ timers, trouble }: Pick<Resident, 'timers' | 'trouble'>): boolean {
  return (timers !== undefined && timers.size > 0) || trouble?.quarantine !== undefined;
}

export type ResidentOrId = Resident | ActorId;

/** The stored record of an actor, opened: for activation, recovery of timers, and looking inside. */
export interface ActorRecord {
  readonly state: unknown;
  readonly timers: Times | undefined;
  readonly seen: EventIds | undefined;
  readonly trouble: Trouble | undefined;
}

const HAS_TIMERS = 1;
const HAS_SEEN = 2;
const HAS_TROUBLE = 4;
const STATE_IS_BYTES = 8;

const writer = new ByteWriter();
/** For states that are written as bytes. */
const stateWriter = new ByteWriter();

/** Its record, as all that a writer holds until the next call. */
export function encodeActor(actor: Resident): ByteWriter {
  return encode(actor, actor.seen, actor.trouble);
}

export function decodeActor(stored: Uint8Array): ActorRecord {
  const reader = new ByteReader(stored);
  const parts = reader.uint();
  return {
    timers: (parts & HAS_TIMERS) === 0 ? undefined : new Times(readTimes(reader)),
    seen: (parts & HAS_SEEN) === 0 ? undefined : new EventIds(readTimes(reader)),
    trouble: (parts & HAS_TROUBLE) === 0 ? undefined : loadTrouble(unpack(reader.bytes()) as StoredTrouble),
    state: (parts & STATE_IS_BYTES) === 0 ? unpack(reader.raw()) : reader.raw(),
  };
}

/** What a handler can change of its actor, encoded: to go back to. */
export function encodeState(actor: Resident): Uint8Array {
  return encode(actor, undefined, undefined).take();
}

/** Bytes of what a handler can change of its actor, as it is stored. Overwrites what `encodeActor` gave. */
export function sizeOfState(actor: Resident): number {
  return encode(actor, undefined, undefined).length;
}

/** Makes an actor what `encodeState` found. */
export function restoreState(actor: Resident, stored: Uint8Array): void {
  const { state, timers } = decodeActor(stored);
  actor.state = loadedState(actor.type, state);
  actor.timers = timers;
  actor.forgotten = false;
}

/** A state as its behaviour holds it. */
export function loadedState({ behaviour: { store } }: RegisteredType, state: unknown): unknown {
  return store ? store.decode(state) : state;
}

/** Lets go of what the decoder held when it was broken off; it would otherwise keep and copy that for ever. */
export function resetDecoder(): void {
  clearSource();
}

function storedState({ type, state }: Resident): unknown {
  const { store } = type.behaviour;
  // Whoever wrote before may have been broken off.
  return store ? store.encode(state, stateWriter.clear()) : state;
}

function encode(actor: Resident, seen: EventIds | undefined, trouble: Trouble | undefined): ByteWriter {
  const { timers } = actor;
  const state = storedState(actor);
  const isBytes = state === stateWriter || state instanceof Uint8Array;
  const hasTimers = timers !== undefined && timers.size > 0;
  const hasSeen = seen !== undefined && seen.size > 0;
  // Whoever wrote before may have been broken off.
  writer
    .clear()
    .uint(
      (hasTimers ? HAS_TIMERS : 0) |
        (hasSeen ? HAS_SEEN : 0) |
        (trouble === undefined ? 0 : HAS_TROUBLE) |
        (isBytes ? STATE_IS_BYTES : 0),
    );
  if (hasTimers) writeTimes(timers);
  if (hasSeen) writeTimes(seen);
  if (trouble !== undefined) writer.bytes(pack(storeTrouble(trouble)));
  if (state === stateWriter) return writer.rawBy(stateWriter);
  return writer.raw(state instanceof Uint8Array ? state : pack(state));
}

function writeTimes(times: Times | EventIds): void {
  writer.uint(times.size);
  times.forEach(writeTime);
}

function writeTime(ms: number, name: string): void {
  writer.text(name).float(ms);
}

function* readTimes(reader: ByteReader): Generator<[name: string, ms: number]> {
  for (let left = reader.uint(); left > 0; left--) yield [reader.text(), reader.float()];
}
