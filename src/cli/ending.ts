/**
 * What ends a command that would go on for ever, without it having failed: Ctrl-C or SIGTERM, its time, or that nobody
 * reads its output any more. A second signal ends the process at once.
 */
import { systemClock, type Clock } from '../core/clock.js';

/** The longest time that a timer of this machine takes. */
const TIMER_MOST_MS = 2 ** 31 - 1;

export interface Ending {
  readonly signal: AbortSignal;
  /** The reader of standard output has left. */
  readonly outputGone: boolean;
  /** Nothing is listened for any more. */
  release(): void;
}

/** @param afterMs ends by itself after this time; for ever without it */
export function ending(afterMs?: number): Ending {
  const controller = new AbortController();
  let outputGone = false;
  const end = (): void => {
    release();
    controller.abort();
  };
  const gone = (): void => {
    outputGone = true;
    end();
  };
  let cancel = (): void => undefined;
  const wait = (leftMs: number): void => {
    const sliceMs = Math.min(leftMs, TIMER_MOST_MS);
    cancel = systemClock.after(sliceMs, () => {
      if (leftMs > sliceMs) wait(leftMs - sliceMs);
      else end();
    });
  };
  if (afterMs !== undefined) wait(afterMs);
  const release = (): void => {
    cancel();
    process.off('SIGINT', end);
    process.off('SIGTERM', end);
    process.stdout.off('error', gone);
  };
  process.on('SIGINT', end);
  process.on('SIGTERM', end);
  process.stdout.on('error', gone);
  return {
    signal: controller.signal,
    get outputGone() {
      return outputGone;
    },
    release,
  };
}

/** Resolves after a time, or as soon as the signal is given. */
export function pause(ms: number, signal: AbortSignal, clock: Clock = systemClock): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      cancel();
      signal.removeEventListener('abort', done);
      resolve();
    };
    const cancel = clock.after(ms, done);
    signal.addEventListener('abort', done);
  });
}
