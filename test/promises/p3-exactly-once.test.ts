/**
 * Hunts: an input frame that takes effect twice, or never, because it was sent again, read again or half sent.
 */
import { describe, expect, it } from 'vitest';
import { Engine, newLog, run, type Settings } from '../support/engine.js';
import { FaultyLog, type Fault } from '../support/faulty-log.js';
import { handMade, session, CELLS } from '../support/market.js';
import { sorted, total } from '../support/rows.js';
import { until } from '../support/until.js';

const SETTINGS: Settings = { partitions: 3, windowsMs: [60_000, 300_000], frameEvents: 4 };
const reference = await run(handMade(), SETTINGS);

describe('P3: exactly-once effect', () => {
  it('P3: an input frame takes effect once although its acknowledgement was lost and it was sent again', async () => {
    const log = newLog();
    const engine = await Engine.start({ ...SETTINGS, log });
    const producer = engine.producer(
      'test',
      new FaultyLog(log, { fault: (n) => (n % 2 === 0 ? 'lose-ack' : 'none') }),
    );
    await producer.send(handMade());
    const results = await engine.results(await producer.end());
    await engine.stop();
    expect(results.count('repeated')).toBeGreaterThan(0);
    expect(sorted(results.rows)).toEqual(sorted(reference.rows));
  });

  it('P3: an input frame takes effect once although a batch of frames was lost, refused or late on its way', async () => {
    const faults: Fault[] = ['lose', 'none', 'refuse', 'delay', 'none', 'lose-ack'];
    const log = newLog();
    const engine = await Engine.start({ ...SETTINGS, log });
    const producer = engine.producer(
      'test',
      new FaultyLog(log, { fault: (n) => faults[n % faults.length]! }),
    );
    await producer.send(handMade());
    const results = await engine.results(await producer.end());
    await engine.stop();
    expect(sorted(results.rows)).toEqual(sorted(reference.rows));
  });

  it('P3: an input frame takes effect once although its producer forgot what it had sent and sent all again', async () => {
    const log = newLog();
    const engine = await Engine.start({ ...SETTINGS, log });
    await engine.producer().send(handMade());
    const again = engine.producer();
    await again.send(handMade());
    const results = await engine.results(await again.end());
    await engine.stop();
    expect(results.count('repeated')).toBeGreaterThan(0);
    expect(sorted(results.rows)).toEqual(sorted(reference.rows));
  });

  it.each<Fault>(['die-before', 'die-after'])(
    'P3: a producer that died (%s a batch was stored) resumes, and every event is there once',
    async (fault) => {
      for (let batches = 0; ; batches++) {
        const log = newLog();
        const engine = await Engine.start({ ...SETTINGS, log });
        const dying = new FaultyLog(log, { fault: (n) => (n === batches ? fault : 'none') });
        const first = engine.producer('test', dying);
        let done = false;
        const sending = first.send(handMade()).then(() => first.end());
        sending.then(
          () => (done = true),
          () => undefined,
        );
        await until('it dies or is done', () => dying.dead || done);
        if (done) {
          expect(batches, 'deaths').toBeGreaterThan(5);
          await engine.stop();
          return;
        }
        const second = engine.producer();
        expect(await second.producer.resume()).toBe(batches > 0 || fault === 'die-after');
        await second.send(handMade());
        const results = await engine.results(await second.end());
        await engine.stop();
        expect(results.count('repeated'), 'resuming sends only what is missing').toBe(0);
        expect(sorted(results.rows), `died at batch ${batches}`).toEqual(sorted(reference.rows));
      }
    },
  );

  it('P3: a replay that was finished and is sent again adds nothing', async () => {
    const log = newLog();
    const engine = await Engine.start({ ...SETTINGS, log });
    const first = engine.producer();
    await first.send(handMade());
    const untilMs = await first.end();
    await engine.results(untilMs);
    const second = engine.producer();
    await second.producer.resume();
    const before = await log.lastSeq();
    expect(second.producer.ended).toBe(true);
    await second.send(handMade());
    await second.end();
    const results = await engine.results(untilMs);
    await engine.stop();
    expect(await log.lastSeq(), 'messages of the stream').toBe(before);
    expect(sorted(results.rows)).toEqual(sorted(reference.rows));
  });

  it('P3: an event with an id counts once within the duplicate window, over a crash too', async () => {
    const log = newLog();
    const events = [0, 1, 2].map((i) => session('r', 1_000 * i, CELLS[0], { id: 'same' }));
    const dying = new FaultyLog(log, { fault: (n) => (n === 1 ? 'die-after' : 'none') });
    const first = await Engine.start({ ...SETTINGS, log: dying });
    const producer = first.producer('test', log);
    await producer.sendEach(events);
    await until('the node dies', () => dying.dead);
    const second = await Engine.start({ ...SETTINGS, log });
    const other = second.producer('another');
    await other.sendEach([session('r', 9_000, CELLS[0], { id: 'same' })]);
    await producer.end();
    const results = await second.results(await other.end());
    await second.stop();
    expect(results.count('duplicates')).toBe(3);
    expect(total(results.rows, 'cell', '1m', 'sessions')).toBe(1);
  });
});
