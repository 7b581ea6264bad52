/**
 * Events of one producer for one partition, as frames that fit a message. A frame that is too large goes as halves; the
 * watermark goes with the last one, for only then has everything before it been said.
 */
import type { ActorEvent } from '../actor/behaviour.js';
import { GroundswellError } from '../core/errors.js';
import { encodeEventFrame, type EventFrame, type RefusedEvent } from '../partition/frame.js';

/** Most of a refused event that is kept, characters. */
export const REFUSED_BODY_CHARS_MAX = 1_024;

export interface FrameRules {
  /** Most events in one frame. */
  readonly frameEvents: number;
  /** Largest payload of one message, bytes. */
  readonly payloadBytesMax: number;
}

export interface PackedFrame {
  readonly payload: Uint8Array;
  /** Number of events in it. */
  readonly events: number;
}

/**
 * Frames of a list of events, in order; without events one frame that carries the watermark.
 * @param frame what the last frame says; the others carry `watermarkBeforeMs`
 */
export function packFrames(frame: EventFrame, watermarkBeforeMs: number, rules: FrameRules): PackedFrame[] {
  const { events } = frame;
  const frames: PackedFrame[] = [];
  for (let at = 0; at === 0 || at < events.length; at += rules.frameEvents) {
    const part = events.slice(at, at + rules.frameEvents);
    const last = at + part.length >= events.length;
    const one: EventFrame = {
      ...frame,
      seq: frame.seq + at,
      watermarkMs: last ? frame.watermarkMs : watermarkBeforeMs,
      end: last && frame.end,
      events: part,
    };
    encodeWithin(one, watermarkBeforeMs, rules.payloadBytesMax, frames);
  }
  return frames;
}

function encodeWithin(
  frame: EventFrame,
  watermarkBeforeMs: number,
  bytesMax: number,
  into: PackedFrame[],
): void {
  const whole = encodeEventFrame(frame);
  if (whole.byteLength <= bytesMax) {
    into.push({ payload: whole, events: frame.events.length });
    return;
  }
  const { events } = frame;
  if (events.length <= 1) {
    into.push({ payload: encodeWithout(frame, whole.byteLength, bytesMax), events: events.length });
    return;
  }
  const half = Math.ceil(events.length / 2);
  const first = { ...frame, events: events.slice(0, half), watermarkMs: watermarkBeforeMs, end: false };
  encodeWithin(first, watermarkBeforeMs, bytesMax, into);
  const second = { ...frame, events: events.slice(half), seq: frame.seq + half };
  encodeWithin(second, watermarkBeforeMs, bytesMax, into);
}

/**
 * An event that no message holds. A replay can be repaired and run again, so it stops here; a live producer must go on
 * with the events behind it, so the event becomes a refused one, under the same sequence.
 */
function encodeWithout(frame: EventFrame, bytes: number, bytesMax: number): Uint8Array {
  const event: ActorEvent | undefined = frame.events[0];
  const message = `An event of type ${event?.type ?? '?'} takes ${bytes} bytes.`;
  if (frame.mode === 'live' && event !== undefined && event.type !== 'refused') {
    const refused: RefusedEvent = {
      type: 'refused',
      ts: 0,
      claimed: event.type,
      reason: 'too_large',
      message,
      body: JSON.stringify(event).slice(0, REFUSED_BODY_CHARS_MAX),
    };
    const encoded = encodeEventFrame({ ...frame, events: [refused] });
    if (encoded.byteLength <= bytesMax) return encoded;
  }
  throw new GroundswellError('GS_FRAME_TOO_LARGE', message, {
    remedy: 'Send smaller events, or raise max_payload of nats-server.',
  });
}
