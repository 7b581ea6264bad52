/** Processes that a test starts: known by their ends, and gone when this process is, however it ends. */
import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';

const running = new Set<ChildProcess>();

process.on('exit', () => {
  // A stopped process takes this signal too.
  for (const child of running) child.kill('SIGKILL');
});

export interface End {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export class Child {
  readonly process: ChildProcess;
  readonly ended: Promise<End>;
  #end: End | undefined;

  constructor(program: string, args: readonly string[], options: SpawnOptions) {
    const child = spawn(program, args, options);
    this.process = child;
    running.add(child);
    this.ended = new Promise((resolve) => {
      child.once('error', () => {
        resolve({ code: null, signal: null });
      });
      child.once('close', (code, signal) => {
        resolve({ code, signal });
      });
    });
    this.ended.then(
      (end) => {
        this.#end = end;
        running.delete(child);
      },
      () => undefined,
    );
  }

  /** How it ended; undefined while it runs. */
  get end(): End | undefined {
    return this.#end;
  }

  /** Sends a signal; gives whether there was anybody to take it. */
  signal(signal: NodeJS.Signals): boolean {
    return this.#end === undefined && this.process.kill(signal);
  }

  async kill(): Promise<void> {
    this.signal('SIGKILL');
    await this.ended;
  }
}

/** What a process has written, as whole lines; the last few are kept. */
export class Lines {
  readonly last: string[] = [];
  readonly #keep: number;
  readonly #onLine: (line: string) => void;
  #rest = '';

  constructor(onLine: (line: string) => void, keep = 40) {
    this.#onLine = onLine;
    this.#keep = keep;
  }

  add(chunk: string): void {
    const lines = (this.#rest + chunk).split('\n');
    this.#rest = lines.pop()!;
    for (const line of lines) {
      this.last.push(line);
      if (this.last.length > this.#keep) this.last.shift();
      this.#onLine(line);
    }
  }
}
