/**
 * Blocks in a stream of bytes that may be cut anywhere: each with its kind, its length and a checksum, so that a reader
 * holds one block at a time and knows at once when the bytes are not those that were written.
 */
import { crc32 } from '../../core/crc32.js';
import { GroundswellError } from '../../core/errors.js';

export interface Block {
  readonly kind: number;
  readonly payload: Uint8Array;
}

/** Kind (1), length of the payload (4), checksum of the payload (4). */
const HEAD_BYTES = 9;
/** No block is longer: a record is at most as large as a message of the stream. */
const PAYLOAD_BYTES_MAX = 128 * 1024 * 1024;

export function encodeBlock(kind: number, payload: Uint8Array): Uint8Array {
  const block = new Uint8Array(HEAD_BYTES + payload.byteLength);
  const view = new DataView(block.buffer);
  view.setUint8(0, kind);
  view.setUint32(1, payload.byteLength, true);
  view.setUint32(5, crc32(payload), true);
  block.set(payload, HEAD_BYTES);
  return block;
}

/** @throws GroundswellError GS_DATA_CORRUPT when the bytes are no blocks, or end within one */
export async function* readBlocks(what: string, chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Block> {
  let pieces: Uint8Array[] = [];
  let have = 0;
  /** Bytes of the next block, once its head has come. */
  let needed = HEAD_BYTES;
  for await (const chunk of chunks) {
    pieces.push(chunk);
    have += chunk.byteLength;
    if (have < needed) continue;
    const bytes = joined(pieces, have);
    let at = 0;
    for (;;) {
      needed = HEAD_BYTES;
      if (bytes.byteLength - at < needed) break;
      const view = new DataView(bytes.buffer, bytes.byteOffset + at);
      const length = view.getUint32(1, true);
      if (length > PAYLOAD_BYTES_MAX) throw damaged(what, 'a block is longer than any can be');
      needed = HEAD_BYTES + length;
      if (bytes.byteLength - at < needed) break;
      const payload = bytes.subarray(at + HEAD_BYTES, at + needed);
      if (crc32(payload) !== view.getUint32(5, true)) throw damaged(what, 'a checksum does not fit');
      yield { kind: view.getUint8(0), payload };
      at += needed;
    }
    pieces = at < bytes.byteLength ? [bytes.subarray(at)] : [];
    have = bytes.byteLength - at;
  }
  if (have > 0) throw damaged(what, 'it ends within a block');
}

export function damaged(what: string, why: string): GroundswellError {
  return new GroundswellError('GS_DATA_CORRUPT', `${what} is damaged: ${why}.`, {
    remedy: 'Take an older one: groundswell snapshot --list shows those of the region.',
  });
}

function joined(pieces: readonly Uint8Array[], length: number): Uint8Array {
  if (pieces.length === 1) return pieces[0]!;
  const whole = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.byteLength;
  }
  return whole;
}
