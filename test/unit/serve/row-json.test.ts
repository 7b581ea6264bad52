/** Hunts rows that change on their way through blocks: fields lost, numbers written otherwise, kinds mixed up. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Row } from '../../../src/actor/row.js';
import { countRows, RowBlocks, rowsOf, splitBlock, stride } from '../../../src/partition/row-block.js';
import { decodeOutput, encodeOutput } from '../../../src/partition/output.js';
import { renderRows } from '../../../src/serve/row-json.js';
import { rowSchema, surgeOf, surgeSchema } from '../../../src/serve/row-schema.js';

const number = fc.oneof(
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }).filter((x) => !Object.is(x, -0)),
);
const timeMs = fc.integer({ min: 0, max: 2_000_000_000 }).map((s) => s * 1000);

const row: fc.Arbitrary<Row> = fc
  .record({
    level: fc.constantFrom('cell', 'gh5', 'region', 'my"level'),
    key: fc.string({ minLength: 1, maxLength: 8 }),
    window: fc.constantFrom('1m', '5m'),
    end: timeMs,
    rev: fc.nat(3),
    final: fc.boolean(),
    names: fc.constantFrom(['a'], ['a', 'b'], ['open_s', 'drivers'], []),
    values: fc.array(number, { minLength: 2, maxLength: 2 }),
    surge: fc.option(fc.record({ multiplier: number, raw: number, model: fc.constantFrom('m@1', 'm@2') }), {
      nil: undefined,
    }),
    watermark: timeMs,
    children: fc.option(fc.nat(9), { nil: undefined }),
  })
  .map(({ names, values, window, end, children, surge, ...rest }) => {
    const features = Object.fromEntries(names.map((name, i) => [name, values[i]!]));
    const completeness = { expected: 16, reported: 16, ...(children === undefined ? {} : { children }) };
    const { level, key, rev, final, watermark } = rest;
    const start = end - (window === '1m' ? 60_000 : 300_000);
    return {
      region: 'sf',
      level,
      key,
      window,
      start,
      end,
      rev,
      final,
      features,
      ...(surge ? { surge } : {}),
      watermark,
      completeness,
    };
  });

const blocksOf = (rows: readonly Row[]) => {
  const blocks = new RowBlocks();
  for (const each of rows) blocks.add(each);
  return blocks.take();
};
const texts = (rows: readonly Row[]) => rows.map((each) => JSON.stringify(each)).sort();

describe('rows in blocks', () => {
  it('come out as they went in, each once', () => {
    fc.assert(
      fc.property(fc.array(row), (rows) => {
        expect(texts(rowsOf(blocksOf(rows)))).toEqual(texts(rows));
      }),
    );
  });

  it('are rendered as JSON.stringify writes them', () => {
    fc.assert(
      fc.property(fc.array(row), (rows) => {
        const rendered: string[] = [];
        for (const block of blocksOf(rows)) renderRows(block, -1, (json) => rendered.push(json));
        expect(rendered.sort()).toEqual(texts(rows));
      }),
    );
  });

  it('are split without loss, down to the last one', () => {
    fc.assert(
      fc.property(fc.array(row, { minLength: 2 }), (rows) => {
        const parts = blocksOf(rows).flatMap((block) => (block.count > 1 ? splitBlock(block) : [block]));
        for (const part of parts) expect(part.numbers).toHaveLength(part.keys.length * stride(part.kind));
        expect(texts(rowsOf(parts))).toEqual(texts(rows));
      }),
    );
  });

  it('travel in frames of any size that holds one row, all of them, progress in the last frame only', () => {
    fc.assert(
      fc.property(fc.array(row, { minLength: 1 }), fc.integer({ min: 600, max: 5_000 }), (rows, bytesMax) => {
        const progress = {
          partition: 0,
          commit: 1,
          watermarkMs: 0,
          closed: [0],
          latestTimerMs: 0,
          counters: {},
        };
        const sides = [{ kind: 'late' as const, type: 'x', body: { a: 1 } }];
        const frames = encodeOutput({ progress, blocks: blocksOf(rows), sides, shown: [] }, bytesMax);
        for (const frame of frames) expect(frame.byteLength).toBeLessThanOrEqual(bytesMax);
        const read = frames.map(decodeOutput);
        expect(texts(read.flatMap((frame) => frame.rows))).toEqual(texts(rows));
        expect(read.flatMap((frame) => frame.sides)).toEqual(sides);
        expect(read.map((frame) => frame.progress !== null)).toEqual(
          frames.map((_, i) => i === frames.length - 1),
        );
      }),
    );
  });

  it('are left out, and not counted, when their window ended before', () => {
    fc.assert(
      fc.property(fc.array(row), timeMs, (rows, afterMs) => {
        const blocks = blocksOf(rows);
        let rendered = 0;
        for (const block of blocks) renderRows(block, afterMs, () => rendered++);
        const expected = rows.filter(({ end }) => end > afterMs).length;
        expect(rendered).toBe(expected);
        expect(blocks.reduce((sum, block) => sum + countRows(block, afterMs), 0)).toBe(expected);
      }),
    );
  });

  it('say which row is too large for any message', () => {
    const features = Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`feature_number_${i}`, i]));
    const [large] = fc.sample(row, 1);
    const output = {
      progress: null,
      blocks: blocksOf([{ ...large!, key: '9q8yyk', level: 'cell', features }]),
      sides: [],
      shown: [],
    };
    expect(() => encodeOutput(output, 600)).toThrow(/cell\/9q8yyk/);
  });
});

describe('row schemas', () => {
  const sample: Row = {
    region: 'sf',
    level: 'cell',
    key: '9q8yyk',
    window: '1m',
    start: 0,
    end: 60_000,
    rev: 0,
    final: true,
    features: { requests: 1 },
    surge: { multiplier: 1.2, raw: 1.17, model: 'm@1' },
    watermark: 60_000,
    completeness: { expected: 1, reported: 1 },
  };

  it('accept what the engine makes', () => {
    expect(rowSchema.parse(sample)).toEqual(sample);
    expect(surgeSchema.parse(surgeOf(sample))).toMatchObject({ key: '9q8yyk', multiplier: 1.2 });
  });

  it('a correction gives no price again', () => {
    expect(surgeOf({ ...sample, rev: 1 })).toBeUndefined();
  });
});
