/**
 * Events of a live producer whose clock is ahead: they are of a time that has not come, so they count nowhere and are kept
 * as dead letters. Owns that verdict as a partition gives it; the doors refuse such events before (`ingest/check.ts`), but
 * a producer is judged by its own clock there.
 */
import type { ActorEvent } from '../actor/behaviour.js';
import type { RefusedEvent } from './frame.js';

export const CLOCK_AHEAD = 'clock_ahead';
/** Most of the event that is kept, characters. */
const BODY_CHARS_MAX = 1_024;

/** The event as it is, or as a refused one when it is later than `latestMs`. */
export function judgedByTime(event: ActorEvent, latestMs: number): ActorEvent {
  if (!(event.ts > latestMs) || event.type === 'refused') return event;
  const refused: RefusedEvent = {
    type: 'refused',
    ts: event.ts,
    claimed: event.type,
    reason: CLOCK_AHEAD,
    message: `ts: ${event.ts} is later than ${latestMs}, the latest that can be now: the sender's clock is ahead`,
    body: JSON.stringify(event).slice(0, BODY_CHARS_MAX),
  };
  return refused;
}
