/**
 * A node as an operator runs it: `groundswell start` with a data folder and a name of its own, on servers elsewhere. It can
 * be killed, stopped, continued, drained and started again, and says when it ended without being asked to.
 */
import { createWriteStream, type WriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { NodeStatus } from '../../src/node/status.js';
import { Child, Lines } from './children.js';
import { ENV, MAIN } from './command.js';
import { waitFor } from './waiting.js';

export interface NodeProcessOptions {
  readonly name: string;
  readonly region: string;
  readonly regionFile: string;
  readonly nats: string;
  readonly replicas: 1 | 3;
  /** Its data folder and its log go there. */
  readonly folder: string;
  onUnexpectedEnd(what: string): void;
}

/** `frozen` takes no processor time and answers nobody. */
export type NodeProcessState = 'down' | 'starting' | 'up' | 'frozen';

const READY = { deadlineMs: 60_000, pollMs: 20 };
const DRAIN_MS = 20_000;
const ANSWER_MS = 2_000;

export class NodeProcess {
  readonly name: string;
  readonly #options: NodeProcessOptions;
  readonly #log: WriteStream;
  #child: Child | undefined;
  #url: string | undefined;
  #lines = new Lines(() => undefined);
  #state: NodeProcessState = 'down';
  #end = '';
  /** Warnings and errors in its log, by message. */
  readonly complaints = new Map<string, number>();

  constructor(options: NodeProcessOptions) {
    this.#options = options;
    this.name = options.name;
    this.#log = createWriteStream(join(options.folder, `${options.name}.log`), { flags: 'a' });
  }

  get state(): NodeProcessState {
    return this.#state;
  }

  get dataDir(): string {
    return join(this.#options.folder, this.name);
  }

  /** Where it answers; undefined while it is not up. */
  get url(): string | undefined {
    return this.#state === 'up' ? this.#url : undefined;
  }

  /** Starts it; resolves when it says that it is ready. @throws Error with its last words when it ends before */
  async start(): Promise<void> {
    const { region, regionFile, nats, replicas } = this.#options;
    this.#state = 'starting';
    this.#url = undefined;
    const words = ['start', '--region', region, '--config', regionFile, '--nats', nats];
    const own = ['--data', this.dataDir, '--http', '0', '--name', this.name, '--log-format', 'json'];
    const child = new Child(process.execPath, [MAIN, ...words, ...own], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...ENV, GROUNDSWELL_NATS_REPLICAS: String(replicas) },
    });
    this.#child = child;
    const lines = new Lines((line) => {
      this.#heard(line);
    });
    this.#lines = lines;
    child.process.stderr!.on('data', (chunk: Buffer) => {
      this.#log.write(chunk);
      lines.add(chunk.toString());
    });
    child.ended.then(
      ({ code, signal }) => {
        if (this.#child !== child) return;
        const wasUp = this.#state !== 'starting';
        this.#state = 'down';
        this.#child = undefined;
        this.#end = `${this.name} ended by itself (${signal ?? `exit code ${code ?? '?'}`}): ${lines.last.slice(-3).join(' | ')}`;
        if (wasUp) this.#options.onUnexpectedEnd(this.#end);
      },
      () => undefined,
    );
    await waitFor(
      `${this.name} is ready`,
      () => {
        if (this.#child !== child) throw new Error(`at its start ${this.#end}`);
        return this.#url;
      },
      READY,
    );
    this.#state = 'up';
  }

  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    this.#state = 'down';
    await child?.kill();
  }

  freeze(): void {
    this.#child?.signal('SIGSTOP');
    this.#state = 'frozen';
  }

  thaw(): void {
    this.#child?.signal('SIGCONT');
    this.#state = 'up';
  }

  /** SIGTERM; gives its exit code, undefined when it had to be killed, and how long the drain took. */
  async drain(): Promise<{ code: number | null | undefined; seconds: number; lastWords: string }> {
    const child = this.#child;
    if (child === undefined) throw new Error(`${this.name} does not run`);
    this.#child = undefined;
    this.#state = 'down';
    const startedMs = performance.now();
    child.signal('SIGTERM');
    const timer = setTimeout(() => child.signal('SIGKILL'), DRAIN_MS);
    const { code, signal } = await child.ended;
    clearTimeout(timer);
    const lastWords = this.#lines.last.slice(-3).join(' | ');
    return {
      code: signal === null ? code : undefined,
      seconds: (performance.now() - startedMs) / 1_000,
      lastWords,
    };
  }

  /** Takes its data away: it comes back as a machine that never saw the region. */
  async wipe(): Promise<void> {
    await rm(this.dataDir, { recursive: true, force: true });
  }

  /** What it tells of itself; undefined when it does not answer. */
  async status(): Promise<NodeStatus | undefined> {
    return (await this.whole())?.node;
  }

  /** The same, with all that its `/v1/status` says besides. */
  async whole(): Promise<{ readonly node: NodeStatus } | undefined> {
    if (this.url === undefined) return undefined;
    try {
      const answer = await fetch(`${this.url}/v1/status`, { signal: AbortSignal.timeout(ANSWER_MS) });
      return (await answer.json()) as { node: NodeStatus };
    } catch {
      return undefined;
    }
  }

  async close(): Promise<void> {
    await this.kill();
    await new Promise<void>((resolve) => {
      this.#log.end(resolve);
    });
  }

  #heard(line: string): void {
    const entry = parsed(line);
    if (entry === undefined) return;
    if (typeof entry.http === 'string') this.#url = entry.http;
    if (entry.level !== 'warn' && entry.level !== 'error') return;
    const what = `${entry.level}: ${entry.msg ?? ''}`;
    this.complaints.set(what, (this.complaints.get(what) ?? 0) + 1);
  }
}

function parsed(line: string): { level?: string; http?: string; msg?: string } | undefined {
  try {
    return JSON.parse(line) as { level?: string; http?: string; msg?: string };
  } catch {
    return undefined;
  }
}
