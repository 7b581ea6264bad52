/**
 * Hunts: snapshots that know more than the journal, and a recovery that is not the same from whatever is left.
 */
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.js';
import { Engine, run, subjects, type Settings } from '../support/engine.js';
import { FaultyLog } from '../support/faulty-log.js';
import { FaultyStore } from '../support/faulty-store.js';
import { handMade } from '../support/market.js';
import { RecordingLog } from '../support/recording-log.js';
import { sorted } from '../support/rows.js';

const PARTITIONS = 3;
const SETTINGS: Settings = { partitions: PARTITIONS, windowsMs: [60_000, 300_000], frameEvents: 4 };
const reference = await run(handMade(), SETTINGS);

/** Goes on with a log and a store as they are, sends what is missing, and gives all rows. */
async function goOn(log: RecordingLog, store: FaultyStore): Promise<string[]> {
  const engine = await Engine.start({ ...SETTINGS, log, store });
  const producer = engine.producer();
  await producer.producer.resume();
  await producer.send(handMade());
  const { rows } = await engine.results(await producer.end());
  await engine.stop();
  return sorted(rows);
}

async function recorded(): Promise<{ log: RecordingLog; store: FaultyStore }> {
  const log = new RecordingLog();
  const store = new FaultyStore();
  await run(handMade(), { ...SETTINGS, log, store, limits: { turnTimersMax: 10, turnBytes: 1 } });
  return { log, store };
}

/** The writes whose journal positions lie within a log. */
async function writesWithin(log: RecordingLog, store: FaultyStore): Promise<FaultyStore['writes']> {
  const lastSeq = await log.lastSeq();
  return store.writes.filter((updates) => updates.every(({ journalSeq }) => journalSeq <= lastSeq));
}

describe('P5: snapshots follow', () => {
  it.each([true, false])(
    'P5: at the end they hold all, but of a node that is temporary (%s), after which another one goes on as well',
    async (temporary) => {
      const log = new RecordingLog();
      const store = new FaultyStore();
      // After the first round none comes by itself for an hour.
      const limits = { turnTimersMax: 10, turnBytes: 1, snapshotEveryMs: 3_600_000 };
      await run(handMade(), { ...SETTINGS, log, store, clock: systemClock, limits, temporary });
      const behind: number[] = [];
      for (let partition = 0; partition < PARTITIONS; partition++) {
        const last = await log.last(subjects.journal(partition));
        behind.push(last!.seq - (store.position(partition)?.journalSeq ?? 0));
      }
      expect(behind.every((messages) => messages === 0)).toBe(!temporary);
      expect(await goOn(log, store)).toEqual(sorted(reference.rows));
    },
  );

  it('P5: a snapshot never stands ahead of what the node has heard acknowledged, however slow the snapshots are', async () => {
    const log = new RecordingLog();
    const acknowledged = new Map<string, number>();
    const watched = new FaultyLog(log);
    const append = watched.append.bind(watched);
    watched.append = async (entries) => {
      const outcome = await append(entries);
      if (outcome.outcome === 'committed')
        entries.forEach(({ subject }, i) => acknowledged.set(subject, outcome.firstSeq + i));
      return outcome;
    };
    let writes = 0;
    const store = new FaultyStore({
      async before(_n, updates) {
        for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
        for (const { partition, journalSeq } of updates) {
          writes++;
          expect(journalSeq).toBeLessThanOrEqual(acknowledged.get(subjects.journal(partition)) ?? 0);
        }
      },
    });
    const { rows } = await run(handMade(), { ...SETTINGS, log: watched, store, limits: { turnBytes: 1 } });
    expect(writes).toBeGreaterThan(3);
    expect(sorted(rows)).toEqual(sorted(reference.rows));
  });

  it('P5: recovery from the journal alone, from a stale snapshot and from the latest one all give the same rows', async () => {
    const { log, store } = await recorded();
    for (let cut = 0; cut <= log.batches.length; cut += 3) {
      const writes = await writesWithin(log.cutAfter(cut), store);
      for (const kept of new Set([0, Math.floor(writes.length / 2), writes.length])) {
        const from = new FaultyStore({ from: writes.slice(0, kept) });
        const rows = await goOn(log.cutAfter(cut), from);
        expect(rows, `log cut after ${cut}, ${kept} of ${writes.length} snapshots`).toEqual(
          sorted(reference.rows),
        );
      }
    }
  });

  it('P5: recovery applies only the entries after the snapshot', async () => {
    const { log, store } = await recorded();
    const whole = await Engine.start({
      ...SETTINGS,
      log: log.cutAfter(log.batches.length),
      store: new FaultyStore(),
    });
    const none = await Engine.start({
      ...SETTINGS,
      log: log.cutAfter(log.batches.length),
      store: new FaultyStore({ from: store.writes }),
    });
    expect(whole.node.stats.entriesRecovered).toBeGreaterThan(10);
    expect(none.node.stats.entriesRecovered).toBe(0);
    await whole.stop();
    await none.stop();
  });

  it('P5: a snapshot ahead of the journal is refused, and says why', async () => {
    const { log, store } = await recorded();
    const short = log.cutAfter(Math.floor(log.batches.length / 2));
    await expect(
      Engine.start({ ...SETTINGS, log: short, store: new FaultyStore({ from: store.writes }) }),
    ).rejects.toMatchObject({
      code: 'GS_STREAM_LOST',
      message: expect.stringMatching(/the snapshot stands at \d+, the journal ends at \d+/) as string,
    });
  });

  it('P5: a journal with a hole in it is refused', async () => {
    const { log, store } = await recorded();
    const lost = log.cutAfter(log.batches.length);
    const [update] = store.writes[0]!;
    await lost.purge(subjects.journal(update!.partition), Math.floor((await lost.lastSeq()) / 2));
    const stale = new FaultyStore({ from: store.writes.slice(0, 1) });
    await expect(Engine.start({ ...SETTINGS, log: lost, store: stale })).rejects.toMatchObject({
      code: 'GS_STREAM_LOST',
    });
  });

  it('P5: snapshots that cannot be written end the node; what it had committed is all there afterwards', async () => {
    const log = new RecordingLog();
    const store = new FaultyStore({
      before: (n) => (n < 2 ? Promise.resolve() : Promise.reject(new Error('no space left on device'))),
    });
    const engine = await Engine.start({ ...SETTINGS, log, store, limits: { turnBytes: 1 } });
    const producer = engine.producer();
    await producer.send(handMade());
    await expect(engine.node.finished).rejects.toThrow('no space left on device');
    expect(await goOn(log, new FaultyStore({ from: store.writes }))).toEqual(sorted(reference.rows));
  });
});
