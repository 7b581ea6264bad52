// Hunts: a hash that another program, or the server itself, does not agree with: mail to a partition that has no such actor.
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fnv1a32, partitionOf, partitionOfKey } from '../../../src/core/hash.js';

describe('fnv1a32', () => {
  // Vectors of draft-eastlake-fnv and of the FNV authors' test suite.
  it.each([
    ['', 0x811c9dc5],
    ['a', 0xe40c292c],
    ['b', 0xe70c2de5],
    ['fo', 0x6222e842],
    ['foo', 0xa9f37ed7],
    ['foobar', 0xbf9cf968],
    ['chongo was here!\n', 0xd49930d5],
  ])('of %j is the published one', (text, hash) => {
    expect(fnv1a32(text)).toBe(hash);
  });

  it('is of the UTF-8 bytes, in arithmetic without rounding', () => {
    const reference = (text: string): number => {
      let hash = 0x811c9dc5n;
      for (const byte of new TextEncoder().encode(text))
        hash = ((hash ^ BigInt(byte)) * 0x01000193n) % 2n ** 32n;
      return Number(hash);
    };
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(fnv1a32(text)).toBe(reference(text));
      }),
    );
  });
});

describe('partitionOf', () => {
  it('property: is the same of a type and a key, and of the id that they make', () => {
    fc.assert(
      fc.property(
        fc.string(),
        fc.string({ unit: 'grapheme' }),
        fc.integer({ min: 1, max: 256 }),
        (type, key, partitions) => {
          expect(partitionOfKey(type, key, partitions)).toBe(partitionOf(`${type}/${key}`, partitions));
        },
      ),
    );
  });

  it('gives a partition that there is', () => {
    fc.assert(
      fc.property(fc.string(), fc.integer({ min: 1, max: 1_000 }), (id, partitions) => {
        const partition = partitionOf(id, partitions);
        expect(partition).toBe(fnv1a32(id) % partitions);
      }),
    );
  });

  it('spreads ids evenly: no partition of 16 has over half more, or less, than its share', () => {
    const counts = new Array<number>(16).fill(0);
    for (let i = 0; i < 16_000; i++) {
      const id = createHash('sha256').update(`${i}`).digest('hex').slice(0, 8);
      counts[partitionOf(`driver/${id}`, 16)]!++;
    }
    expect(Math.min(...counts)).toBeGreaterThan(500);
    expect(Math.max(...counts)).toBeLessThan(1_500);
  });
});
