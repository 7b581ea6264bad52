/**
 * A base snapshot as bytes: a header that says what it is, the partition's records in groups, and a trailer with their
 * number. Written and read group by group, however many there are (P8).
 */
import { sleep, type Clock } from '../../core/clock.js';
import { GroundswellError } from '../../core/errors.js';
import type { ActorId } from '../../core/ids.js';
import type { SnapshotPosition, SnapshotRecord } from '../../state/store.js';
import { damaged, encodeBlock, readBlocks, type Block } from './block-stream.js';

export const BASE_FORMAT = 1;

export interface BaseHeader extends SnapshotPosition {
  readonly region: string;
  readonly partitions: number;
  readonly partition: number;
}

export interface DecodedBase {
  readonly header: BaseHeader;
  /** To be gone through once; ends with an error when the trailer is missing or says another number. */
  readonly records: AsyncIterable<readonly SnapshotRecord[]>;
}

const KIND = { header: 1, group: 2, trailer: 3 } as const;

type StoredHeader = Omit<BaseHeader, 'control'> & {
  readonly base: true;
  readonly format: number;
  /** Base64. */
  readonly control: string;
};

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** @param bites read one at a time, each in a turn of its own, so that the partition goes on meanwhile */
export async function* encodeBase(
  header: BaseHeader,
  bites: Iterable<readonly SnapshotRecord[]> | AsyncIterable<readonly SnapshotRecord[]>,
  clock: Clock,
): AsyncGenerator<Uint8Array> {
  const { region, partitions, partition, journalSeq, control } = header;
  const stored: StoredHeader = {
    base: true,
    format: BASE_FORMAT,
    region,
    partitions,
    partition,
    journalSeq,
    control: base64(control),
  };
  yield encodeBlock(KIND.header, encoder.encode(JSON.stringify(stored)));
  let records = 0;
  for await (const bite of bites) {
    records += bite.length;
    yield encodeBlock(KIND.group, encodeGroup(bite));
    await sleep(clock, 0);
  }
  yield encodeBlock(KIND.trailer, encoder.encode(JSON.stringify({ records })));
}

/** @throws GroundswellError GS_DATA_CORRUPT, GS_DATA_NEWER */
export async function decodeBase(what: string, chunks: AsyncIterable<Uint8Array>): Promise<DecodedBase> {
  const blocks = readBlocks(what, chunks);
  const first = await blocks.next();
  if (first.done === true || first.value.kind !== KIND.header) throw damaged(what, 'it has no header');
  return { header: headerOf(what, first.value), records: recordsOf(what, blocks) };
}

function headerOf(what: string, { payload }: Block): BaseHeader {
  let stored: StoredHeader;
  try {
    stored = JSON.parse(decoder.decode(payload)) as StoredHeader;
  } catch {
    throw damaged(what, 'its header is no JSON');
  }
  if (stored.base !== true) throw damaged(what, 'it is no base snapshot');
  if (stored.format > BASE_FORMAT) {
    throw new GroundswellError(
      'GS_DATA_NEWER',
      `${what} has format ${stored.format}; this version reads ${BASE_FORMAT}.`,
      { remedy: 'It was written by a newer groundswell: run that version.' },
    );
  }
  const { region, partitions, partition, journalSeq, control } = stored;
  return { region, partitions, partition, journalSeq, control: fromBase64(control) };
}

async function* recordsOf(
  what: string,
  blocks: AsyncIterable<Block>,
): AsyncGenerator<readonly SnapshotRecord[]> {
  let records = 0;
  let said: number | undefined;
  for await (const { kind, payload } of blocks) {
    if (said !== undefined) throw damaged(what, 'it goes on after its end');
    if (kind === KIND.trailer) {
      said = (JSON.parse(decoder.decode(payload)) as { records: number }).records;
      continue;
    }
    if (kind !== KIND.group) throw damaged(what, `a block has the unknown kind ${kind}`);
    const group = decodeGroup(what, payload);
    records += group.length;
    yield group;
  }
  if (said !== records) throw damaged(what, `it has ${records} of ${said ?? 'unknown'} records`);
}

/** Per record: length of the id (2), timers (1), length of the bytes (4), id, bytes. */
const RECORD_HEAD = 7;

function encodeGroup(records: readonly SnapshotRecord[]): Uint8Array {
  const ids = records.map(([id]) => encoder.encode(id));
  let length = 0;
  records.forEach(([, bytes], i) => (length += RECORD_HEAD + ids[i]!.byteLength + bytes.byteLength));
  const group = new Uint8Array(length);
  const view = new DataView(group.buffer);
  let at = 0;
  records.forEach(([, bytes, timed], i) => {
    const id = ids[i]!;
    view.setUint16(at, id.byteLength, true);
    view.setUint8(at + 2, timed ? 1 : 0);
    view.setUint32(at + 3, bytes.byteLength, true);
    at += RECORD_HEAD;
    group.set(id, at);
    at += id.byteLength;
    group.set(bytes, at);
    at += bytes.byteLength;
  });
  return group;
}

function decodeGroup(what: string, group: Uint8Array): SnapshotRecord[] {
  const view = new DataView(group.buffer, group.byteOffset, group.byteLength);
  const records: SnapshotRecord[] = [];
  for (let at = 0; at < group.byteLength;) {
    if (at + RECORD_HEAD > group.byteLength) throw damaged(what, 'a record is cut off');
    const idAt = at + RECORD_HEAD;
    const bytesAt = idAt + view.getUint16(at, true);
    const end = bytesAt + view.getUint32(at + 3, true);
    if (end > group.byteLength) throw damaged(what, 'a record is cut off');
    const id = decoder.decode(group.subarray(idAt, bytesAt)) as ActorId;
    records.push([id, group.subarray(bytesAt, end), view.getUint8(at + 2) === 1]);
    at = end;
  }
  return records;
}

export function base64(bytes: Uint8Array): string {
  let binary = '';
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}

export function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
}
