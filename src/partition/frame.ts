/**
 * What travels on a partition's input subjects: event frames of producers (`in.ev`) and mail frames of other
 * partitions (`in.mail`). Both are msgpackr records: the names of fields are written once a frame, not once an event.
 * A frame stands alone: it needs nothing that was said in an earlier one.
 */
import { Packr } from 'msgpackr';
import type { ActorEvent } from '../actor/behaviour.js';
import type { ProducerMode } from './watermark.js';

/** A version of the layouts below; a reader refuses others. */
export const FRAME_FORMAT = 1;

/** An event that was refused at the door, kept for the dead side subject. */
export interface RefusedEvent extends ActorEvent {
  readonly type: 'refused';
  readonly ts: number;
  /** Type that the event claimed to be, or `unknown`. */
  readonly claimed: string;
  readonly reason: string;
  readonly message: string;
  readonly body: string;
}

export interface EventFrame {
  readonly producer: string;
  readonly mode: ProducerMode;
  /** Sequence of the first event, counted per producer and partition from 0. */
  readonly seq: number;
  /** The producer's watermark after this frame: event time, ms UTC, exclusive. */
  readonly watermarkMs: number;
  /** The producer has said its last word. */
  readonly end: boolean;
  readonly events: readonly ActorEvent[];
}

/** A message between actors: [to, name, atMs, body]. */
export type MailMessage = readonly [to: string, name: string, atMs: number, body: unknown];

/** What one partition says to another with one commit. */
export interface MailShare {
  readonly from: number;
  /** The sender's mark per stage, ms UTC. */
  readonly marks: readonly number[];
  readonly messages: readonly MailMessage[];
}

const packr = new Packr({ useRecords: true, moreTypes: false });

export function encodeEventFrame(frame: EventFrame): Uint8Array {
  const mode = frame.mode === 'live' ? 0 : 1;
  return packr.pack([
    FRAME_FORMAT,
    frame.producer,
    mode,
    frame.seq,
    frame.watermarkMs,
    frame.end,
    frame.events,
  ]);
}

export function decodeEventFrame(bytes: Uint8Array): EventFrame {
  const [format, producer, mode, seq, watermarkMs, end, events] = packr.unpack(bytes) as [
    number,
    string,
    number,
    number,
    number,
    boolean,
    ActorEvent[],
  ];
  expectFormat(format);
  return { producer, mode: mode === 0 ? 'live' : 'replay', seq, watermarkMs, end, events };
}

export function encodeMailFrame(shares: readonly MailShare[]): Uint8Array {
  return packr.pack([FRAME_FORMAT, shares.map((share) => [share.from, share.marks, share.messages])]);
}

export function decodeMailFrame(bytes: Uint8Array): MailShare[] {
  const [format, shares] = packr.unpack(bytes) as [number, [number, number[], MailMessage[]][]];
  expectFormat(format);
  return shares.map(([from, marks, messages]) => ({ from, marks, messages }));
}

function expectFormat(format: number): void {
  if (format !== FRAME_FORMAT)
    throw new RangeError(`frame format ${format} is not known here (expected ${FRAME_FORMAT})`);
}
