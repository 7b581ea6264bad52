/** The built command line as a user runs it: a process of its own, its words, its exit code, and what it leaves behind. */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Row } from '../../src/actor/row.js';
import { until } from './until.js';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
export const MAIN = join(ROOT, 'dist/cli/main.js');
export const TRACES = join(ROOT, '../shared/data');
export const CABSPOTTING = join(TRACES, 'cabspotting-2008-05-21.csv.gz');
export const UBER = join(TRACES, 'uber-nyc-2014-04-07-week.csv.gz');
export const hasTraces = existsSync(CABSPOTTING) && existsSync(UBER);
export const mappingFile = (name: string): string => join(ROOT, 'config/sources', `${name}.yaml`);

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Summary {
  readonly events: number;
  readonly accepted: number;
  readonly rejected: Readonly<Record<string, number>>;
  readonly late: number;
  readonly impossible: number;
  readonly dead: Readonly<Record<string, number>>;
  readonly duplicates: number;
  readonly rows: Readonly<Record<string, number>>;
  readonly resumed: number;
  readonly seconds: number;
}

/** A folder for one test file: everything that its processes write lies in it, temporary data folders too. */
export class Sandbox {
  readonly folder = mkdtempSync(join(tmpdir(), 'gs-cli-'));
  readonly #running = new Set<ChildProcess>();

  constructor() {
    mkdirSync(this.temporary);
  }

  /** TMPDIR of the processes. */
  get temporary(): string {
    return join(this.folder, 'tmp');
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  /** @param main the program: the built one, or a copy of it elsewhere */
  start(
    args: readonly string[],
    env: NodeJS.ProcessEnv = {},
    main = MAIN,
    cwd = ROOT,
  ): { child: ChildProcess; ended: Promise<Ended>; stderr: () => string } {
    const child = spawn(process.execPath, [main, ...args], {
      cwd,
      env: { ...process.env, NATS_URL: undefined, TMPDIR: this.temporary, NO_COLOR: '1', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#running.add(child);
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    const ended = new Promise<Ended>((resolve) => {
      child.on('close', (code, signal) => {
        this.#running.delete(child);
        resolve({ code, signal, stdout, stderr });
      });
    });
    return { child, ended, stderr: () => stderr };
  }

  run(args: readonly string[], env?: NodeJS.ProcessEnv, main?: string): Promise<Ended> {
    return this.start(args, env, main).ended;
  }

  /** A replay that must succeed: its summary and its rows. */
  async replay(file: string, args: readonly string[]): Promise<{ summary: Summary; rows: Row[] }> {
    const out = this.path(`rows-${Math.floor(performance.now() * 1e6)}.ndjson`);
    const ended = await this.run(['replay', file, '--out', out, '--json', ...args]);
    if (ended.code !== 0) throw new Error(`exit code ${ended.code}: ${ended.stderr}`);
    return { summary: JSON.parse(ended.stdout.trim().split('\n').at(-1)!) as Summary, rows: readRows(out) };
  }

  /** Ids and command lines of processes that work in this sandbox. */
  processes(): string[] {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
      .flatMap((pid) => {
        try {
          const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
          const zombie = readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
          return line.includes(this.folder) && !zombie ? [`${pid} ${line}`] : [];
        } catch {
          return [];
        }
      });
  }

  /**
   * Waits until nothing runs in this sandbox any more; fails with the names of what stays, and ends what it started
   * itself, so that one failure isn't the next test's too.
   */
  async quiet(): Promise<void> {
    await until('nothing is left running', () => this.processes().length === 0, { pollMs: 20 }).catch(() => {
      const left = this.processes().join('; ');
      for (const child of this.#running) child.kill('SIGKILL');
      throw new Error(`left running: ${left}`);
    });
  }

  /** Temporary data folders that were not removed. */
  leftovers(): string[] {
    return readdirSync(this.temporary).filter((name) => name.startsWith('groundswell'));
  }

  async close(): Promise<void> {
    for (const child of this.#running) child.kill('SIGKILL');
    await this.quiet();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export function readRows(file: string): Row[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Row);
}
