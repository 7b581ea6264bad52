/**
 * Help is true. Hunts commands without a description or an example, examples that no longer run, and wrong usage that
 * ends in anything but exit code 2. The commands are those that the built program itself knows, so that none is forgotten.
 */
import { writeFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CompletedCommand } from '../../src/cli/completion-scripts.js';
import { mappingFile, Sandbox, type Ended } from '../support/cli.js';
import { until } from '../support/until.js';
import { cell, events, FakeNode, frame, member, report, row, T0 } from '../unit/cli/fake-node.js';

const sandbox = new Sandbox();
let node: FakeNode;
let commands: readonly CompletedCommand[];
/** What each command says with --help, by its path. */
const helps = new Map<string, string>();

beforeAll(async () => {
  const { stdout, stderr } = await sandbox.run(['completion', 'bash', '--json']);
  expect(stderr).toBe('');
  commands = JSON.parse(stdout) as CompletedCommand[];
  node = await FakeNode.start();
  const features = {
    region: 'sf',
    level: 'cell',
    key: '9q8yyk',
    watermark: T0,
    rows: { '5m': row() },
    stale: false,
  };
  const letter = {
    seq: 1_041,
    atMs: T0,
    type: 'ride_requested',
    reason: 'outside_region',
    message: 'far',
    body: {},
  };
  const actor = { id: 'cell/9q8yyk', type: 'cell', key: '9q8yyk', stage: 1, partition: 0 };
  node
    .json(
      '/v1/status',
      report({ nodes: [member(), member({ id: 'b', name: 'sf-2', self: false, owned: [] })] }),
    )
    .json('/v1/nodes/sf-2/drain', { id: 'b', name: 'sf-2', draining: true })
    .json('/readyz', { ready: true, reasons: [] })
    .json('/v1/features/cell/9q8yyk', { ...features, live: { open: 1 }, history: [row()] })
    .json('/v1/top', { watermark: T0, cells: [cell()] })
    .json('/v1/actors/cell/9q8yyk', {
      ...actor,
      state: {},
      timers: {},
      seenIds: 0,
      resident: true,
      commit: 1,
    })
    .json('/v1/dead', { items: [letter], more: false })
    .json('/v1/dead/1041', letter)
    .json('/v1/dead/1041/replay', { seq: 1041, type: 'ride.requested', id: 'dead:1041' })
    .json('/v1/quarantine', {
      count: 1,
      actors: [{ actor: 'cell/9q8yyk', partition: 0, sinceMs: T0, failures: 5, kept: 2, commit: 1 }],
      silent: [],
    })
    .json('/v1/quarantine/release', { actor: 'cell/9q8yyk', kept: 2, sinceMs: T0 });
  node.answers.set('/v1/watch', events([frame('row', row())]));
  await inTwos(commands, async (command) => {
    const { code, stdout, stderr } = await sandbox.run([...command.path, '--help']);
    expect({ command: named(command), code, stderr }).toEqual({
      command: named(command),
      code: 0,
      stderr: '',
    });
    helps.set(named(command), stdout);
  });
}, 120_000);
afterAll(async () => {
  await node.close();
  await sandbox.close();
});

/** How the example of a command is made to run here: quickly, and in the sandbox. */
interface Recipe {
  /** Words of the example that are replaced by others. */
  readonly instead?: Readonly<Record<string, string>>;
  /** Words that are added. */
  readonly more?: readonly string[];
  /** What must stand in its output; when it runs until it is told to stop, it is stopped then. */
  readonly shows: RegExp;
  /** Where `shows` is looked for. */
  readonly on?: 'stdout' | 'stderr';
  readonly stopBy?: NodeJS.Signals;
  /** Not at one go: the node that others look at meanwhile is in this process. */
  prepare?(): Promise<void>;
}

const data = (): string => sandbox.path('data');
const PINGS = 'cab,lat,lon,occupied,ts\nx,37.77,-122.42,0,1211353200\nx,37.77,-122.42,1,1211353260\n';

async function runFirst(...args: string[]): Promise<void> {
  const { code, stderr } = await sandbox.run(args);
  if (code !== 0) throw new Error(`${args.join(' ')}: ${stderr}`);
}

