// Hunts: a node of another version, or somebody else's value, that ends this one or is taken for a node of nonsense.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeRecord, encodeRecord } from '../../../../src/node/membership/record.js';
import { recordOf } from './records.js';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const said = (change: object): Uint8Array =>
  bytes(
    JSON.stringify({
      ...(JSON.parse(new TextDecoder().decode(encodeRecord(recordOf('a')))) as object),
      ...change,
    }),
  );

describe('a node’s record', () => {
  it('comes back as it was written', () => {
    const partitions = fc.uniqueArray(fc.nat(999), { maxLength: 50 });
    fc.assert(
      fc.property(
        fc.uuid(),
        fc.option(fc.webUrl(), { nil: undefined }),
        fc.boolean(),
        fc.double({ min: 0.01, max: 100, noNaN: true }),
        partitions,
        partitions,
        (id, http, draining, weight, owned, ready) => {
          const record = recordOf(id, { http, draining, weight, owned, ready });
          expect(decodeRecord(encodeRecord(record))).toEqual({ kind: 'record', record });
        },
      ),
    );
  });

  it('may say more than this version knows', () => {
    expect(decodeRecord(said({ mood: 'good' }))).toEqual({ kind: 'record', record: recordOf('a') });
  });

  it.each([
    ['nothing', new Uint8Array()],
    ['bytes that are no text', new Uint8Array([0xff, 0xfe, 0x00])],
    ['no JSON', bytes('{"id":')],
    ['a number', bytes('7')],
    ['null', bytes('null')],
    ['a list', bytes('[]')],
    ['no format', bytes('{"id":"a"}')],
    ['a newer format', said({ format: 2 })],
    ['no id', said({ id: '' })],
    ['an id that is no subject token', said({ id: 'a.b' })],
    ['an id that is a wildcard', said({ id: '>' })],
    ['no weight', said({ weight: 0 })],
    ['a weight that is no number', said({ weight: 'heavy' })],
    ['partitions that are none', said({ owned: [1.5] })],
    ['a partition below 0', said({ ready: [-1] })],
    ['no draining', said({ draining: undefined })],
  ])('is ignored, with the reason, when it is %s', (_, value) => {
    const decoded = decodeRecord(value);
    expect(decoded).toMatchObject({ kind: 'ignored', why: expect.stringMatching(/\w/) as string });
  });

  it('any bytes at all are read or ignored, and never thrown about', () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array(), fc.json().map(bytes)), (value) => {
        expect(['record', 'ignored']).toContain(decodeRecord(value).kind);
      }),
    );
  });
});
