// Hunts: a lost acknowledgement taken for a failure, or for a success; a fenced partition that takes others down, or goes on.
import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../../src/core/clock.js';
import { GroundswellError } from '../../../src/core/errors.js';
import type { AppendOutcome } from '../../../src/log/log.js';
import { Subjects } from '../../../src/log/subjects.js';
import { readToEnd } from '../../../src/log/log.js';
import { GroupCommit } from '../../../src/node/group-commit.js';
import { JournalReader } from '../../../src/partition/journal.js';
import { commitOf, encoded, ScriptedLog } from './commits.js';
import { encodeCommit } from '../../../src/node/batch-assembly.js';

const subjects = new Subjects('x');
const UNKNOWN: AppendOutcome = { outcome: 'unknown', cause: 'timeout' };

/** Time that does not have to be waited for: every delay is over at once, and noted. */
class ImpatientClock extends VirtualClock {
  readonly waits: number[] = [];
  override after(delayMs: number, callback: () => void): () => void {
    this.waits.push(delayMs);
    queueMicrotask(callback);
    return () => undefined;
  }
}

function setUp(log = new ScriptedLog()) {
  const clock = new ImpatientClock();
  const retries: [string, number][] = [];
  const group = new GroupCommit({
    log,
    subjects,
    clock,
    writer: 'us',
    partitions: 3,
    onRetry: (cause, attempt) => retries.push([cause, attempt]),
  });
  return { log, clock, group, retries };
}

/** Somebody else commits to a partition's journal. */
function intrude(log: ScriptedLog, partition: number, number: number, writer = 'them'): void {
  const { journal } = encoded(partition, number, { writer });
  log.appendNow(journal.map((payload) => ({ subject: subjects.journal(partition), payload })));
}

async function journalOf(log: ScriptedLog, partition: number): Promise<[string, number][]> {
  const reader = new JournalReader();
  const entries: [string, number][] = [];
  for await (const { payload } of readToEnd(log, subjects.journal(partition), 1)) {
    const entry = reader.push(payload);
    if (entry) entries.push([entry.control.writer, entry.control.commit]);
  }
  return entries;
}

