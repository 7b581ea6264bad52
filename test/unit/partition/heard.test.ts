// Hunts: partitions that hear each other before they commit, and one of them takes back what it said: something that stays with
// those who heard it, or is lost, or is said twice.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { defineActor, type ActorEvent, type Behaviour } from '../../../src/actor/behaviour.js';
import { partitionOfKey } from '../../../src/core/hash.js';
import type { ActorId } from '../../../src/core/ids.js';
import type { MailMessage } from '../../../src/partition/frame.js';
import { rowsOf } from '../../../src/partition/row-block.js';
import { Driven, MINUTE } from './driven.js';
import { cleanEvent, FAILURES, poisonedEvent, POISONED, RULES, states, type Plan } from './poisoned.js';

const PARTITIONS = 3;
const NOTHING: ActorEvent = { type: 'nothing', ts: 0 };

/** Partitions of one process. Those that may hear each other do, and what is left goes as mail after the commit. */
class Process {
  readonly partitions: readonly Driven[];
  /** Commits that some were in together. */
  joined = 0;
  takenBack = 0;

  constructor(carefulCommits: number) {
    this.partitions = Array.from(
      { length: PARTITIONS },
      (_, partition) =>
        new Driven(POISONED, {
          partition,
          partitions: PARTITIONS,
          poison: { ...RULES, carefulCommits },
          onTakenBack: () => {
            this.takenBack++;
            for (const one of this.partitions) if (one.partition.joined) one.partition.withdraw();
          },
        }),
    );
  }

  accept(events: readonly ActorEvent[], watermarkMs: number): void {
    for (const [partition, driven] of this.partitions.entries()) {
      const own = events.filter(
        ({ key }) => typeof key === 'string' && partitionOfKey('worker', key, PARTITIONS) === partition,
      );
      driven.accept([...own, NOTHING], watermarkMs);
    }
  }

  hear(): void {
    const all = this.partitions.map(({ partition }) => partition);
    for (const partition of all) partition.advance(0);
    for (let heard = true; heard;) {
      heard = false;
      for (const to of all) {
        if (!to.careful && to.hear(all.filter((from) => !from.careful))) heard = true;
        to.advance(0);
      }
    }
  }

  async commit(): Promise<void> {
    while (this.partitions.some(({ partition }) => !partition.isPrepared))
      for (const { partition } of this.partitions) partition.prepareCommit();
    const commits = this.partitions.map(({ partition }) => partition.joined);
    this.joined += commits.filter(Boolean).length;
    for (const driven of this.partitions) await driven.commit();
    for (const { commits } of this.partitions) {
      const { partition: from, mail, marks, marksKnownBy } = commits.at(-1)!;
      for (const [to, driven] of this.partitions.entries()) {
        const messages: readonly MailMessage[] = mail.get(to) ?? [];
        const told = to === from || marksKnownBy.has(to) ? [] : (marks ?? []);
        if (messages.length + told.length > 0) driven.mail({ from, marks: told, messages });
      }
    }
  }

  get closed(): (readonly number[])[] {
    return this.partitions.map(({ partition }) => partition.closedMs);
  }

  /** All that is known of all actors, and all rows, wherever they are. */
  get told(): unknown {
    const rows = this.partitions.flatMap(({ commits }) => commits.flatMap(({ blocks }) => rowsOf(blocks)));
    return {
      states: this.partitions.map((driven) => states(driven)),
      rows: rows.map(({ key, features }) => JSON.stringify([key, features])).sort(),
    };
  }
}

const event: fc.Arbitrary<Plan> = fc
  .record({
    what: fc.constantFrom('do', 'do', 'do', 'poison', 'clash'),
    key: fc.constantFrom('a', 'b', 'c'),
    by: fc.integer({ min: 0, max: 30 }),
    id: fc.constant(undefined),
    fail: fc.option(fc.constantFrom(...FAILURES), { nil: undefined, freq: 3 }),
  })
  .map((plan): Plan => (plan.what === 'poison' ? { ...plan, fail: plan.fail ?? 'promise' } : plan));
const step = fc.record({
  events: fc.array(event, { maxLength: 5 }),
  byMs: fc.integer({ min: 0, max: 90_000 }),
});

