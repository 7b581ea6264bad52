// Hunts: a price that a passenger could not be told the reason of: a NaN, a step that is no step, a bound that is none.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import type { GroundswellError } from '../../../src/core/errors.js';
import { LinearScorer, linearModelSchema, type LinearModel } from '../../../src/model/linear.js';
import { loadLinearModel } from '../../../src/model/load.js';

const KNOWN = new Map([
  ['1m', ['requests', 'open_s']],
  ['5m', ['requests', 'drivers_mean']],
]);
const base = {
  name: 'surge',
  version: 3,
  features: [] as unknown[],
  bias: 0,
  link: 'identity',
  bounds: { min: 0.001, max: 1_000_000 },
  quantum: 0.000001,
};
const model = (more: object): LinearModel => linearModelSchema.parse({ ...base, ...more });
const feature = (transform?: object, weight = 1, name = 'requests', window = '1m'): object => ({
  feature: name,
  window,
  weight,
  ...(transform === undefined ? {} : { transform }),
});
const raw = (more: object, ...input: number[]): number =>
  new LinearScorer(model(more), KNOWN).score(input).raw;

describe('LinearScorer: transforms', () => {
  it.each([
    ['identity is the default', undefined, [7], 7],
    ['log1p', { kind: 'log1p' }, [Math.E - 1], 1],
    ['log1p of less than 0 is that of 0', { kind: 'log1p' }, [-5], 0],
    ['sqrt', { kind: 'sqrt' }, [9], 3],
    ['sqrt of less than 0 is that of 0', { kind: 'sqrt' }, [-9], 0],
    ['clip within', { kind: 'clip', min: 2, max: 4 }, [3], 3],
    ['clip below', { kind: 'clip', min: 2, max: 4 }, [1], 2],
    ['clip above', { kind: 'clip', min: 2, max: 4 }, [9], 4],
    ['standardize', { kind: 'standardize', mean: 10, deviation: 4 }, [16], 1.5],
    ['ratio', { kind: 'ratio', over: { feature: 'open_s', window: '1m' }, floor: 1 }, [6, 4], 1.5],
    [
      'ratio over its floor',
      { kind: 'ratio', over: { feature: 'open_s', window: '1m' }, floor: 3 },
      [6, 0],
      2,
    ],
  ])('%s', (_, transform, input, expected) => {
    expect(raw({ features: [feature(transform)] }, ...input)).toBeCloseTo(expected, 12);
  });

  it('adds the bias and each weighted term', () => {
    const features = [feature(undefined, 2), feature({ kind: 'sqrt' }, -0.5, 'drivers_mean', '5m')];
    expect(raw({ features, bias: 10 }, 3, 16)).toBe(10 + 6 - 2);
  });

  it('links: exp and logistic', () => {
    expect(raw({ bias: 2, link: 'exp' })).toBe(Math.exp(2));
    expect(raw({ bias: 0, link: 'logistic' })).toBe(0.5);
  });

  it('asks for each feature once, in the order of first use, one of a ratio after its own', () => {
    const over = { feature: 'drivers_mean', window: '5m' };
    const ratio = { kind: 'ratio', over, floor: 1 };
    const features = [feature(ratio), feature(), feature(undefined, 1, 'drivers_mean', '5m')];
    expect(new LinearScorer(model({ features }), KNOWN).inputs).toEqual([
      { feature: 'requests', window: '1m' },
      over,
    ]);
  });

  it('is named by name and version', () => {
    expect(new LinearScorer(model({}), KNOWN).score([]).model).toBe('surge@3');
  });
});

