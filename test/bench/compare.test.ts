/**
 * Hunts: a comparison that measures the wrong revision, or one of them always first; a spread that is none; a failure that
 * leaves worktrees behind or does not say what to do. The revisions are those of a small repository made here, whose bench
 * prints figures that its commit names.
 */
import { execFileSync, spawn } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { compare } from '../../bench/compare/compare.js';
import { compareOptions } from '../../bench/compare/options.js';
import { interleaved, spreadOf } from '../../bench/compare/statistics.js';
import { until } from '../support/until.js';

describe('the statistics of a comparison', () => {
  it('are the median, the ends and the quartiles, whatever the order of the values', () => {
    expect(spreadOf([5, 1, 4, 2, 3])).toEqual({ median: 3, min: 1, max: 5, quartiles: [2, 4] });
    expect(spreadOf([4, 1, 3, 2])).toEqual({ median: 2.5, min: 1, max: 4, quartiles: [1.75, 3.25] });
    expect(spreadOf([7])).toEqual({ median: 7, min: 7, max: 7, quartiles: [7, 7] });
    expect(() => spreadOf([])).toThrow('no values');
  });

  it('come from pairs that take turns in who is first', () => {
    expect(interleaved(3)).toEqual(['head', 'other', 'other', 'head', 'head', 'other']);
  });
});

describe('what is asked of a comparison', () => {
  it('is a revision, with five pairs of the full size unless others are named', () => {
    expect(compareOptions(['v1'])).toEqual({ revision: 'v1', runs: 5, events: undefined, json: false });
    expect(compareOptions(['--json', '--runs', '2', 'main~3', '--events', '1000'])).toEqual({
      revision: 'main~3',
      runs: 2,
      events: 1000,
      json: true,
    });
  });

  it.each([
    { args: [], says: /which revision\? npm run bench:compare/ },
    { args: ['a', 'b'], says: /one revision, not 2/ },
    { args: ['a', '--runs', '0'], says: /--runs: "0" is no whole number above 0/ },
    { args: ['a', '--events', '1e9x'], says: /--events: "1e9x"/ },
    { args: ['a', '--evnts', '5'], says: /--evnts[^]*npm run bench:compare/ },
  ])('is refused with what is wrong: $args', ({ args, says }) => {
    expect(() => compareOptions(args)).toThrow(says);
  });
});

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
let sandbox: string;
let root: string;
let order: string;
let temporary: string;

function git(...args: string[]): string {
  return execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.org', ...args], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** Commits a revision whose bench, once built, gives `speed`. */
function commit(
  tag: string,
  {
    speed,
    build = 'node build.mjs',
    bench = 'node bench.mjs',
  }: { speed: number; build?: string; bench?: string },
): void {
  writeFileSync(join(root, 'package.json'), JSON.stringify({ scripts: { bench: `${build} && ${bench}` } }));
  writeFileSync(
    join(root, 'build.mjs'),
    `import { writeFileSync } from 'node:fs'; writeFileSync('built', '${speed}');`,
  );
  writeFileSync(
    join(root, 'bench.mjs'),
    `import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
const speed = Number(readFileSync('built', 'utf8'));
const args = process.argv.slice(2).join(' ');
appendFileSync(${JSON.stringify(order)}, speed + ' ' + args + '\\n');
writeFileSync(tmpdir() + '/left-behind', 'x');
if (speed === 0) setInterval(() => undefined, 1000);
else console.log(JSON.stringify({
  eventsPerSecond: { endToEnd: speed, engineAlone: 2 * speed, nullReader: 1000 }, rowsHash: 'rows',
}));`,
  );
  git('add', '.');
  git('commit', '-qm', tag);
  git('tag', tag);
}

beforeAll(() => {
  sandbox = mkdtempSync(join(tmpdir(), 'gs-compare-'));
  root = join(sandbox, 'repository');
  order = join(sandbox, 'order');
  temporary = join(sandbox, 'tmp');
  mkdirSync(root);
  mkdirSync(temporary);
  vi.stubEnv('TMPDIR', temporary);
  git('init', '-q');
  commit('slow', { speed: 200 });
  commit('broken', { speed: 1, build: 'echo no such type >&2; false' });
  commit('mute', { speed: 1, bench: 'echo done' });
  commit('endless', { speed: 0 });
  commit('fast', { speed: 300 });
});

afterAll(() => {
  vi.unstubAllEnvs();
  rmSync(sandbox, { recursive: true, force: true });
});

const asked = (revision: string, runs = 1) => ({ revision, runs, events: 50, json: true });

async function comparing(revision: string, runs?: number) {
  const said: string[] = [];
  const result = await compare(asked(revision, runs), {
    root,
    signal: new AbortController().signal,
    say: (line) => said.push(line),
  });
  return { result, said };
}

function expectNothingLeft(): void {
  expect(readdirSync(temporary).filter((name) => name.startsWith('groundswell'))).toEqual([]);
  expect(git('worktree', 'list').trim().split('\n')).toHaveLength(1);
}

describe('a comparison', () => {
  it('runs the benches of both revisions in turn, and gives what HEAD is of the other', async () => {
    rmSync(order, { force: true });
    const { result, said } = await comparing('slow', 3);
    const args = '--json --no-stages --runs 1 --events 50';
    expect(readFileSync(order, 'utf8').trim().split('\n')).toEqual(
      [300, 200, 200, 300, 300, 200].map((speed) => `${speed} ${args}`),
    );
    expect(result).toMatchObject({ dirty: false, sameRows: true });
    expect(result.measures.map(({ name, ratio, head, other }) => [name, ratio.median, head, other])).toEqual([
      ['endToEnd', 1.5, 300, 200],
      ['engineAlone', 1.5, 600, 400],
      ['nullReaderRatio', expect.closeTo(1.5) as number, 0.3, 0.2],
    ]);
    expect(result.head).toBe(git('rev-parse', 'fast').trim());
    expect(result.other).toBe(git('rev-parse', 'slow').trim());
    expect(said.join('\n')).not.toContain('warning');
    expectNothingLeft();
  });

  it.each([
    { revision: 'nowhere', says: /git knows no revision "nowhere": name a commit, branch or tag/ },
    { revision: '--all', says: /git knows no revision "--all"/ },
    { revision: 'broken', says: /broken does not build [^]*no such type/ },
    { revision: 'mute', says: /the bench of mute prints other figures/ },
  ])('with $revision fails with what to do, and leaves nothing behind', async ({ revision, says }) => {
    await expect(comparing(revision)).rejects.toThrow(says);
    expectNothingLeft();
  });

  it('warns of changes that it does not measure', async () => {
    const text = readFileSync(join(root, 'build.mjs'), 'utf8');
    appendFileSync(join(root, 'build.mjs'), '\n');
    const { result, said } = await comparing('slow');
    writeFileSync(join(root, 'build.mjs'), text);
    expect(said[0]).toMatch(/^warning: .* not in HEAD/);
    expect(result.dirty).toBe(true);
  });

  it('that is broken off ends its bench and takes its worktrees away', async () => {
    rmSync(order, { force: true });
    const child = spawn(
      process.execPath,
      ['--import', import.meta.resolve('tsx'), join(ROOT, 'bench/compare.bench.ts'), 'endless', '--json'],
      { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    await until(
      'the bench without an end runs',
      () => existsSync(order) && readFileSync(order, 'utf8').includes('\n0 '),
      { pollMs: 20 },
    );
    child.kill('SIGINT');
    expect(await ended).toBe(1);
    expect(stderr).toContain('broken off by SIGINT');
    expectNothingLeft();
  });
});
