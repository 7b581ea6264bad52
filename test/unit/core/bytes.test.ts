/** Hunts: a value that comes back another one, or takes bytes of its neighbour. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteReader, ByteWriter } from '../../../src/core/bytes.js';

type Value =
  | readonly ['uint' | 'int' | 'float' | 'number', number]
  | readonly ['text', string]
  | readonly ['bytes', Uint8Array];

const value: fc.Arbitrary<Value> = fc.oneof(
  fc.tuple(fc.constant('uint' as const), fc.oneof(fc.nat(300), fc.maxSafeNat())),
  fc.tuple(
    fc.constant('int' as const),
    fc.oneof(fc.integer(), fc.integer({ min: -(2 ** 52), max: 2 ** 52 - 1 })),
  ),
  fc.tuple(fc.constant('float' as const), fc.double({ noNaN: true })),
  fc.tuple(
    fc.constant('number' as const),
    fc
      .oneof(
        fc.integer(),
        fc.maxSafeInteger(),
        fc.double(),
        fc.maxSafeInteger().map((thousandths) => thousandths / 1000),
        fc.double().map((value) => Number(value.toFixed(3))),
        fc.constantFrom(2 ** 49, -(2 ** 49), 2 ** 49 + 1, -(2 ** 49) - 1, 2 ** 49 / 1000, 180.5),
      )
      // It does not tell -0 from 0.
      .map((value) => value + 0),
  ),
  fc.tuple(fc.constant('text' as const), fc.string({ unit: 'binary' })),
  fc.tuple(fc.constant('bytes' as const), fc.uint8Array({ maxLength: 2_000 })),
);

describe('bytes', () => {
  it('come back as they were written, in order, with one writer for all', () => {
    const writer = new ByteWriter();
    fc.assert(
      fc.property(fc.array(value), (values) => {
        for (const [kind, of] of values) (writer[kind] as (of: unknown) => void).call(writer, of);
        const reader = new ByteReader(writer.take());
        for (const [kind, of] of values) expect(reader[kind]()).toEqual(of);
        expect(reader.done).toBe(true);
      }),
    );
  });

  it('lists come back as they were written, and what stands behind them', () => {
    const integers = fc.array(fc.oneof(fc.integer(), fc.integer({ min: -(2 ** 51), max: 2 ** 51 })));
    const naturals = fc.array(fc.oneof(fc.nat(300), fc.nat(2 ** 31 - 1)));
    const numbers = fc.array(fc.double({ noNaN: true }).map((value) => value + 0));
    const texts = fc.array(fc.oneof(fc.string(), fc.string({ unit: 'binary' })));
    fc.assert(
      fc.property(integers, naturals, numbers, texts, (some, others, doubles, words) => {
        const writer = new ByteWriter();
        writer.ints(some).uints(others).differences(some).floats(doubles).joined(words);
        writer
          .numbers(Float64Array.from(doubles), 0, doubles.length)
          .uints([1, ...others, 2], 1, others.length + 1);
        const reader = new ByteReader(writer.text('behind').take());
        expect(reader.ints(some.length)).toEqual(some);
        expect([...reader.uints(others.length)]).toEqual(others);
        expect([...reader.differences(some.length)]).toEqual(some);
        expect([...reader.floats(doubles.length)]).toEqual(doubles);
        expect(reader.text()).toBe(words.join(''));
        for (const value of doubles) expect(reader.number()).toBe(value);
        for (const value of others) expect(reader.uint()).toBe(value);
        expect(reader.text()).toBe('behind');
      }),
    );
  });

  it('runs come back as they were written, in few bytes where values repeat', () => {
    const run = fc.tuple(fc.integer({ min: -(2 ** 50), max: 2 ** 50 }), fc.integer({ min: 1, max: 40 }));
    fc.assert(
      fc.property(fc.array(run), (runs) => {
        const values = runs.flatMap(([value, length]) => new Array<number>(length).fill(value));
        const written = new ByteWriter().runs(values).text('behind').take();
        expect(written.length).toBeLessThanOrEqual(4 + 10 * runs.length + 7);
        const reader = new ByteReader(written);
        expect(reader.runs(values.length)).toEqual(values);
        expect(reader.text()).toBe('behind');
        if (values.length > 0)
          expect(() => new ByteReader(written).runs(values.length - 1)).toThrow(RangeError);
      }),
    );
    for (const wrong of [[2], [2, 0, 0], [2, 3, 0], [2, 1, 0, 2, 0]])
      expect(() => new ByteReader(Uint8Array.from(wrong)).runs(100)).toThrow(RangeError);
  });

  it('no memory is taken for lists that the bytes cannot hold', () => {
    const reader = (): ByteReader => new ByteReader(new Uint8Array([1, 2, 3]));
    for (const read of ['ints', 'uints', 'differences', 'floats'] as const)
      expect(() => reader()[read](2 ** 40)).toThrow(RangeError);
  });

  it('what was taken stays as it is when more is written, and what failed leaves nothing behind', () => {
    const writer = new ByteWriter();
    const first = writer.text('first').take();
    writer.text('half of somethi').clear().text('other');
    expect(new ByteReader(writer.take()).text()).toBe('other');
    expect(new ByteReader(first).text()).toBe('first');
  });

  it.each([
    [0, 1],
    [31, 1],
    [-31, 1],
    [180.5, 3],
    [-0.001, 1],
    [1 / 3, 9],
  ])('the number %d takes %d bytes', (value, bytes) => {
    expect(new ByteWriter().number(value).take()).toHaveLength(bytes);
  });

  it('what another one has written stands behind it as it is, however much it is', () => {
    for (let length = 0; length < 300; length++) {
      const bytes = Uint8Array.from({ length }, (_, i) => (i * 37 + length) % 256);
      const [one, other] = [new ByteWriter(), new ByteWriter()];
      // Neither begins where its memory does.
      one.text('taken before').take();
      one.text('before');
      other.uint(length).take();
      const reader = new ByteReader(one.writtenBy(other.raw(bytes)).rawBy(other).take());
      expect(reader.text()).toBe('before');
      expect([...reader.bytes()]).toEqual([...bytes]);
      expect([...reader.raw()]).toEqual([...bytes]);
      expect(other.length).toBe(length);
    }
  });

  it('a part is read as if there were nothing around it', () => {
    const parts = ['a', 'bc'].map((text) => new ByteWriter().text(text).uint(300).take());
    const all = new Uint8Array(Buffer.concat(parts));
    const reader = new ByteReader(all, 0, parts[0]!.length);
    expect([reader.text(), reader.uint(), reader.done]).toEqual(['a', 300, true]);
    expect(() => reader.uint()).toThrow(RangeError);
    expect(() => new ByteReader(all, 2, 3).uint()).toThrow(RangeError);
    expect(new ByteReader(all, parts[0]!.length).raw()).toEqual(parts[1]);
  });

  it('bytes that end too early are an error, not a value', () => {
    expect(() => new ByteReader(new Uint8Array([0x80])).uint()).toThrow(RangeError);
    expect(() => new ByteReader(new Uint8Array([5, 1, 2])).bytes()).toThrow(RangeError);
  });
});