describe('LinearScorer: the multiplier', () => {
  const quanta = fc.constantFrom(0.01, 0.05, 0.1, 0.25, 0.5, 1);

  it('is a multiple of the quantum, nearest to the raw score within the bounds, for any input', () => {
    const steps = fc.tuple(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 40 }));
    fc.assert(
      fc.property(quanta, steps, fc.double({ min: -1e6, max: 1e6, noNaN: true }), (quantum, [a, b], x) => {
        // Bounds that are multiples of the quantum: others could not be reached.
        const bounds = { min: Math.min(a, b) * quantum, max: Math.max(a, b) * quantum };
        const scorer = new LinearScorer(model({ features: [feature()], bounds, quantum }), KNOWN);
        const { multiplier, raw: score } = scorer.score([x]);
        expect(score).toBeCloseTo(x, 9);
        expect(multiplier).toBeGreaterThanOrEqual(bounds.min - 1e-9);
        expect(multiplier).toBeLessThanOrEqual(bounds.max + 1e-9);
        expect(Math.abs(multiplier / quantum - Math.round(multiplier / quantum))).toBeLessThan(1e-9);
        const bounded = Math.min(bounds.max, Math.max(bounds.min, x));
        expect(Math.abs(multiplier - bounded)).toBeLessThanOrEqual(quantum / 2 + 1e-9);
      }),
      { numRuns: 500 },
    );
  });

  it('stays within the bounds that are no multiples of the quantum, or such a model is refused', () => {
    for (const [bias, bounds, quantum] of [
      [99, { min: 1, max: 2.95 }, 0.1],
      [0, { min: 0.1, max: 3 }, 0.5],
    ] as const) {
      const parsed = linearModelSchema.safeParse({ ...base, bias, bounds, quantum });
      if (!parsed.success) continue;
      const { multiplier } = new LinearScorer(parsed.data, KNOWN).score([]);
      expect(multiplier).toBeGreaterThanOrEqual(bounds.min);
      expect(multiplier).toBeLessThanOrEqual(bounds.max);
    }
  });

  it('is written as people write it: no 1.2000000000000002', () => {
    const bounds = { min: 0.1, max: 1_000 };
    const scorer = new LinearScorer(model({ features: [feature()], bounds, quantum: 0.1 }), KNOWN);
    expect([1.174, 1.2, 2.349, 0.3].map((x) => scorer.score([x]).multiplier)).toEqual([1.2, 1.2, 2.3, 0.3]);
    const cents = new LinearScorer(model({ features: [feature()], bounds, quantum: 0.05 }), KNOWN);
    expect(String(cents.score([1.1499]).multiplier)).toBe('1.15');
  });

  it('is finite whatever overflows', () => {
    const bounds = { min: 1, max: 3 };
    const scorer = new LinearScorer(
      model({ features: [feature()], bounds, link: 'exp', quantum: 0.1 }),
      KNOWN,
    );
    expect([1e9, -1e9].map((x) => scorer.score([x]).multiplier)).toEqual([3, 1]);
  });
});

describe('models that are refused at start', () => {
  const refusalOf = (more: object): GroundswellError => {
    try {
      new LinearScorer(model(more), KNOWN);
    } catch (error) {
      return error as GroundswellError;
    }
    throw new Error('not refused');
  };

  it('an unknown feature is GS_MODEL, with the nearest known one of that window', () => {
    const error = refusalOf({ features: [feature(undefined, 1, 'driver_mean', '5m')] });
    expect(error.code).toBe('GS_MODEL');
    expect(error.message).toContain('surge@3');
    expect(error.message).toMatch(/"driver_mean" of the window 5m.*Did you mean "drivers_mean"\?/);
  });

  it('a feature that no other is near to gets the list', () => {
    const { message } = refusalOf({ features: [feature(undefined, 1, 'temperature')] });
    expect(message).toContain('There are requests, open_s.');
  });

  it('a feature of another window is unknown in this one', () => {
    expect(refusalOf({ features: [feature(undefined, 1, 'drivers_mean', '1m')] }).message).toContain(
      '"drivers_mean" of the window 1m',
    );
  });

  it('an unknown window is GS_MODEL, with the windows there are', () => {
    const error = refusalOf({ features: [feature(undefined, 1, 'requests', '7m')] });
    expect(error.code).toBe('GS_MODEL');
    expect(error.message).toMatch(/"7m".*1m, 5m/);
  });

  it('the feature that a ratio goes over is checked too', () => {
    const ratio = { kind: 'ratio', over: { feature: 'open', window: '1m' }, floor: 1 };
    expect(refusalOf({ features: [feature(ratio)] }).message).toContain('"open"');
  });

  it.each([
    ['a quantum of 0', { quantum: 0 }],
    ['min above max', { bounds: { min: 3, max: 1 } }],
    ['a deviation of 0', { features: [feature({ kind: 'standardize', mean: 0, deviation: 0 })] }],
    ['an unknown key', { wieghts: [] }],
    ['an unknown transform', { features: [feature({ kind: 'cube' })] }],
    ['a name with capitals', { name: 'Surge' }],
  ])('%s', (_, more) => {
    expect(linearModelSchema.safeParse({ ...base, ...more }).success).toBe(false);
  });
});

describe('loadLinearModel', () => {
  const folder = mkdtempSync(join(tmpdir(), 'gs-model-'));
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });
  const write = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };

  it('reads the model that groundswell comes with', async () => {
    const file = join(import.meta.dirname, '../../../config/models/surge-linear.json');
    expect((await loadLinearModel(file)).name).toBe('surge-linear');
  });

  it.each([
    ['that is not there', 'missing.json', undefined, 'missing.json'],
    ['that is no JSON', 'broken.json', '{"name": ', 'broken.json'],
    ['with a mistyped key', 'key.json', JSON.stringify({ ...base, biass: 1 }), 'biass'],
  ])('a file %s is GS_MODEL, naming the file and the place', async (_, name, text, named) => {
    const file = text === undefined ? join(folder, name) : write(name, text);
    const error = await loadLinearModel(file).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'GS_MODEL' });
    expect((error as Error).message).toContain(file);
    expect((error as Error).message).toContain(named);
  });
});
