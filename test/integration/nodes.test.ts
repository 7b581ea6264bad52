/**
 * Several nodes of one region, as an operator runs them: real processes over one real nats-server. Hunts a node that joins and
 * gets nothing, partitions that stay without an owner, an event that is lost or taken twice on the way, a status that says
 * what was and not what is, a drain that leaves something behind, and workers that outlive their parent or stay dead.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { locateNatsServer, WAYS } from '../../src/log/nats/server/locate.js';
import { releaseWay } from '../../src/log/nats/server/release.js';
import type { NodeReport } from '../../src/cli/node-answers.js';
import { MAIN, ROOT, Sandbox } from '../support/cli.js';
import { PlainServer } from '../support/plain-server.js';
import { isAlive } from '../support/process.js';
import { RunningStart } from '../support/running.js';
import { until } from '../support/until.js';

const sandbox = new Sandbox();
const TEST_MS = 240_000;
const PLACE = { lat: 37.7955, lon: -122.3937 };
let binary = '';
let server: PlainServer;
let folders = 0;
let running: RunningStart[] = [];

beforeAll(async () => {
  // Never GitHub from a test.
  binary = (await locateNatsServer({ ways: WAYS.filter((way) => way !== releaseWay) })).path;
}, 180_000);
afterEach(async () => {
  for (const { child } of running) child.kill('SIGKILL');
  await Promise.all(running.map(({ ended }) => ended));
  running = [];
  await sandbox.quiet();
  await server?.stop();
});
afterAll(() => sandbox.close());

async function newServer(): Promise<void> {
  server = await PlainServer.start(
    binary,
    'listen: "127.0.0.1:-1"\nmax_payload: 8MB\njetstream { store_dir: STORE }\n',
  );
}

async function startNode(
  name: string,
  args: readonly string[] = [],
  env: NodeJS.ProcessEnv = {},
): Promise<RunningStart> {
  const folder = sandbox.path(`node-${++folders}`);
  const words = ['--nats', server.url, '--name', name, ...args];
  const node = await RunningStart.open(sandbox, folder, words, env);
  running.push(node);
  return node;
}

const statusOf = async (node: RunningStart): Promise<NodeReport> =>
  (await node.get<NodeReport>('/v1/status')).body;
const ownersOf = ({ partitions }: NodeReport): string[] =>
  partitions.map(({ owner }) => owner?.name ?? 'NOBODY');

/** Waits until all partitions are owned, by these nodes and no others, as a node of them tells it. */
async function shared(node: RunningStart, ...names: string[]): Promise<NodeReport> {
  let report!: NodeReport;
  await until(
    `all partitions are owned by ${names.join(' and ')}`,
    async () => {
      report = await statusOf(node);
      const owners = new Set(ownersOf(report));
      return names.every((name) => owners.has(name)) && owners.size === names.length;
    },
    { deadlineMs: 60_000, pollMs: 100 },
  ).catch((error: unknown) => {
    throw new Error(`${String(error)}: ${JSON.stringify(report?.nodes)} ${JSON.stringify(ownersOf(report))}`);
  });
  return report;
}

async function post(node: RunningStart, from: number, to: number): Promise<void> {
  const events = Array.from({ length: to - from }, (_, i) => ({
    ...{ type: 'driver.location', driverId: `d-${from + i}`, ...PLACE, ts: Date.now(), status: 'open' },
  }));
  const { body } = await node.post(events);
  expect(body.accepted).toBe(events.length);
}

/** Waits until every driver is known, whichever node is asked. */
async function allKnown(node: RunningStart, to: number): Promise<void> {
  for (let i = 0; i < to; i++)
    await until(`driver d-${i} is known`, async () => (await node.inspect(`driver/d-${i}`)) !== undefined, {
      deadlineMs: 30_000,
      pollMs: 50,
    });
}

/** Events that were taken by partitions, each once: their counters are part of the commits. */
async function liveDrivers(node: RunningStart): Promise<number | undefined> {
  const { body } = await node.get<{ live?: { open?: number } | null }>('/v1/features/cell/9q8znb');
  return body.live?.open;
}

