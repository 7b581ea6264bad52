// Hunts a base snapshot that is read back as something else: cut off, changed on the way, of another version, or cut into
// pieces that its reader did not expect.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ActorId } from '../../../../src/core/ids.js';
import { decodeBase, encodeBase, type BaseHeader } from '../../../../src/node/base/base-format.js';
import { encodeBlock } from '../../../../src/node/base/block-stream.js';
import { decodeInputs, encodeInputs, type WaitingInput } from '../../../../src/node/base/input-archive.js';
import type { SnapshotRecord } from '../../../../src/state/store.js';
import { EagerClock } from '../../../support/eager-clock.js';

const clock = new EagerClock();
const header: BaseHeader = {
  region: 'sf',
  partitions: 16,
  partition: 7,
  journalSeq: 1_234,
  control: new Uint8Array([0, 1, 2, 250, 255]),
};

async function collected(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all);
}

async function* inPieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += size)
    yield await Promise.resolve(bytes.subarray(at, at + size));
}

async function decoded(
  bytes: Uint8Array,
  size = 1_000,
): Promise<{ header: BaseHeader; records: SnapshotRecord[] }> {
  const base = await decodeBase('The base', inPieces(bytes, size));
  const records: SnapshotRecord[] = [];
  for await (const group of base.records) records.push(...group);
  return { header: base.header, records };
}

const record = fc.tuple(
  fc.string({ unit: 'grapheme', maxLength: 12 }).map((key) => `cell/${key}` as ActorId),
  fc.uint8Array({ maxLength: 40 }),
  fc.boolean(),
);
const plain = (records: readonly SnapshotRecord[]): unknown[] =>
  records.map(([id, bytes, timed]) => [id, [...bytes], timed]);

const sample = async (): Promise<Buffer> => {
  const bites = [0, 1].map((bite) =>
    Array.from({ length: 20 }, (_, i): SnapshotRecord => {
      return [`driver/d-${bite}-${i}` as ActorId, new Uint8Array(30).fill(i), i % 2 === 0];
    }),
  );
  return collected(encodeBase(header, bites, clock));
};

describe('a base snapshot', () => {
  it('says what it is, and gives its records back, however its bytes are cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(record, { maxLength: 5 })),
        fc.integer({ min: 1, max: 200 }),
        async (bites, size) => {
          const bytes = await collected(encodeBase(header, bites, clock));
          const { header: found, records } = await decoded(bytes, size);
          expect({ ...found, control: [...found.control] }).toEqual({
            ...header,
            control: [...header.control],
          });
          expect(plain(records)).toEqual(plain(bites.flat()));
        },
      ),
      { numRuns: 60 },
    );
  });

  it('that was cut off anywhere is damaged', async () => {
    const bytes = await sample();
    for (let length = 0; length < bytes.byteLength; length++)
      await expect(decoded(bytes.subarray(0, length)), `${length} bytes`).rejects.toMatchObject({
        code: 'GS_DATA_CORRUPT',
      });
  });

  it('with any byte changed is damaged', async () => {
    const bytes = await sample();
    for (let at = 0; at < bytes.byteLength; at++) {
      const changed = Buffer.from(bytes);
      changed[at]! ^= 0x21;
      await expect(decoded(changed), `byte ${at}`).rejects.toMatchObject({ code: 'GS_DATA_CORRUPT' });
    }
  });

  it('that goes on after its end, or is something else, is damaged', async () => {
    const bytes = await sample();
    const more = Buffer.concat([bytes, encodeBlock(2, new Uint8Array())]);
    await expect(decoded(more)).rejects.toMatchObject({ code: 'GS_DATA_CORRUPT' });
    const other = encodeBlock(1, new TextEncoder().encode('{"format":1}'));
    await expect(decoded(other)).rejects.toMatchObject({ code: 'GS_DATA_CORRUPT' });
  });

  it('of a newer format is refused', async () => {
    const newer = encodeBlock(
      1,
      new TextEncoder().encode(JSON.stringify({ base: true, format: 2, control: '' })),
    );
    await expect(decoded(newer)).rejects.toMatchObject({ code: 'GS_DATA_NEWER' });
  });
});

describe('archived inputs', () => {
  const inputs: WaitingInput[] = [
    { seq: 7, events: true, payload: new Uint8Array([1, 2]) },
    { seq: 2 ** 40 + 1, events: false, payload: new Uint8Array() },
  ];
  async function* all(): AsyncGenerator<WaitingInput> {
    for (const input of inputs) yield await Promise.resolve(input);
  }
  const read = async (bytes: Uint8Array): Promise<WaitingInput[]> => {
    const found: WaitingInput[] = [];
    for await (const input of decodeInputs('The inputs', inPieces(bytes, 3))) found.push(input);
    return found;
  };

  it('come back in order, with their sequences', async () => {
    expect(await read(await collected(encodeInputs(all())))).toEqual(inputs);
  });

  it('are damaged when one is missing', async () => {
    const bytes = await collected(encodeInputs(all()));
    for (const length of [0, 9, 19, bytes.byteLength - 1])
      await expect(read(bytes.subarray(0, length))).rejects.toMatchObject({ code: 'GS_DATA_CORRUPT' });
  });
});
