/** A `groundswell start` of the built command line, known by its log: where it answers, what it said, how it ended. */
import type { ChildProcess } from 'node:child_process';
import type { ActorView, NodeStatus } from '../../src/node/status.js';
import type { Ended, Sandbox } from './cli.js';
import { until } from './until.js';

export interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

export interface Status {
  readonly node: NodeStatus;
  readonly nats: { readonly url: string; readonly embedded: boolean; readonly connected: boolean };
}

export class RunningStart {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  readonly url: string;
  readonly #stderr: () => string;

  /** Starts a node and waits until it says that it is ready. */
  static async open(
    sandbox: Sandbox,
    dataDir: string,
    args: readonly string[] = [],
    env: NodeJS.ProcessEnv = {},
  ): Promise<RunningStart> {
    const words = ['start', '--region', 'sf', '--data', dataDir, '--http', '0', '--log-format', 'json'];
    const { child, ended, stderr } = sandbox.start([...words, ...args], env);
    let end: Ended | undefined;
    ended.then(
      (how) => (end = how),
      () => undefined,
    );
    let url: unknown;
    await until(
      'the node is ready',
      () => {
        if (end !== undefined) throw new Error(`the node ended (${end.code}): ${end.stderr}`);
        url = linesOf(stderr()).find(({ http }) => http !== undefined)?.['http'];
        return url !== undefined;
      },
      { deadlineMs: 60_000, pollMs: 20 },
    );
    return new RunningStart(child, ended, url as string, stderr);
  }

  private constructor(child: ChildProcess, ended: Promise<Ended>, url: string, stderr: () => string) {
    this.child = child;
    this.ended = ended;
    this.url = url;
    this.#stderr = stderr;
  }

  get log(): LogLine[] {
    return linesOf(this.#stderr());
  }

  async get<T>(path: string): Promise<{ status: number; body: T }> {
    const response = await fetch(this.url + path, { signal: AbortSignal.timeout(10_000) });
    return { status: response.status, body: (await response.json()) as T };
  }

  async post(
    events: readonly unknown[],
  ): Promise<{ status: number; body: { accepted: number; refused: number } }> {
    const response = await fetch(`${this.url}/v1/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(events),
      signal: AbortSignal.timeout(20_000),
    });
    return {
      status: response.status,
      body: (await response.json()) as { accepted: number; refused: number },
    };
  }

  async status(): Promise<Status> {
    return (await this.get<Status>('/v1/status')).body;
  }

  async inspect(id: string): Promise<ActorView | undefined> {
    const { status, body } = await this.get<ActorView>(`/v1/actors/${id}`);
    return status === 200 ? body : undefined;
  }

  /** SIGTERM; gives how it ended and how long that took, seconds. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Ended & { seconds: number }> {
    const startedMs = performance.now();
    this.child.kill(signal);
    const ended = await this.ended;
    return { ...ended, seconds: (performance.now() - startedMs) / 1_000 };
  }
}

function linesOf(text: string): LogLine[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('{') && line.endsWith('}'))
    .map((line) => JSON.parse(line) as LogLine);
}
