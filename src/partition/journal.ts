/**
 * One entry of a partition's journal: all that a step changed, in one or more frames that are only ever visible
 * together (P2). The first frame opens with the control record; every frame carries changed actors.
 */
import { Packr } from 'msgpackr';
import { ByteReader, ByteWriter } from '../core/bytes.js';
import { GroundswellError } from '../core/errors.js';
import { readChanges, type ActorChange, type Changes } from './changes.js';
import type { ProducerState } from './watermark.js';

export const JOURNAL_FORMAT = 4;
/** Its head is in msgpack, all marks one by one. */
const FORMAT_BEFORE = 3;

/** All that a partition is, besides its actors. */
export interface Control {
  /** Who wrote the entry: a name that no two processes share (P6). */
  readonly writer: string;
  /** Number of the commit within the partition, from 1. */
  readonly commit: number;
  /** Log sequence of the last input taken (P3). */
  readonly inputSeq: number;
  /** Stage-0 watermark, event time ms; 0 while none. */
  readonly watermarkMs: number;
  readonly producers: ReadonlyMap<string, ProducerState>;
  /** Marks as of this commit: `stage * partitions + partition`. */
  readonly marks: readonly number[];
  /** Event time up to which each stage has fired its timers. */
  readonly closed: readonly number[];
  readonly counters: ReadonlyMap<string, number>;
  /** Wall time of the step, ms UTC. */
  readonly wallMs: number;
  /** Counts the owners of the partition, from 1: whoever takes it commits an entry with the next epoch first (P1). */
  readonly epoch: number;
  /** Set in an owner's last entry: the node, by its id, that may take the partition now. */
  readonly handedTo: string | undefined;
  /** The base snapshot that is good together with the journal from there on; undefined while there is none. */
  readonly base: BasePointer | undefined;
}

/** Where a base snapshot is, and of what it is a copy. */
export interface BasePointer {
  /** Name in the object store. */
  readonly name: string;
  /** Log sequence of the last journal message that it holds. */
  readonly journalSeq: number;
  /** Wall time at which it was made, ms UTC. */
  readonly madeAtMs: number;
  readonly bytes: number;
}

export interface JournalEntry {
  readonly control: Control;
  readonly changes: readonly ActorChange[];
}

/** An entry that is to be written. */
export interface EntryToWrite {
  readonly control: Control;
  readonly changes: Changes;
}

type StoredControl = [
  writer: string,
  commit: number,
  inputSeq: number,
  watermarkMs: number,
  producers: [string, 0 | 1, number, number, boolean, number][],
  marks: readonly number[],
  closed: readonly number[],
  counters: [string, number][],
  wallMs: number,
  epoch: number,
  handedTo: string | null,
  base: [name: string, journalSeq: number, madeAtMs: number, bytes: number] | null,
];
/** What a frame begins with, behind its format. */
interface Head {
  readonly part: number;
  readonly parts: number;
  /** Of the first part. */
  readonly control: Control | undefined;
}

/** As it was in msgpack. */
type HeadBefore = [part: number, parts: number, control: StoredControl | null];

/** More than a frame's head takes besides its control record. */
const HEAD_BYTES_MAX = 64;
/** There are fewer partitions than 2^9, and fewer stages. */
const MARKS_MAX = 2 ** 18;

const writer = new ByteWriter();
const recordWriter = new ByteWriter();

/** No part has this number: what comes after a whole entry begins a new one. */
const NEXT_ENTRY = -1;

const packr = new Packr({ useRecords: false, moreTypes: false });

export function encodeControl(control: Control): Uint8Array {
  return packr.pack(toStored(control));
}

export function decodeControl(bytes: Uint8Array): Control {
  return fromStored(packr.unpack(bytes) as StoredControl);
}

/** @throws GroundswellError GS_FRAME_TOO_LARGE naming the actor whose record alone is over the limit */
export function encodeJournalEntry({ control, changes }: EntryToWrite, frameBytesMax: number): Uint8Array[] {
  const record = controlRecord(control);
  const controlBytes = record.byteLength;
  if (controlBytes + HEAD_BYTES_MAX > frameBytesMax) {
    throw new GroundswellError(
      'GS_FRAME_TOO_LARGE',
      `The control record of a partition takes ${controlBytes} bytes: more than fits one message of ${frameBytesMax} bytes.`,
      { remedy: 'Raise max_payload of nats-server, or use fewer partitions or producers.' },
    );
  }
  /** Where the changes of each frame begin. */
  const begins = [0];
  let size = controlBytes + HEAD_BYTES_MAX;
  for (let i = 0; i < changes.length; i++) {
    const cost = changes.sizeOf(i);
    if (cost + controlBytes + HEAD_BYTES_MAX > frameBytesMax) {
      throw new GroundswellError(
        'GS_FRAME_TOO_LARGE',
        `The state of actor ${changes.at(i).id} takes ${cost} bytes: more than fits one message of ${frameBytesMax} bytes.`,
      );
    }
    if (size + cost > frameBytesMax) {
      begins.push(i);
      size = HEAD_BYTES_MAX;
    }
    size += cost;
  }
  return begins.map((from, part) => {
    writer.clear().uint(JOURNAL_FORMAT).uint(part).uint(begins.length);
    if (part === 0) writer.bytes(record);
    return writer.raw(changes.bytesOf(from, begins[part + 1] ?? changes.length)).take();
  });
}

