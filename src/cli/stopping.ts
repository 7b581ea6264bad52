/** Runs a piece of work that Ctrl-C or SIGTERM may end: what was opened is closed in every case, and once. */
import { systemClock } from '../core/clock.js';
import { GroundswellError } from '../core/errors.js';
import type { Logger } from '../core/logger.js';
import { failureSignal } from './opened.js';

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/** Thrown out of the work when a signal ended it; a second signal ends the process at once. */
export class Interrupted extends GroundswellError {
  constructor(signal: string) {
    super('GS_LOG', `Ended by ${signal}.`, { remedy: 'Run the same command with the same --data to go on.' });
  }
}

/**
 * Opens something, works with it, and closes it. A signal while it is being opened counts when it is open: what was half
 * opened would be left behind.
 */
export async function stoppable<O extends { close(): Promise<unknown> }, T>(
  open: () => Promise<O>,
  work: (opened: O) => Promise<T>,
): Promise<T> {
  const { failed: interrupted, fail: interrupt } = failureSignal();
  let ended: Interrupted | undefined;
  const handler = (signal: string): void => {
    for (const name of SIGNALS) process.removeListener(name, handler);
    ended = new Interrupted(signal);
    interrupt(ended);
  };
  for (const name of SIGNALS) process.on(name, handler);
  try {
    const opened = await open();
    try {
      if (ended !== undefined) throw ended;
      const result = await Promise.race([work(opened), interrupted]);
      await opened.close();
      return result;
    } catch (error) {
      // What ended the work is what people need to know, not what closing after it ran into.
      await opened.close().catch(() => undefined);
      throw error;
    }
  } finally {
    for (const name of SIGNALS) process.removeListener(name, handler);
  }
}

/** Something that runs until it is told to stop. */
interface Running {
  /** Rejects when a part of it fails; never resolves. */
  readonly failed: Promise<never>;
  /** Drains. */
  close(): Promise<void>;
  /** What the drain waits for, in words. */
  readonly closing: string | undefined;
}

/** A drain that takes longer is broken off: what was committed is safe, and the rest is in the stream. */
const DRAIN_MS = 4_500;

/**
 * Runs something until SIGTERM or Ctrl-C, then drains it. A second signal, or a drain that takes too long, ends the
 * process at once. Rejects with what made it fail; it is drained in that case too, as far as it can be.
 */
export async function untilSignal(open: () => Promise<Running>, logger: Logger): Promise<void> {
  let signalled: (signal: string) => void = () => undefined;
  const signal = new Promise<string>((resolve) => {
    signalled = resolve;
  });
  let first = true;
  let callOff = (): void => undefined;
  let running: Running | undefined;
  const waitsFor = (): string | undefined => (running === undefined ? 'its start' : running.closing);
  const handler = (name: string): void => {
    if (!first) {
      logger.warn({ signal: name }, 'ended at once by a second signal');
      process.exit(1);
    }
    first = false;
    logger.info({ signal: name }, 'draining');
    callOff = endAfter(logger, waitsFor);
    signalled(name);
  };
  for (const name of SIGNALS) process.on(name, handler);
  const startedMs = systemClock.monotonic();
  try {
    running = await open();
    try {
      await Promise.race([signal, running.failed]);
    } catch (error) {
      callOff = endAfter(logger, waitsFor);
      await running.close().catch(() => undefined);
      throw error;
    }
    await running.close();
    logger.info({ uptimeSeconds: Math.round((systemClock.monotonic() - startedMs) / 1000) }, 'drained');
  } finally {
    callOff();
    for (const name of SIGNALS) process.removeListener(name, handler);
  }
}

/**
 * Ends the process when the drain takes too long; the returned function calls that off.
 * @param waitsFor what the drain waits for, in words
 */
export function endAfter(logger: Logger, waitsFor: () => string | undefined): () => void {
  return systemClock.after(DRAIN_MS, () => {
    const what = waitsFor();
    logger.error(
      what === undefined ? {} : { waitsFor: what },
      `not drained within ${DRAIN_MS / 1000} s; ended. Nothing that was committed is lost.`,
    );
    process.exit(1);
  });
}
