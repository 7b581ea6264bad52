/**
 * Hunts: an effect that somebody outside sees although its commit is not acknowledged, and so may never have been.
 */
import { describe, expect, it } from 'vitest';
import { Engine, outputsNow, subjects, type Settings } from '../support/engine.js';
import { FaultyLog } from '../support/faulty-log.js';
import { FaultyStore } from '../support/faulty-store.js';
import { handMade } from '../support/market.js';
import { RecordingLog } from '../support/recording-log.js';
import { turns, until } from '../support/until.js';

const SETTINGS: Settings = { partitions: 3, windowsMs: [60_000, 300_000], frameEvents: 4 };

function gate() {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

async function mailNow(log: RecordingLog): Promise<number> {
  let messages = 0;
  for (let partition = 0; partition < SETTINGS.partitions!; partition++) {
    const last = await log.last(subjects.mail(partition));
    if (last !== undefined) messages++;
  }
  return messages;
}

describe('P4: nothing early', () => {
  it('P4: neither rows nor snapshots can be read while the log has not taken the batch', async () => {
    const log = new RecordingLog();
    const store = new FaultyStore();
    const { opened, open } = gate();
    let waiting = 0;
    const slow = new FaultyLog(log, {
      async before() {
        waiting++;
        await opened;
      },
    });
    const engine = await Engine.start({ ...SETTINGS, log: slow, store });
    const producer = engine.producer('test', log);
    await producer.send(handMade());
    const untilMs = await producer.end();
    await until('a batch is under way', () => waiting > 0);
    await turns(200);
    expect(engine.node.stats.events, 'the node works on meanwhile').toBeGreaterThan(0);
    expect((await outputsNow(log, 3)).rows).toEqual([]);
    expect(store.writes).toEqual([]);
    expect(waiting, 'one batch at a time').toBe(1);
    open();
    const { rows } = await engine.results(untilMs, log);
    await engine.stop();
    expect(rows.length).toBeGreaterThan(0);
    expect(store.writes.length).toBeGreaterThan(0);
  });

  it('P4: a batch that is refused for good leaves nothing behind', async () => {
    const log = new RecordingLog();
    const store = new FaultyStore();
    const engine = await Engine.start({
      ...SETTINGS,
      store,
      log: new FaultyLog(log, { fault: () => 'refuse-for-good' }),
    });
    const producer = engine.producer('test', log);
    await producer.send(handMade());
    await producer.end();
    await expect(engine.node.finished).rejects.toMatchObject({ code: 'GS_LOG' });
    expect((await outputsNow(log, 3)).rows).toEqual([]);
    expect(await mailNow(log)).toBe(0);
    expect(store.writes).toEqual([]);
  });

  it('P4: snapshots wait for the acknowledgement, not for the log to have the batch', async () => {
    const log = new RecordingLog();
    const store = new FaultyStore();
    const { opened, open } = gate();
    let stored = 0;
    const slow = new FaultyLog(log, {
      async beforeAnswer() {
        stored++;
        await opened;
      },
    });
    const engine = await Engine.start({ ...SETTINGS, log: slow, store });
    const producer = engine.producer('test', log);
    await producer.send(handMade());
    const untilMs = await producer.end();
    await until('the log has a batch', () => stored > 0);
    await turns(200);
    expect(store.writes).toEqual([]);
    open();
    await engine.results(untilMs, log);
    await engine.stop();
    expect(store.writes.length).toBeGreaterThan(0);
  });
});
