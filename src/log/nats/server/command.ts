/** Runs one short command of the machine, bounded in time and output. A failure is a value with a reason fit for a message. */
import { execFile } from 'node:child_process';
import { messageOf } from '../../../core/errors.js';

export type CommandResult =
  { readonly kind: 'done'; readonly output: string } | { readonly kind: 'failed'; readonly why: string };

export interface CommandOptions {
  readonly timeoutMs: number;
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
}

const OUTPUT_BYTES_MAX = 1_000_000;

export function runCommand(
  file: string,
  args: readonly string[],
  options: CommandOptions,
): Promise<CommandResult> {
  return new Promise((resolve) => {
    const settings = {
      timeout: options.timeoutMs,
      killSignal: 'SIGKILL' as const,
      maxBuffer: OUTPUT_BYTES_MAX,
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      ...(options.env === undefined ? {} : { env: options.env }),
    };
    try {
      execFile(file, args, settings, (error, stdout, stderr) => {
        if (!error) resolve({ kind: 'done', output: stdout + stderr });
        else if (error.killed)
          resolve({ kind: 'failed', why: `not done after ${options.timeoutMs / 1000} s` });
        else resolve({ kind: 'failed', why: reason(stderr) ?? reasonOfExit(error) });
      });
    } catch (thrown) {
      // Names that the system cannot even pass on (a NUL byte) throw instead of calling back.
      resolve({ kind: 'failed', why: messageOf(thrown) });
    }
  });
}

/** The first line that calls itself an error, else the last one. */
function reason(stderr: string): string | undefined {
  const lines = stderr.split('\n').filter((line) => line.trim() !== '');
  return (lines.find((line) => /^(E:|error)/i.test(line)) ?? lines.at(-1))?.trim();
}

function reasonOfExit(
  error: Error & { code?: string | number | null; signal?: NodeJS.Signals | undefined | null },
): string {
  if (error.code === 'ENOENT') return 'no such program';
  if (error.code === 'EACCES') return 'not executable';
  if (typeof error.code === 'number') return `exit code ${error.code}`;
  return error.signal ? `ended by ${error.signal}` : error.message;
}
