// Hunts: input that goes on until no commit fits the stream any more; a partition that is held for ever, or again and again.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../../src/core/clock.js';
import { MemoryLog } from '../../../src/log/memory/memory-log.js';
import { Subjects } from '../../../src/log/subjects.js';
import { InputHold, partitionsToHold, type PartitionLag } from '../../../src/node/input-hold.js';
import { turns } from '../../support/until.js';

const subjects = new Subjects('sf');
const lags = (...messages: number[]): PartitionLag[] =>
  messages.map((lagMessages, partition) => ({ partition, lagMessages }));
const NO_LIMIT = { messages: 100, bytes: 10_000, bytesMax: undefined };
const rules = { lagMessagesMax: 100, partitions: 3 };

describe('partitionsToHold', () => {
  it('holds those with more waiting than may, and lets them go at half of it', () => {
    expect([...partitionsToHold(lags(0, 101, 100), new Set(), NO_LIMIT, rules)]).toEqual([1]);
    expect([...partitionsToHold(lags(0, 51, 60), new Set([1]), NO_LIMIT, rules)]).toEqual([1]);
    expect([...partitionsToHold(lags(0, 50, 60), new Set([1]), NO_LIMIT, rules)]).toEqual([]);
  });

  it('holds all that have something waiting when the commits for it would not fit what is left', () => {
    // 40 messages of 100 bytes want 16,000 bytes of journal, mail and output.
    const load = { messages: 100, bytes: 10_000, bytesMax: 26_000 };
    expect([...partitionsToHold(lags(20, 20, 0), new Set(), load, rules)]).toEqual([]);
    expect([...partitionsToHold(lags(21, 20, 0), new Set(), load, rules)]).toEqual([0, 1]);
    expect([...partitionsToHold(lags(11, 10, 0), new Set([0, 1]), load, rules)]).toEqual([0, 1]);
    expect([...partitionsToHold(lags(10, 10, 0), new Set([0, 1]), load, rules)]).toEqual([]);
  });

  it('counts what partitions of other nodes need too', () => {
    const load = { messages: 100, bytes: 10_000, bytesMax: 26_000 };
    const one = [{ partition: 0, lagMessages: 15 }];
    expect(partitionsToHold(one, new Set(), load, { ...rules, partitions: 1 }).size).toBe(0);
    expect(partitionsToHold(one, new Set(), load, { ...rules, partitions: 3 }).size).toBe(1);
  });

  it('property: what waits and is not held always fits; nothing waiting is never held', () => {
    const some = fc.array(fc.nat(300), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(
        some,
        fc.integer({ min: 1, max: 1_000 }),
        fc.nat(10 ** 6),
        fc.nat(10 ** 6),
        (list, messages, bytes, room) => {
          const all = lags(...list);
          const load = { messages, bytes, bytesMax: bytes + room };
          const hold = partitionsToHold(all, new Set(), load, {
            lagMessagesMax: 100,
            partitions: all.length,
          });
          const free = all.filter(({ partition }) => !hold.has(partition));
          const needed = free.reduce((sum, { lagMessages }) => sum + lagMessages, 0) * (bytes / messages) * 4;
          expect(needed).toBeLessThanOrEqual(room);
          for (const { partition, lagMessages } of all)
            if (lagMessages === 0) expect(hold.has(partition)).toBe(false);
        },
      ),
    );
  });
});

describe('InputHold', () => {
  it('puts a message where a partition is held, once, and removes it; another node’s it leaves alone', async () => {
    const log = new MemoryLog();
    const clock = new VirtualClock();
    let now = lags(0, 200);
    const hold = new InputHold({ log, subjects, clock, partitions: 3, lagMessagesMax: 100, lags: () => now });
    log.appendNow([{ subject: subjects.hold(2), payload: new Uint8Array() }]);
    hold.start();
    const second = async (): Promise<void> => {
      clock.advance(1_000);
      await turns(10);
    };
    await second();
    const placed = await log.last(subjects.hold(1));
    expect([hold.held, placed !== undefined]).toEqual([[1], true]);
    await second();
    expect((await log.last(subjects.hold(1)))?.seq).toBe(placed!.seq);
    now = lags(0, 0);
    await second();
    expect([hold.held, await log.last(subjects.hold(1))]).toEqual([[], undefined]);
    expect(await log.last(subjects.hold(2))).toBeDefined();
    // Whoever takes the partition over finds it, and lets it go.
    now = lags(0, 0, 0);
    await second();
    expect(await log.last(subjects.hold(2))).toBeUndefined();
    await hold.stop();
    now = lags(200);
    await second();
    expect(await log.last(subjects.hold(0))).toBeUndefined();
  });

  it('goes on after a look that failed, and tells why', async () => {
    const clock = new VirtualClock();
    const causes: string[] = [];
    let away = true;
    const log = new (class extends MemoryLog {
      override load(pattern: string): ReturnType<MemoryLog['load']> {
        return away ? Promise.reject(new Error('test: away')) : super.load(pattern);
      }
    })();
    const hold = new InputHold({
      log,
      subjects,
      clock,
      partitions: 1,
      lagMessagesMax: 1,
      lags: () => lags(5),
      onFailure: (cause) => causes.push(cause),
    });
    hold.start();
    clock.advance(1_000);
    await turns(10);
    away = false;
    clock.advance(1_000);
    await turns(10);
    expect([causes, hold.held]).toEqual([['test: away'], [0]]);
    await hold.stop();
  });
});
