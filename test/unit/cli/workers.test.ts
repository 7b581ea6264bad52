/**
 * Workers under a parent. Hunts a worker that stays dead, one that is started so fast that it eats the machine, a parent that
 * starts workers again while it ends, a wrong configuration that is tried for ever, and a log in which workers are not heard.
 */
import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../../src/core/clock.js';
import type { Logger } from '../../../src/core/logger.js';
import type { FromWorker, ToWorker, WorkerStart } from '../../../src/cli/worker-messages.js';
import { relay } from '../../../src/cli/worker-process.js';
import { Workers } from '../../../src/cli/workers.js';
import { turns } from '../../support/until.js';

interface FakeProcess {
  readonly name: string;
  readonly sent: ToWorker[];
  say(message: FromWorker): void;
  end(how: string): void;
}

function recorder(): { logger: Logger; lines: [level: string, fields: object, message: string][] } {
  const lines: [string, object, string][] = [];
  const at = (level: string) => (fields: object, message: string) => {
    lines.push([level, fields, message]);
  };
  const logger: Logger = {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: () => logger,
  };
  return { logger, lines };
}

const start = (name: string): WorkerStart => ({
  kind: 'start',
  logLevel: 'info',
  engine: {
    region: 'sf',
    dataDir: `/data/${name}`,
    publishRows: true,
    live: true,
    nats: { url: 'nats://x', password: 's3cret' },
  },
});

function open(count = 2): {
  workers: Workers;
  clock: VirtualClock;
  processes: FakeProcess[];
  lines: [string, object, string][];
  batches: unknown[];
  last: (name: string) => FakeProcess;
} {
  const clock = new VirtualClock();
  const processes: FakeProcess[] = [];
  const batches: unknown[] = [];
  const { logger, lines } = recorder();
  const workers = new Workers({
    clock,
    logger,
    observer: { committed: (batch) => batches.push(batch), snapshotWritten: (write) => batches.push(write) },
    workers: Array.from({ length: count }, (_, i) => ({ name: `w-${i + 1}`, start: start(`w-${i + 1}`) })),
    spawn: (name, onMessage) => {
      let end: (how: string) => void = () => undefined;
      const exited = new Promise<string>((resolve) => (end = resolve));
      const process = { name, sent: [] as ToWorker[], say: onMessage, end };
      processes.push(process);
      return {
        pid: processes.length,
        send: (message) => {
          process.sent.push(message);
          if (message.kind === 'drain') end('exit code 0');
        },
        kill: () => {
          end('ended by SIGKILL');
        },
        exited,
      };
    },
  });
  return {
    workers,
    clock,
    processes,
    lines,
    batches,
    last: (name) => processes.findLast((one) => one.name === name)!,
  };
}

