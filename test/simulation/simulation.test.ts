/**
 * Hunts: whatever a fault at the wrong moment can do to a region. Each seed is another region, another workload and another
 * schedule of faults; a seed that fails is repeated by the command that the failure names.
 */
import { describe, expect, it } from 'vitest';
import { FAULT_KINDS, makePlan } from './schedule.js';
import { shrink, simulate, type SeedResult } from './simulate.js';
import { CANARIES } from './canaries.js';

const SEEDS = 200;
const SEEDS_A_TEST = 25;

function failureOf({ seed, violations }: SeedResult): string | undefined {
  const [first] = violations;
  return first && `npm run simulate -- --seed ${seed}: ${first.check}: ${first.what}`;
}

describe('P1 to P8 hold under every schedule of faults', () => {
  const firsts = Array.from({ length: SEEDS / SEEDS_A_TEST }, (_, i) => 1 + i * SEEDS_A_TEST);
  it.each(firsts)(
    `seeds from %i, ${SEEDS_A_TEST} of them`,
    async (first) => {
      for (let seed = first; seed < first + SEEDS_A_TEST; seed++)
        expect(failureOf(await simulate(seed))).toBeUndefined();
    },
    240_000,
  );

  it('every kind of fault is on in some seeds and off in others', () => {
    const plans = Array.from({ length: SEEDS }, (_, i) => makePlan(i + 1));
    for (const kind of FAULT_KINDS) {
      const on = plans.filter(({ faults }) => faults[kind] !== undefined).length;
      expect(on, kind).toBeGreaterThan(0);
      expect(on, kind).toBeLessThan(SEEDS * 0.7);
    }
    for (const nodes of [1, 2, 3, 4]) expect(plans.some((plan) => plan.nodes === nodes)).toBe(true);
    for (const mode of ['replay', 'live']) expect(plans.some((plan) => plan.mode === mode)).toBe(true);
  });
});

describe('a run is a function of its seed', () => {
  it.each([3, 14, 20, 41])('seed %i goes the same way twice', async (seed) => {
    const first = await simulate(seed);
    const second = await simulate(seed);
    expect(second.events).toBe(first.events);
    expect(second.hash).toBe(first.hash);
  });

  it('another seed goes another way', async () => {
    expect((await simulate(3)).hash).not.toBe((await simulate(4)).hash);
  });

  it('a failing seed is told with the faults that it needs, and fails with those alone', async () => {
    const canary = CANARIES.P2.breaks;
    let seed = 1;
    while ((await simulate(seed, { canary })).violations.length === 0) seed++;
    const without = await shrink(seed, { canary });
    expect((await simulate(seed, { canary, without })).violations).not.toEqual([]);
  }, 120_000);
});
