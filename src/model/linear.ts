/**
 * The linear scorer: a model from a JSON file, checked at start, compiled once into typed arrays, scored inline by
 * the actor that owns the features. A feature that the engine does not have is an error at start, never a NaN later.
 *
 * raw = link(bias + Σ weight · transform(feature)); multiplier = raw within bounds, rounded to the quantum.
 */
import { z } from 'zod';
import { GroundswellError } from '../core/errors.js';
import { nearest } from '../core/nearest.js';
import type { Surge } from '../actor/row.js';

const featureRef = {
  feature: z.string().min(1).describe('a feature of a cell’s row, such as `requests`'),
  window: z.string().min(1).describe('the window that it is taken from, such as `5m`'),
};

const transformSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z
      .literal('identity')
      .describe(
        '`identity`, `log1p`, `sqrt`, `clip`, `standardize` or `ratio`; the last three take keys of their own',
      ),
  }),
  z.strictObject({ kind: z.literal('log1p') }),
  z.strictObject({ kind: z.literal('sqrt') }),
  z.strictObject({
    kind: z.literal('clip'),
    min: z.number().describe('`clip`: lower bound'),
    max: z.number().describe('`clip`: upper bound'),
  }),
  z.strictObject({
    kind: z.literal('standardize'),
    mean: z.number().describe('`standardize`: what is taken away first'),
    deviation: z.number().positive().describe('`standardize`: what it is divided by then'),
  }),
  // feature ÷ max(over, floor)
  z.strictObject({
    kind: z.literal('ratio'),
    over: z.strictObject({
      feature: featureRef.feature.describe('`ratio`: the feature that it is divided by'),
      window: featureRef.window.describe('`ratio`: the window of that feature'),
    }),
    floor: z.number().positive().describe('`ratio`: least divisor'),
  }),
]);

export const linearModelSchema = z
  .strictObject({
    $schema: z.string().optional().describe('for editors; not read'),
    name: z
      .string()
      .regex(/^[a-z0-9][a-z0-9-]{0,63}$/)
      .describe('1 to 64 of a-z, 0-9 and -; with the version it stands in every surge as `name@version`'),
    version: z.int().positive().describe('a whole number, raised with every change'),
    description: z.string().optional().describe('for people'),
    features: z.array(
      z.strictObject({
        ...featureRef,
        weight: z.number().describe('what the transformed feature is multiplied by'),
        transform: transformSchema.default({ kind: 'identity' }),
      }),
    ),
    bias: z.number().describe('what the sum begins with'),
    link: z
      .enum(['identity', 'exp', 'logistic'])
      .describe('makes the raw score of the sum: `identity`, `exp` or `logistic`'),
    bounds: z
      .strictObject({
        min: z.number().positive().describe('least multiplier; a multiple of `quantum`'),
        max: z.number().positive().describe('highest multiplier; a multiple of `quantum`'),
      })
      .refine((b) => b.min <= b.max, 'min is above max'),
    quantum: z.number().positive().describe('every multiplier is a multiple of this'),
  })
  .refine(({ bounds, quantum }) => isMultiple(bounds.min, quantum) && isMultiple(bounds.max, quantum), {
    path: ['bounds'],
    message: 'min and max are to be multiples of the quantum, as every multiplier is',
  });

function isMultiple(value: number, quantum: number): boolean {
  const times = value / quantum;
  return Math.abs(times - Math.round(times)) < 1e-9;
}

export type LinearModel = z.infer<typeof linearModelSchema>;

/** A feature of one window, as a model refers to it. */
export interface FeatureRef {
  readonly feature: string;
  readonly window: string;
}

const TRANSFORMS = ['identity', 'log1p', 'sqrt', 'clip', 'standardize', 'ratio'] as const;

export class LinearScorer {
  /** `name@version`. */
  readonly id: string;
  /** What to fill the input with, in this order. */
  readonly inputs: readonly FeatureRef[];
  readonly #kinds: Uint8Array;
  readonly #first: Uint16Array;
  readonly #second: Uint16Array;
  readonly #weights: Float64Array;
  /** Two parameters per term: clip min, max; standardize mean, deviation; ratio floor. */
  readonly #a: Float64Array;
  readonly #b: Float64Array;
  readonly #model: LinearModel;
  /** A power of ten: times it, each multiple of the quantum is an integer. */
  readonly #scale: number;