/** The control record of a frame: its marks in runs, for there are as many as stages times partitions, and most are the same. */
function controlRecord(control: Control): Uint8Array {
  return recordWriter
    .clear()
    .runs(control.marks)
    .raw(packr.pack(toStored({ ...control, marks: [] })))
    .take();
}

function controlOf(record: Uint8Array): Control {
  const reader = new ByteReader(record);
  const marks = reader.runs(MARKS_MAX);
  return { ...decodeControl(reader.raw()), marks };
}

function readHead(reader: ByteReader): Head {
  const format = reader.uint();
  if (format === FORMAT_BEFORE) {
    const [part, parts, control] = packr.unpack(reader.bytes()) as HeadBefore;
    return { part, parts, control: control === null ? undefined : fromStored(control) };
  }
  expectFormat(format);
  const part = reader.uint();
  const parts = reader.uint();
  return { part, parts, control: part === 0 ? controlOf(reader.bytes()) : undefined };
}

/** What one journal frame says by itself: which part of its entry it is, and the control record when it is the first. */
export function journalHead(bytes: Uint8Array): { part: number; control: Control | undefined } {
  return readHead(new ByteReader(bytes));
}

/** Puts journal frames together again, in stream order. Gives an entry when its last frame has come. */
export class JournalReader {
  #control: Control | undefined;
  #changes: ActorChange[] = [];
  #expected = 0;

  push(bytes: Uint8Array): JournalEntry | undefined {
    const reader = new ByteReader(bytes);
    const { part, parts, control } = readHead(reader);
    if (part === 0) {
      this.#control = control;
      this.#changes = [];
      this.#expected = 0;
    }
    if (part !== this.#expected || this.#control === undefined) {
      throw new GroundswellError(
        'GS_STREAM_LOST',
        `Part ${part} of ${parts} of a journal entry came where part ${this.#expected} was due.`,
      );
    }
    this.#expected++;
    for (const change of readChanges(reader)) this.#changes.push(change);
    if (part + 1 < parts) return undefined;
    this.#expected = NEXT_ENTRY;
    return { control: this.#control, changes: this.#changes };
  }
}

function expectFormat(format: number): void {
  if (format === JOURNAL_FORMAT) return;
  throw new GroundswellError(
    'GS_DATA_NEWER',
    `A journal entry has format ${format}; this version reads ${FORMAT_BEFORE} and ${JOURNAL_FORMAT}.`,
  );
}

function toStored(control: Control): StoredControl {
  const { base } = control;
  return [
    control.writer,
    control.commit,
    control.inputSeq,
    control.watermarkMs,
    [...control.producers].map(([id, p]) => [
      id,
      p.mode === 'live' ? 0 : 1,
      p.seq,
      p.watermarkMs,
      p.ended,
      p.heardAtMs,
    ]),
    control.marks,
    control.closed,
    [...control.counters],
    control.wallMs,
    control.epoch,
    control.handedTo ?? null,
    base === undefined ? null : [base.name, base.journalSeq, base.madeAtMs, base.bytes],
  ];
}

function fromStored(stored: StoredControl): Control {
  const [writer, commit, inputSeq, watermarkMs, producers, marks, closed, counters, wallMs, ...more] = stored;
  const [epoch, handedTo, base] = more;
  return {
    writer,
    commit,
    inputSeq,
    watermarkMs,
    producers: new Map(
      producers.map(([id, mode, seq, producerWatermarkMs, ended, heardAtMs]) => [
        id,
        { mode: mode === 0 ? 'live' : 'replay', seq, watermarkMs: producerWatermarkMs, ended, heardAtMs },
      ]),
    ),
    marks,
    closed,
    counters: new Map(counters),
    wallMs,
    epoch,
    handedTo: handedTo ?? undefined,
    base:
      base === null ? undefined : { name: base[0], journalSeq: base[1], madeAtMs: base[2], bytes: base[3] },
  };
}
