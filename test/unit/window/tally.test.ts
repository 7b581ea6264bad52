// Hunts: a window's sum that drifts from its panes; a late correction that leaves a trace; a quantile off by more than it says.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteWriter } from '../../../src/core/bytes.js';
import { Panes } from '../../../src/window/panes.js';
import { mergeSketch, quantile, SKETCH_ACCURACY, sketchOf, type Sketch } from '../../../src/window/sketch.js';
import { addTally, copyTally, isZeroTally, TallyShape, type Tally } from '../../../src/window/tally.js';

const PANE = 60_000;
const count = fc.integer({ min: -1_000, max: 1_000 });
const values = fc.array(fc.integer({ min: 0, max: 10_000_000 }), { maxLength: 12 });
const sketch = values.map((list) => list.reduce<Sketch>((s, value) => mergeSketch(s, sketchOf(value)), []));
const tally: fc.Arbitrary<Tally> = fc
  .tuple(fc.array(count, { maxLength: 6 }), fc.option(sketch, { nil: undefined }))
  .map(([n, q]) => (q === undefined ? { n } : { n, q }));

/** A tally as a value: no trailing zeros, bins in order. */
function plain({ n, q }: Tally): unknown {
  return [n.slice(0, n.findLastIndex((value) => value !== 0) + 1), bins(q ?? [])];
}
function bins(q: Sketch): [number, number][] {
  const pairs: [number, number][] = [];
  for (let i = 0; i < q.length; i += 2) pairs.push([q[i]!, q[i + 1]!]);
  return pairs.sort(([a], [b]) => a - b);
}

describe('Tally', () => {
  it('adding and taking away again is as if it had never been', () => {
    fc.assert(
      fc.property(tally, tally, (a, b) => {
        const sum = addTally(addTally(copyTally(a), b), b, -1);
        expect(plain(sum)).toEqual(plain(a));
        expect(isZeroTally(addTally(copyTally(a), a, -1))).toBe(true);
      }),
    );
  });

  it('adds in any order and grouping to the same, and leaves what it adds alone', () => {
    fc.assert(
      fc.property(tally, tally, tally, (a, b, c) => {
        const before = plain(b);
        const left = addTally(addTally(copyTally(a), b), c);
        const right = addTally(copyTally(c), addTally(copyTally(b), a));
        expect(plain(left)).toEqual(plain(right));
        expect(plain(b)).toEqual(before);
      }),
    );
  });

  it('a copy shares nothing with what it was copied from', () => {
    fc.assert(
      fc.property(tally, tally, (a, b) => {
        const before = plain(a);
        addTally(copyTally(a), b);
        expect(plain(a)).toEqual(before);
      }),
    );
  });

  it('is zero when every counter is 0 and the sketch is empty', () => {
    expect([{ n: [] }, { n: [0, 0] }, { n: [0], q: [] }].map(isZeroTally)).toEqual([true, true, true]);
    expect([{ n: [0, 1] }, { n: [-1] }, { n: [], q: [5, 1] }].map(isZeroTally)).toEqual([
      false,
      false,
      false,
    ]);
  });

  it('a shape puts names at their index', () => {
    const shape = new TallyShape(['requests', 'riders', 'pickups']);
    expect(shape.index).toEqual({ requests: 0, riders: 1, pickups: 2 });
    expect(shape.of({ pickups: 3, requests: 1 })).toEqual({ n: [1, 0, 3] });
    expect(shape.zero()).toEqual({ n: [0, 0, 0] });
  });
});

describe('Sketch', () => {
  it('a quantile is within 1 % of the exact one', () => {
    const list = fc.array(fc.integer({ min: 0, max: 10_000_000 }), { minLength: 1, maxLength: 100 });
    fc.assert(
      fc.property(list, fc.double({ min: 0, max: 1, noNaN: true }), (all, q) => {
        const merged = all.reduce<Sketch>((s, value) => mergeSketch(s, sketchOf(value)), []);
        const exact = [...all].sort((a, b) => a - b)[Math.floor(q * (all.length - 1))]!;
        const error = Math.abs(quantile(merged, q)! - exact);
        expect(error).toBeLessThanOrEqual(exact * SKETCH_ACCURACY * (1 + 1e-9));
      }),
      { numRuns: 500 },
    );
  });

  it('merges in any order to the same, and takes back exactly', () => {
    fc.assert(
      fc.property(sketch, sketch, (a, b) => {
        const ab = mergeSketch([...a], b);
        expect(bins(ab)).toEqual(bins(mergeSketch([...b], a)));
        expect(bins(mergeSketch(ab, b, -1))).toEqual(bins(a));
      }),
    );
  });

  it('counts a value as often as it is said to be there', () => {
    const merged = mergeSketch(sketchOf(10, 9), sketchOf(1_000, 1));
    expect(quantile(merged, 0.5)).toBeCloseTo(10, 0);
    expect(quantile(merged, 1)! / 1_000).toBeCloseTo(1, 1);
  });

  it('of nothing has no quantile; of zeros it is zero', () => {
    expect(quantile([], 0.5)).toBeUndefined();
    expect(quantile(mergeSketch(sketchOf(0), sketchOf(0)), 0.9)).toBe(0);
  });
});

