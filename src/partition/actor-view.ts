/** What one sees who looks inside an actor. Looking changes nothing: nobody is activated, no state is handed out to be changed. */
import type { RegisteredType } from '../actor/registry.js';
import { actorKey, type ActorId } from '../core/ids.js';

/** One actor, as of an acknowledged commit. */
export interface ActorView {
  readonly id: ActorId;
  readonly type: string;
  readonly key: string;
  readonly stage: number;
  readonly partition: number;
  /** As its behaviour shows it (`look`), or as it is stored. */
  readonly state: unknown;
  /** Due times by name, event time ms. */
  readonly timers: Readonly<Record<string, number>>;
  /** Event ids that are remembered. */
  readonly seenIds: number;
  /** In memory; otherwise passivated: on disk alone. */
  readonly resident: boolean;
  /** Number of the commit that it is as of, or of a later one. */
  readonly commit: number;
}

/** @param state as the behaviour holds it */
export function viewOf(
  type: RegisteredType,
  state: unknown,
  facts: {
    id: ActorId;
    partition: number;
    timers: ReadonlyMap<string, number> | undefined;
    seen: ReadonlyMap<string, number> | undefined;
    resident: boolean;
    commit: number;
  },
): ActorView {
  const { look, store } = type.behaviour;
  const { timers, seen, ...rest } = facts;
  const shown: unknown = look !== undefined ? look(state) : store !== undefined ? store.encode(state) : state;
  return {
    ...rest,
    type: type.behaviour.type,
    key: actorKey(facts.id),
    stage: type.stage,
    state: structuredClone(shown),
    timers: Object.fromEntries(timers ?? []),
    seenIds: seen?.size ?? 0,
  };
}
