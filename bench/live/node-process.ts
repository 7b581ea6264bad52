/** `groundswell start` as an operator runs it: a process of its own on a new data folder, known by its log and its HTTP address. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { MAIN } from '../crash/command.js';
import { NODE_FLAGS } from '../sibling-program.js';

export interface NodeProcess {
  readonly url: string;
  readonly pid: number;
  /** Lines of its log that are warnings or worse. */
  readonly complaints: string[];
  /** Rejects when the process ends before it was told to. */
  readonly ended: Promise<never>;
  /** SIGTERM; gives the exit code and how long the drain took. */
  stop(): Promise<{ code: number | null; seconds: number }>;
}

export async function startNode(options: {
  region: string;
  dataDir: string;
  readyMs: number;
  /** Further words of `start`, and further variables. */
  args?: readonly string[] | undefined;
  env?: NodeJS.ProcessEnv | undefined;
}): Promise<NodeProcess> {
  const { region, dataDir, readyMs, env } = options;
  const args = [
    'start',
    '--region',
    region,
    '--data',
    dataDir,
    '--http',
    '0',
    '--log-format',
    'json',
    '--name',
    'load',
    ...(options.args ?? []),
  ];
  const child = spawn(process.execPath, [...NODE_FLAGS, MAIN, ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, NATS_URL: '', ...env },
  });
  const complaints: string[] = [];
  let stopping = false;
  const ended = new Promise<never>((_, reject) => {
    child.on('exit', (code, signal) => {
      if (!stopping)
        reject(new Error(`the node ended (${signal ?? code}): ${complaints.slice(-5).join('\n')}`));
    });
  });
  ended.catch(() => undefined);
  const url = await Promise.race([ready(child, complaints), ended, late(readyMs)]);
  return {
    url,
    pid: child.pid!,
    complaints,
    ended,
    stop: async () => {
      stopping = true;
      const startedMs = performance.now();
      const exit = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
      child.kill('SIGTERM');
      const [code] = await exit;
      return { code, seconds: (performance.now() - startedMs) / 1_000 };
    },
  };
}

/** Resolves with the address once the log says that the node is ready; goes on reading for complaints. */
function ready(child: ChildProcess, complaints: string[]): Promise<string> {
  return new Promise((resolve) => {
    createInterface({ input: child.stderr! }).on('line', (line) => {
      const entry = parsed(line);
      if (entry === undefined || entry.level === 'warn' || entry.level === 'error') complaints.push(line);
      else if (typeof entry.http === 'string') resolve(entry.http);
    });
  });
}

function parsed(line: string): { level?: string; http?: string } | undefined {
  try {
    return JSON.parse(line) as { level?: string; http?: string };
  } catch {
    return undefined;
  }
}

function late(ms: number): Promise<never> {
  return new Promise((_, reject) => {
    setTimeout(() => {
      reject(new Error(`the node was not ready within ${ms / 1_000} s`));
    }, ms).unref();
  });
}