  /**
   * @param known features that the engine has, by window
   * @throws GroundswellError GS_MODEL naming the first unknown feature and the nearest known one
   */
  constructor(model: LinearModel, known: ReadonlyMap<string, readonly string[]>) {
    this.id = `${model.name}@${model.version}`;
    this.#model = model;
    const inputs: FeatureRef[] = [];
    const indexOf = (ref: FeatureRef): number => {
      expectKnown(this.id, ref, known);
      const at = inputs.findIndex((input) => input.feature === ref.feature && input.window === ref.window);
      return at >= 0 ? at : inputs.push({ feature: ref.feature, window: ref.window }) - 1;
    };
    const terms = model.features;
    this.#kinds = Uint8Array.from(terms, (term) => TRANSFORMS.indexOf(term.transform.kind));
    this.#first = Uint16Array.from(terms, (term) => indexOf(term));
    this.#second = Uint16Array.from(terms, ({ transform }) =>
      transform.kind === 'ratio' ? indexOf(transform.over) : 0,
    );
    this.#weights = Float64Array.from(terms, (term) => term.weight);
    this.#a = Float64Array.from(terms, ({ transform: t }) =>
      t.kind === 'clip' ? t.min : t.kind === 'standardize' ? t.mean : t.kind === 'ratio' ? t.floor : 0,
    );
    this.#b = Float64Array.from(terms, ({ transform: t }) =>
      t.kind === 'clip' ? t.max : t.kind === 'standardize' ? t.deviation : 0,
    );
    this.inputs = inputs;
    this.#scale = 10 ** decimalsOf(model.quantum);
  }

  /** Scores one input vector, laid out as `inputs` says. Exact and repeatable: no state, a fixed order of sums. */
  score(input: ArrayLike<number>): Surge {
    let sum = this.#model.bias;
    for (let i = 0; i < this.#kinds.length; i++) sum += this.#weights[i]! * this.#term(i, input);
    const { link, bounds, quantum } = this.#model;
    const raw = link === 'identity' ? sum : link === 'exp' ? Math.exp(sum) : 1 / (1 + Math.exp(-sum));
    const bounded = Math.min(bounds.max, Math.max(bounds.min, raw));
    const multiplier = Math.round(Math.round(bounded / quantum) * quantum * this.#scale) / this.#scale;
    return { multiplier, raw, model: this.id };
  }

  #term(i: number, input: ArrayLike<number>): number {
    const x = input[this.#first[i]!]!;
    switch (TRANSFORMS[this.#kinds[i]!]!) {
      case 'log1p':
        return Math.log1p(Math.max(0, x));
      case 'sqrt':
        return Math.sqrt(Math.max(0, x));
      case 'clip':
        return Math.min(this.#b[i]!, Math.max(this.#a[i]!, x));
      case 'standardize':
        return (x - this.#a[i]!) / this.#b[i]!;
      case 'ratio':
        return x / Math.max(input[this.#second[i]!]!, this.#a[i]!);
      case 'identity':
        return x;
    }
  }
}

function expectKnown(model: string, ref: FeatureRef, known: ReadonlyMap<string, readonly string[]>): void {
  const features = known.get(ref.window);
  if (features === undefined) {
    throw new GroundswellError(
      'GS_MODEL',
      `Model ${model} asks for the window "${ref.window}"; there are ${[...known.keys()].join(', ')}.`,
    );
  }
  if (features.includes(ref.feature)) return;
  const guess = nearest(ref.feature, features);
  const hint = guess === undefined ? `There are ${features.join(', ')}.` : `Did you mean "${guess}"?`;
  throw new GroundswellError(
    'GS_MODEL',
    `Model ${model} asks for the feature "${ref.feature}" of the window ${ref.window}, which the engine does not have. ${hint}`,
  );
}

/** Digits behind the point that a multiple of the quantum can need. */
function decimalsOf(quantum: number): number {
  const text = quantum.toString();
  const exponent = /e-(\d+)$/.exec(text);
  if (exponent) return Number(exponent[1]);
  return text.includes('.') ? text.length - text.indexOf('.') - 1 : 0;
}
