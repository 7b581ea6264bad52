/**
 * Hunts: a change that is left out though nothing later of its actor is written; an actor whose timers nobody finds after a
 * recovery, because the change that set them was replaced by one that says "as before"; a record in memory that native code
 * does not read.
 */
import fc from 'fast-check';
import { pack, unpack } from 'msgpackr';
import { describe, expect, it } from 'vitest';
import { actorId } from '../../../src/core/ids.js';
import { Changes, PackedReader, packChanges, type ActorChange } from '../../../src/partition/changes.js';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** What a snapshot holds: records, and who has timers. */
class Snapshot {
  readonly records = new Map<string, string>();
  readonly timed = new Set<string>();

  write(commits: readonly Changes[]): number {
    let written = 0;
    for (const change of new PackedReader(packChanges(commits))) {
      written++;
      this.apply(change);
    }
    return written;
  }

  apply({ id, bytes: record, timed, timedAsBefore }: ActorChange): void {
    if (record === undefined) this.records.delete(id);
    else this.records.set(id, new TextDecoder().decode(record));
    if (timedAsBefore === true) return;
    if (timed) this.timed.add(id);
    else this.timed.delete(id);
  }
}

/** Changes of actors by their keys; `null` forgets one. */
function commit(changes: Readonly<Record<string, string | null>>, timed: readonly string[] = []): Changes {
  return Changes.of(
    Object.entries(changes).map(([key, body]) => ({
      id: actorId('cell', key),
      bytes: body === null ? undefined : bytes(body),
      timed: timed.includes(key),
    })),
  );
}

it('gives records in memory of their own: the native part of a decoder takes no address of shared memory', () => {
  const state = { rides: ['a text that the decoder’s native part reads', 'and another one of that kind'] };
  const changes = Changes.of([{ id: actorId('rider', 'r'), bytes: pack(state), timed: false }]);
  const [{ bytes: record }] = [...changes] as [ActorChange];
  expect(record!.buffer).toBeInstanceOf(ArrayBuffer);
  expect(unpack(record!)).toEqual(state);
});

describe('packed changes', () => {
  it('are those of the commits, less what a later one has replaced', () => {
    const first = commit({ a: 'A1', b: 'B1', c: 'C1' });
    const second = commit({ d: 'D2', b: 'B2' });
    second.follows(1, 1, 1);
    second.replaceIn([first]);
    const seen: [string, string][] = [];
    for (const { id, bytes: record } of new PackedReader(packChanges([first, second])))
      seen.push([id, new TextDecoder().decode(record)]);
    expect(seen).toEqual([
      ['cell/a', 'A1'],
      ['cell/c', 'C1'],
      ['cell/d', 'D2'],
      ['cell/b', 'B2'],
    ]);
    // As a commit it is what it was: the journal has it whole.
    expect([...first].map(({ id }) => id)).toEqual(['cell/a', 'cell/b', 'cell/c']);
  });

  it('a change that says "timed as before" does not hide that the one it replaces was not', () => {
    const id = actorId('cell', 'a');
    const first = Changes.of([{ id, bytes: bytes('1'), timed: true, timedAsBefore: false }]);
    const second = Changes.of([{ id, bytes: bytes('2'), timed: true, timedAsBefore: true }]);
    second.follows(0, 1, 0);
    second.replaceIn([first]);
    const snapshot = new Snapshot();
    expect(snapshot.write([first, second])).toBe(1);
    expect([snapshot.records.get(id), snapshot.timed.has(id)]).toEqual(['2', true]);
  });

  it('of a commit that is written already nothing is replaced', () => {
    const first = commit({ a: 'A1' });
    const snapshot = new Snapshot();
    expect(snapshot.write([first])).toBe(1);
    const second = commit({ a: 'A2' });
    second.follows(0, 1, 0);
    second.replaceIn([]);
    expect(snapshot.write([second])).toBe(1);
    expect(packChanges([first]).flags).toHaveLength(1);
  });

  it('P5 written in rounds, whatever is replaced in each, they leave what all changes in their order would', () => {
    const oneChange = fc.record({
      key: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
      body: fc.option(fc.string({ maxLength: 3 }), { nil: undefined }),
      timed: fc.boolean(),
      /** Says that it is timed as before where it is. */
      told: fc.boolean(),
      /** Says when it had changed last, where that is known. */
      followed: fc.boolean(),
    });
    const oneCommit = fc.uniqueArray(oneChange, { selector: ({ key }) => key, maxLength: 5 });
    const rounds = fc.array(fc.array(oneCommit, { minLength: 1, maxLength: 6 }), { maxLength: 5 });
    fc.assert(
      fc.property(rounds, (all) => {
        const expected = new Snapshot();
        const snapshot = new Snapshot();
        const lastOf = new Map<string, { commit: number; place: number }>();
        let number = 0;
        for (const round of all) {
          const commits: Changes[] = [];
          for (const list of round) {
            number++;
            const changes = Changes.of(
              list.map(({ key, body, timed, told }): ActorChange => {
                const id = actorId('cell', key);
                const hasTimers = body !== undefined && timed;
                const record = body === undefined ? undefined : bytes(body);
                const timedAsBefore = told && hasTimers === expected.timed.has(id);
                return { id, bytes: record, timed: hasTimers, timedAsBefore };
              }),
            );
            for (const [place, { key, followed }] of list.entries()) {
              const last = lastOf.get(key);
              if (followed && last !== undefined) changes.follows(place, number - last.commit, last.place);
              lastOf.set(key, { commit: number, place });
            }
            for (const change of changes) expected.apply(change);
            changes.replaceIn(commits);
            commits.push(changes);
          }
          snapshot.write(commits);
          expect([snapshot.records, snapshot.timed]).toEqual([expected.records, expected.timed]);
        }
      }),
      { numRuns: 300 },
    );
  });
});
