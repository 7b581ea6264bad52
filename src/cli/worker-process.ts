/**
 * A worker as a process of its own: this same program with the hidden command `worker`. What it is started with goes over a
 * channel between the two, which also tells it when its parent is gone; what it logs comes back as lines of JSON, and as plain
 * lines where the machine itself speaks.
 */
import { fork } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Logger } from '../core/logger.js';
import type { FromWorker } from './worker-messages.js';
import type { WorkerProcess } from './workers.js';

export interface SpawnOptions {
  readonly name: string;
  /** Its lines carry their own fields. */
  readonly logger: Logger;
  onMessage(message: FromWorker): void;
  /** The program; this one, by default. */
  readonly main?: string;
}

const MAIN = fileURLToPath(new URL('./main.js', import.meta.url));
const LEVELS = ['debug', 'info', 'warn', 'error'] as const;

export function spawnWorker(options: SpawnOptions): WorkerProcess {
  const { name, logger, main = MAIN } = options;
  const child = fork(main, ['worker'], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
  child.on('message', (message) => {
    options.onMessage(message as FromWorker);
  });
  const lines = createInterface({ input: child.stderr! });
  lines.on('line', (line) => {
    relay(line, name, logger);
  });
  const exited = new Promise<string>((resolve) => {
    child.once('error', (error) => {
      resolve(`it could not be started: ${error.message}`);
    });
    // Once its last lines are read.
    child.once('close', (code, signal) => {
      resolve(signal === null ? `exit code ${code ?? 'unknown'}` : `ended by ${signal}`);
    });
  });
  return {
    pid: child.pid,
    send: (message) => {
      // What was not sent because it is gone is told by its end.
      if (child.connected) child.send(message, () => undefined);
    },
    kill: () => {
      child.kill('SIGKILL');
    },
    exited,
  };
}

/** A line of a worker as a line of the parent's log, with the worker's fields and level. */
export function relay(line: string, name: string, logger: Logger): void {
  if (line.trim() === '') return;
  const said = parsed(line);
  if (said === undefined) {
    logger.error({ node: name }, line);
    return;
  }
  const { level, msg, ...fields } = said;
  // This log has its own.
  delete fields['time'];
  const known = LEVELS.find((one) => one === level) ?? 'info';
  logger[known](fields, typeof msg === 'string' ? msg : '');
}

function parsed(line: string): Record<string, unknown> | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && 'msg' in value ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}
