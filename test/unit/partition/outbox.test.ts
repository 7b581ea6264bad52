// Hunts: a message lost, or merged with one about another time or for another actor.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Outbox } from '../../../src/partition/outbox.js';

const adding = { combine: (a: unknown, b: unknown): unknown => (a as number) + (b as number) };
const said = fc.record({
  key: fc.constantFrom('a', 'b', 'c'),
  name: fc.constantFrom('add', 'set'),
  atMs: fc.nat(3),
  body: fc.nat(100),
});

describe('Outbox', () => {
  it('P8 messages that combine leave as one per actor, name and time, with nothing lost', () => {
    fc.assert(
      fc.property(fc.array(said), (list) => {
        const outbox = new Outbox();
        const sums = new Map<string, number>();
        for (const { key, name, atMs, body } of list) {
          outbox.put(['cell', key, name, atMs, body], adding);
          const slot = `cell/${key} ${name} ${atMs}`;
          sums.set(slot, (sums.get(slot) ?? 0) + body);
        }
        const left = outbox
          .take()
          .map(([type, key, name, atMs, body]) => [`${type}/${key} ${name} ${atMs}`, body]);
        expect(left.length).toBe(sums.size);
        expect(Object.fromEntries(left)).toEqual(Object.fromEntries(sums));
        expect([outbox.size, outbox.take()]).toEqual([0, []]);
      }),
    );
  });

  it('messages that do not combine all leave, in the order in which they were said to the actor', () => {
    fc.assert(
      fc.property(fc.array(said), (list) => {
        const outbox = new Outbox();
        for (const { key, name, atMs, body } of list) outbox.put(['cell', key, name, atMs, body], undefined);
        const messages = outbox.take();
        for (const key of ['a', 'b', 'c']) {
          expect(messages.filter((message) => message[1] === key)).toEqual(
            list.filter((m) => m.key === key).map((m) => ['cell', key, m.name, m.atMs, m.body]),
          );
        }
      }),
    );
  });

  it('actors of different types are different, whatever their keys', () => {
    const outbox = new Outbox();
    outbox.put(['cell', 'a', 'add', 0, 1], adding);
    outbox.put(['gh5', 'a', 'add', 0, 2], adding);
    outbox.put(['cell', 'a', 'add', 0, 3], adding);
    expect(outbox.size).toBe(2);
    expect(outbox.take()).toEqual([
      ['cell', 'a', 'add', 0, 4],
      ['gh5', 'a', 'add', 0, 2],
    ]);
  });
});
