// Hunts: a value that comes back as another, or in another one's place, because of what stood beside it in its column.
import fc from 'fast-check';
import { Packr } from 'msgpackr';
import { describe, expect, it } from 'vitest';
import { ByteReader, ByteWriter } from '../../../src/core/bytes.js';
import { readColumn, writeColumn, writeRecords } from '../../../src/partition/columns.js';
import { RecordBuffer } from '../../../src/partition/record-buffer.js';

function throughColumn(values: readonly unknown[]): unknown[] {
  const writer = new ByteWriter();
  writeColumn(writer, values);
  // What stands behind a column is not touched by it.
  const reader = new ByteReader(writer.text('behind').take());
  const column = readColumn(reader, values.length);
  expect(reader.text()).toBe('behind');
  return values.map((_, i) => column(i));
}

/** As msgpack brings it back: what columns are measured by. */
function throughMsgpack(values: readonly unknown[]): unknown {
  const packr = new Packr({ useRecords: true, moreTypes: false });
  return packr.unpack(packr.pack(values));
}

const text = fc.oneof(
  fc.constantFrom('', 'open', 'd-1', 'é', '司机', '😀', 'a text that is longer than what is copied'),
  fc.string({ unit: 'grapheme' }),
);
const number = fc.oneof(
  fc.integer(),
  fc.maxSafeInteger(),
  fc.double(),
  fc.constantFrom(0, -0, 2 ** 51, -(2 ** 51), 2 ** 51 + 1, 1_211_354_580_000, Number.NaN),
);
const scalar = fc.oneof(text, number, fc.boolean(), fc.constant(null));
const record = fc.oneof(
  fc.record({
    ts: fc.integer(),
    driverId: text,
    lat: fc.double(),
    status: fc.constantFrom('open', 'ontrip'),
  }),
  fc.record({ n: fc.array(fc.nat(9)) }),
  fc.record({ n: fc.array(fc.nat(9)), q: fc.array(fc.integer()) }),
  fc.dictionary(fc.stringMatching(/^[a-z]{1,3}$/), fc.jsonValue({ maxDepth: 4 })),
);
const alike = fc.oneof(
  fc.array(text),
  fc.array(number),
  fc.array(fc.integer()),
  fc.array(fc.boolean()),
  fc.array(fc.array(number, { maxLength: 4 })),
  fc.array(fc.array(fc.integer(), { maxLength: 4 })),
  fc.array(record),
  fc.array(fc.oneof(scalar, record, fc.array(scalar))),
  fc.tuple(scalar, fc.nat(100)).map(([value, count]) => Array.from({ length: count }, () => value)),
);
/** Many texts, that repeat or do not. */
const texts = fc
  .tuple(fc.constantFrom(3, 1_000), fc.integer({ min: 60, max: 200 }))
  .map(([kinds, count]) => Array.from({ length: count }, (_, i) => `a driver of ${i % kinds}`));

describe('columns', () => {
  it('property: values come back as msgpack would bring them back, in order', () => {
    fc.assert(
      fc.property(
        fc.oneof(alike, texts).filter((values) => !JSON.stringify(values).includes('__proto__')),
        (values) => {
          const expected = throughMsgpack(values) as unknown[];
          // Doubles keep the sign of 0, which msgpack writes as an integer.
          expect(JSON.stringify(throughColumn(values))).toBe(JSON.stringify(expected));
          expect(throughColumn(values).map((value) => typeof value)).toEqual(
            expected.map((value) => typeof value),
          );
        },
      ),
      { numRuns: 1_000 },
    );
  });

  it('objects of many shapes, in any order, and a name that objects have by themselves', () => {
    const shaped = Array.from({ length: 100 }, (_, i) =>
      i % 3 === 0 ? { a: i } : i % 3 === 1 ? { b: `${i}`, a: i } : { a: i, b: `${i}` },
    );
    expect(throughColumn(shaped)).toEqual(shaped);
    expect(Object.keys(throughColumn(shaped)[1] as object)).toEqual(['b', 'a']);
    const scattered = Array.from({ length: 40 }, (_, i) => ({ [`field${i}`]: i }));
    expect(throughColumn(scattered)).toEqual(scattered);
    const named = [JSON.parse('{"__proto__":{"polluted":true},"a":1}')];
    const [back] = throughColumn(named) as [Record<string, unknown>];
    expect(back['polluted']).toBeUndefined();
    expect(back['a']).toBe(1);
  });

  it('objects of more kinds than are remembered, and names that are no names in a program', () => {
    for (let i = 0; i < 600; i++) {
      const strange = [{ [`"];throw ${i};//`]: i, 'a b': '\u2028', [`${i}\n`]: null }];
      expect(throughColumn(strange)).toEqual(strange);
    }
  });

  it('no objects at all, and what stands behind them', () => {
    const writer = new ByteWriter();
    writeRecords(writer, RecordBuffer.of([]));
    const reader = new ByteReader(writer.text('behind').take());
    readColumn(reader, 0);
    expect(reader.text()).toBe('behind');
  });

  it('each value is its own: who changes one changes no other', () => {
    const [first, second] = throughColumn([{ n: [1] }, { n: [1] }]) as [{ n: number[] }, { n: number[] }];
    first.n.push(2);
    expect(second).toEqual({ n: [1] });
  });

  it('bytes that end too early, or of a kind that is not known, are refused', () => {
    const writer = new ByteWriter();
    writeColumn(writer, ['a', 'b', 'c']);
    const whole = writer.take();
    expect(() => readColumn(new ByteReader(whole.subarray(0, 3)), 3)).toThrow(RangeError);
    expect(() => readColumn(new ByteReader(new ByteWriter().uint(99).bytes(whole).take()), 3)).toThrow('99');
  });
});