describe('Partitions that hear each other', () => {
  it('P2 P7 say what they would have said by mail, whatever fails and is taken back on the way', async () => {
    let joined = 0;
    let takenBack = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(step, { minLength: 1, maxLength: 3 }), { maxLength: 8 }),
        fc.constantFrom(1, 2, 1_000),
        async (commits, carefulCommits) => {
          const hearing = new Process(carefulCommits);
          const clean = new Process(1);
          let nowMs = 0;
          let at = 0;
          for (const steps of commits) {
            for (const { events, byMs } of steps) {
              const ms = Math.ceil(nowMs / 1_000) * 1_000 + 2_000;
              const poisoned = events.map((plan) => poisonedEvent(plan, ms + (at++ % 3) * 1_000));
              hearing.accept(poisoned, nowMs);
              hearing.hear();
              clean.accept(
                events.map((plan) => cleanEvent(plan, ms)),
                nowMs,
              );
              // A timer that is set for what is over fires when time passes.
              for (const { partition } of clean.partitions) partition.advance(0);
              nowMs += byMs;
            }
            await hearing.commit();
            await clean.commit();
          }
          // Until nothing is under way any more.
          for (let i = 0; i < 8; i++) {
            nowMs += MINUTE;
            for (const process of [hearing, clean]) {
              process.accept([], nowMs);
              if (process === hearing) process.hear();
              await process.commit();
            }
          }
          joined += hearing.joined;
          takenBack += hearing.takenBack;
          expect(hearing.told).toEqual(clean.told);
          // By mail a stage closes a commit later.
          for (const [i, closed] of clean.closed.entries())
            for (const [stage, closedMs] of closed.entries())
              expect(hearing.closed[i]![stage]).toBeGreaterThanOrEqual(closedMs);
        },
      ),
      { numRuns: 150 },
    );
    expect(joined, 'joined commits').toBeGreaterThan(500);
    expect(takenBack, 'times something was taken back').toBeGreaterThan(20);
  });

  it('a state that is found too large when commits are made takes back what was ready', async () => {
    const process = new Process(1);
    process.accept([poisonedEvent({ key: 'a', by: 1, id: undefined, what: 'do', fail: undefined }, 0)], 0);
    process.accept([poisonedEvent({ key: 'b', by: 2, id: undefined, what: 'do', fail: 'size' }, 0)], 0);
    process.hear();
    await process.commit();
    process.hear();
    await process.commit();
    expect(process.takenBack).toBe(1);
    const known = Object.assign({}, ...process.partitions.map((driven) => states(driven))) as object;
    expect(known).toHaveProperty('total/t1');
    expect(known).not.toHaveProperty('total/t2');
    expect(known).not.toHaveProperty('worker/b');
  });

  it('an actor that several tell the same is called once, and knows all of it', () => {
    let calls = 0;
    const source = defineActor({
      type: 'source',
      sends: ['sum'],
      state: () => ({}),
      events: { tell: { key: 'key', handle: (_, { by }, ctx) => ctx.send('sum', 'all', 'add', MINUTE, by) } },
    });
    const sum = defineActor<{ sum: number }>({
      type: 'sum',
      sends: [],
      state: () => ({ sum: 0 }),
      messages: {
        add: {
          combine: (into: number, from: number) => into + from,
          handle(state, by: number) {
            calls++;
            state.sum += by;
          },
        },
      },
    });
    const behaviours = [source, sum] as Behaviour[];
    const partitions = [0, 1, 2].map((partition) => new Driven(behaviours, { partition, partitions: 3 }));
    const at = partitionOfKey('sum', 'all', 3);
    const others = partitions.filter((_, partition) => partition !== at);
    for (const [i, driven] of others.entries())
      driven.accept([{ type: 'tell', ts: 0, key: 'k', by: 10 ** i }], 0);
    const { partition } = partitions[at]!;
    expect(partition.hear(partitions.map((driven) => driven.partition))).toBe(true);
    expect([calls, partition.look('sum/all' as ActorId)?.state]).toEqual([1, { sum: 11 }]);
  });

  it('what several say and cannot be merged is told one by one', async () => {
    const process = new Process(2);
    const [one, two] = ['a', 'b', 'c', 'd', 'e']
      .map((key) => ({ key, partition: partitionOfKey('worker', key, PARTITIONS) }))
      .filter(({ partition }, i, all) => all.findIndex((other) => other.partition === partition) === i)
      .filter(({ partition }) => partition !== partitionOfKey('total', 'clash', PARTITIONS));
    for (const [by, said] of [one!, two!].entries())
      process.accept(
        [poisonedEvent({ key: said.key, by: by + 1, id: undefined, what: 'clash', fail: undefined }, 0)],
        0,
      );
    process.hear();
    expect(process.takenBack).toBe(1);
    await process.commit();
    process.hear();
    await process.commit();
    const known = Object.assign({}, ...process.partitions.map((driven) => states(driven))) as object;
    expect(known).toMatchObject({ 'total/clash': { state: { sum: 3 } } });
  });

  it('nothing said is nothing heard; marks are heard once', async () => {
    const process = new Process(1);
    const [to, from] = process.partitions.map(({ partition }) => partition) as [
      Driven['partition'],
      Driven['partition'],
    ];
    expect([to.hear([from]), to.joined, from.joined]).toEqual([false, false, false]);
    process.accept([], 5 * MINUTE);
    from.advance(0);
    expect([to.hear([from]), to.hear([from]), to.joined, from.joined]).toEqual([true, false, true, true]);
    await process.commit();
    const { marks, marksKnownBy, joined } = process.partitions[1]!.commits.at(-1)!;
    expect([marks?.[0], [...marksKnownBy], joined]).toEqual([5 * MINUTE, [0], true]);
  });
});
