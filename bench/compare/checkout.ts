/**
 * A revision ready to be measured: a git worktree of its own in a temporary folder, with what it needs installed, built
 * by what its own `package.json` calls its canonical bench. Owns the folder and takes it away again.
 */
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, symlink } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { z } from 'zod';
import { run, type Ended } from './command.js';
import { CompareError } from './compare-error.js';

export interface CheckoutOptions {
  /** The project's root, in whose repository the revision is. */
  readonly root: string;
  /** Where the worktree comes to stand; temporary files of the bench beside it. */
  readonly folder: string;
  /** How it was asked for: what errors call it. */
  readonly revision: string;
  readonly commit: string;
  readonly signal: AbortSignal;
}

export interface Figures {
  /** Events a second, producer and server included. */
  readonly endToEnd: number;
  readonly engineAlone: number;
  readonly nullReader: number;
  readonly rowsHash: string;
}

const figuresSchema = z.object({
  eventsPerSecond: z.object({
    endToEnd: z.number().positive(),
    engineAlone: z.number().positive(),
    nullReader: z.number().positive(),
  }),
  rowsHash: z.string(),
});

const packageSchema = z.object({ scripts: z.record(z.string(), z.string()).default({}) });

/** Names that the script of the canonical bench has had, the newest first. */
const BENCH_SCRIPTS = ['bench:canonical', 'bench'];
const LINES_SHOWN = 20;
const NEVER = new AbortController().signal;

/** The commit that a revision stands for. */
export async function commitOf(root: string, revision: string, signal: AbortSignal): Promise<string> {
  const found = await run(
    'git',
    ['rev-parse', '--verify', '--quiet', '--end-of-options', `${revision}^{commit}`],
    { cwd: root, signal },
  );
  if (found.code === 0) return found.stdout.trim();
  throw new CompareError(
    `git knows no revision "${revision}": name a commit, branch or tag of this repository; see git log --oneline`,
  );
}

/** Whether files that git follows differ from HEAD; new ones count once something that is followed uses them. */
export async function isDirty(root: string, signal: AbortSignal): Promise<boolean> {
  const status = await run('git', ['status', '--porcelain', '--untracked-files=no'], { cwd: root, signal });
  return status.stdout.trim() !== '';
}

export class Checkout {
  readonly #options: CheckoutOptions;
  readonly #tree: string;
  readonly #temporary: string;
  /** Shell command of one run. */
  #bench = '';

  constructor(options: CheckoutOptions) {
    this.#options = options;
    this.#tree = join(options.folder, 'tree');
    this.#temporary = join(options.folder, 'tmp');
  }

  /** @throws CompareError when the revision does not install or build */
  async prepare(): Promise<void> {
    const { root, commit, revision } = this.#options;
    await mkdir(this.#temporary, { recursive: true });
    const added = await this.#run('git', ['worktree', 'add', '--detach', this.#tree, commit], root);
    if (added.code !== 0) throw new CompareError(`git makes no worktree of ${revision}:\n${endOf(added)}`);
    await this.#install();
    const { build, bench } = await this.#script();
    this.#bench = bench;
    if (build === undefined) return;
    const built = await this.#shell(build);
    if (built.code !== 0)
      throw new CompareError(
        `${revision} does not build (${build}): choose one that does, or mend it there.\n${endOf(built)}`,
      );
  }

  /** One run of the bench in a process of its own. */
  async measure(events: number | undefined): Promise<Figures> {
    const { revision } = this.#options;
    const size = events === undefined ? '' : ` --events ${events}`;
    const ended = await this.#shell(`${this.#bench} --json --no-stages --runs 1${size}`);
    if (ended.code !== 0) throw new CompareError(`the bench of ${revision} failed:\n${endOf(ended)}`);
    const line = ended.stdout.trim().split('\n').at(-1) ?? '';
    const figures = figuresSchema.safeParse(parsedJson(line));
    if (!figures.success)
      throw new CompareError(
        `the bench of ${revision} prints other figures than this one reads: choose a newer revision.\n${line.slice(0, 400)}`,
      );
    const { eventsPerSecond, rowsHash } = figures.data;
    return { ...eventsPerSecond, rowsHash };
  }

  /** Takes the worktree away. May be called whatever has happened before. */
  async remove(): Promise<void> {
    const { root, folder } = this.#options;
    await rm(join(this.#tree, 'node_modules'), { recursive: true, force: true });
    await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    await run('git', ['worktree', 'prune'], { cwd: root, signal: NEVER });
  }

  /** The project's own packages where they are the same; else its lock file's, from the registry. */
  async #install(): Promise<void> {
    const { root, revision } = this.#options;
    if (
      (await textOf(join(root, 'package-lock.json'))) ===
      (await textOf(join(this.#tree, 'package-lock.json')))
    ) {
      const packages = join(root, 'node_modules');
      if (existsSync(packages)) await symlink(packages, join(this.#tree, 'node_modules'));
      return;
    }
    const installed = await this.#run(
      'npm',
      ['ci', '--ignore-scripts', '--no-audit', '--no-fund'],
      this.#tree,
    );
    if (installed.code !== 0)
      throw new CompareError(
        `npm ci failed for ${revision}, whose package-lock.json is not this one's: is the registry reachable?\n${endOf(installed)}`,
      );
  }

  /** The last command of the revision's script measures; what stands before it builds. */
  async #script(): Promise<{ build: string | undefined; bench: string }> {
    const { revision } = this.#options;
    const { scripts } = packageSchema.parse(parsedJson(await textOf(join(this.#tree, 'package.json'))));
    const script = BENCH_SCRIPTS.map((name) => scripts[name]).find((text) => text !== undefined);
    if (script === undefined)
      throw new CompareError(
        `${revision} has no canonical bench in its package.json: choose a newer revision`,
      );
    const cut = script.lastIndexOf('&&');
    return cut < 0
      ? { build: undefined, bench: script }
      : { build: script.slice(0, cut).trim(), bench: script.slice(cut + 2).trim() };
  }

  #shell(command: string): Promise<Ended> {
    return this.#run('sh', ['-c', command], this.#tree);
  }

  #run(command: string, args: readonly string[], cwd: string): Promise<Ended> {
    const path = [join(this.#tree, 'node_modules/.bin'), process.env['PATH'] ?? ''].join(delimiter);
    const env = { ...process.env, PATH: path, TMPDIR: this.#temporary };
    return run(command, args, { cwd, env, signal: this.#options.signal });
  }
}

async function textOf(file: string): Promise<string> {
  return readFile(file, 'utf8').catch(() => '');
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function endOf({ stdout, stderr }: Ended): string {
  return `${stdout}\n${stderr}`.trim().split('\n').slice(-LINES_SHOWN).join('\n');
}
