// Hunts: a timer that fires out of order, twice, or never.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { actorId } from '../../../src/core/ids.js';
import { TimerQueue } from '../../../src/partition/timers.js';

const entry = (name: string) => ({ actor: actorId('cell', 'a'), name });

describe('TimerQueue', () => {
  it('gives what is due, earliest first, as a sorted list would', () => {
    const step = fc.oneof(
      fc.record({ add: fc.integer({ min: 0, max: 50 }) }),
      fc.record({ takeTo: fc.integer({ min: 0, max: 60 }), bite: fc.integer({ min: 1, max: 4 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const queue = new TimerQueue();
        let model: { atMs: number; name: string }[] = [];
        for (const [i, what] of steps.entries()) {
          if ('add' in what) {
            queue.add(what.add, entry(`${i}`));
            model.push({ atMs: what.add, name: `${i}` });
            model.sort((a, b) => a.atMs - b.atMs);
          } else {
            const taken: { atMs: number; name: string }[] = [];
            const take = () => queue.takeDue(what.takeTo, what.bite);
            for (let due = take(); due; due = take()) {
              expect(due.entries.length).toBeLessThanOrEqual(what.bite);
              taken.push(...due.entries.map(({ name }) => ({ atMs: due.atMs, name })));
            }
            expect(taken.map(({ atMs }) => atMs)).toEqual(
              taken.map(({ atMs }) => atMs).toSorted((a, b) => a - b),
            );
            const byName = (list: typeof model) => list.toSorted((a, b) => Number(a.name) - Number(b.name));
            expect(byName(taken)).toEqual(byName(model.filter(({ atMs }) => atMs <= what.takeTo)));
            model = model.filter(({ atMs }) => atMs > what.takeTo);
          }
          expect(queue.earliestMs).toBe(model[0]?.atMs);
          expect(queue.latestMs).toBe(model.at(-1)?.atMs);
        }
      }),
    );
  });

  it('gives all timers of one time together, in the order in which they were set', () => {
    const queue = new TimerQueue();
    for (const name of ['x', 'y', 'z']) queue.add(10, entry(name));
    expect(queue.takeDue(9, 5)).toBeUndefined();
    expect(queue.takeDue(10, 3)!.entries.map(({ name }) => name)).toEqual(['x', 'y', 'z']);
    expect(queue.takeDue(10, 5)).toBeUndefined();
  });
});
