// Hunts: commits that belong together in two batches; one that is left behind for ever.
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/core/clock.js';
import { CommitPipeline } from '../../../src/node/commit-pipeline.js';
import { GroupCommit, type CommitResult } from '../../../src/node/group-commit.js';
import { Subjects } from '../../../src/log/subjects.js';
import { commitOf, ScriptedLog, type CommitParts } from './commits.js';

function setUp() {
  const log = new ScriptedLog();
  const partitions = 8;
  const results: CommitResult[] = [];
  const groupCommit = new GroupCommit({
    ...{ log, partitions, subjects: new Subjects('x'), clock: systemClock, writer: 'us' },
  });
  const pipeline = new CommitPipeline({
    ...{ log, partitions, groupCommit, clock: systemClock, batchBytesMax: 4_000 },
    onAcknowledged: (result) => results.push(result),
    onFailure: (error) => {
      throw error;
    },
  });
  const send = async (...parts: [partition: number, more: CommitParts][]): Promise<number[]> => {
    pipeline.start(() => parts.map(([partition, more]) => commitOf(partition, 1, more)));
    await pipeline.idle();
    return results.at(-1)!.committed.map(({ partition }) => partition);
  };
  return { log, pipeline, send };
}

const LARGE: CommitParts = { actors: [10, 150] };

describe('CommitPipeline', () => {
  it('P8 what does not fit a batch is held for the next', async () => {
    const { pipeline, send } = setUp();
    expect(await send([0, LARGE], [1, LARGE], [2, LARGE])).toEqual([0, 1]);
    expect([pipeline.holds(1), pipeline.holds(2)]).toEqual([false, true]);
    expect(await send()).toEqual([2]);
  });

  it('P2 those that heard each other are never held, however large they are', async () => {
    const { pipeline, send } = setUp();
    const joined = { ...LARGE, joined: true };
    expect(await send([0, LARGE], [1, joined], [2, joined], [3, joined], [4, joined])).toEqual([1, 2, 3, 4]);
    expect(pipeline.holds(0)).toBe(true);
    expect(await send()).toEqual([0]);
  });

  it('says to whom mail is on its way: messages, and marks that they have not heard', async () => {
    const { pipeline } = setUp();
    const mail = { 3: [['cell', 'k', 'add', 0, 1] as const] };
    pipeline.start(() => [
      commitOf(0, 1, { mail: { ...mail } }),
      commitOf(1, 1, { marks: [60_000], marksKnownBy: [0, 3, 4, 5, 6, 7] }),
    ]);
    const on = [0, 1, 2, 3, 4].map((to) => pipeline.carriesMailTo(to));
    expect(on).toEqual([false, false, true, true, false]);
    await pipeline.idle();
    expect(pipeline.carriesMailTo(3)).toBe(false);
  });

  it('P8 more messages than a batch can hold are an error that names the partition', () => {
    const { pipeline, log } = setUp();
    // Room for one message besides mail.
    Object.defineProperty(log, 'batchEntriesMax', { value: 17 });
    const commits = [0, 1].map((partition) => commitOf(partition, 1, { joined: true }));
    expect(() => pipeline.start(() => commits)).toThrow(/partition 1, takes 2 messages; a batch holds 1/);
  });
});
