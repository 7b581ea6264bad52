/**
 * Hunts: a stage bench whose code has gone another way than the engine's, or whose baseline does something else. Each
 * candidate runs once on a small input; candidates of a stage that compute the same must give the same. No time is
 * asserted.
 */
import { describe, expect, it } from 'vitest';
import { tryStage } from '../../bench/stage.js';
import { STAGES } from '../../bench/stages/index.js';

/** What the engine's own candidate gives on the small input. */
const GIVES: Readonly<Record<string, number>> = {
  workload: 354_952,
  check: 3_840,
  geohash: 44_980_450,
  route: 28_128,
  decode: 1_917_777,
  handler: 264,
  score: 24_459,
  'commit encode': 11,
  'output encode': 10_000,
  'LMDB write': 160,
};
/** Candidates that give bytes of their own format, or do another number of operations: more than nothing is enough. */
const DIFFERENT = ['pack', 'publish'];

describe('stage benches', () => {
  it.each(STAGES.map((stage) => [stage.name, stage] as const))(
    '%s: the engine and its baselines do the same work',
    async (name, stage) => {
      const gave = Object.values(await tryStage(stage));
      for (const value of gave) expect(value).toBeGreaterThan(0);
      if (!DIFFERENT.includes(name)) expect(new Set(gave).size).toBe(1);
      if (GIVES[name] !== undefined) expect(gave[0]).toBe(GIVES[name]);
    },
  );

  it('has one stage per question', () => {
    expect(new Set(STAGES.map(({ name }) => name)).size).toBe(STAGES.length);
    expect(new Set(STAGES.map(({ question }) => question)).size).toBe(STAGES.length);
  });
});
