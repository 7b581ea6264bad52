// Hunts: a change that is written twice or not at all; two of one actor in the wrong order, of which the first would stand.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { actorId } from '../../../src/core/ids.js';
import { Changes, packChanges, PackedReader } from '../../../src/partition/changes.js';
import { keyOrder } from '../../../src/state/lmdb/key-order.js';
import { seal, sealInPlace, unseal } from '../../../src/state/lmdb/sealed.js';

const key = fc.oneof(fc.string({ unit: 'binary' }), fc.nat(2_000).map(String));
const actor = fc.tuple(fc.constantFrom('driver', 'cell', 'c'), key).map(([type, k]) => actorId(type, k));

function packed(ids: readonly ReturnType<typeof actorId>[], record = new Uint8Array()) {
  return packChanges([Changes.of(ids.map((id) => ({ id, bytes: record, timed: false })))]);
}

function orderOf(changes: ReturnType<typeof packed>): Uint32Array {
  return keyOrder(new PackedReader(changes).ids);
}

describe('the order in which keys are written', () => {
  it('has each once, and those of one actor as they came', () => {
    fc.assert(
      fc.property(fc.array(actor), (ids) => {
        const order = [...orderOf(packed(ids))];
        expect([...order].sort((a, b) => a - b)).toEqual(ids.map((_, i) => i));
        for (const id of ids) {
          const places = order.filter((i) => ids[i] === id);
          expect(places).toEqual([...places].sort((a, b) => a - b));
        }
      }),
    );
  });

  it('a type keeps its own order beside another whose name begins alike', () => {
    const riders = Array.from({ length: 50 }, (_, i) => actorId('rider', `r-${1_000 + ((i * 37) % 50)}`));
    const ids = [actorId('region', 'sf'), ...riders];
    const order = [...orderOf(packed(ids))].map((i) => ids[i]!).filter((id) => id !== ids[0]);
    expect(order).toEqual([...riders].sort());
  });

  it('keeps types together, each in the order of its texts where four bytes tell them apart', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: 1_000, max: 9_999 }), { minLength: 1 }), (numbers) => {
        const ids = numbers.flatMap((n) => [actorId('driver', `d-000${n}`), actorId('cell', `${n}`)]);
        const sorted = [...ids].sort();
        const inOrder = [...orderOf(packed(ids))].map((i) => ids[i]!);
        expect(inOrder).toEqual([...sorted.slice(numbers.length), ...sorted.slice(0, numbers.length)]);
      }),
    );
  });
});

describe('sealing in place', () => {
  it('makes of any records what copies would be, and leaves those beside them as they are', () => {
    const known = fc.tuple(actor, fc.uint8Array({ maxLength: 40 }));
    fc.assert(
      fc.property(fc.array(known, { minLength: 2 }), (entries) => {
        const changes = packChanges([
          Changes.of(entries.map(([id, record]) => ({ id, bytes: record, timed: false }))),
        ]);
        const reader = new PackedReader(changes);
        const { bytes: all, from, to } = reader.ids;
        const sealed: Uint8Array[] = entries.map(() => new Uint8Array());
        for (const i of keyOrder(reader.ids)) {
          const { id, bytes } = reader.at(i);
          expect(id).toBe(entries[i]![0]);
          sealed[i] = sealInPlace(all, from[i]!, to[i]!, bytes!);
        }
        for (const [i, [id, record]] of entries.entries()) {
          expect(Buffer.from(sealed[i]!)).toEqual(Buffer.from(seal(id, record)));
          expect(unseal(id, sealed[i]!)).toEqual(record);
        }
      }),
    );
  });
});
