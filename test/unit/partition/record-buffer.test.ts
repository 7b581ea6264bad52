// Hunts: an object that comes back as another, or in another one's place, after it was taken apart.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RecordBuffer, SHAPES_MAX } from '../../../src/partition/record-buffer.js';
import { codeFrom } from '../../../src/partition/record-code.js';

describe('RecordBuffer', () => {
  it('property: gives objects back as they were, in order, however many shapes they have', () => {
    const record = fc.dictionary(
      fc.stringMatching(/^[a-e]$/),
      fc.oneof(fc.integer(), fc.double(), fc.string()),
      {
        noNullPrototype: true,
      },
    );
    fc.assert(
      fc.property(fc.array(record, { maxLength: 80 }), (records) => {
        const buffer = RecordBuffer.of(records);
        expect(buffer.count).toBe(records.length);
        expect(buffer.list()).toEqual(records);
        expect(buffer.list().map((one) => Object.keys(one))).toEqual(records.map((one) => Object.keys(one)));
        expect(buffer.shapes.length).toBeLessThanOrEqual(SHAPES_MAX);
      }),
    );
  });

  it('keeps objects whole that are too unlike, or have a name that none can have', () => {
    const unlike = Array.from({ length: SHAPES_MAX + 1 }, (_, i) => ({ [`field${i}`]: i }));
    expect(RecordBuffer.of(unlike).whole).toEqual(unlike);
    expect(RecordBuffer.of(unlike.slice(1)).whole).toBeUndefined();
    const named = JSON.parse('{"__proto__":{"polluted":true}}') as Record<string, unknown>;
    expect(RecordBuffer.of([{ a: 1 }, named]).whole).toHaveLength(2);
  });

  it('has no code for what are no names', () => {
    for (const json of ['5', '{"a":1}', '[1]', '["a",["b"]]'])
      expect(() => codeFrom(json)).toThrow(RangeError);
  });
});
