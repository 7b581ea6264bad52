/**
 * The replay of a file in a thread of its own: reading and checking the events, sending them and taking the rows in go on
 * beside the engine, which has its own thread for itself. Owns the thread; what goes on in it is `file-replay.ts`.
 */
import type { Worker } from 'node:worker_threads';
import { GroundswellError, knownErrorOf } from '../core/errors.js';
import { siblingThread } from '../core/sibling-thread.js';
import type { NatsTarget } from '../log/nats/connect.js';
import type { FileReplayOptions, ReplayListener } from './file-replay.js';
import { failureSignal } from './opened.js';
import type { ReplaySummary } from './replay-run.js';
import type { FromReplayThread, ToReplayThread } from './replay-thread-messages.js';

export class ReplayThread {
  readonly #worker: Worker;
  readonly #ended: Promise<unknown>;
  /** Rejects when the replay fails; never resolves. */
  readonly #failed: Promise<never>;
  #listener: ReplayListener | undefined;
  #onOpened: () => void = () => undefined;
  #onDone: (summary: ReplaySummary) => void = () => undefined;

  /**
   * Resolves when the file can be read, and the rows can be written.
   * @throws GroundswellError as `FileReplay.open`
   */
  static async open(options: FileReplayOptions): Promise<ReplayThread> {
    const thread = new ReplayThread(options);
    const opened = new Promise<void>((resolve) => {
      thread.#onOpened = resolve;
    });
    try {
      await Promise.race([opened, thread.#failed]);
      return thread;
    } catch (error) {
      await thread.close();
      throw error;
    }
  }

  private constructor(options: FileReplayOptions) {
    const { failed, fail } = failureSignal();
    this.#failed = failed;
    this.#worker = siblingThread(import.meta.url, 'replay-program', options);
    this.#ended = new Promise((resolve) => {
      this.#worker.once('exit', (code) => {
        fail(new GroundswellError('GS_INTERNAL', `The replay's thread ended (${code}).`));
        resolve(code);
      });
    });
    this.#worker.on('message', (message: FromReplayThread) => {
      switch (message.kind) {
        case 'opened':
          this.#onOpened();
          return;
        case 'progress':
          this.#listener?.onProgress(message.progress);
          return;
        case 'note':
          this.#listener?.onNote(message.line);
          return;
        case 'done':
          this.#onDone(message.summary);
          return;
        case 'failed': {
          const { code, remedy, error } = message;
          fail(new GroundswellError(code, error.message, { remedy, cause: error }));
          return;
        }
      }
    });
    this.#worker.once('error', (cause) => {
      fail(knownErrorOf(cause));
    });
  }

  /** As `FileReplay.run`. */
  async run(nats: NatsTarget, listener: ReplayListener): Promise<ReplaySummary> {
    this.#listener = listener;
    const done = new Promise<ReplaySummary>((resolve) => {
      this.#onDone = resolve;
    });
    this.#tell({ kind: 'run', nats });
    return Promise.race([done, this.#failed]);
  }

  /** Ends the thread, whatever it does. */
  async close(): Promise<void> {
    this.#tell({ kind: 'stop' });
    await this.#ended;
  }

  #tell(message: ToReplayThread): void {
    this.#worker.postMessage(message);
  }
}
