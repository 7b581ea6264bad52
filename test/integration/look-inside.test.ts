/**
 * The commands that look inside, against a real node with a city that runs thirty times as fast as the clock. Hunts answers
 * that people and programs cannot rely on: other figures than the node's, streams that lose rows, exit codes that lie,
 * commands that do not end when they are told to or when nobody reads them any more.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Row } from '../../src/actor/row.js';
import type {
  DeadPage,
  FeatureReport,
  NodeReport,
  Readiness,
  TopReport,
} from '../../src/cli/node-answers.js';
import type { ActorView } from '../../src/node/status.js';
import { MAIN, Sandbox, type Ended } from '../support/cli.js';
import { until } from '../support/until.js';
import { FakeNode, report } from '../unit/cli/fake-node.js';

const sandbox = new Sandbox();
/** The program of util-linux that gives a command a terminal; elsewhere it takes other options. */
const hasTerminals = String(spawnSync('script', ['--version']).stdout).includes('util-linux');
let demo: { child: ChildProcess; ended: Promise<Ended> };
let address = '';
let cell = '';

const look = (...args: string[]): Promise<Ended> => sandbox.run([...args, '--http', address]);

async function looked<T>(...args: string[]): Promise<T> {
  const { code, stdout, stderr } = await look(...args, '--json');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout) as T;
}

/** Runs until its output has what is waited for, then until it is told to stop. */
async function lookUntil(args: readonly string[], shown: RegExp, signal: NodeJS.Signals): Promise<Ended> {
  const { child, ended } = sandbox.start([...args, '--http', address]);
  let output = '';
  child.stdout!.on('data', (chunk: Buffer) => (output += chunk.toString()));
  await until(`${args.join(' ')} shows ${shown}`, () => shown.test(output) || child.exitCode !== null, {
    pollMs: 20,
  });
  child.kill(signal);
  return ended;
}

beforeAll(async () => {
  const city = ['--drivers', '100', '--requests-per-minute', '60', '--warm-up', '5m', '--speed', '30x'];
  demo = sandbox.start(['demo', ...city, '--http', '0', '--json']);
  let lines = '';
  demo.child.stdout!.on('data', (chunk: Buffer) => (lines += chunk.toString()));
  await until('the demo says where it is', () => lines.includes('"address":"http'), { pollMs: 50 });
  address = /"address":"(http[^"]+)"/.exec(lines)![1]!;
  await until(
    'a cell surges',
    async () => {
      const { cells } = (await (await fetch(`${address}/v1/top?n=1`)).json()) as TopReport;
      cell = cells[0]?.key ?? '';
      return cell !== '';
    },
    { pollMs: 100 },
  );
  await fetch(`${address}/v1/events`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ type: 'session.opened', riderId: 'r-x', lat: 40.7, lon: -74, ts: Date.now() }),
  });
}, 120_000);
afterAll(() => sandbox.close());

describe('status', () => {
  it('shows a node that is ready, and all of its partitions', async () => {
    const { code, stdout } = await look('status');
    expect(code).toBe(0);
    expect(stdout).toContain('demo in sf: running for');
    expect(stdout.match(/^ +\d+ {2}demo /gm)).toHaveLength(16);
    expect(stdout).toContain('events are replayed');
  });

  it('is one JSON document for programs', async () => {
    const status = await looked<NodeReport & Readiness>('status');
    expect(status).toMatchObject({ ready: true, reasons: [], region: 'sf', name: 'demo' });
    expect(status.node.partitions).toHaveLength(16);
    expect(status.node.stats.events).toBeGreaterThan(0);
  });
});

describe('get', () => {
  it('shows a cell’s windows, what is there now, and its minutes', async () => {
    const { code, stdout } = await look('get', `cell/${cell}`, '--live', '--history', '5');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ {2}window +1m +5m/m);
    expect(stdout).toMatch(/^ {2}now\b/m);
    expect(stdout).toMatch(/^ {2}minute \(P[SD]T\) +\(UTC\) +surge/m);
  });

  it('gives programs the rows as they are', async () => {
    const { rows, region } = await looked<FeatureReport>('get', 'region', '--window', '5m');
    expect(region).toBe('sf');
    expect(Object.keys(rows)).toEqual(['5m']);
    expect(rows['5m']).toMatchObject({ level: 'region', final: true });
  });

  it('of a place that nothing is known of ends with 1 and what to do', async () => {
    const { code, stdout, stderr } = await look('get', 'cell/dr5ru7');
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/outside the region sf.*\n +.*9q8y.*GS_NOT_FOUND/);
  });
});

