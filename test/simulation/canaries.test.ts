/**
 * Hunts: a simulator that finds nothing. Each promise is broken on purpose once, and must be found out within a few seeds,
 * and that by what the world sees in the end, not by what is known of how the engine does it.
 */
import { describe, expect, it } from 'vitest';
import type { Check } from './audit.js';
import { CANARIES, type CanaryName } from './canaries.js';
import { simulate } from './simulate.js';

const SEEDS_MAX = 60;
const OUTCOMES: readonly Check[] = ['rows', 'repeated-row', 'effects', 'liveness', 'lost-event', 'late'];

describe('canaries', () => {
  it.each(Object.keys(CANARIES) as CanaryName[])(
    '%s broken on purpose is caught by its outcome',
    async (name) => {
      const { what, breaks } = CANARIES[name];
      let caught: Check | undefined;
      for (let seed = 1; seed <= SEEDS_MAX && caught === undefined; seed++) {
        const { violations } = await simulate(seed, { canary: breaks });
        caught = violations.find(({ check }) => OUTCOMES.includes(check))?.check;
      }
      expect(caught, what).toBeDefined();
    },
    240_000,
  );
});
