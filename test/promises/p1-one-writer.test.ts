/**
 * Hunts: two nodes that both believe to own a partition, and a batch of the wrong one of which something is stored.
 */
import { describe, expect, it } from 'vitest';
import { Changes } from '../../src/partition/changes.js';
import { encodeJournalEntry } from '../../src/partition/journal.js';
import { Engine, newLog, run, subjects, type Settings } from '../support/engine.js';
import { FaultyLog } from '../support/faulty-log.js';
import { handMade } from '../support/market.js';
import { isCommit, RecordingLog } from '../support/recording-log.js';
import { repeated, sorted } from '../support/rows.js';
import { until } from '../support/until.js';

const SETTINGS: Settings = { partitions: 2, windowsMs: [60_000, 300_000], frameEvents: 8 };

/** A log whose appends wait from the n-th on, until they are let go. */
function held(inner: RecordingLog, from: number) {
  let open: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  let waiting = 0;
  const log = new FaultyLog(inner, {
    async before(n) {
      if (n < from) return;
      waiting++;
      await gate;
    },
  });
  return { log, open, waiting: () => waiting };
}

describe('P1: one writer', () => {
  it('P1: a node is fenced once a second one has committed, and its batch is refused whole', async () => {
    const reference = await run(handMade(), SETTINGS);
    const log = new RecordingLog();
    const slow = held(log, 2);
    const first = await Engine.start({ ...SETTINGS, log: slow.log });
    const producer = first.producer('test', log);
    await producer.send(handMade());
    await until('the first node has a batch under way', () => slow.waiting() > 0);

    const second = await Engine.start({ ...SETTINGS, log });
    const results = await second.results(await producer.end());
    await second.stop();
    const stored = log.batches.length;
    slow.open();

    await expect(first.node.finished).rejects.toMatchObject({ code: 'GS_FENCED' });
    expect(log.batches.length, 'nothing of the fenced batch is stored').toBe(stored);
    expect(repeated(results.rows)).toEqual([]);
    expect(sorted(results.rows)).toEqual(sorted(reference.rows));
  });

  it('P1: of a batch of partitions that heard each other nothing is stored when one is fenced', async () => {
    const log = new RecordingLog();
    const slow = held(log, 0);
    const engine = await Engine.start({ ...SETTINGS, log: slow.log });
    const producer = engine.producer('test', log);
    await producer.send(handMade());
    await producer.end();
    await until('the batch is under way', () => slow.waiting() > 0);
    const control = {
      writer: 'somebody else',
      commit: 1,
      inputSeq: 0,
      watermarkMs: 0,
      producers: new Map(),
      marks: [],
      closed: [],
      counters: new Map(),
      wallMs: 0,
      epoch: 1,
      handedTo: undefined,
      base: undefined,
    };
    const [foreign] = encodeJournalEntry({ control, changes: Changes.of([]) }, log.payloadBytesMax);
    log.appendNow([{ subject: subjects.journal(0), payload: foreign!, expectLastSeq: 0 }]);
    const before = log.batches.length;
    slow.open();

    await expect(engine.node.finished).rejects.toMatchObject({ code: 'GS_FENCED' });
    expect(log.batches.slice(before)).toEqual([]);
  });

  it('P1: two nodes that start together on one log say every row once between them', async () => {
    const reference = await run(handMade(), SETTINGS);
    const log = newLog();
    const nodes = [await Engine.start({ ...SETTINGS, log }), await Engine.start({ ...SETTINGS, log })];
    const producer = nodes[0]!.producer();
    await producer.send(handMade());
    const untilMs = await producer.end();
    const ends = await Promise.allSettled(nodes.map((node) => node.results(untilMs, log)));
    const fenced = ends.filter((end) => end.status === 'rejected');
    expect(fenced.map((end) => (end.reason as { code?: string }).code)).toEqual(['GS_FENCED']);
    const done = ends.find((end) => end.status === 'fulfilled')!;
    expect(sorted(done.value.rows)).toEqual(sorted(reference.rows));
    await Promise.allSettled(nodes.map((node) => node.stop()));
  });

  it('P1: every commit expects the end of the journal that it goes on', async () => {
    const log = new RecordingLog();
    await run(handMade(), { ...SETTINGS, log });
    for (const entries of log.batches.filter(isCommit)) {
      const seen = new Set<string>();
      for (const { subject, expectLastSeq } of entries) {
        if (!subject.endsWith('.journal')) continue;
        expect(expectLastSeq !== undefined, `${subject}, first frame or not`).toBe(!seen.has(subject));
        seen.add(subject);
      }
    }
  });
});
