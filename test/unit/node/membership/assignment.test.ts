// Hunts: nodes that answer differently, a move of what need not move, a heavy node with a light one's share.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { rank, type Candidate } from '../../../../src/node/membership/assignment.js';

const PARTITIONS = 4_000;
const all = Array.from({ length: PARTITIONS }, (_, partition) => partition);
const nodesOf = (weights: readonly number[], salt = ''): Candidate[] =>
  weights.map((weight, i) => ({ id: `node-${i}${salt}`, weight }));

const weights = fc.array(fc.constantFrom(0.5, 1, 2, 4), { minLength: 1, maxLength: 8 });
const nodes = fc
  .uniqueArray(fc.uuid(), { minLength: 1, maxLength: 8 })
  .chain((ids) =>
    fc.tuple(...ids.map((id) => fc.constantFrom(0.5, 1, 2, 4).map((weight) => ({ id, weight })))),
  );

describe('the ranks of nodes for a partition', () => {
  it('hold every node once, in the same order however they were given', () => {
    fc.assert(
      fc.property(nodes, fc.nat(10_000), (given, partition) => {
        const ranks = rank(partition, given);
        expect([...ranks].sort()).toEqual(given.map(({ id }) => id).sort());
        expect(rank(partition, given.toReversed())).toEqual(ranks);
        expect(
          rank(
            partition,
            given.toSorted((a, b) => (a.id < b.id ? -1 : 1)),
          ),
        ).toEqual(ranks);
      }),
    );
  });

  it('are the same everywhere and always: a change of the function would move every partition', () => {
    const given = [
      { id: '0f5d2c8e-6b1f-4e8e-9d57-1f2f4f0a7b11', weight: 1 },
      { id: '7a3e9c44-2d7c-4b9a-8f3c-5f6d3a1e9c22', weight: 2 },
      { id: 'c1b8e7d6-9a4e-4c2d-b1a0-8e7f6d5c4b33', weight: 1 },
    ];
    const first = (partition: number): string => rank(partition, given)[0]!.slice(0, 1);
    expect(all.slice(0, 24).map(first).join('')).toMatchInlineSnapshot(`"cc70c0c77077cc7777cc0707"`);
  });

  it('give each node the share of its weight, as owner', () => {
    fc.assert(
      fc.property(weights, fc.string({ maxLength: 5 }), (given, salt) => {
        const candidates = nodesOf(given, salt);
        const counts = new Map<string, number>();
        for (const partition of all) {
          const [owner] = rank(partition, candidates);
          counts.set(owner!, (counts.get(owner!) ?? 0) + 1);
        }
        const total = given.reduce((sum, weight) => sum + weight, 0);
        for (const { id, weight } of candidates) {
          const share = weight / total;
          // Five standard deviations of a fair draw.
          const slack = 5 * Math.sqrt(PARTITIONS * share * (1 - share)) + 1;
          expect(Math.abs((counts.get(id) ?? 0) - PARTITIONS * share)).toBeLessThan(slack);
        }
      }),
      { numRuns: 30 },
    );
  });

  it('spread what a node leaves behind over all the others, not onto one', () => {
    const candidates = nodesOf([1, 1, 1, 1, 1]);
    const heirs = new Map<string, number>();
    for (const partition of all) {
      const [owner, heir] = rank(partition, candidates);
      if (owner === 'node-0') heirs.set(heir!, (heirs.get(heir!) ?? 0) + 1);
    }
    expect(heirs.size).toBe(4);
    for (const count of heirs.values()) expect(count).toBeGreaterThan(PARTITIONS / 5 / 4 / 2);
  });

  it('do not change among the others when one joins or leaves', () => {
    fc.assert(
      fc.property(nodes, fc.nat(7), fc.nat(10_000), (given, at, partition) => {
        const [leaver] = given.slice(at % given.length);
        const rest = given.filter(({ id }) => id !== leaver!.id);
        expect(rank(partition, rest)).toEqual(rank(partition, given).filter((id) => id !== leaver!.id));
      }),
    );
  });

  it('do not change among the others when one gets another weight', () => {
    fc.assert(
      fc.property(nodes, fc.nat(7), fc.nat(10_000), (given, at, partition) => {
        const { id: changed } = given[at % given.length]!;
        const heavier = given.map((node) =>
          node.id === changed ? { ...node, weight: node.weight * 3 } : node,
        );
        const others = (ranks: string[]): string[] => ranks.filter((id) => id !== changed);
        const before = rank(partition, given);
        const after = rank(partition, heavier);
        expect(others(after)).toEqual(others(before));
        expect(after.indexOf(changed)).toBeLessThanOrEqual(before.indexOf(changed));
      }),
    );
  });
});
