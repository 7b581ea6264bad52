/** Inputs of a partition that wait, as bytes: the frames as they are in the stream, in its order. */
import { damaged, encodeBlock, readBlocks } from './block-stream.js';

export interface WaitingInput {
  /** Sequence in the stream that it was read from. */
  readonly seq: number;
  /** An event frame of a producer; else mail of other partitions. */
  readonly events: boolean;
  readonly payload: Uint8Array;
}

const KIND = { events: 11, mail: 12, end: 13 } as const;

export async function* encodeInputs(inputs: AsyncIterable<WaitingInput>): AsyncGenerator<Uint8Array> {
  let count = 0;
  for await (const { seq, events, payload } of inputs) {
    count++;
    const block = new Uint8Array(8 + payload.byteLength);
    new DataView(block.buffer).setFloat64(0, seq, true);
    block.set(payload, 8);
    yield encodeBlock(events ? KIND.events : KIND.mail, block);
  }
  yield encodeBlock(KIND.end, new TextEncoder().encode(JSON.stringify({ count })));
}

/** @throws GroundswellError GS_DATA_CORRUPT when there are not as many as were written */
export async function* decodeInputs(
  what: string,
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<WaitingInput> {
  let count = 0;
  let said: number | undefined;
  for await (const { kind, payload } of readBlocks(what, chunks)) {
    if (said !== undefined) throw damaged(what, 'it goes on after its end');
    if (kind === KIND.end) {
      said = (JSON.parse(new TextDecoder().decode(payload)) as { count: number }).count;
      continue;
    }
    if ((kind !== KIND.events && kind !== KIND.mail) || payload.byteLength < 8)
      throw damaged(what, 'a block is no input');
    count++;
    const seq = new DataView(payload.buffer, payload.byteOffset, 8).getFloat64(0, true);
    yield { seq, events: kind === KIND.events, payload: payload.subarray(8) };
  }
  if (said !== count) throw damaged(what, `it has ${count} of ${said ?? 'unknown'} inputs`);
}