describe('two nodes', () => {
  it(
    'share the region, answer for each other, and the one that is left takes all when the other is killed',
    async () => {
      await newServer();
      const one = await startNode('one');
      expect(ownersOf(await shared(one, 'one'))).toHaveLength(16);
      await post(one, 0, 20);
      await allKnown(one, 20);
      const two = await startNode('two');
      const report = await shared(two, 'one', 'two');
      expect(report.nodes.map(({ name, state }) => [name, state]).sort()).toEqual([
        ['one', 'alive'],
        ['two', 'alive'],
      ]);
      // Each knows all actors, and all events of the past have moved with their partitions.
      await allKnown(two, 20);
      await post(two, 20, 40);
      for (const node of [one, two]) await allKnown(node, 40);
      for (const node of [one, two])
        await until('both see all drivers once', async () => (await liveDrivers(node)) === 40, {
          deadlineMs: 60_000,
          pollMs: 100,
        });
      const shown = await sandbox.run(['status', '--http', two.url]);
      expect(shown.stdout).toMatch(/^ {2}one +[0-9a-f]{8} +alive/m);

      two.child.kill('SIGKILL');
      await until(
        'the dead one is not shown as one that works',
        async () => (await statusOf(one)).nodes.find(({ name }) => name === 'two')?.state !== 'alive',
        { deadlineMs: 10_000, pollMs: 20 },
      );
      const after = await shared(one, 'one');
      expect(after.nodes.find(({ name }) => name === 'two')).toMatchObject({ state: 'gone', owned: [] });
      expect(after.alarms.map(({ kind }) => kind)).toContain('gone-node');
      await post(one, 40, 60);
      await allKnown(one, 60);
      const metrics = await (await fetch(`${one.url}/metrics`)).text();
      expect(metrics).toMatch(/^groundswell_owned_partitions 16$/m);
      expect(metrics).toMatch(/^groundswell_members\{state="gone"\} 1$/m);
      expect((await one.stop()).code).toBe(0);
    },
    TEST_MS,
  );

  it(
    'one that runs out of memory is a dead one: the other takes all and nothing is lost',
    async () => {
      await newServer();
      const one = await startNode('one');
      const [eater, sign] = [sandbox.path('eater.mjs'), sandbox.path('eat')];
      writeFileSync(
        eater,
        `import { existsSync } from 'node:fs';
         const kept = [];
         setInterval(() => {
           if (existsSync(${JSON.stringify(sign)})) for (;;) kept.push(new Array(10_000).fill({}));
         }, 20).unref();`,
      );
      const two = await startNode('two', [], {
        NODE_OPTIONS: `--max-old-space-size=256 --import ${eater}`,
      });
      await shared(one, 'one', 'two');
      await post(two, 0, 20);
      writeFileSync(sign, '');
      const { stderr } = await two.ended;
      expect(stderr).toContain('JavaScript heap out of memory');
      await shared(one, 'one');
      await allKnown(one, 20);
      await post(one, 20, 40);
      await until('all are seen once', async () => (await liveDrivers(one)) === 40, {
        deadlineMs: 60_000,
        pollMs: 100,
      });
      expect((await one.stop()).code).toBe(0);
    },
    TEST_MS,
  );

  it(
    'hand over when one is drained or stopped, and it takes its share again',
    async () => {
      await newServer();
      const one = await startNode('one');
      const two = await startNode('two');
      await shared(one, 'one', 'two');
      await post(one, 0, 20);
      const drained = await sandbox.run(['drain', 'one', '--http', two.url, '--json']);
      expect(drained).toMatchObject({ code: 0, stdout: expect.stringContaining('"owned":[]') as string });
      const report = await shared(two, 'two');
      expect(report.nodes.find(({ name }) => name === 'one')).toMatchObject({ state: 'draining', owned: [] });
      // It owns nothing, and still takes events and answers.
      await post(one, 20, 40);
      await allKnown(one, 40);
      expect((await one.get('/readyz')).status).toBe(200);

      const refused = await sandbox.run(['drain', 'two', '--http', one.url]);
      expect(refused).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('GS_NO_SUCCESSOR') as string,
      });
      const unknown = await sandbox.run(['drain', 'tow', '--nats', server.url, '--region', 'sf']);
      expect(unknown).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('did you mean "two"?') as string,
      });
      const undone = await sandbox.run(['drain', 'one', '--undo', '--nats', server.url, '--region', 'sf']);
      expect(undone.code, undone.stderr).toBe(0);
      await shared(two, 'one', 'two');

      const stopped = await one.stop();
      expect(stopped.code, stopped.stderr).toBe(0);
      expect(stopped.seconds).toBeLessThan(5);
      const left = await shared(two, 'two');
      expect(left.nodes.find(({ name }) => name === 'one')?.state).toBe('left');
      expect(left.alarms).toEqual([]);
      await allKnown(two, 40);
      expect(left.partitions.every(({ status }) => status !== null)).toBe(true);
    },
    TEST_MS,
  );

  it(
    'follow each other’s partitions with standbys, and one that hangs is told from one that works',
    async () => {
      await newServer();
      const region = sandbox.path('sf.yaml');
      writeFileSync(region, `${readFileSync(`${ROOT}/config/regions/sf.yaml`, 'utf8')}\nstandbys: 1\n`);
      const one = await startNode('one', ['--config', region]);
      await until(
        'it misses a standby',
        async () => (await statusOf(one)).alarms.some(({ kind }) => kind === 'no-standby'),
        { pollMs: 100 },
      );
      const two = await startNode('two', ['--config', region]);
      await until(
        'every partition has a standby that is ready',
        async () =>
          (await statusOf(two)).partitions.every(
            ({ standbys }) => standbys.length === 1 && standbys[0]!.ready,
          ),
        { deadlineMs: 60_000, pollMs: 100 },
      );
      await until(
        'there is nothing to alarm anybody',
        async () => (await statusOf(one)).alarms.length === 0,
        { deadlineMs: 30_000, pollMs: 100 },
      );
      process.kill(two.child.pid!, 'SIGSTOP');
      try {
        await until(
          'the one that hangs is told, and has lost what it owned',
          async () => {
            const { nodes, partitions } = await statusOf(one);
            const hung = nodes.find(({ name }) => name === 'two');
            return hung?.state === 'gone' && partitions.every(({ owner }) => owner?.name === 'one');
          },
          { deadlineMs: 30_000, pollMs: 100 },
        );
      } finally {
        process.kill(two.child.pid!, 'SIGCONT');
      }
      await shared(one, 'one', 'two');
      await shared(two, 'one', 'two');
    },
    TEST_MS,
  );
});

