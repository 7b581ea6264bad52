/**
 * Hunts: a crash between two steps after which state, input position, mail and output do not belong together: an event
 * counted twice or not at all, a message lost or sent twice, a row missing or there twice.
 */
import { describe, expect, it } from 'vitest';
import { decodeOutput } from '../../src/partition/output.js';
import { JournalReader } from '../../src/partition/journal.js';
import { partitionOfSubject } from '../../src/log/subjects.js';
import { MemoryLog } from '../../src/log/memory/memory-log.js';
import { Engine, run, type Results, type Settings } from '../support/engine.js';
import { FaultyLog, type Fault } from '../support/faulty-log.js';
import { FaultyStore } from '../support/faulty-store.js';
import { handMade } from '../support/market.js';
import { isCommit, RecordingLog } from '../support/recording-log.js';
import { repeated, sorted } from '../support/rows.js';
import { until } from '../support/until.js';

const SMALL_STEPS = { turnTimersMax: 3, turnBytes: 1 };
const SETTINGS: Settings = { partitions: 3, windowsMs: [60_000, 300_000], frameEvents: 4 };

describe('P2: all or nothing', () => {
  it('P2: recovery from the log cut after any batch gives the same rows as no crash at all', async () => {
    const log = new RecordingLog();
    const reference = await run(handMade(), {
      ...SETTINGS,
      log,
      limits: SMALL_STEPS,
    });
    expect(reference.rows.length).toBeGreaterThan(100);
    const cuts = log.batches.length;
    expect(cuts).toBeGreaterThan(20);
    for (let cut = 0; cut <= cuts; cut++) {
      const engine = await Engine.start({ ...SETTINGS, log: log.cutAfter(cut) });
      const producer = engine.producer();
      await producer.producer.resume();
      await producer.send(handMade());
      const { rows } = await engine.results(await producer.end());
      await engine.stop();
      expect(repeated(rows), `cut after batch ${cut} of ${cuts}`).toEqual([]);
      expect(sorted(rows), `cut after batch ${cut} of ${cuts}`).toEqual(sorted(reference.rows));
    }
  });

  it.each<[Fault, number]>([
    ['die-before', 1],
    ['die-before', 3],
    ['die-after', 0],
    ['die-after', 2],
  ])(
    'P2: nodes that %s they have %i commits acknowledged, one after the other, say the same rows',
    async (fault, commits) => {
      const settings = { ...SETTINGS, limits: SMALL_STEPS };
      const reference = await run(handMade(), settings);
      const inner = new MemoryLog();
      const feeder = new Engine({ ...settings, log: inner }).producer();
      await feeder.send(handMade());
      const untilMs = await feeder.end();
      let store = new FaultyStore();
      for (let lives = 1; ; lives++) {
        const log = new FaultyLog(inner, { fault: (n) => (n >= commits ? fault : 'none') });
        const engine = await Engine.start({ ...settings, log, store });
        let results: Results | undefined;
        engine.results(untilMs, inner).then(
          (done) => (results = done),
          () => undefined,
        );
        await until('it dies or is done', () => log.dead || results !== undefined);
        log.kill();
        store.kill();
        store = new FaultyStore({ from: store.writes });
        if (results === undefined) continue;
        expect(lives, 'it died on the way').toBeGreaterThan(4);
        expect(sorted(results.rows)).toEqual(sorted(reference.rows));
        break;
      }
    },
  );

  it('P2: each batch of a node carries journal, mail and output of its commits together', async () => {
    const log = new RecordingLog();
    await run(handMade(), { ...SETTINGS, log });
    for (const entries of log.batches.filter(isCommit)) {
      const readers = new Map<number, JournalReader>();
      const commits = new Map<number, number>();
      for (const { subject, payload } of entries) {
        const partition = partitionOfSubject(subject);
        if (subject.endsWith('.journal')) {
          const reader = readers.get(partition) ?? new JournalReader();
          readers.set(partition, reader);
          const entry = reader.push(payload);
          if (entry !== undefined) commits.set(partition, entry.control.commit);
        } else if (subject.endsWith('.out')) {
          const { progress } = decodeOutput(payload);
          if (progress !== null) expect(commits.get(partition)).toBe(progress.commit);
        } else {
          expect(subject).toMatch(/\.in\.mail$/);
        }
      }
      expect(new Set(commits.keys()), 'every entry is whole').toEqual(new Set(readers.keys()));
    }
  });
});
