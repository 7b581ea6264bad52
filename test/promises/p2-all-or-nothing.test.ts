/**
 * Hunts: a crash between two steps after which state, input position, mail and output do not belong together: an event
 * counted twice or not at all, a message lost or sent twice, a row missing or there twice.
 */
import { describe, expect, it } from 'vitest';
import { decodeOutput } from '../../src/partition/output.js';
import { JournalReader } from '../../src/partition/journal.js';
import { partitionOfSubject } from '../../src/log/subjects.js';
import { MemoryLog } from '../../src/log/memory/memory-log.js';
import { Engine, run, type Settings } from '../support/engine.js';
import { FaultyLog, type Fault } from '../support/faulty-log.js';
import { FaultyStore } from '../support/faulty-store.js';
import { handMade } from '../support/market.js';
import { isCommit, RecordingLog } from '../support/recording-log.js';
import { repeated, sorted } from '../support/rows.js';
import { until } from '../support/until.js';

const SETTINGS: Settings = { partitions: 3, windowsMs: [60_000, 300_000], frameEvents: 4 };

describe('P2: all or nothing', () => {
  it('P2: recovery from the log cut after any batch gives the same rows as no crash at all', async () => {
    const log = new RecordingLog();
    const reference = await run(handMade(), { ...SETTINGS, log, limits: { stepTimersMax: 12, turnBytes: 600 } });
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

  it.each<Fault>(['die-before', 'die-after'])(
    'P2: a node that dies (%s its batch is stored) at any commit, again and again, says the same rows',
    async (fault) => {
      const reference = await run(handMade(), SETTINGS);
      for (let lives = 1; lives <= 6; lives++) {
        const inner = new MemoryLog();
        const feeder = new Engine({ ...SETTINGS, log: inner }).producer();
        await feeder.send(handMade());
        const untilMs = await feeder.end();
        let store = new FaultyStore();
        for (let deaths = 0; deaths < 12; deaths++) {
          // Each life commits a few times, then dies at its next commit.
          const log = new FaultyLog(inner, { fault: (n) => (n >= lives ? fault : 'none') });
          const engine = await Engine.start({ ...SETTINGS, log, store, limits: { stepTimersMax: 30, turnBytes: 900 } });
          engine.results(untilMs, inner).catch(() => undefined);
          let idle = 0;
          await until('it dies, or has nothing left to do', () => {
            idle = engine.node.stats.commits === idle ? idle : engine.node.stats.commits;
            return log.dead || settled(inner, untilMs);
          });
          log.kill();
          store.kill();
          // What was written before it died is there; nothing else.
          store = new FaultyStore({ from: store.writes });
          if (settled(inner, untilMs)) break;
        }
        const engine = await Engine.start({ ...SETTINGS, log: inner, store });
        const { rows } = await engine.results(untilMs);
        await engine.stop();
        expect(sorted(rows), `${lives} commits a life`).toEqual(sorted(reference.rows));
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

function settled(_log: MemoryLog, _untilMs: number): boolean {
  return false;
}