describe('starting a node twice', () => {
  it(
    'on one machine with one server finds a folder, a name and a port for the second, and says so',
    async () => {
      await newServer();
      const cwd = sandbox.path('machine');
      mkdirSync(cwd);
      const words = ['start', '--region', 'sf', '--nats', server.url, '--log-format', 'json'];
      const starts = [1, 2].map(() => sandbox.start(words, {}, MAIN, cwd));
      const url = (stderr: string): string | undefined => /"msg":"ready: ([^"]+)"/.exec(stderr)?.[1];
      await until('both are ready', () => starts.every(({ stderr }) => url(stderr()) !== undefined), {
        deadlineMs: 60_000,
        pollMs: 50,
      });
      const urls = starts.map(({ stderr }) => url(stderr())!);
      expect(new Set(urls).size).toBe(2);
      expect(readdirSync(join(cwd, 'data')).sort()).toEqual(['sf', 'sf-2']);
      const logs = starts.map(({ stderr }) => stderr()).join('\n');
      expect(logs).toMatch(/data\/sf-2".*the data folder is in use by another process/);
      expect(logs).toMatch(/the port for HTTP is in use: the next free one is taken/);
      let report!: NodeReport;
      await until(
        'they share the region',
        async () => {
          report = (await (await fetch(`${urls[0]!}/v1/status`)).json()) as NodeReport;
          return new Set(ownersOf(report)).size === 2 && !ownersOf(report).includes('NOBODY');
        },
        { deadlineMs: 60_000, pollMs: 100 },
      );
      const [first, second] = report.nodes.map(({ name }) => name).sort((a, b) => a.length - b.length);
      expect(second).toBe(`${first!}-2`);
      for (const { child } of starts) child.kill('SIGTERM');
      expect((await Promise.all(starts.map(({ ended }) => ended))).map(({ code }) => code)).toEqual([0, 0]);
    },
    TEST_MS,
  );
});

