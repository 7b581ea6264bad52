/** Hunts signals that come at a bad moment: what was opened then is left behind, or is closed twice. */
import { describe, expect, it } from 'vitest';
import { Interrupted, stoppable } from '../../../src/cli/stopping.js';

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
