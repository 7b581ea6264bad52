/** Hunts signals that come at a bad moment: what was opened then is left behind, or is closed twice. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Interrupted, stoppable, untilSignal } from '../../../src/cli/stopping.js';
import { silent, type Logger } from '../../../src/core/logger.js';

/** Something that is open when it is told so. */
function opening() {
  const seen = { works: 0, closes: 0 };
  let open: (opened: { close(): Promise<void> }) => void = () => undefined;
  const opened = new Promise<{ close(): Promise<void> }>((resolve) => (open = resolve));
  return {
    seen,
    open: () => opened,
    isOpen: () => {
      open({
        close: () => {
          seen.closes++;
          return Promise.resolve();
        },
      });
    },
    work: () => {
      seen.works++;
      return Promise.resolve('done');
    },
  };
}

const listeners = (): number => process.listenerCount('SIGTERM') + process.listenerCount('SIGINT');

describe('stoppable', () => {
  it('a signal while it is being opened: it is closed when it is open, and nothing is done with it', async () => {
    const { seen, open, isOpen, work } = opening();
    const before = listeners();
    const ended = stoppable(open, work);
    process.emit('SIGTERM', 'SIGTERM');
    expect(listeners(), 'a second signal ends the process').toBe(before);
    isOpen();
    await expect(ended).rejects.toThrow(Interrupted);
    expect(seen).toEqual({ works: 0, closes: 1 });
  });

  it('a signal during the work: it is closed once, and the work is not waited for', async () => {
    const { seen, open, isOpen } = opening();
    const before = listeners();
    isOpen();
    const ended = stoppable(open, () => {
      process.emit('SIGINT', 'SIGINT');
      return new Promise<never>(() => undefined);
    });
    await expect(ended).rejects.toThrow(/SIGINT/);
    expect(seen).toEqual({ works: 0, closes: 1 });
    expect(listeners()).toBe(before);
  });

  it('no signal: the result, closed once, and nothing is listened for any more', async () => {
    const { seen, open, isOpen, work } = opening();
    const before = listeners();
    isOpen();
    await expect(stoppable(open, work)).resolves.toBe('done');
    expect(seen).toEqual({ works: 1, closes: 1 });
    expect(listeners()).toBe(before);
  });

  it('what cannot be opened: its failure, and nothing is listened for any more', async () => {
    const before = listeners();
    const failing = () => Promise.reject<{ close(): Promise<void> }>(new Error('no room'));
    await expect(stoppable(failing, () => Promise.resolve())).rejects.toThrow('no room');
    expect(listeners()).toBe(before);
  });
});

describe('untilSignal', () => {
  const SIGNALS = ['SIGINT', 'SIGTERM'] as const;
  const before = SIGNALS.map((name) => process.listeners(name));

  afterEach(() => {
    vi.useRealTimers();
    vi.restoreAllMocks();
    // A drain that never ends never lets go of them.
    for (const [i, name] of SIGNALS.entries())
      for (const listener of process.listeners(name))
        if (!before[i]!.includes(listener)) process.removeListener(name, listener);
  });

  /** A drain that never ends, broken off: what was said of it. */
  async function brokenOff(open: Parameters<typeof untilSignal>[0]) {
    vi.useFakeTimers();
    const said: [object, string][] = [];
    const logger: Logger = { ...silent, error: (fields, message) => said.push([fields, message]) };
    const exited = new Promise<number>((resolve) => {
      vi.spyOn(process, 'exit').mockImplementation(((code: number) => {
        resolve(code);
      }) as never);
    });
    untilSignal(open, logger).catch(() => undefined);
    process.emit('SIGTERM', 'SIGTERM');
    await vi.advanceTimersByTimeAsync(4_500);
    return { code: await exited, said };
  }

  const never = new Promise<never>(() => undefined);
  const message = 'not drained within 4.5 s; ended. Nothing that was committed is lost.';

  it('says what a drain waited for that takes too long, and ends', async () => {
    const running = { failed: never, close: () => never, closing: 'the last commits' };
    expect(await brokenOff(() => Promise.resolve(running))).toEqual({
      code: 1,
      said: [[{ waitsFor: 'the last commits' }, message]],
    });
  });

  it('says that it had not started when it was told to stop', async () => {
    expect(await brokenOff(() => never)).toEqual({ code: 1, said: [[{ waitsFor: 'its start' }, message]] });
  });
});
