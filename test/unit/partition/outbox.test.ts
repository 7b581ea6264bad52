// Hunts: a message lost, merged with one about another time, or sent to the wrong partition.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { partitionOf } from '../../../src/core/hash.js';
import { actorId } from '../../../src/core/ids.js';
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
          outbox.put(actorId('cell', key), name, atMs, body, adding);
          const slot = `cell/${key} ${name} ${atMs}`;
          sums.set(slot, (sums.get(slot) ?? 0) + body);
        }
        const left = outbox.take().map(([to, name, atMs, body]) => [`${to} ${name} ${atMs}`, body]);
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
        for (const { key, name, atMs, body } of list)
          outbox.put(actorId('cell', key), name, atMs, body, undefined);
        const messages = outbox.take();
        for (const key of ['a', 'b', 'c']) {
          expect(messages.filter(([to]) => to === `cell/${key}`)).toEqual(
            list.filter((m) => m.key === key).map((m) => [`cell/${key}`, m.name, m.atMs, m.body]),
          );
        }
      }),
    );
  });

  it('each message goes to the partition of its actor, in order', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ maxLength: 3 })),
        fc.integer({ min: 1, max: 8 }),
        (keys, partitions) => {
          const outbox = new Outbox();
          keys.forEach((key, i) => {
            outbox.put(actorId('cell', key), 'm', 0, i, undefined);
          });
          const mail = outbox.takeByPartition(partitions);
          for (const [partition, messages] of mail)
            for (const [to] of messages) expect(partitionOf(to, partitions)).toBe(partition);
          expect([...mail.values()].flat().length).toBe(keys.length);
        },
      ),
    );
  });
});
