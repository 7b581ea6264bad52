/**
 * Writes snapshots in a thread of its own: a hundred thousand actors take some 0.2 s, in which the engine's thread does something
 * else. Owns the thread; what it does is `write-program.ts`.
 */
import type { Worker } from 'node:worker_threads';
import { siblingThread } from '../../core/sibling-thread.js';
import type { FromWriter, PackedUpdate, ToWriter, WriteTarget } from './write-messages.js';

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export class WriteThread {
  readonly #target: WriteTarget;
  #worker: Worker | undefined;
  #ended: Promise<unknown> = Promise.resolve();
  /** For its answers, in the order of what it was told. */
  readonly #waiting: Waiting[] = [];
  #failure: Error | undefined;
  #last: Promise<void> = Promise.resolve();

  constructor(target: WriteTarget) {
    this.#target = target;
  }

  /** Else it is started with the first write. */
  start(): void {
    this.#worker ??= this.#started();
  }

  /** Resolves when these are written, in one transaction, and with them all that was to be written before. Memory goes with them. */
  write(updates: readonly PackedUpdate[]): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    this.#last = new Promise<void>((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#tell(updates);
    });
    return this.#last;
  }

  /** Resolves when nothing is being written. */
  async idle(): Promise<void> {
    await this.#last.catch(() => undefined);
  }

  async close(): Promise<void> {
    if (this.#worker === undefined) return;
    this.#tell(undefined);
    await this.#ended;
  }

  #tell(message: ToWriter): void {
    const memory = (message ?? []).flatMap(({ changes: { bytes, flags } }) => [bytes.buffer, flags.buffer]);
    this.start();
    this.#worker!.postMessage(message, memory);
  }

  #started(): Worker {
    const worker = siblingThread(import.meta.url, 'write-program', this.#target);
    worker.on('message', ({ failure }: FromWriter) => {
      const { resolve, reject } = this.#waiting.shift()!;
      this.#failure ??= failure;
      if (failure === undefined) resolve();
      else reject(failure);
    });
    worker.once('error', (error) => {
      this.#fail(error);
    });
    this.#ended = new Promise((resolve) => {
      worker.once('exit', (code) => {
        this.#fail(new Error(`the thread that writes has ended (${code})`));
        resolve(undefined);
      });
    });
    return worker;
  }

  /** Of what it was told no answer comes any more. */
  #fail(error: Error): void {
    this.#failure ??= error;
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }
}