describe('workers', () => {
  /** The workers of a parent: their command line does not name the sandbox. */
  const workersOf = (parent: number): number[] =>
    readFileSync(`/proc/${parent}/task/${parent}/children`, 'utf8')
      .split(' ')
      .filter((pid) => pid !== '' && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('worker'))
      .map(Number);

  async function startWorkers(): Promise<RunningStart> {
    const node = await RunningStart.open(sandbox, sandbox.path(`node-${++folders}`), [
      ...['--workers', '2', '--name', 'w'],
    ]);
    running.push(node);
    return node;
  }

  it(
    'do the work of a node under a parent that answers for them, and come back when one is killed',
    async () => {
      const node = await startWorkers();
      const report = await shared(node, 'w-1', 'w-2');
      expect(report.nats.embedded).toBe(true);
      await until(
        'the parent shows all of them as its own',
        async () => (await statusOf(node)).node.partitions.length === 16,
        { pollMs: 100 },
      );
      await post(node, 0, 20);
      await allKnown(node, 20);
      await until('all are seen', async () => (await liveDrivers(node)) === 20, {
        deadlineMs: 60_000,
        pollMs: 100,
      });
      await until('it is ready', async () => (await node.get('/readyz')).status === 200, { pollMs: 50 });
      const [first] = workersOf(node.child.pid!);
      process.kill(first!, 'SIGKILL');
      await until(
        'the parent says that one is down',
        async () => {
          const { body } = await node.get<{ reasons: string[] }>('/readyz');
          return body.reasons.some((reason) => /^worker w-[12] does not answer$/.test(reason));
        },
        { deadlineMs: 10_000, pollMs: 10 },
      );
      await until('it is ready again', async () => (await node.get('/readyz')).status === 200, {
        deadlineMs: 60_000,
        pollMs: 50,
      });
      await post(node, 20, 40);
      await allKnown(node, 40);
      expect(node.log.map(({ msg }) => msg)).toContain('a worker has ended and is started again');
      const metrics = await (await fetch(`${node.url}/metrics`)).text();
      expect(metrics).toMatch(/^groundswell_commit_seconds_count [1-9]/m);
      const children = workersOf(node.child.pid!);
      const stopped = await node.stop();
      expect(stopped.code, stopped.stderr).toBe(0);
      expect(stopped.seconds).toBeLessThan(5);
      expect(children.filter(isAlive)).toEqual([]);
      // The lines of the workers are the parent’s.
      expect(node.log.filter(({ node: name }) => name === 'w-2').map(({ msg }) => msg)).toContain('draining');
    },
    TEST_MS,
  );

  it(
    'end when their parent is killed with -9, and the next start goes on with their folders',
    async () => {
      const node = await startWorkers();
      await shared(node, 'w-1', 'w-2');
      await post(node, 0, 10);
      await allKnown(node, 10);
      const children = workersOf(node.child.pid!);
      expect(children).toHaveLength(2);
      node.child.kill('SIGKILL');
      await node.ended;
      await until('no worker is left', () => !children.some(isAlive), { deadlineMs: 15_000, pollMs: 50 });
      const folder = sandbox.path(`node-${folders}`);
      const again = await RunningStart.open(sandbox, folder, ['--workers', '2', '--name', 'w']);
      running.push(again);
      await allKnown(again, 10);
      expect((await again.stop()).code).toBe(0);
    },
    TEST_MS,
  );
});
