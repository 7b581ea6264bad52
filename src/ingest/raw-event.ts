/**
 * One raw message of the ingest subjects: is it an event? Owns what is asked of a message before the `EventChecker` sees it:
 * its size, that it is JSON, and that subject and body agree on the type.
 */
import type { ActorEvent } from '../actor/behaviour.js';
import { messageOf } from '../core/errors.js';
import type { RefusedEvent } from '../partition/frame.js';
import type { EventChecker } from './check.js';
import { REFUSED_BODY_CHARS_MAX } from './event-frames.js';
import { EVENT_BYTES_MAX } from './event-size.js';
import { EVENT_TYPES } from './event.js';

export type RawVerdict =
  | { readonly outcome: 'accepted'; readonly event: ActorEvent }
  | { readonly outcome: 'refused'; readonly event: RefusedEvent };

/** Event types by their token in a subject: underscores stand for dots. */
const TYPES: ReadonlyMap<string, string> = new Map(
  EVENT_TYPES.map((type) => [type.replaceAll('.', '_'), type]),
);

const strict = new TextDecoder('utf-8', { fatal: true });
const lenient = new TextDecoder();

/** The verdict on a raw message. A body without `type` has the one that its subject names. */
export function checkRaw(
  message: { readonly subject: string; readonly payload: Uint8Array },
  checker: EventChecker,
): RawVerdict {
  const { payload } = message;
  const token = message.subject.split('.').slice(3).join('.');
  const type = TYPES.get(token);
  const refuse = (reason: string, text: string, claimed = type ?? 'unknown'): RawVerdict => ({
    outcome: 'refused',
    event: refusedRaw(message, claimed, reason, text),
  });
  if (payload.byteLength > EVENT_BYTES_MAX)
    return refuse(
      'too_large',
      `the event takes ${payload.byteLength} bytes; at most ${EVENT_BYTES_MAX} are taken`,
    );
  let raw: unknown;
  try {
    raw = JSON.parse(strict.decode(payload));
  } catch (error) {
    const why = error instanceof SyntaxError ? `not JSON: ${messageOf(error)}` : 'not UTF-8';
    return refuse('malformed', why);
  }
  if (typeof raw === 'object' && raw !== null && !Array.isArray(raw)) {
    const fields = raw as Record<string, unknown>;
    const named = fields.type;
    if (named === undefined) {
      raw = { ...fields, type: type ?? token.replaceAll('_', '.') };
    } else if (typeof named === 'string' && named !== type && TYPES.has(named.replaceAll('.', '_'))) {
      return refuse('unknown_value', `type: the body says ${named}, the subject says ${token}`);
    }
  }
  const checked = checker.check(raw);
  if (checked.outcome === 'accepted') return { outcome: 'accepted', event: checked.event as ActorEvent };
  return refuse(checked.reason, checked.message, checked.type);
}

/** A raw message for the dead side subject, with the beginning of its body. */
export function refusedRaw(
  { payload }: { readonly payload: Uint8Array },
  claimed: string,
  reason: string,
  message: string,
): RefusedEvent {
  const body = lenient.decode(payload.subarray(0, REFUSED_BODY_CHARS_MAX));
  return { type: 'refused', ts: 0, claimed, reason, message, body };
}
