/**
 * Events of one producer for one partition, as frames that fit a message. A frame that is too large goes as halves; the
 * watermark goes with the last one, for only then has everything before it been said.
 */
import type { ActorEvent } from '../actor/behaviour.js';
import { GroundswellError } from '../core/errors.js';
import { encodeEvents, type FrameHead, type RefusedEvent } from '../partition/frame.js';
import { RecordBuffer } from '../partition/record-buffer.js';

/** Most of a refused event that is kept, characters. */
export const REFUSED_BODY_CHARS_MAX = 1_024;

export interface PackedFrame {
  readonly payload: Uint8Array;
  /** Number of events in it. */
  readonly events: number;
}

/**
 * A frame for each lot of events, in order; without events one frame that carries the watermark.
 * @param head what the last frame says; the others carry `watermarkBeforeMs`
 * @param lots events, no more of them in one than a frame may hold
 */
export function packFrames(
  head: FrameHead,
  lots: readonly RecordBuffer[],
  watermarkBeforeMs: number,
  payloadBytesMax: number,
): PackedFrame[] {
  const frames: PackedFrame[] = [];
  let { seq } = head;
  for (const [i, lot] of (lots.length === 0 ? [new RecordBuffer()] : lots).entries()) {
    const last = i >= lots.length - 1;
    const watermarkMs = last ? head.watermarkMs : watermarkBeforeMs;
    const one = { ...head, seq, watermarkMs, end: last && head.end };
    encodeWithin(one, lot, watermarkBeforeMs, payloadBytesMax, frames);
    seq += lot.count;
  }
  return frames;
}

function encodeWithin(
  head: FrameHead,
  lot: RecordBuffer,
  watermarkBeforeMs: number,
  bytesMax: number,
  into: PackedFrame[],
): void {
  const whole = encodeEvents(head, lot);
  if (whole.byteLength <= bytesMax) {
    into.push({ payload: whole, events: lot.count });
    return;
  }
  const events = lot.list() as ActorEvent[];
  if (events.length <= 1) {
    const payload = encodeWithout(head, events[0], whole.byteLength, bytesMax);
    into.push({ payload, events: events.length });
    return;
  }
  const half = Math.ceil(events.length / 2);
  const halves = [events.slice(0, half), events.slice(half)].map((part) => RecordBuffer.of(part));
  const first = { ...head, watermarkMs: watermarkBeforeMs, end: false };
  encodeWithin(first, halves[0]!, watermarkBeforeMs, bytesMax, into);
  encodeWithin({ ...head, seq: head.seq + half }, halves[1]!, watermarkBeforeMs, bytesMax, into);
}

/**
 * An event that no message holds. A replay can be repaired and run again, so it stops here; a live producer must go on
 * with the events behind it, so the event becomes a refused one, under the same sequence.
 */
function encodeWithout(
  head: FrameHead,
  event: ActorEvent | undefined,
  bytes: number,
  bytesMax: number,
): Uint8Array {
  const message = `An event of type ${event?.type ?? '?'} takes ${bytes} bytes.`;
  if (head.mode === 'live' && event !== undefined && event.type !== 'refused') {
    const refused: RefusedEvent = {
      type: 'refused',
      ts: 0,
      claimed: event.type,
      reason: 'too_large',
      message,
      body: JSON.stringify(event).slice(0, REFUSED_BODY_CHARS_MAX),
    };
    const encoded = encodeEvents(head, RecordBuffer.of([refused]));
    if (encoded.byteLength <= bytesMax) return encoded;
  }
  throw new GroundswellError('GS_FRAME_TOO_LARGE', message, {
    remedy: 'Send smaller events, or raise max_payload of nats-server.',
  });
}
