// Hunts a checksum that misses bytes at the ends of its steps of eight, or depends on how its input is cut.
import { crc32 as zlibCrc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { crc32 } from '../../../src/core/crc32.js';

describe('crc32', () => {
  it('is the one of gzip', () => {
    expect(crc32(new TextEncoder().encode('123456789'))).toBe(0xcbf43926);
    expect(crc32(new Uint8Array())).toBe(0);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        expect(crc32(bytes)).toBe(zlibCrc32(bytes));
      }),
    );
  });

  it('is the same however the bytes are cut', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat(60), (bytes, at) => {
        expect(crc32(bytes.subarray(at), crc32(bytes.subarray(0, at)))).toBe(crc32(bytes));
        const end = Math.min(at, bytes.length);
        expect(crc32(bytes, crc32(bytes, 0, 0, end), end)).toBe(crc32(bytes));
      }),
    );
  });

  it('tells of any single bit', () => {
    const bytes = new Uint8Array(32).fill(7);
    const whole = crc32(bytes);
    for (let bit = 0; bit < 256; bit++) {
      const flipped = new Uint8Array(bytes);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      expect(crc32(flipped)).not.toBe(whole);
    }
  });
});