describe('Panes', () => {
  const sizesMs = [PANE, 3 * PANE, 5 * PANE];
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.record({ add: tally, pane: fc.nat(12) }) },
    { weight: 3, arbitrary: fc.record({ slideBy: fc.constantFrom(1, 1, 1, 2, 4) }) },
    { weight: 1, arbitrary: fc.constant('store' as const) },
    { weight: 1, arbitrary: fc.record({ pruneBehind: fc.nat(8) }) },
  );

  it('running sums are the sums of their panes, whatever is added, slid, pruned and stored in between', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        let panes = new Panes(PANE);
        const model = new Map<number, Tally>();
        let endMs = 0;
        for (const what of steps) {
          if (what === 'store') {
            panes = Panes.from(structuredClone(panes.writeTo(new ByteWriter()).take()), PANE);
          } else if ('add' in what) {
            const startMs = what.pane * PANE;
            panes.add(startMs, what.add);
            model.set(startMs, addTally(model.get(startMs) ?? { n: [] }, what.add));
          } else if ('pruneBehind' in what) {
            const beforeMs = endMs - what.pruneBehind * PANE;
            panes.prune(beforeMs);
            for (const startMs of model.keys()) if (startMs < beforeMs) model.delete(startMs);
          } else {
            endMs += what.slideBy * PANE;
            panes.slideTo(endMs, sizesMs);
          }
          // One of a size that is not kept running, too.
          for (const sizeMs of [...sizesMs, 2 * PANE]) {
            const expected: Tally = { n: [] };
            for (const [startMs, pane] of model)
              if (startMs >= endMs - sizeMs && startMs < endMs) addTally(expected, pane);
            expect(plain(panes.windowEnding(endMs, sizeMs) ?? { n: [] })).toEqual(plain(expected));
            expect(plain(panes.sumOf(endMs, sizeMs))).toEqual(plain(expected));
          }
          expect(panes.list().map(([startMs, pane]) => [startMs, plain(pane)])).toEqual(
            [...model].sort(([a], [b]) => a - b).map(([startMs, pane]) => [startMs, plain(pane)]),
          );
        }
      }),
      { numRuns: 300 },
    );
  });

  it('keeps the tally as it was added, not the object', () => {
    const panes = new Panes(PANE);
    const one: Tally = { n: [1] };
    panes.add(0, one);
    panes.add(0, one);
    expect([one.n, panes.get(0)!.n]).toEqual([[1], [2]]);
  });

  it('prune drops panes that start before a time, and no other', () => {
    const panes = new Panes(PANE);
    for (const pane of [0, 1, 2, 3]) panes.add(pane * PANE, { n: [1] });
    panes.prune(2 * PANE);
    expect([0, 1, 2, 3].map((pane) => panes.get(pane * PANE) !== undefined)).toEqual([
      false,
      false,
      true,
      true,
    ]);
    expect(panes.list().map(([startMs]) => startMs / PANE)).toEqual([2, 3]);
  });

  it('finds the earliest pane from a time on, and any within a span', () => {
    const panes = new Panes(PANE);
    for (const pane of [7, 3, 5]) panes.add(pane * PANE, { n: [1] });
    expect([0, 3, 4, 8].map((pane) => panes.earliestFrom(pane * PANE))).toEqual([
      3 * PANE,
      3 * PANE,
      5 * PANE,
      undefined,
    ]);
    expect(panes.anyIn(3 * PANE, 4 * PANE)).toBe(true);
    expect(panes.anyIn(4 * PANE, 5 * PANE)).toBe(false);
  });

  it('revisions count up per window, outlive storing, and go when their window is pruned', () => {
    let panes = new Panes(PANE);
    expect([1, 2, 3].map(() => panes.revise(PANE, 2 * PANE))).toEqual([1, 2, 3]);
    expect(panes.revise(3 * PANE, 2 * PANE)).toBe(1);
    panes = Panes.from(structuredClone(panes.writeTo(new ByteWriter()).take()), PANE);
    expect(panes.revise(PANE, 2 * PANE)).toBe(4);
    panes.prune(3 * PANE);
    expect(panes.revisions()).toEqual([]);
  });
});
