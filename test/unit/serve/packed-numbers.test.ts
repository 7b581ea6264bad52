/** Packed numbers. Hunts a number that comes back as another: history would differ from the row that was published. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PackedNumbers } from '../../../src/serve/packed-numbers.js';

const number = fc.oneof(
  fc.nat(300),
  fc.nat(5_000_000_000).map((milli) => milli / 1000),
  fc.double(),
  fc.integer(),
  fc.constantFrom(0, -0, 253, 254, 255, 256, 0.0005, 4_294_967.295, 4_294_967.296, 1.2, NaN, Infinity, 1e21),
);

describe('packed numbers', () => {
  it('come back as they were written', () => {
    fc.assert(
      fc.property(fc.array(fc.array(number, { maxLength: 30 }), { maxLength: 60 }), (lists) => {
        const packed = new PackedNumbers(1);
        const places = lists.map((list) => {
          const at = packed.length;
          for (const one of list) packed.write(one);
          return at;
        });
        for (const [i, list] of lists.entries()) {
          const back = packed.read(places[i]!, list.length);
          expect(back.every((one, j) => Object.is(one, list[j]))).toBe(true);
        }
      }),
    );
  });

  it('take one byte for a count and five for seconds with three decimals', () => {
    const packed = new PackedNumbers();
    packed.write(17);
    expect(packed.length).toBe(1);
    packed.write(412.125);
    expect(packed.length).toBe(6);
    packed.clear();
    packed.write(3);
    expect(packed.read(0, 1)).toEqual([3]);
  });
});
