/** Hunts inputs that are removed too early, or never. */
import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../../src/core/clock.js';
import { MemoryLog } from '../../../src/log/memory/memory-log.js';
import { Subjects } from '../../../src/log/subjects.js';
import { Retention } from '../../../src/node/retention.js';

const subjects = new Subjects('x');
const HISTORY_MS = 10_000;

function world() {
  const clock = new VirtualClock();
  const log = new MemoryLog();
  const retention = new Retention({ log, subjects, clock, historyMs: HISTORY_MS, everyMs: 1_000 });
  const append = (subject: string) => log.appendNow([{ subject, payload: new Uint8Array(1) }]);
  const left = async (subject: string) => {
    const reader = await log.read(subject, 1, () => undefined);
    return reader.take(1_000_000).map(({ seq }) => seq);
  };
  return { clock, log, retention, append, left };
}

describe('retention', () => {
  it('P8: removes inputs that have been behind the journal for the whole history, of both kinds', async () => {
    const { clock, retention, append, left } = world();
    append(subjects.events(0)); // 1
    append(subjects.mail(0)); // 2
    append(subjects.events(0)); // 3
    await retention.tend(new Map([[0, 2]]));
    clock.advance(HISTORY_MS + 1_000);
    await retention.tend(new Map([[0, 2]]));
    expect(await left(subjects.inputs(0))).toEqual([3]);
  });

  it('never removes an input that is not committed, however old', async () => {
    const { clock, retention, append, left } = world();
    append(subjects.events(0));
    for (let i = 0; i < 5; i++) {
      await retention.tend(new Map([[0, 0]]));
      clock.advance(HISTORY_MS);
    }
    expect(await left(subjects.inputs(0))).toEqual([1]);
  });

  it('keeps committed inputs for the history', async () => {
    const { clock, retention, append, left } = world();
    append(subjects.events(0));
    await retention.tend(new Map([[0, 1]]));
    clock.advance(HISTORY_MS - 1);
    await retention.tend(new Map([[0, 1]]));
    expect(await left(subjects.inputs(0))).toEqual([1]);
  });

  it('touches neither journals, outputs nor other partitions', async () => {
    const { clock, retention, append, left } = world();
    append(subjects.journal(0)); // 1
    append(subjects.out(0)); // 2
    append(subjects.events(1)); // 3
    append(subjects.mail(0)); // 4
    await retention.tend(new Map([[0, 4]]));
    clock.advance(HISTORY_MS + 1_000);
    await retention.tend(new Map([[0, 4]]));
    expect(await left('gs.x.p.>')).toEqual([1, 2, 3]);
  });

  it('looks only once in its time', async () => {
    const { clock, retention, append, left } = world();
    append(subjects.events(0));
    append(subjects.events(0));
    await retention.tend(new Map([[0, 1]]));
    clock.advance(999);
    // This note is not taken: it would start the history later than the first one did.
    await retention.tend(new Map([[0, 1]]));
    clock.advance(HISTORY_MS - 999);
    await retention.tend(new Map([[0, 1]]));
    expect(await left(subjects.inputs(0))).toEqual([2]);
  });

  it('P3: keeps the last event frame of a partition, where a producer that comes back finds how far it was', async () => {
    const { clock, retention, append, left } = world();
    append(subjects.events(0)); // 1
    append(subjects.events(0)); // 2
    append(subjects.mail(0)); // 3
    await retention.tend(new Map([[0, 3]]));
    clock.advance(HISTORY_MS);
    await retention.tend(new Map([[0, 3]]));
    expect(await left(subjects.inputs(0))).toEqual([2]);
  });
});