describe('workers', () => {
  it('are all started, each with what it needs, and are ready when each runs', async () => {
    const { workers, processes } = open();
    let ready = false;
    const started = workers.start().then(() => (ready = true));
    expect(processes.map(({ name, sent }) => [name, sent])).toEqual([
      ['w-1', [start('w-1')]],
      ['w-2', [start('w-2')]],
    ]);
    processes[0]!.say({ kind: 'ready', id: 'a' });
    await turns();
    expect(ready).toBe(false);
    processes[1]!.say({ kind: 'ready', id: 'b' });
    await started;
    expect(workers.all).toEqual([
      { name: 'w-1', id: 'a' },
      { name: 'w-2', id: 'b' },
    ]);
    await workers.stop();
  });

  it('that die are started again, each time later, and it is said', async () => {
    const { workers, clock, processes, lines, last } = open(1);
    const started = workers.start();
    last('w-1').say({ kind: 'ready', id: 'a' });
    await started;
    const delays: number[] = [];
    for (let died = 1; died <= 9; died++) {
      last('w-1').end('ended by SIGKILL');
      await turns();
      expect(workers.all[0]!.id).toBeUndefined();
      let waitedMs = 0;
      while (processes.length === died) {
        clock.advance(100);
        waitedMs += 100;
        await turns();
      }
      delays.push(waitedMs);
      last('w-1').say({ kind: 'ready', id: 'a' });
      expect(workers.all[0]!.id).toBe('a');
    }
    expect(delays).toEqual([100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
    expect(lines.map(([level]) => level).join(' ')).toBe(`${'warn '.repeat(4)}${'error '.repeat(5)}`.trim());
    expect(lines[0]![1]).toMatchObject({ worker: 'w-1', how: 'ended by SIGKILL', inMs: 100 });
    await workers.stop();
  });

  it('that had run well are started again at once', async () => {
    const { workers, clock, processes, last } = open(1);
    const started = workers.start();
    last('w-1').say({ kind: 'ready', id: 'a' });
    await started;
    for (let died = 1; died <= 4; died++) {
      clock.advance(60_000);
      last('w-1').end('exit code 1');
      await turns();
      clock.advance(100);
      await turns();
      expect(processes).toHaveLength(died + 1);
    }
    await workers.stop();
  });

  it('whose configuration is wrong end the start; later, and with a folder in use, they are tried again', async () => {
    const wrong = open(1);
    const starting = wrong.workers.start();
    wrong.last('w-1').say({ kind: 'failed', code: 'GS_DATA_FOREIGN', message: 'other', remedy: 'mend' });
    wrong.last('w-1').end('exit code 2');
    await expect(starting).rejects.toMatchObject({
      code: 'GS_DATA_FOREIGN',
      message: 'Worker w-1: other',
      remedy: 'mend',
    });
    wrong.clock.advance(100_000);
    await turns();
    expect(wrong.processes).toHaveLength(1);

    const { workers, clock, processes, lines, last } = open(1);
    const started = workers.start();
    const fail = async (code: 'GS_DATA_LOCKED' | 'GS_CONFIG', died: number): Promise<void> => {
      last('w-1').say({ kind: 'failed', code, message: 'no', remedy: 'r' });
      last('w-1').end('exit code 2');
      await turns();
      clock.advance(1_000);
      await turns();
      expect(processes).toHaveLength(died + 1);
    };
    await fail('GS_DATA_LOCKED', 1);
    last('w-1').say({ kind: 'ready', id: 'a' });
    await started;
    await fail('GS_CONFIG', 2);
    expect(lines[1]![1]).toMatchObject({ error: { code: 'GS_CONFIG' } });
    await workers.stop();
  });

  it('are told to drain, waited for, and not started again, those that wait for their turn neither', async () => {
    const { workers, clock, processes, last } = open();
    const started = workers.start();
    for (const process of processes) process.say({ kind: 'ready', id: process.name });
    await started;
    last('w-1').end('exit code 1');
    await turns();
    await workers.stop();
    expect(last('w-2').sent.at(-1)).toEqual({ kind: 'drain' });
    clock.advance(100_000);
    await turns();
    expect(processes).toHaveLength(2);
  });

  it('tell what they measure', async () => {
    const { workers, batches, last } = open(1);
    const started = workers.start();
    last('w-1').say({ kind: 'ready', id: 'a' });
    await started;
    const batch = { bytes: 1, messages: 2, partitions: 3, seconds: 0.1 };
    last('w-1').say({ kind: 'committed', batch });
    last('w-1').say({ kind: 'snapshot', write: { actors: 4, seconds: 0.2 } });
    expect(batches).toEqual([batch, { actors: 4, seconds: 0.2 }]);
    await workers.stop();
  });
});

describe('lines of a worker', () => {
  it('are lines of the parent, with the worker’s fields and level', () => {
    const { logger, lines } = recorder();
    relay('{"level":"warn","time":"2026-01-01T00:00:00Z","node":"w-1","n":3,"msg":"careful"}', 'w-1', logger);
    relay('{"level":"strange","msg":"hm"}', 'w-1', logger);
    expect(lines).toEqual([
      ['warn', { node: 'w-1', n: 3 }, 'careful'],
      ['info', {}, 'hm'],
    ]);
  });

  it('that are none are said as they are: the machine’s last words', () => {
    const { logger, lines } = recorder();
    for (const line of ['FATAL ERROR: Reached heap limit', '{broken', '', '  ', '{"no":"message"}'])
      relay(line, 'w-1', logger);
    expect(lines).toEqual([
      ['error', { node: 'w-1' }, 'FATAL ERROR: Reached heap limit'],
      ['error', { node: 'w-1' }, '{broken'],
      ['error', { node: 'w-1' }, '{"no":"message"}'],
    ]);
  });
});
