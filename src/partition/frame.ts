/**
 * What travels on a partition's input subjects: event frames of producers (`in.ev`) and mail frames of other
 * partitions (`in.mail`). Events and messages are columns: the names of fields, and what values share, are written once a
 * frame. A frame stands alone: it needs nothing that was said in an earlier one.
 */
import type { ActorEvent } from '../actor/behaviour.js';
import { ByteReader, ByteWriter } from '../core/bytes.js';
import { readColumn, readRecordColumn, writeColumn, writeRecords, type RecordColumn } from './columns.js';
import { RecordBuffer } from './record-buffer.js';
import type { ProducerMode } from './watermark.js';

/** A version of the layouts below; a reader refuses others. */
export const FRAME_FORMAT = 3;

const IS_LIVE = 1;
const IS_END = 2;
/** Those of `MailMessage`. */
const MESSAGE_PARTS = 5;

/** Most events of a frame: columns that share everything take no bytes for one. */
export const FRAME_EVENTS_MAX = 65_536;

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

/** What an event frame says besides its events. */
export interface FrameHead {
  readonly producer: string;
  readonly mode: ProducerMode;
  /** Sequence of the first event, counted per producer and partition from 0. */
  readonly seq: number;
  /** The producer's watermark after this frame: event time, ms UTC, exclusive. */
  readonly watermarkMs: number;
  /** The producer has said its last word. */
  readonly end: boolean;
}

export interface EventFrame extends FrameHead {
  readonly events: readonly ActorEvent[];
}

/** A message between actors. Its first parts are whom it is for. */
export type MailMessage = readonly [type: string, key: string, name: string, atMs: number, body: unknown];

/** What one partition says to another with one commit. */
export interface MailShare {
  readonly from: number;
  /** The sender's mark per stage, ms UTC. */
  readonly marks: readonly number[];
  readonly messages: readonly MailMessage[];
}

/** An event frame as it is read: the events are made one after the other. */
export interface OpenEventFrame extends FrameHead {
  readonly count: number;
  /** Makes an event: to be called once for each, from 0 up to `count`. */
  readonly at: (index: number) => ActorEvent;
  /** What is known of them before they are made. */
  readonly events: RecordColumn;
}

/** A share of a mail frame as it is read: the messages are made one after the other. */
export interface OpenMailShare extends Omit<MailShare, 'messages'> {
  readonly count: number;
  /** Parts of the messages, from 0 up to `count`: each to be asked for once. */
  readonly type: (index: number) => string;
  readonly key: (index: number) => string;
  readonly name: (index: number) => string;
  readonly atMs: (index: number) => number;
  readonly body: (index: number) => unknown;
}

const writer = new ByteWriter();

export function encodeEventFrame({ events, ...head }: EventFrame): Uint8Array {
  return encodeEvents(head, RecordBuffer.of(events));
}

/** The same for events that were taken apart before. */
export function encodeEvents(head: FrameHead, events: RecordBuffer): Uint8Array {
  const { producer, mode, seq, watermarkMs, end } = head;
  writer
    .clear()
    .uint(FRAME_FORMAT)
    .text(producer)
    .uint((mode === 'live' ? IS_LIVE : 0) | (end ? IS_END : 0))
    .uint(seq)
    .float(watermarkMs)
    .uint(events.count);
  writeRecords(writer, events);
  return writer.take();
}

export function openEventFrame(bytes: Uint8Array): OpenEventFrame {
  const reader = new ByteReader(bytes);
  expectFormat(reader.uint());
  const producer = reader.text();
  const flags = reader.uint();
  const seq = reader.uint();
  const watermarkMs = reader.float();
  const count = reader.uint();
  if (count > FRAME_EVENTS_MAX)
    throw new RangeError(`a frame of ${count} events is not known here (most are ${FRAME_EVENTS_MAX})`);
  const events = readRecordColumn(reader, count);
  return {
    producer,
    mode: (flags & IS_LIVE) === 0 ? 'replay' : 'live',
    seq,
    watermarkMs,
    end: (flags & IS_END) !== 0,
    count,
    at: events.at as OpenEventFrame['at'],
    events,
  };
}

export function decodeEventFrame(bytes: Uint8Array): EventFrame {
  const { count, at, ...frame } = openEventFrame(bytes);
  return { ...frame, events: Array.from({ length: count }, (_, index) => at(index)) };
}

export function encodeMailFrame(shares: readonly MailShare[]): Uint8Array {
  writer.clear().uint(FRAME_FORMAT).uint(shares.length);
  for (const { from, marks, messages } of shares) {
    writer.uint(from).uint(marks.length);
    for (const mark of marks) writer.float(mark);
    writer.uint(messages.length);
    for (let part = 0; part < MESSAGE_PARTS; part++)
      writeColumn(
        writer,
        messages.map((message) => message[part]),
      );
  }
  return writer.take();
}

export function openMailFrame(bytes: Uint8Array): OpenMailShare[] {
  const reader = new ByteReader(bytes);
  expectFormat(reader.uint());
  return Array.from({ length: reader.uint() }, () => {
    const from = reader.uint();
    const marks = Array.from({ length: reader.uint() }, () => reader.float());
    const count = reader.uint();
    return {
      from,
      marks,
      count,
      type: readColumn(reader, count) as OpenMailShare['type'],
      key: readColumn(reader, count) as OpenMailShare['key'],
      name: readColumn(reader, count) as OpenMailShare['name'],
      atMs: readColumn(reader, count) as OpenMailShare['atMs'],
      body: readColumn(reader, count),
    };
  });
}

export function decodeMailFrame(bytes: Uint8Array): MailShare[] {
  return openMailFrame(bytes).map(({ from, marks, count, type, key, name, atMs, body }) => ({
    from,
    marks,
    messages: Array.from({ length: count }, (_, i): MailMessage => [
      type(i),
      key(i),
      name(i),
      atMs(i),
      body(i),
    ]),
  }));
}

function expectFormat(format: number): void {
  if (format !== FRAME_FORMAT)
    throw new RangeError(`frame format ${format} is not known here (expected ${FRAME_FORMAT})`);
}
