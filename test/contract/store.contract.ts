// Hunts: a snapshot whose position and states are of different commits, an actor that was forgotten and comes back, a
// timer that no recovery finds; a copy of a partition that is of two moments, and one that was broken off and counts.
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { actorId, type ActorId } from '../../src/core/ids.js';
import { Changes, type ActorChange } from '../../src/partition/changes.js';
import type { SnapshotExport, SnapshotRecord, SnapshotStore, SnapshotUpdate } from '../../src/state/store.js';

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
  // A commit changes an actor once.
  commits: [Changes.of(new Map(changes.map((each) => [each.id, each])).values())],
});

export async function* bitesOf(
  ...bites: (readonly SnapshotRecord[])[]
): AsyncGenerator<readonly SnapshotRecord[]> {
  for (const bite of bites) yield await Promise.resolve(bite);
}

const record = (key: string, body: string, timed = false): SnapshotRecord => [
  actorId('cell', key),
  bytes(body),
  timed,
];

/** All that an export holds, and how many bites it took. */
function exported(from: SnapshotExport | undefined): {
  journalSeq: number;
  control: string;
  records: [string, string, boolean][];
  bites: number;
} {
  const records: [string, string, boolean][] = [];
  let bites = 0;
  for (const bite of from!.bites) {
    bites++;
    for (const [id, body, timed] of bite) records.push([id, textOf(body)!, timed]);
  }
  from!.close();
  const { journalSeq, control } = from!.position;
  return { journalSeq, control: textOf(control)!, records: records.sort(), bites };
}

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

    it('of two changes of an actor in one write, neither of which knows of the other, the later one stands', async () => {
      const commits = ['first', 'second'].map((body) =>
        Changes.of([change('b', body), change('a', body, body === 'second')]),
      );
      await store.write([{ partition: 0, journalSeq: 2, control: bytes('control'), commits }]);
      expect([read(0, 'a'), read(0, 'b')]).toEqual(['second', 'second']);
      expect([...store.timed(0)].map(([id]) => id)).toEqual([actorId('cell', 'a')]);
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

    describe('export', () => {
      it('gives nothing of a partition that is not known', () => {
        expect(store.export(0)).toBeUndefined();
      });

      it('gives all records with their position, those with timers marked', async () => {
        await store.write([
          update(0, 7, change('a', 'A', true), change('b', 'B'), change('c', 'C', true), change('d', '')),
          update(1, 8, change('e', 'E')),
        ]);
        expect(exported(store.export(0))).toEqual({
          journalSeq: 7,
          control: 'control 7',
          records: [
            ['cell/a', 'A', true],
            ['cell/b', 'B', false],
            ['cell/c', 'C', true],
            ['cell/d', '', false],
          ],
          bites: 1,
        });
      });

      it('P5 is of one moment, whatever is written, cleared or imported while it is read', async () => {
        const many = Array.from({ length: 5_000 }, (_, i) => change(`k${i}`, 'before', i % 3 === 0));
        await store.write([update(2, 1, ...many)]);
        const first = store.export(2)!;
        const second = store.export(2)!;
        const walk = first.bites[Symbol.iterator]();
        expect(walk.next().done).toBe(false);
        await store.write([
          update(2, 2, ...many.map(({ id }) => ({ id, bytes: bytes('after'), timed: false }))),
        ]);
        await store.write([update(2, 3, change('k1', undefined), change('new', 'after'))]);
        let rest = 0;
        for (let bite = walk.next(); bite.done !== true; bite = walk.next()) {
          for (const [, body] of bite.value) expect(textOf(body)).toBe('before');
          rest++;
        }
        first.close();
        expect(rest).toBeGreaterThan(1);
        await store.clear(2);
        const { journalSeq, records } = exported(second);
        expect(journalSeq).toBe(1);
        expect(records).toHaveLength(5_000);
        expect(records.filter(([, body]) => body !== 'before')).toEqual([]);
        expect(records.filter(([, , hasTimers]) => hasTimers)).toHaveLength(1_667);
      });

      it('may be closed early, and twice', async () => {
        await store.write([update(0, 1, change('a', 'A'))]);
        const one = store.export(0)!;
        one.close();
        one.close();
        expect(exported(store.export(0)).records).toHaveLength(1);
      });
    });

    describe('import', () => {
      const position = { journalSeq: 30, control: bytes('control 30') };

      it('replaces all that was known of the partition, and nothing else', async () => {
        await store.write([
          update(0, 1, change('old', 'old', true), change('both', 'old', true)),
          update(1, 2, change('other', 'other', true)),
        ]);
        await store.import(0, position, bitesOf([record('both', 'new')], [], [record('x', 'X', true)]));
        expect([read(0, 'old'), read(0, 'both'), read(0, 'x')]).toEqual([undefined, 'new', 'X']);
        expect(timed(0)).toEqual([['cell/x', 'X']]);
        expect(store.position(0)!.journalSeq).toBe(30);
        expect(textOf(store.position(0)!.control)).toBe('control 30');
        expect([read(1, 'other'), store.position(1)!.journalSeq]).toEqual(['other', 2]);
      });

      it('P5 that is broken off leaves a partition that nothing is known of', async () => {
        await store.write([update(0, 1, change('old', 'old'))]);
        async function* broken(): AsyncGenerator<readonly SnapshotRecord[]> {
          yield Array.from({ length: 5_000 }, (_, i) => record(`k${i}`, 'half'));
          await Promise.resolve();
          throw new Error('the source broke off');
        }
        await expect(store.import(0, position, broken())).rejects.toThrow('the source broke off');
        expect([store.position(0), store.export(0), read(0, 'old')]).toEqual([
          undefined,
          undefined,
          undefined,
        ]);
        await store.import(0, position, bitesOf([record('x', 'X')]));
        expect(exported(store.export(0)).records).toEqual([['cell/x', 'X', false]]);
      });

      it('takes what another store exports: the same comes out again', async () => {
        const many = Array.from({ length: 3_000 }, (_, i) => change(`k${i}`, `state ${i}`, i % 7 === 0));
        await store.write([update(1, 5, ...many)]);
        const from = store.export(1)!;
        async function* bites(): AsyncGenerator<readonly SnapshotRecord[]> {
          for (const bite of from.bites) yield await Promise.resolve(bite);
        }
        await store.import(3, from.position, bites());
        from.close();
        expect(exported(store.export(3))).toEqual(exported(store.export(1)));
      });

      it('is written on after it', async () => {
        await store.import(0, position, bitesOf([record('a', 'A', true)]));
        await store.write([update(0, 31, change('a', 'A2'), change('b', 'B', true))]);
        expect(exported(store.export(0)).records).toEqual([
          ['cell/a', 'A2', false],
          ['cell/b', 'B', true],
        ]);
      });
    });

    it('clear forgets a partition, and no other', async () => {
      await store.write([update(0, 1, change('a', 'A', true)), update(1, 2, change('a', 'A', true))]);
      await store.clear(0);
      await store.clear(2);
      expect([read(0, 'a'), store.position(0), timed(0)]).toEqual([undefined, undefined, []]);
      expect([read(1, 'a'), store.position(1)?.journalSeq, timed(1).length]).toEqual(['A', 2, 1]);
    });

    it('P5 any run of writes leaves what plain maps would hold', async () => {
      const oneChange = fc.record({
        key: fc.constantFrom('a', 'b', 'c'),
        body: fc.option(fc.string({ maxLength: 4 }), { nil: undefined }),
        timed: fc.boolean(),
        /** Says that it is timed as before where it is. */
        told: fc.boolean(),
      });
      const oneUpdate = fc.record({ partition: fc.nat(PARTITIONS - 1), changes: fc.array(oneChange) });
      let journalSeq = 100;
      const model = new Map<string, { body: string; timed: boolean }>();
      const positions = new Map<number, number>();
      await fc.assert(
        fc.asyncProperty(fc.uniqueArray(oneUpdate, { selector: (u) => u.partition }), async (updates) => {
          await store.write(
            updates.map(({ partition, changes }) => {
              const before = new Map(model);
              for (const { key, body, timed: hasTimers } of changes) {
                const name = `${partition}/${key}`;
                if (body === undefined) model.delete(name);
                else model.set(name, { body, timed: hasTimers });
              }
              positions.set(partition, ++journalSeq);
              const list = changes.map(({ key, body, timed: wants, told }) => {
                const hasTimers = body !== undefined && wants;
                const had = before.get(`${partition}/${key}`)?.timed ?? false;
                return { ...change(key, body, hasTimers), ...(told && { timedAsBefore: had === hasTimers }) };
              });
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
