// Hunts: a snapshot whose position and states are of different commits, an actor that was forgotten and comes back, a
// timer that no recovery finds.
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { actorId, type ActorId } from '../../src/core/ids.js';
import type { ActorChange } from '../../src/partition/actor-table.js';
import type { SnapshotStore, SnapshotUpdate } from '../../src/state/store.js';

export const PARTITIONS = 4;

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
export const textOf = (record: Uint8Array | undefined): string | undefined =>
  record === undefined ? undefined : new TextDecoder().decode(record);

export const change = (key: string, body: string | undefined, timed = false): ActorChange => ({
  id: actorId('cell', key),
  bytes: body === undefined ? undefined : bytes(body),
  timed,
});

export const update = (partition: number, journalSeq: number, ...changes: ActorChange[]): SnapshotUpdate => ({
  partition,
  journalSeq,
  control: bytes(`control ${journalSeq}`),
  changes: new Map(changes.map((each) => [each.id, each])),
});

/** What every store holds. `make` gives an empty one for `PARTITIONS` partitions. */
export function storeContract(
  name: string,
  make: () => Promise<{ store: SnapshotStore; dispose: () => Promise<void> }>,
): void {
  describe(name, () => {
    let store: SnapshotStore;
    let dispose: () => Promise<void>;
    const read = (partition: number, key: string): string | undefined =>
      textOf(store.source(partition).get(actorId('cell', key)));
    const timed = (partition: number): [ActorId, string | undefined][] =>
      [...store.timed(partition)]
        .map(([id, record]): [ActorId, string | undefined] => [id, textOf(record)])
        .sort();
    beforeEach(async () => {
      ({ store, dispose } = await make());
    });
    afterEach(() => dispose());

    it('is empty at first', () => {
      expect(read(0, 'a')).toBeUndefined();
      expect(store.position(0)).toBeUndefined();
      expect(timed(0)).toEqual([]);
    });

    it('P5 a write is readable when it resolves, its position with it', async () => {
      await store.write([update(0, 17, change('a', 'state of a'))]);
      expect(read(0, 'a')).toBe('state of a');
      const position = store.position(0)!;
      expect(position.journalSeq).toBe(17);
      expect(textOf(position.control)).toBe('control 17');
    });

    it('the last change of an actor stands', async () => {
      await store.write([update(0, 1, change('a', 'first'), change('b', 'kept'))]);
      await store.write([update(0, 2, change('a', 'second'))]);
      expect([read(0, 'a'), read(0, 'b')]).toEqual(['second', 'kept']);
      expect(store.position(0)!.journalSeq).toBe(2);
    });

    it('a forgotten actor is gone, with its timers; it may be made again', async () => {
      await store.write([update(0, 1, change('a', 'first', true))]);
      await store.write([update(0, 2, change('a', undefined))]);
      expect(read(0, 'a')).toBeUndefined();
      expect(timed(0)).toEqual([]);
      await store.write([update(0, 3, change('a', 'again'))]);
      expect(read(0, 'a')).toBe('again');
    });

    it('forgetting what was never there is without effect', async () => {
      await store.write([update(0, 1, change('a', undefined))]);
      expect(read(0, 'a')).toBeUndefined();
      expect(store.position(0)!.journalSeq).toBe(1);
    });

    it('timed gives the records of the actors that have timers now, and of no others', async () => {
      await store.write([
        update(0, 1, change('a', 'A', true), change('b', 'B'), change('c', 'C', true)),
        update(1, 2, change('d', 'D', true)),
      ]);
      await store.write([update(0, 3, change('a', 'A2'), change('b', 'B2', true), change('c', 'C2', true))]);
      expect(timed(0)).toEqual([
        ['cell/b', 'B2'],
        ['cell/c', 'C2'],
      ]);
      expect(timed(1)).toEqual([['cell/d', 'D']]);
    });

    it('partitions do not see each other', async () => {
      await store.write([update(0, 5, change('a', 'zero')), update(3, 6, change('a', 'three'))]);
      expect([0, 1, 3].map((partition) => read(partition, 'a'))).toEqual(['zero', undefined, 'three']);
      expect([0, 1, 3].map((partition) => store.position(partition)?.journalSeq)).toEqual([5, undefined, 6]);
    });

    it('a position moves without any actor', async () => {
      await store.write([update(2, 9)]);
      expect(store.position(2)!.journalSeq).toBe(9);
    });

    it('keeps the bytes as they were at the call', async () => {
      const record = bytes('kept');
      const a = { id: actorId('cell', 'a'), bytes: record, timed: false };
      await store.write([update(0, 1, a)]);
      record.fill(0);
      expect(read(0, 'a')).toBe('kept');
    });

    it('takes any key and an empty record', async () => {
      await store.write([update(0, 1, change('d-17/äöü 😀', 'odd', true), change('empty', ''))]);
      expect(read(0, 'd-17/äöü 😀')).toBe('odd');
      expect(read(0, 'empty')).toBe('');
      expect(timed(0)).toEqual([['cell/d-17/äöü 😀', 'odd']]);
    });

    it('holds many actors of one write', async () => {
      const many = Array.from({ length: 20_000 }, (_, i) => change(`k${i}`, `state ${i}`, i % 1_000 === 0));
      await store.write([update(1, 1, ...many)]);
      expect([read(1, 'k0'), read(1, 'k10001'), read(1, 'k19999')]).toEqual([
        'state 0',
        'state 10001',
        'state 19999',
      ]);
      expect(timed(1).length).toBe(20);
    });

    it('P5 writes that overlap are applied in the order of their calls', async () => {
      await Promise.all(
        Array.from({ length: 20 }, (_, i) => store.write([update(0, i + 1, change('a', `${i + 1}`))])),
      );
      expect([read(0, 'a'), store.position(0)!.journalSeq]).toEqual(['20', 20]);
    });

    it('P5 any run of writes leaves what plain maps would hold', async () => {
      const oneChange = fc.record({
        key: fc.constantFrom('a', 'b', 'c'),
        body: fc.option(fc.string({ maxLength: 4 }), { nil: undefined }),
        timed: fc.boolean(),
      });
      const oneUpdate = fc.record({ partition: fc.nat(PARTITIONS - 1), changes: fc.array(oneChange) });
      let journalSeq = 100;
      const model = new Map<string, { body: string; timed: boolean }>();
      const positions = new Map<number, number>();
      await fc.assert(
        fc.asyncProperty(fc.uniqueArray(oneUpdate, { selector: (u) => u.partition }), async (updates) => {
          await store.write(
            updates.map(({ partition, changes }) => {
              for (const { key, body, timed: hasTimers } of changes) {
                const name = `${partition}/${key}`;
                if (body === undefined) model.delete(name);
                else model.set(name, { body, timed: hasTimers });
              }
              positions.set(partition, ++journalSeq);
              const list = changes.map((c) => change(c.key, c.body, c.body !== undefined && c.timed));
              return update(partition, journalSeq, ...list);
            }),
          );
          for (let partition = 0; partition < PARTITIONS; partition++) {
            expect(store.position(partition)?.journalSeq).toBe(positions.get(partition));
            const keys = ['a', 'b', 'c'];
            expect(keys.map((key) => read(partition, key))).toEqual(
              keys.map((key) => model.get(`${partition}/${key}`)?.body),
            );
            expect(timed(partition).map(([id]) => id)).toEqual(
              keys.filter((key) => model.get(`${partition}/${key}`)?.timed).map((key) => `cell/${key}`),
            );
          }
        }),
        { numRuns: 40 },
      );
    });
  });
}
