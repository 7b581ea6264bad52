/**
 * The node processes of one machine under one parent: starts them, starts again what dies, with back-off and for ever, tells
 * them to drain. Owns no process itself: `worker-process.ts` makes them, tests make others.
 */
import type { Clock } from '../core/clock.js';
import { ERRORS, GroundswellError } from '../core/errors.js';
import type { Logger } from '../core/logger.js';
import type { NodeObserver } from '../node/status.js';
import { failureSignal } from './opened.js';
import type { FromWorker, ToWorker, WorkerStart } from './worker-messages.js';

/** A process that was started. */
export interface WorkerProcess {
  readonly pid: number | undefined;
  /** Without effect once it is gone. */
  send(message: ToWorker): void;
  /** `kill -9`. */
  kill(): void;
  /** How it ended: `exit code 1`, `ended by SIGKILL`. */
  readonly exited: Promise<string>;
}

export interface WorkersOptions {
  readonly workers: readonly { readonly name: string; readonly start: WorkerStart }[];
  readonly clock: Clock;
  readonly logger: Logger;
  readonly observer?: NodeObserver;
  spawn(name: string, onMessage: (message: FromWorker) => void): WorkerProcess;
}

interface Worker {
  readonly name: string;
  readonly start: WorkerStart;
  process: WorkerProcess | undefined;
  /** Of its data folder; known from its first start on. */
  id: string | undefined;
  restarts: number;
  ready: boolean;
  failure: GroundswellError | undefined;
  delayMs: number;
  endDelay: () => void;
}

const DELAY_FIRST_MS = 100;
const DELAY_LONGEST_MS = 10_000;
/** A worker that ran for so long had come up: the next delay is the shortest again. */
const SOUND_MS = 60_000;
/** Deaths in a row after which it is said that something is wrong for good. */
const PERSISTENT = 5;

export class Workers {
  /** Rejects when workers cannot be run as they are configured; never resolves. */
  readonly failed: Promise<never>;
  readonly #options: WorkersOptions;
  readonly #workers: readonly Worker[];
  readonly #fail: (error: unknown) => void;
  #running: Promise<unknown> = Promise.resolve();
  #stopping = false;
  #onReady: () => void = () => undefined;

  constructor(options: WorkersOptions) {
    this.#options = options;
    ({ failed: this.failed, fail: this.#fail } = failureSignal());
    this.#workers = options.workers.map(({ name, start }) => ({
      ...{ name, start, process: undefined, id: undefined, failure: undefined },
      ...{ restarts: 0, ready: false, delayMs: DELAY_FIRST_MS, endDelay: () => undefined },
    }));
  }

  /** Starts them all. Resolves when each has run; those that die meanwhile are started again. */
  async start(): Promise<void> {
    const ready = new Promise<void>((resolve) => {
      this.#onReady = () => {
        if (this.#workers.every(({ id }) => id !== undefined)) resolve();
      };
    });
    this.#running = Promise.all(this.#workers.map((worker) => this.#supervise(worker)));
    this.#running.catch(() => undefined);
    await Promise.race([ready, this.failed]);
  }

  /** Those that run have the id of their data folder. */
  get all(): readonly { readonly name: string; readonly id: string | undefined }[] {
    return this.#workers.map(({ name, id, ready }) => ({ name, id: ready ? id : undefined }));
  }

  /** Tells all of them to drain, and waits until they are gone. */
  async stop(): Promise<void> {
    this.#stopping = true;
    for (const { process, endDelay } of this.#workers) {
      process?.send({ kind: 'drain' });
      endDelay();
    }
    await this.#running;
  }

  /** Ends what is left of them at once. */
  kill(): void {
    this.#stopping = true;
    for (const { process, endDelay } of this.#workers) {
      process?.kill();
      endDelay();
    }
  }

  async #supervise(worker: Worker): Promise<void> {
    const { clock, logger } = this.#options;
    while (!this.#stopping) {
      const startedMs = clock.monotonic();
      Object.assign(worker, { ready: false, failure: undefined });
      const process = this.#options.spawn(worker.name, (message) => {
        this.#heard(worker, message);
      });
      worker.process = process;
      process.send(worker.start);
      const how = await process.exited;
      Object.assign(worker, { process: undefined, ready: false });
      if (this.#stopping) return;
      const { failure } = worker;
      if (failure !== undefined && isFinal(failure) && worker.id === undefined) {
        this.#fail(failure);
        return;
      }
      if (clock.monotonic() - startedMs >= SOUND_MS)
        Object.assign(worker, { delayMs: DELAY_FIRST_MS, restarts: 0 });
      worker.restarts++;
      const fields = {
        worker: worker.name,
        how,
        inMs: worker.delayMs,
        ...(failure === undefined ? {} : { error: failure }),
      };
      if (worker.restarts >= PERSISTENT)
        logger.error(
          fields,
          `a worker has ended ${worker.restarts} times in a row; it is started again, as long as it takes`,
        );
      else logger.warn(fields, 'a worker has ended and is started again');
      await this.#delay(worker);
    }
  }

  #heard(worker: Worker, message: FromWorker): void {
    const { observer } = this.#options;
    switch (message.kind) {
      case 'ready':
        Object.assign(worker, { id: message.id, ready: true });
        this.#onReady();
        return;
      case 'failed':
        worker.failure = new GroundswellError(message.code, `Worker ${worker.name}: ${message.message}`, {
          remedy: message.remedy,
        });
        return;
      case 'committed':
        observer?.committed(message.batch);
        return;
      case 'snapshot':
        observer?.snapshotWritten(message.write);
        return;
    }
  }

  async #delay(worker: Worker): Promise<void> {
    const { delayMs } = worker;
    worker.delayMs = Math.min(DELAY_LONGEST_MS, delayMs * 2);
    await new Promise<void>((resolve) => {
      const cancel = this.#options.clock.after(delayMs, resolve);
      worker.endDelay = () => {
        cancel();
        resolve();
      };
    });
    worker.endDelay = () => undefined;
  }
}

/** Usage or configuration: another try ends in the same way. */
function isFinal({ code }: GroundswellError): boolean {
  return ERRORS[code].exit === 2 && !ERRORS[code].retry;
}
