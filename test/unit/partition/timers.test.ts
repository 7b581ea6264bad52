// Hunts: a timer that fires out of order, twice, or never.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { actorId } from '../../../src/core/ids.js';
import { TimerQueue } from '../../../src/partition/timers.js';

const actor = (key: string) => actorId('cell', key);

describe('TimerQueue', () => {
  it('gives what is due, earliest first, as a sorted list would', () => {
    const step = fc.oneof(
      fc.record({ add: fc.integer({ min: 0, max: 50 }), named: fc.constantFrom('x', 'y') }),
      fc.record({ takeTo: fc.integer({ min: 0, max: 60 }), bite: fc.integer({ min: 1, max: 4 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const queue = new TimerQueue();
        let model: { atMs: number; name: string; id: string }[] = [];
        for (const [i, what] of steps.entries()) {
          if ('add' in what) {
            const id = actor(`${i}`);
            queue.add(what.add, what.named, id);
            model.push({ atMs: what.add, name: what.named, id });
            model.sort((a, b) => a.atMs - b.atMs);
          } else {
            const taken: typeof model = [];
            const take = () => queue.takeDue(what.takeTo, what.bite);
            for (let due = take(); due; due = take()) {
              const { atMs, name, actors } = due;
              expect(actors.length).toBeLessThanOrEqual(what.bite);
              taken.push(...actors.map((id) => ({ atMs, name, id: id as string })));
            }
            expect(taken.map(({ atMs }) => atMs)).toEqual(
              taken.map(({ atMs }) => atMs).toSorted((a, b) => a - b),
            );
            const inOrder = (list: typeof model) => list.toSorted((a, b) => (a.id < b.id ? -1 : 1));
            expect(inOrder(taken)).toEqual(inOrder(model.filter(({ atMs }) => atMs <= what.takeTo)));
            model = model.filter(({ atMs }) => atMs > what.takeTo);
          }
          expect(queue.earliestMs).toBe(model[0]?.atMs);
          expect(queue.latestMs).toBe(model.at(-1)?.atMs);
        }
      }),
    );
  });

  it('gives the timers of one time and name together, in the order in which they were set', () => {
    const queue = new TimerQueue();
    for (const key of ['a', 'b', 'c']) queue.add(10, 'x', actor(key));
    queue.add(10, 'y', actor('a'));
    expect(queue.takeDue(9, 5)).toBeUndefined();
    const due = [queue.takeDue(10, 5)!, queue.takeDue(10, 5)!];
    expect(due.find(({ name }) => name === 'x')!.actors).toEqual(['a', 'b', 'c'].map(actor));
    expect(due.find(({ name }) => name === 'y')!.actors).toEqual([actor('a')]);
    expect(queue.takeDue(10, 5)).toBeUndefined();
  });

  it('goes back to what it was, without the timers of some actors', () => {
    const queue = new TimerQueue();
    for (const key of ['a', 'b', 'c']) queue.add(10, 'x', actor(key));
    queue.add(20, 'x', actor('a'));
    queue.takeDue(10, 2);
    queue.goBack(new Set([actor('b')]));
    expect(queue.takeDue(15, 5)!.actors.toSorted()).toEqual([actor('a'), actor('c')]);
    expect(queue.takeDue(25, 5)!.actors).toEqual([actor('a')]);
    expect(queue.earliestMs).toBeUndefined();
  });
});
