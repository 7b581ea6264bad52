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
  const { idFrom: from, idTo: to } = new PackedReader(changes);
  return keyOrder({ bytes: changes.bytes, from, to });
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

  it('is that of their texts where four bytes from the first that differs tell them apart', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: 1_000, max: 9_999 }), { minLength: 1 }), (numbers) => {
        const ids = numbers.flatMap((n) => [actorId('driver', `d-000${n}`), actorId('cell', `${n}`)]);
        expect([...orderOf(packed(ids))].map((i) => ids[i])).toEqual([...ids].sort());
      }),
    );
  });
});

describe('sealing in place', () => {
  it('makes of any id and record what a copy would be', () => {
    fc.assert(
      fc.property(actor, fc.uint8Array(), (id, record) => {
        const changes = packed([id], record);
        const reader = new PackedReader(changes);
        const change = reader.at(0);
        const sealed = sealInPlace(changes.bytes, reader.idFrom[0]!, reader.idTo[0]!, change.bytes!);
        expect(Buffer.from(sealed)).toEqual(Buffer.from(seal(id, record)));
        expect(unseal(id, sealed)).toEqual(record);
      }),
    );
  });
});
