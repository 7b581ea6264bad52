/** What one sees who looks inside an actor. Looking changes nothing: nobody is activated, no state is handed out to be changed. */
import { ByteWriter } from '../core/bytes.js';
import type { RegisteredType } from '../actor/registry.js';
import { actorKey, type ActorId } from '../core/ids.js';
import type { EventIds } from './event-ids.js';
import { viewOfQuarantine, type QuarantineView, type Trouble } from './quarantine.js';

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
  /** Calls of it that failed since the last one that succeeded; left out when there are none. */
  readonly failures?: number;
  /** Set while it is in quarantine: it is not called, and what comes for it is kept. */
  readonly quarantine?: QuarantineView;
  /** In memory; otherwise passivated: on disk alone. */
  readonly resident: boolean;
  /** Number of the commit that it is as of, or of a later one. */
  readonly commit: number;
}

/** @param actor with its state as the behaviour holds it */
export function viewOf(
  type: RegisteredType,
  actor: {
    readonly state: unknown;
    readonly timers: Iterable<readonly [name: string, ms: number]> | undefined;
    readonly seen: EventIds | undefined;
    readonly trouble: Trouble | undefined;
  },
  facts: Pick<ActorView, 'id' | 'partition' | 'resident' | 'commit'>,
): ActorView {
  const { look, store } = type.behaviour;
  const { state, timers, seen, trouble } = actor;
  const shown: unknown =
    look !== undefined
      ? look(state)
      : store !== undefined
        ? storedPlainly(store.encode(state, new ByteWriter()))
        : state;
  return {
    ...facts,
    type: type.behaviour.type,
    key: actorKey(facts.id),
    stage: type.stage,
    state: structuredClone(shown),
    timers: Object.fromEntries(timers ?? []),
    seenIds: seen?.size ?? 0,
    ...(trouble === undefined ? {} : { failures: trouble.failures }),
    ...(trouble?.quarantine === undefined ? {} : { quarantine: viewOfQuarantine(trouble.quarantine) }),
  };
}

function storedPlainly(stored: unknown): unknown {
  return stored instanceof ByteWriter ? stored.take() : stored;
}
