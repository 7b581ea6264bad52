/** What does a surge multiplier cost? Baseline: the same model, read from its objects term by term. */
import { formatDuration, LinearScorer, type LinearModel } from '../../src/index.js';
import { featureNames } from '../../actors/market.js';
import { seededRandom } from '../../src/core/random.js';
import type { Stage } from '../stage.js';
import { canonicalMarket } from '../market.js';

const VECTORS = 1_000;

export const score: Stage = {
  name: 'score',
  question: 'What does a surge multiplier cost, its features being at hand?',
  operation: 'score',
  prepare(size) {
    const { config, model } = canonicalMarket({});
    const known = new Map(config.windowsMs.map((ms) => [formatDuration(ms), featureNames(ms)]));
    const scorer = new LinearScorer(model, known);
    const random = seededRandom(1);
    const rounds = size === 'small' ? 1 : 20;
    const vectors = Array.from({ length: VECTORS }, () =>
      Float64Array.from(scorer.inputs, () => Math.floor(random.next() * 50)),
    );
    const objects = vectors.map((vector) =>
      Object.fromEntries(scorer.inputs.map(({ feature, window }, i) => [`${feature}@${window}`, vector[i]!])),
    );
    const summed = (score: (i: number) => number) => () => {
      let sum = 0;
      for (let round = 0; round < rounds; round++) for (let i = 0; i < VECTORS; i++) sum += score(i);
      return Math.round(sum * 10);
    };
    return {
      candidates: [
        {
          name: 'LinearScorer',
          operations: VECTORS * rounds,
          run: summed((i) => scorer.score(vectors[i]!).multiplier),
        },
        {
          name: 'objects',
          operations: VECTORS * rounds,
          run: summed((i) => scoreObjects(model, objects[i]!).multiplier),
        },
      ],
    };
  },
};

function scoreObjects(
  model: LinearModel,
  features: Readonly<Record<string, number>>,
): { multiplier: number; raw: number; model: string } {
  const terms = model.features.map(({ feature, window, weight, transform }) => {
    const x = features[`${feature}@${window}`]!;
    switch (transform.kind) {
      case 'identity':
        return weight * x;
      case 'log1p':
        return weight * Math.log1p(Math.max(0, x));
      case 'sqrt':
        return weight * Math.sqrt(Math.max(0, x));
      case 'clip':
        return weight * Math.min(transform.max, Math.max(transform.min, x));
      case 'standardize':
        return weight * ((x - transform.mean) / transform.deviation);
      case 'ratio': {
        const { over, floor } = transform;
        return weight * (x / Math.max(features[`${over.feature}@${over.window}`]!, floor));
      }
    }
  });
  const sum = terms.reduce((a, b) => a + b, model.bias);
  const links = { identity: sum, exp: Math.exp(sum), logistic: 1 / (1 + Math.exp(-sum)) };
  const raw = links[model.link];
  const bounded = Math.min(model.bounds.max, Math.max(model.bounds.min, raw));
  const multiplier = Number((Math.round(bounded / model.quantum) * model.quantum).toFixed(1));
  return { multiplier, raw, model: `${model.name}@${model.version}` };
}