describe('watch', () => {
  const rowsIn = ({ stdout }: Ended): Row[] =>
    stdout
      .split('\n')
      .filter((line) => line.startsWith('{"region"'))
      .map((line) => JSON.parse(line) as Row);

  it('brings the same rows from the node as from nats-server, where the rights of an analyst suffice', async () => {
    const { nats } = await looked<NodeReport>('status');
    const args = ['watch', '1m/gh5/*', '--json', '--for', '10s'];
    const [fromNode, fromNats] = await Promise.all([
      look(...args),
      sandbox.run([...args, '--nats', nats.url]),
    ]);
    expect([fromNode.code, fromNats.code]).toEqual([0, 0]);
    const [here, there] = [rowsIn(fromNode), rowsIn(fromNats)];
    const startsOf = (rows: readonly Row[]): Set<number> => new Set(rows.map(({ start }) => start));
    // The first and the last minute of each may have come in part.
    const inner = (rows: readonly Row[]): number[] => [...startsOf(rows)].sort((a, b) => a - b).slice(1, -1);
    const both = inner(here).filter((start) => inner(there).includes(start));
    expect(both.length).toBeGreaterThan(0);
    const of = (rows: readonly Row[], start: number): Row[] =>
      rows.filter((row) => row.start === start).sort((a, b) => (a.key < b.key ? -1 : 1) || a.rev - b.rev);
    for (const start of both) expect(of(here, start)).toEqual(of(there, start));
  });

  it('shows rows and live values, a line each, until Ctrl-C', async () => {
    const ended = await lookUntil(['watch', 'region', '--live'], /sf +1m .*requests/, 'SIGINT');
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    const lives = await lookUntil(
      ['watch', 'cell/*', '--live', '--json'],
      /^\{"live":\{"level":"cell"/m,
      'SIGTERM',
    );
    expect(lives.code).toBe(0);
  });

  it('ends quietly when nobody reads it any more', async () => {
    const { child, ended } = sandbox.start(['watch', '*', '--live', '--http', address]);
    await new Promise((resolve) => child.stdout!.once('data', resolve));
    child.stdout!.destroy();
    expect(await ended).toMatchObject({ code: 0, stderr: '' });
  });

  it('of a wrong pattern ends with 2 and the forms', async () => {
    for (const args of [['town/x'], ['cell/9q8y'], ['town/x', '--nats', '127.0.0.1:1']]) {
      const { code, stderr } = await look('watch', ...args);
      expect(code).toBe(2);
      expect(stderr).toContain('cell/9q8y*');
    }
  });

  it('with a user that nats-server does not know ends with 2', async () => {
    const { nats } = await looked<NodeReport>('status');
    const { code, stderr } = await look('watch', '*', '--nats', nats.url.replace('//', '//nobody:secret@'));
    expect(code).toBe(2);
    expect(stderr).toContain('GS_NATS_AUTH');
    expect(stderr).not.toContain('secret');
  });

  it('of live values from nats-server is refused, for there are none', async () => {
    const { code, stderr } = await look('watch', '*', '--live', '--nats', '127.0.0.1:1');
    expect(code).toBe(2);
    expect(stderr).toContain('--live and --nats exclude each other');
  });
});

describe('status of a node that is not ready', () => {
  it('ends with 1, and says why', async () => {
    const node = await FakeNode.start();
    try {
      node.json('/v1/status', report()).json('/readyz', { ready: false, reasons: ['it is draining'] }, 503);
      const { code, stdout } = await sandbox.run(['status', '--http', String(node.port)]);
      expect(code).toBe(1);
      expect(stdout).toContain('not ready: it is draining');
    } finally {
      await node.close();
    }
  });
});

describe('top', () => {
  it('prints one snapshot in a pipe, and again and again with --every', async () => {
    const { code, stdout } = await look('top', '-n', '3');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^cell +surge .*last 30 minutes$/m);
    expect(stdout.match(/^9q\w{4} +× \d/gm)).toHaveLength(3);
    const again = await lookUntil(['top', '--every', '100ms', '--json'], /\n.*\n.*\n/, 'SIGINT');
    expect(again.code).toBe(0);
    for (const line of again.stdout.trim().split('\n'))
      expect((JSON.parse(line) as TopReport).cells.length).toBeGreaterThan(0);
  });

  it.runIf(hasTerminals)('paints on a terminal, and gives it back on Ctrl-C', async () => {
    // The shell between makes room: its own answer to Ctrl-C is not what is asked for.
    const command = `exec ${process.execPath} ${MAIN} top --http ${address}`;
    const terminal = spawn('script', ['-qec', command, '/dev/null'], {
      env: { ...process.env, TERM: 'xterm-256color', NO_COLOR: '1' },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    let screen = '';
    terminal.stdout.on('data', (chunk: Buffer) => (screen += chunk.toString()));
    const ended = new Promise((resolve) => terminal.once('close', resolve));
    await until(
      'two pictures',
      () => screen.split('Ctrl-C to end').length > 2 || terminal.exitCode !== null,
      {
        pollMs: 20,
      },
    ).finally(() => terminal.stdin.write('\u0003'));
    expect(await ended).toBe(0);
    expect(screen).toContain('\u001b[?25l');
    expect(screen.trimEnd().endsWith('\u001b[?25h')).toBe(true);
    expect(screen).toMatch(/events\/s/);
    // With NO_COLOR the cursor moves, and nothing is coloured.
    expect(screen).not.toMatch(/\u001b\[\d*(;\d+)*m/);
  });
});

describe('inspect', () => {
  it('shows a cell’s panes by the names of their counters, and its timers', async () => {
    const { code, stdout } = await look('inspect', `cell/${cell}`);
    expect(code).toBe(0);
    // The city goes on: when its minute is closed just then, the timer fires next.
    expect(stdout).toMatch(/^ {2}close {2}.*\(.*UTC\) +(in .* of event time|fires next)$/m);
    expect(stdout).toMatch(/\d\d:\d\d +\d\d:\d\d +.*(open_ms|requests|sessions) \d/);
    const view = await looked<ActorView>('inspect', `cell/${cell}`);
    expect(view).toMatchObject({ type: 'cell', key: cell, stage: 1 });
    expect((view.state as { panes: unknown[] }).panes.length).toBeGreaterThan(0);
  });

  it('of a mistyped type ends with 2 and the nearest, of an unknown actor with 1', async () => {
    const mistyped = await look('inspect', `cel/${cell}`);
    expect(mistyped.code).toBe(2);
    expect(mistyped.stderr).toContain('did you mean "cell"?');
    const unknown = await look('inspect', 'driver/nobody');
    expect(unknown.code).toBe(1);
    expect(unknown.stderr).toContain('GS_NOT_FOUND');
  });
});

describe('dead', () => {
  it('lists a refused event with its reason, and shows it whole', async () => {
    let page: DeadPage = { items: [], more: false };
    await until('the refused event is there', async () => {
      page = await looked<DeadPage>('dead', 'list', '--limit', '5');
      return page.items.length > 0;
    });
    const { seq, reason } = page.items.at(-1)!;
    expect(reason).toBe('outside_region');
    const list = await look('dead', 'list');
    expect(list.stdout).toMatch(new RegExp(`^${seq} .*outside_region`, 'm'));
    const shown = await look('dead', 'show', String(seq));
    expect(shown.code).toBe(0);
    expect(shown.stdout).toContain('r-x');
    const missing = await look('dead', 'show', '999999999');
    expect(missing.code).toBe(1);
  });
});

describe('a node that goes', () => {
  it('is told by what follows it, which waits for its return; what asks it then ends with 1', async () => {
    const watching = sandbox.start(['watch', 'region', '--for', '1d', '--http', address]);
    let notes = '';
    watching.child.stderr!.on('data', (chunk: Buffer) => (notes += chunk.toString()));
    await new Promise((resolve) => watching.child.stdout!.once('data', resolve));
    demo.child.kill('SIGTERM');
    await demo.ended;
    await until('the loss is told', () => notes.includes('Trying again'), { pollMs: 20 });
    const { code, stdout, stderr } = await look('status');
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(`No groundswell node answers at ${address}`);
    watching.child.kill('SIGINT');
    expect((await watching.ended).code).toBe(0);
  });
});
