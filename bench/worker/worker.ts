/** A bench's handle on a node in a process of its own (`main.ts`): starts it, looks at it, stops or kills it. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { forkSibling } from '../sibling-program.js';
import type { FromWorker, ToWorker, WorkerLook, WorkerStart } from './messages.js';

const LOOK_EVERY_MS = 20;
const WITHIN_MS = 300_000;

export class Worker {
  readonly #child: ChildProcess;
  readonly #heard = new Map<FromWorker['kind'], (message: FromWorker) => void>();
  /** Rejects when it fails, or ends without being told to; never resolves. */
  readonly failed: Promise<never>;
  /** Resolves when the first batch that took input was acknowledged. */
  readonly committed: Promise<void>;
  #ending = false;

  constructor(start: WorkerStart) {
    this.#child = forkSibling(import.meta.url, 'main', {
      flags: ['--expose-gc'],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    let fail: (error: Error) => void = () => undefined;
    this.failed = new Promise<never>((_, reject) => {
      fail = reject;
    });
    this.failed.catch(() => undefined);
    this.committed = this.#next('committed').then(() => undefined);
    this.#child.on('message', (message: FromWorker) => {
      if (message.kind === 'failed') fail(new Error(`a worker failed: ${message.message}`));
      this.#heard.get(message.kind)?.(message);
    });
    this.#child.once('exit', (code, signal) => {
      if (!this.#ending) fail(new Error(`a worker ended: ${signal ?? code ?? 'unknown'}`));
    });
    this.#send({ kind: 'start', start });
  }

  /** Resolves when it runs, and has taken what is its own. */
  async ready(): Promise<void> {
    await this.#or(this.#next('ready'));
  }

  /** @param collect garbage before the look */
  async look(collect = false): Promise<WorkerLook> {
    const answer = this.#next('look');
    this.#send({ kind: 'look', collect });
    return (await this.#or(answer)).look;
  }

  /** Looks until something is so. */
  async until(what: string, isSo: (look: WorkerLook) => boolean): Promise<WorkerLook> {
    const untilMs = performance.now() + WITHIN_MS;
    for (;;) {
      const look = await this.look();
      if (isSo(look)) return look;
      if (performance.now() > untilMs) throw new Error(`${what}: not within ${WITHIN_MS / 1_000} s`);
      await sleep(LOOK_EVERY_MS);
    }
  }

  /** Lets it finish and write its snapshots. */
  async stop(): Promise<void> {
    if (!this.#isThere) return;
    this.#ending = true;
    const exit = once(this.#child, 'exit');
    this.#send({ kind: 'stop' });
    // One that has failed may never come to its end.
    await Promise.race([exit, this.failed]).catch(() => this.#child.kill('SIGKILL'));
    await exit;
  }

  /** `kill -9`. Resolves when it is gone. */
  async kill(): Promise<void> {
    if (!this.#isThere) return;
    this.#ending = true;
    const exit = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exit;
  }

  get #isThere(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  #next<K extends FromWorker['kind']>(kind: K): Promise<FromWorker & { kind: K }> {
    return new Promise((resolve) => {
      this.#heard.set(kind, (message) => {
        resolve(message as FromWorker & { kind: K });
      });
    });
  }

  #or<T>(answer: Promise<T>): Promise<T> {
    return Promise.race([answer, this.failed]);
  }

  #send(message: ToWorker): void {
    this.#child.send(message);
  }
}
