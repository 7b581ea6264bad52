// Hunts: values that an actor shows under another's names; a block for each actor; what was replaced and is shown all the same.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Resident } from '../../../src/partition/actor-record.js';
import { Shown } from '../../../src/partition/shown.js';

const NAMES = ['open', 'busy', 'a/b', 'a', 'b'];
const values = fc
  .uniqueArray(fc.constantFrom(...NAMES))
  .chain((names) =>
    fc
      .array(fc.integer(), { minLength: names.length, maxLength: names.length })
      .map((numbers) => Object.fromEntries(names.map((name, i) => [name, numbers[i]!]))),
  );
const said = fc.array(fc.record({ type: fc.constantFrom('live', 'other'), key: fc.nat(5), values }));

it('property: each actor shows what it showed last, under its own names, in one block for each kind', () => {
  fc.assert(
    fc.property(said, (all) => {
      const shown = new Shown();
      const actors = new Map<string, Resident>();
      const last = new Map<string, Record<string, number>>();
      for (const { type, key, values } of all) {
        const id = `${type}/${key}`;
        const actor = actors.get(id) ?? ({ key: `${key}`, type: { behaviour: { type } } } as Resident);
        actors.set(id, actor);
        shown.put(actor, values);
        last.set(id, values);
      }
      expect(shown.count).toBe(last.size);
      const blocks = shown.take();
      const kinds = blocks.map(([type, names]) => JSON.stringify([type, names]));
      expect(new Set(kinds).size).toBe(kinds.length);
      const seen = blocks.flatMap(([type, names, keys, numbers]) =>
        keys.map((key, i) => [
          `${type}/${key}`,
          Object.fromEntries(names.map((name, j) => [name, numbers[i * names.length + j]!])),
        ]),
      );
      expect(new Map(seen as [string, Record<string, number>][])).toEqual(last);
      expect(shown.count).toBe(0);
      expect(shown.take()).toEqual([]);
    }),
  );
});
