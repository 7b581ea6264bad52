/** Hunts: a simulator that finds nothing. Each promise is broken on purpose once, and must be found out within a few seeds. */
import { describe, expect, it } from 'vitest';
import type { Check } from './audit.js';
import { CANARIES, type CanaryName } from './canaries.js';
import { simulate } from './simulate.js';

const SEEDS_MAX = 60;
/** What the world sees in the end, whatever is known of how the engine does it. */
const OUTCOMES: readonly Check[] = ['rows', 'repeated-row', 'effects', 'liveness', 'lost-event', 'late'];

async function firstCaught(name: CanaryName, by?: readonly Check[]): Promise<number | undefined> {
  for (let seed = 1; seed <= SEEDS_MAX; seed++) {
    const { violations } = await simulate(seed, { canary: CANARIES[name].breaks });
    if (violations.some(({ check }) => by?.includes(check) ?? true)) return seed;
  }
  return undefined;
}

describe('canaries', () => {
  it.each(Object.keys(CANARIES) as CanaryName[])(
    '%s broken on purpose is caught',
    async (name) => {
      expect(await firstCaught(name), CANARIES[name].what).toBeDefined();
    },
    120_000,
  );

  it.each(Object.keys(CANARIES) as CanaryName[])(
    '%s broken on purpose is caught by its outcome alone',
    async (name) => {
      expect(await firstCaught(name, OUTCOMES), CANARIES[name].what).toBeDefined();
    },
    240_000,
  );
});
