/**
 * Poison: a handler's call that fails. Owns what counts as a failure, the limits, and the dead letter that is left of the
 * call. That it leaves nothing else is `careful-call`'s and the partition's business.
 */
import { GroundswellError } from '../core/errors.js';
import type { ActorId } from '../core/ids.js';
import { HandlerTimeout } from './handler-guard.js';
import type { SideOutput } from './output.js';

/** It threw, it gave back a promise, it took too long, or it left its actor with too large a state. */
export type FailureReason = 'threw' | 'promise' | 'time' | 'state_size';

/**
 * Why a call became a dead letter: it failed, nobody takes it, its actor's quarantine keeps no more, or its actor remembers no more
 * event ids.
 */
export type BurialReason = FailureReason | 'unhandled' | 'quarantined_full' | 'too_many_ids';

export interface PoisonRules {
  /** An actor is quarantined after so many failures without a success between them. */
  readonly quarantineAfter: number;
  /** Events and messages that are kept for an actor in quarantine, and their bytes as JSON. */
  readonly quarantineKeepMax: number;
  readonly quarantineKeepBytesMax: number;
  /** Bytes of an actor's state and timers as they are stored. */
  readonly actorStateBytesMax: number;
  /** How long one call may take, ms, when it is watched by itself. */
  readonly handlerTimeMaxMs: number;
  /** How long one operation of a partition may take, ms: less than the node's lease holds. */
  readonly operationTimeMaxMs: number;
  /** What a step may lose to calls that are broken off, ms: those that follow of the same handlers are not made. */
  readonly timeLostMaxMs: number;
  /** Commits that are made carefully after the last failure. */
  readonly carefulCommits: number;
}

export const DEFAULT_POISON_RULES: PoisonRules = {
  quarantineAfter: 5,
  quarantineKeepMax: 1_000,
  quarantineKeepBytesMax: 256 * 1024,
  actorStateBytesMax: 256 * 1024,
  handlerTimeMaxMs: 200,
  operationTimeMaxMs: 1_000,
  timeLostMaxMs: 600,
  carefulCommits: 100,
};

/** What an actor is called with. */
export interface Call {
  readonly kind: 'event' | 'message' | 'timer';
  /** Type of the event, name of the message or timer. */
  readonly name: string;
  /** Event time, ms UTC. */
  readonly atMs: number;
  /** The event itself, the message's body; undefined for a timer. */
  readonly body: unknown;
}

export interface Failure {
  readonly reason: BurialReason;
  readonly message: string;
  readonly stack: string | undefined;
}

/** A call failed: what a handler did, never a fault of the engine. */
export class CallFailed extends GroundswellError {
  readonly reason: FailureReason;

  constructor(reason: FailureReason, message: string, cause?: unknown) {
    super('GS_HANDLER', message, { cause });
    this.reason = reason;
  }
}

/** Whether an error is a failed call, and not the engine's own. */
export function isPoison(error: unknown): error is CallFailed | HandlerTimeout {
  return error instanceof CallFailed || error instanceof HandlerTimeout;
}

const MESSAGE_CHARS_MAX = 1_024;
const STACK_CHARS_MAX = 4_096;
/** As JSON; an event is never larger. */
const BODY_CHARS_MAX = 65_536;
const BODY_CHARS_KEPT = 4_096;

export function failureOf(error: CallFailed | HandlerTimeout): Failure {
  const thrown = error.cause ?? error;
  return {
    reason: error instanceof CallFailed ? error.reason : 'time',
    message: textOf(thrown).slice(0, MESSAGE_CHARS_MAX),
    stack: thrown instanceof Error ? stackOf(thrown)?.slice(0, STACK_CHARS_MAX) : undefined,
  };
}

/** What is left of a call: for the dead side subject, under the event's type, or else its actor's. */
export function deadLetter(actor: ActorId, call: Call, failure: Failure): SideOutput {
  const { kind, name, atMs, body } = call;
  const { reason, message, stack } = failure;
  return {
    kind: 'dead',
    type: kind === 'event' ? name : actor.slice(0, actor.indexOf('/')),
    body: {
      reason,
      actor,
      call: kind,
      name,
      ...(kind === 'event' ? { ts: atMs } : { atMs }),
      message,
      ...(stack === undefined ? {} : { stack }),
      ...(body === undefined ? {} : { body: plainBody(body) }),
    },
  };
}

/** A value as JSON has it; of one that is too large, its beginning as text; of one that JSON cannot hold, what it is. */
export function plainBody(body: unknown): unknown {
  try {
    const text = JSON.stringify(body, plain) as string | undefined;
    if (text === undefined) return null;
    if (text.length > BODY_CHARS_MAX) return `${text.slice(0, BODY_CHARS_KEPT)}…`;
    return JSON.parse(text) as unknown;
  } catch (error) {
    return `(cannot be written as JSON: ${textOf(error).slice(0, MESSAGE_CHARS_MAX)})`;
  }
}

function plain(_key: string, value: unknown): unknown {
  if (value instanceof Map) return Object.fromEntries(value as Map<string, unknown>);
  if (value instanceof Set) return [...(value as Set<unknown>)];
  if (ArrayBuffer.isView(value) && !(value instanceof DataView)) return [...(value as Uint8Array)];
  if (typeof value === 'bigint') return value.toString();
  return value;
}

/** Anything may be thrown, also what cannot be made a text. */
export function textOf(thrown: unknown): string {
  try {
    return thrown instanceof Error ? String(thrown.message) : String(thrown);
  } catch {
    return 'something that cannot be written as text';
  }
}

function stackOf(error: Error): string | undefined {
  try {
    return error.stack === undefined ? undefined : String(error.stack);
  } catch {
    return undefined;
  }
}