describe('GroupCommit', () => {
  it('P2 commits several partitions in one batch and says where each journal ends', async () => {
    const { log, group } = setUp();
    const large = encodeCommit(commitOf(0, 1, { actors: [60, 200] }), 4_096);
    expect(large.journal.length).toBeGreaterThan(1);
    const result = await group.commit([large, encoded(2, 1)]);
    expect(log.appended.length).toBe(1);
    expect(result.fenced).toEqual([]);
    for (const { partition, journalSeq } of result.committed) {
      expect((await log.last(subjects.journal(partition)))!.seq).toBe(journalSeq);
      expect(group.journalSeq(partition)).toBe(journalSeq);
    }
  });

  it('P1 each commit expects what the last one left', async () => {
    const { log, group } = setUp();
    for (const number of [1, 2, 3]) await group.commit([encoded(0, number), encoded(1, number)]);
    expect(await journalOf(log, 1)).toEqual([
      ['us', 1],
      ['us', 2],
      ['us', 3],
    ]);
  });

  it('P1 a partition that another writer has taken is fenced; the others are committed without its share', async () => {
    const { log, group } = setUp();
    await group.commit([encoded(0, 1), encoded(1, 1)]);
    intrude(log, 1, 2);
    const share = (key: string) => ({ mail: { 2: [['cell', key, 'add', 0, 1] as const] } });
    const result = await group.commit([encoded(0, 2, share('kept')), encoded(1, 2, share('fenced'))]);
    expect(result.fenced).toEqual([1]);
    expect(result.committed.map(({ partition }) => partition)).toEqual([0]);
    expect(await journalOf(log, 0)).toEqual([
      ['us', 1],
      ['us', 2],
    ]);
    expect((await journalOf(log, 1)).at(-1)).toEqual(['them', 2]);
    const mail = (await log.last(subjects.mail(2)))!.payload;
    expect(Buffer.from(mail).toString('latin1')).toContain('kept');
    expect(Buffer.from(mail).toString('latin1')).not.toContain('fenced');
  });

  it('P1 what is joined to a fenced share is void with it; the others are committed', async () => {
    const { log, group } = setUp();
    await group.commit([encoded(0, 1), encoded(1, 1), encoded(2, 1)]);
    intrude(log, 1, 2);
    const joined = { joined: true };
    const result = await group.commit([encoded(0, 2, joined), encoded(1, 2, joined), encoded(2, 2)]);
    expect([result.fenced, result.void]).toEqual([[1], [0]]);
    expect(result.committed.map(({ partition }) => partition)).toEqual([2]);
    expect(await journalOf(log, 0)).toEqual([['us', 1]]);
  });

  it('P1 a fenced share that is joined to nobody leaves those that are joined', async () => {
    const { log, group } = setUp();
    await group.commit([encoded(0, 1), encoded(1, 1), encoded(2, 1)]);
    intrude(log, 1, 2);
    const joined = { joined: true };
    const result = await group.commit([encoded(0, 2, joined), encoded(1, 2), encoded(2, 2, joined)]);
    expect([result.fenced, result.void]).toEqual([[1], []]);
    expect(result.committed.map(({ partition }) => partition)).toEqual([0, 2]);
  });

  it('says where mail was stored', async () => {
    const { log, group } = setUp();
    const mail = { 2: [['cell', 'k', 'add', 0, 1] as const] };
    const { mailSeq } = await group.commit([encoded(0, 1, { mail: { ...mail } }), encoded(1, 1)]);
    expect([...mailSeq]).toEqual([[2, (await log.last(subjects.mail(2)))!.seq]]);
  });

  it('P1 when all are fenced nothing is stored, and nothing is tried again', async () => {
    const { log, group, retries } = setUp();
    group.track(0, 0);
    intrude(log, 0, 1);
    const lastSeq = await log.lastSeq();
    expect(await group.commit([encoded(0, 1)])).toMatchObject({ committed: [], fenced: [0], void: [] });
    expect([await log.lastSeq(), retries.length]).toEqual([lastSeq, 0]);
  });

  it('P1 another writer with the same commit number is another writer', async () => {
    const { log, group } = setUp();
    intrude(log, 0, 1, 'them');
    expect((await group.commit([encoded(0, 1)])).fenced).toEqual([0]);
  });

  it('P6 no answer, but the batch is there: it is ours, at its sequence, and is not sent again', async () => {
    const { log, group, retries } = setUp();
    await group.commit([encoded(0, 1)]);
    log.script.push((entries) => {
      log.appendNow(entries);
      return UNKNOWN;
    });
    const result = await group.commit([encoded(0, 2), encoded(1, 1)]);
    expect(result.committed.map(({ partition, journalSeq }) => [partition, journalSeq])).toEqual([
      [0, (await log.last(subjects.journal(0)))!.seq],
      [1, (await log.last(subjects.journal(1)))!.seq],
    ]);
    expect([log.appended.length, retries.length, result.fenced]).toEqual([2, 0, []]);
  });

  it('P6 no answer, and nothing is there: it is sent again, and takes effect once', async () => {
    const { log, group, retries } = setUp();
    log.script.push(() => UNKNOWN);
    const result = await group.commit([encoded(0, 1)]);
    expect(result.committed.length).toBe(1);
    expect(await journalOf(log, 0)).toEqual([['us', 1]]);
    expect(retries).toEqual([['timeout', 1]]);
  });

  it('P6 no answer, and somebody else is there: fenced', async () => {
    const { log, group } = setUp();
    log.script.push(() => {
      intrude(log, 0, 1);
      return UNKNOWN;
    });
    const result = await group.commit([encoded(0, 1), encoded(1, 1)]);
    expect(result.fenced).toEqual([0]);
    expect(result.committed.map(({ partition }) => partition)).toEqual([1]);
  });

  it('P6 a batch that comes in after it was given up: the second try finds it, and it takes effect once', async () => {
    const { log, group } = setUp();
    let late: Parameters<ScriptedLog['appendNow']>[0] = [];
    log.script.push((entries) => {
      late = entries;
      return UNKNOWN;
    });
    // Between the look at the journal and the second try, the first one arrives.
    log.script.push(() => {
      log.appendNow(late);
      return undefined;
    });
    const { committed, fenced } = await group.commit([encoded(0, 1), encoded(1, 1)]);
    expect([committed.length, fenced]).toEqual([2, []]);
    expect(await journalOf(log, 0)).toEqual([['us', 1]]);
    expect(committed[1]!.journalSeq).toBe((await log.last(subjects.journal(1)))!.seq);
  });

  it('P6 an entry in several frames is found as a whole', async () => {
    const { log, group } = setUp();
    const large = encodeCommit(commitOf(0, 1, { actors: [60, 200] }), 4_096);
    log.script.push((entries) => {
      log.appendNow(entries);
      return UNKNOWN;
    });
    const { committed } = await group.commit([encoded(1, 1), large]);
    expect(committed[1]!.journalSeq).toBe((await log.last(subjects.journal(0)))!.seq);
    expect(group.journalSeq(1)).toBe((await log.last(subjects.journal(1)))!.seq);
  });

  it('a refusal that passes is tried again, with longer and longer waits', async () => {
    const { log, clock, group, retries } = setUp();
    for (let i = 0; i < 9; i++)
      log.script.push(() => ({ outcome: 'refused', cause: 'no leader', retry: true }));
    expect((await group.commit([encoded(0, 1)])).committed.length).toBe(1);
    expect(retries.length).toBe(9);
    expect(clock.waits.slice(0, 3)).toEqual([50, 100, 200]);
    expect(Math.max(...clock.waits)).toBe(5_000);
  });

  it('a refusal for good is GS_LOG at once, with its cause', async () => {
    const { log, group, retries } = setUp();
    log.script.push(() => ({ outcome: 'refused', cause: 'stream is full', retry: false }));
    await expect(group.commit([encoded(0, 1)])).rejects.toMatchObject({
      code: 'GS_LOG',
      message: expect.stringContaining('stream is full') as string,
    });
    expect([log.appended.length, retries.length]).toEqual([1, 0]);
  });

  it('a stream that is gone is GS_STREAM_LOST at once; one that does not answer is asked again', async () => {
    const { log, group, retries } = setUp();
    const causes = ['GS_LOG', 'GS_LOG', 'GS_STREAM_LOST'] as const;
    log.script.push(...causes.map(() => () => UNKNOWN));
    let asked = 0;
    log.last = () => Promise.reject(new GroundswellError(causes[asked++]!, 'test'));
    await expect(group.commit([encoded(0, 1)])).rejects.toMatchObject({ code: 'GS_STREAM_LOST' });
    expect([asked, retries.length]).toEqual([3, 2]);
  });

  it('P8 it does not try for ever', async () => {
    const { log, group } = setUp();
    for (let i = 0; i < 100; i++) log.script.push(() => UNKNOWN);
    await expect(group.commit([encoded(0, 1)])).rejects.toMatchObject({ code: 'GS_LOG' });
    expect(log.script.length).toBeGreaterThan(0);
    expect(await journalOf(log, 0)).toEqual([]);
  });

  it('nothing to commit is done at once', async () => {
    const { log, group } = setUp();
    expect(await group.commit([])).toMatchObject({ committed: [], fenced: [], void: [] });
    expect(log.appended).toEqual([]);
  });
});
