/** An actor in memory, and as it is stored: state, timers, event ids, and what is wrong with it. Owns the record's layout. */
import { clearSource, pack, unpack } from 'msgpackr';
import type { RegisteredType } from '../actor/registry.js';
import type { ActorId } from '../core/ids.js';
import { loadTrouble, storeTrouble, type StoredTrouble, type Trouble } from './quarantine.js';

export interface Resident {
  readonly id: ActorId;
  readonly key: string;
  readonly type: RegisteredType;
  state: unknown;
  /** Due time by timer name. */
  timers: Map<string, number> | undefined;
  /** Recently seen event ids with the event's time. */
  seen: Map<string, number> | undefined;
  /** Its failures, when its last call was one. */
  trouble: Trouble | undefined;
  /** In the set of changed actors of the step that is being made. */
  dirty: boolean;
  forgotten: boolean;
  /** False once this object has left the table. */
  resident: boolean;
  /** Number of the last commit that changed it. */
  changedIn: number;
  /** Its record as of that commit, while the snapshot does not hold it. */
  record: Uint8Array | undefined;
  /** Number of the last step that touched it. */
  touchedIn: number;
}

export type ResidentOrId = Resident | ActorId;

/** The stored record of an actor, opened: for activation, recovery of timers, and looking inside. */
export interface ActorRecord {
  readonly state: unknown;
  readonly timers: Map<string, number> | undefined;
  readonly seen: Map<string, number> | undefined;
  readonly trouble: Trouble | undefined;
}

type StoredActor = [
  state: unknown,
  timers: (string | number)[],
  seen: (string | number)[],
  trouble?: StoredTrouble,
];
type StoredState = [state: unknown, timers: (string | number)[]];

export function encodeActor(actor: Resident): Uint8Array {
  const { timers, seen, trouble } = actor;
  const record: StoredActor = [
    storedState(actor),
    timers === undefined ? [] : [...timers].flat(),
    seen === undefined ? [] : [...seen].flat(),
  ];
  if (trouble !== undefined) record.push(storeTrouble(trouble));
  return pack(record);
}

export function decodeActor(stored: Uint8Array): ActorRecord {
  const [state, timers, seen, trouble] = unpack(stored) as StoredActor;
  return {
    state,
    timers: pairs(timers),
    seen: pairs(seen),
    trouble: trouble === undefined ? undefined : loadTrouble(trouble),
  };
}

/** What a handler can change of its actor, encoded: to go back to, and to measure. */
export function encodeState(actor: Resident): Uint8Array {
  const record: StoredState = [
    storedState(actor),
    actor.timers === undefined ? [] : [...actor.timers].flat(),
  ];
  return pack(record);
}

/** Makes an actor what `encodeState` found. */
export function restoreState(actor: Resident, stored: Uint8Array): void {
  const [state, timers] = unpack(stored) as StoredState;
  actor.state = loadedState(actor.type, state);
  actor.timers = pairs(timers);
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
  return store ? store.encode(state) : state;
}

function pairs(flat: readonly (string | number)[]): Map<string, number> | undefined {
  if (flat.length === 0) return undefined;
  const map = new Map<string, number>();
  for (let i = 0; i < flat.length; i += 2) map.set(flat[i] as string, flat[i + 1] as number);
  return map;
}
