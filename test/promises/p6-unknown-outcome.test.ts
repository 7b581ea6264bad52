/**
 * Hunts: a lost acknowledgement that is guessed about: a batch committed twice, given up though it was stored, or taken
 * for ours when it is somebody else's.
 */
import { describe, expect, it } from 'vitest';
import { decodeOutput } from '../../src/partition/output.js';
import { partitionOfSubject } from '../../src/log/subjects.js';
import { Engine, run, type Results, type Settings } from '../support/engine.js';
import { FaultyLog, type Fault } from '../support/faulty-log.js';
import { handMade } from '../support/market.js';
import { isCommit, RecordingLog } from '../support/recording-log.js';
import { sorted } from '../support/rows.js';

const SETTINGS: Settings = { partitions: 3, windowsMs: [60_000, 300_000], frameEvents: 4 };
const reference = await run(handMade(), SETTINGS);

async function runWith(fault: (n: number) => Fault): Promise<{
  log: RecordingLog;
  faulty: FaultyLog;
  results: Results;
  engine: Engine;
}> {
  const log = new RecordingLog();
  const faulty = new FaultyLog(log, { fault });
  const engine = await Engine.start({
    ...SETTINGS,
    log: faulty,
    limits: { turnTimersMax: 3, turnBytes: 1 },
  });
  const producer = engine.producer('test', log);
  await producer.send(handMade());
  const results = await engine.results(await producer.end(), log);
  await engine.stop();
  return { log, faulty, results, engine };
}

/** Numbers of the commits of each partition, as the world heard them. */
function commitsOf(log: RecordingLog): Map<number, number[]> {
  const commits = new Map<number, number[]>();
  for (const { subject, payload } of log.batches.filter(isCommit).flat()) {
    if (!subject.endsWith('.out')) continue;
    const { progress } = decodeOutput(payload);
    const partition = partitionOfSubject(subject);
    if (progress !== null) commits.set(partition, [...(commits.get(partition) ?? []), progress.commit]);
  }
  return commits;
}

describe('P6: an unknown outcome is resolved, not guessed', () => {
  it.each<[Fault, string]>([
    ['lose-ack', 'ours: the node goes on'],
    ['lose', 'absent: the node tries again'],
    ['delay', 'absent when looked for, and there when tried again: the node goes on'],
    ['refuse', 'refused for now: the node tries again'],
  ])('P6: %s at any one commit gives the same rows (%s)', async (fault) => {
    for (let at = 0; ; at++) {
      const { log, faulty, results, engine } = await runWith((n) => (n === at ? fault : 'none'));
      expect(sorted(results.rows), `at append ${at}`).toEqual(sorted(reference.rows));
      for (const numbers of commitsOf(log).values())
        expect(numbers, 'no commit is stored twice').toEqual([...new Set(numbers)].sort((a, b) => a - b));
      const reached = faulty.appends > at;
      expect(engine.retries.length).toBe(fault === 'lose-ack' || !reached ? 0 : 1);
      if (reached) continue;
      expect(at, 'commits that were disturbed').toBeGreaterThan(15);
      return;
    }
  });

  it('P6: faults of every kind, one after the other, give the same rows', async () => {
    const faults: Fault[] = [
      'lose',
      'lose-ack',
      'refuse',
      'delay',
      'none',
      'lose',
      'lose',
      'lose-ack',
      'lose-ack',
    ];
    const { results } = await runWith((n) => faults[n % faults.length]!);
    expect(sorted(results.rows)).toEqual(sorted(reference.rows));
  });

  it('P6: theirs: a node that looks for its lost batch and finds another writer’s is fenced', async () => {
    const log = new RecordingLog();
    let lost: () => void = () => undefined;
    const isLost = new Promise<void>((resolve) => {
      lost = resolve;
    });
    let goOn: () => void = () => undefined;
    const mayGoOn = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    const first = await Engine.start({
      ...SETTINGS,
      log: new FaultyLog(log, {
        fault: (n) => (n === 1 ? 'lose' : 'none'),
        async beforeAnswer(n) {
          if (n !== 1) return;
          lost();
          await mayGoOn;
        },
      }),
    });
    const producer = first.producer('test', log);
    await producer.send(handMade());
    await isLost;
    const second = await Engine.start({ ...SETTINGS, log });
    const { rows } = await second.results(await producer.end());
    await second.stop();
    goOn();
    await expect(first.node.finished).rejects.toMatchObject({ code: 'GS_FENCED' });
    expect(sorted(rows)).toEqual(sorted(reference.rows));
  });

  it('P6: a log that never answers ends the node with the reason, and nothing is lost', async () => {
    const log = new RecordingLog();
    const engine = await Engine.start({ ...SETTINGS, log: new FaultyLog(log, { fault: () => 'lose' }) });
    const producer = engine.producer('test', log);
    await producer.send(handMade());
    const untilMs = await producer.end();
    await expect(engine.node.finished).rejects.toMatchObject({
      code: 'GS_LOG',
      message: expect.stringContaining('the batch is lost') as string,
    });
    const next = await Engine.start({ ...SETTINGS, log });
    const { rows } = await next.results(untilMs);
    await next.stop();
    expect(sorted(rows)).toEqual(sorted(reference.rows));
  });
});