/** A data folder with a region in it that is at rest. */
async function aRegionIn(name: string): Promise<void> {
  const pings = sandbox.path(`${name}.csv`);
  await writeFile(pings, PINGS);
  const mapping = ['--mapping', mappingFile('cabspotting')];
  await runFirst('replay', pings, '--region', 'sf', ...mapping, '--data', sandbox.path(name));
}

const RECIPES: Readonly<Record<string, () => Recipe>> = {
  demo: () => ({
    instead: { '5000': '50', '2m': '2s' },
    more: ['--http', '0', '--warm-up', '2m', '--out', sandbox.path('demo.ndjson')],
    shows: /rows: region/,
  }),
  start: () => ({
    instead: { 'data/sf': data() },
    more: ['--http', '0'],
    shows: /ready: http/,
    on: 'stderr',
    stopBy: 'SIGTERM',
  }),
  status: () => ({ instead: { '7380': String(node.port) }, shows: /sf-1 in sf: running/ }),
  top: () => ({ shows: /9q8yyk {2}× 1\.2/, stopBy: 'SIGINT' }),
  watch: () => ({ instead: { '30s': '1s' }, shows: /cell\/9q8yyk/ }),
  get: () => ({ shows: /cell\/9q8yyk in sf/ }),
  inspect: () => ({ shows: /^cell\/9q8yyk$/m }),
  drain: () => ({ instead: { '7380': String(node.port) }, shows: /sf-2 owns nothing any more/ }),
  'dead list': () => ({ shows: /1041.*outside_region/ }),
  'dead show': () => ({ shows: /dead letter 1041/ }),
  'dead replay': () => ({ shows: /1041  ride.requested is in again/ }),
  'quarantine list': () => ({ instead: { '7380': String(node.port) }, shows: /cell\/9q8yyk/ }),
  'quarantine release': () => ({ shows: /cell\/9q8yyk goes on, and has taken the 2/ }),
  snapshot: () => ({
    instead: { 'data/sf': sandbox.path('taken'), backup: sandbox.path('taken-files') },
    prepare: () => aRegionIn('taken'),
    shows: /\d+ actors.*\n.*as files in/,
  }),
  restore: () => ({
    instead: { 'data/sf-2': sandbox.path('restored'), backup: sandbox.path('backup') },
    prepare: async () => {
      await aRegionIn('kept');
      await runFirst(
        ...['snapshot', '--region', 'sf', '--data', sandbox.path('kept'), '--out', sandbox.path('backup')],
      );
    },
    shows: /sf is as it was in/,
  }),
  repartition: () => ({
    instead: { 'data/sf': sandbox.path('cut-anew') },
    prepare: () => aRegionIn('cut-anew'),
    shows: /sf has 32 partitions now/,
  }),
  replay: () => ({
    instead: { 'pings.csv.gz': sandbox.path('pings.csv.gz'), 'rows.ndjson': sandbox.path('rows.ndjson') },
    prepare: () => writeFile(sandbox.path('pings.csv.gz'), gzipSync(PINGS)),
    shows: /accepted +2$/m,
  }),
  simulate: () => ({
    instead: { '2h': '1m', 'events.ndjson': sandbox.path('events.ndjson') },
    shows: /events are in/,
  }),
  check: () => ({ shows: /ok region sf/ }),
  'config show': () => ({ shows: /http\.port/ }),
  version: () => ({ shows: /"groundswell":"\d/ }),
  completion: () => ({ shows: /complete -F _groundswell groundswell/ }),
};

const named = ({ path }: CompletedCommand): string => path.join(' ');

/** Runs work for all items, two at a time. */
async function inTwos<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const rest = [...items];
  const next = async (): Promise<void> => {
    for (let item = rest.shift(); item !== undefined; item = rest.shift()) await work(item);
  };
  await Promise.all([next(), next()]);
}

/** Lines under the heading `Example:`, as words without `groundswell`. */
function examplesIn(text: string): string[][] {
  const section = /^Examples?:\n((?: {2}.+\n?)+)/m.exec(text)?.[1] ?? '';
  return section
    .split('\n')
    .map((line) => /^ {2}groundswell (.+)$/.exec(line)?.[1])
    .filter((line) => line !== undefined)
    .map((line) => [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare!));
}

/** The command that words lead to. */
function commandOf(words: readonly string[]): CompletedCommand | undefined {
  return commands.findLast(({ path }) => path.length > 0 && path.every((word, i) => words[i] === word));
}

async function runExample(words: readonly string[], recipe: Recipe): Promise<Ended> {
  await recipe.prepare?.();
  const args = [...words.map((word) => recipe.instead?.[word] ?? word), ...(recipe.more ?? [])];
  const { child, ended } = sandbox.start(args, {
    GROUNDSWELL_HTTP: String(node.port),
    GROUNDSWELL_LOG_FORMAT: 'json',
  });
  if (recipe.stopBy !== undefined) {
    let output = '';
    child[recipe.on ?? 'stdout']!.on('data', (chunk: Buffer) => (output += chunk.toString()));
    await until(
      `${args.join(' ')} shows ${recipe.shows}`,
      () => recipe.shows.test(output) || child.exitCode !== null,
      {
        pollMs: 20,
      },
    );
    child.kill(recipe.stopBy);
  }
  return ended;
}

describe('help', () => {
  it('of the program lists every command', () => {
    const text = helps.get('')!;
    for (const { name } of commands[0]!.commands) expect(text).toMatch(new RegExp(`^ {2}${name}\\b`, 'm'));
  });

  it('of every command says what it does, what each option is for, and has an example of it', () => {
    expect(commands.length).toBeGreaterThan(10);
    for (const command of commands.slice(1)) {
      const text = helps.get(named(command))!.replaceAll(/(?<=\S)\s*\n\s{10,}(?=\S)/g, ' ');
      expect.soft(command.description, named(command)).toMatch(/\w{3}.*\w{3}/);
      expect.soft(text.replaceAll(/\s+/g, ' '), named(command)).toContain(command.description);
      for (const { long, description } of command.options) {
        expect.soft(description, `${named(command)} ${long}`).toMatch(/\w{2}/);
        expect.soft(text, `${named(command)} ${long}`).toContain(long);
      }
      const examples = examplesIn(text);
      expect.soft(examples.length, `${named(command)} has an example`).toBeGreaterThan(0);
      for (const words of examples)
        expect
          .soft(named(commandOf(words) ?? command), words.join(' '))
          .toMatch(new RegExp(`^${named(command)}`));
    }
  });
});

describe('examples', () => {
  it('of all commands run, and show what they are for', async () => {
    const examples = new Map(
      commands
        .slice(1)
        .flatMap((command) => examplesIn(helps.get(named(command))!))
        .map((words) => [words.join(' '), words]),
    );
    await inTwos([...examples.values()], async (words) => {
      const what = `groundswell ${words.join(' ')}`;
      const recipe = RECIPES[named(commandOf(words)!)]?.();
      expect(recipe, `a recipe that makes this example run: ${what}`).toBeDefined();
      const { code, stdout, stderr } = await runExample(words, recipe!);
      expect.soft({ what, code, stderr: code === 0 ? '' : stderr }).toEqual({ what, code: 0, stderr: '' });
      expect.soft(recipe!.on === 'stderr' ? stderr : stdout, what).toMatch(recipe!.shows);
    });
    const unused = Object.keys(RECIPES).filter(
      (path) => !commands.some((command) => named(command) === path),
    );
    expect(unused).toEqual([]);
  }, 180_000);
});

describe('wrong usage', () => {
  it.each([
    'status --no-such-option',
    'dead list --limit x',
    'get 9q8yyk',
    'completion csh',
    'watch cell/9q8yya',
    'status --http nats://x:4222',
  ])('%s ends with 2, and says what is wrong', async (line) => {
    const words = line.split(' ');
    const { code, stdout, stderr } = await sandbox.run(words, { GROUNDSWELL_HTTP: '1' });
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^error/);
    expect(stderr).toContain(words.at(-1));
  });

  it('of a word that is no command names the nearest', async () => {
    const { code, stderr } = await sandbox.run(['statsu']);
    expect(code).toBe(2);
    expect(stderr).toContain('Did you mean status?');
  });
});
