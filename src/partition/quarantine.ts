/**
 * Quarantine: an actor whose calls fail one after the other is called no more. What comes for it is kept in its record,
 * within bounds, until somebody releases it; all others go on. Owns what an actor's record says of failures.
 */
import type { ActorEvent } from '../actor/behaviour.js';
import type { ActorId } from '../core/ids.js';
import type { Call, PoisonRules } from './poison.js';

/** An event of this type is for the partition itself: `{type, ts, actor}` releases the actor. No producer may send it. */
export const RELEASE_EVENT = 'actor.release';

/** What an actor's record says of its failures; nothing when the last call succeeded. */
export interface Trouble {
  /** Failures since the last success. */
  failures: number;
  quarantine: Quarantine | undefined;
}

export interface Quarantine {
  /** Wall time, ms UTC. */
  readonly sinceMs: number;
  readonly kept: KeptCall[];
  /** Bytes of their bodies as JSON. */
  keptBytes: number;
}

/** An event or message that waits for its actor's release. */
export interface KeptCall extends Call {
  /** How far the actor's stage might close when it came: it is taken as of then. */
  readonly limitMs: number;
}

/** What one sees of a quarantine from outside. */
export interface QuarantineView {
  readonly sinceMs: number;
  readonly kept: number;
  readonly keptBytes: number;
}

/** An actor in quarantine, in lists. */
export interface QuarantinedActor extends QuarantineView {
  readonly actor: ActorId;
  readonly failures: number;
  /** Number of the commit that put it there. */
  readonly commit: number;
}

export type StoredTrouble = [
  failures: number,
  sinceMs: number | null,
  kept: [isEvent: boolean, name: string, atMs: number, limitMs: number, body: unknown][],
  keptBytes: number,
];

export function viewOfQuarantine({ sinceMs, kept, keptBytes }: Quarantine): QuarantineView {
  return { sinceMs, kept: kept.length, keptBytes };
}

/** Keeps a call for later. False when as much is kept as may be. */
export function keep(quarantine: Quarantine, call: KeptCall, rules: PoisonRules): boolean {
  const bytes = bytesOf(call.body);
  const { kept, keptBytes } = quarantine;
  if (kept.length >= rules.quarantineKeepMax || keptBytes + bytes > rules.quarantineKeepBytesMax)
    return false;
  kept.push(call);
  quarantine.keptBytes += bytes;
  return true;
}

/** The actor that an event releases; undefined when it names none. */
export function releasedActor(event: ActorEvent): ActorId | undefined {
  const { actor } = event;
  if (typeof actor !== 'string') return undefined;
  const slash = actor.indexOf('/');
  return slash > 0 && slash < actor.length - 1 ? (actor as ActorId) : undefined;
}

export function storeTrouble({ failures, quarantine }: Trouble): StoredTrouble {
  if (quarantine === undefined) return [failures, null, [], 0];
  const { sinceMs, kept, keptBytes } = quarantine;
  return [
    failures,
    sinceMs,
    kept.map(({ kind, name, atMs, limitMs, body }) => [kind === 'event', name, atMs, limitMs, body]),
    keptBytes,
  ];
}

export function loadTrouble([failures, sinceMs, kept, keptBytes]: StoredTrouble): Trouble {
  if (sinceMs === null) return { failures, quarantine: undefined };
  return {
    failures,
    quarantine: {
      sinceMs,
      kept: kept.map(([isEvent, name, atMs, limitMs, body]) => ({
        kind: isEvent ? 'event' : 'message',
        name,
        atMs,
        limitMs,
        body,
      })),
      keptBytes,
    },
  };
}

/** Infinite for what JSON cannot hold: it is not kept. */
function bytesOf(body: unknown): number {
  try {
    return Buffer.byteLength(JSON.stringify(body) ?? '');
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
