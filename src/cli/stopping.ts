/** Runs a piece of work that Ctrl-C or SIGTERM may end: what was opened is closed in every case, and once. */
import { GroundswellError } from '../core/errors.js';

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/** Thrown out of the work when a signal ended it; a second signal ends the process at once. */
export class Interrupted extends GroundswellError {
  constructor(signal: string) {
    super('GS_LOG', `Ended by ${signal}.`, { remedy: 'Run the same command with the same --data to go on.' });
  }
}

export async function stoppable<T>(close: () => Promise<void>, work: () => Promise<T>): Promise<T> {
  let interrupt: (signal: string) => void = () => undefined;
  const interrupted = new Promise<never>((_, reject) => {
    interrupt = (signal) => {
      reject(new Interrupted(signal));
    };
  });
  const handler = (signal: string): void => {
    for (const name of SIGNALS) process.removeListener(name, handler);
    interrupt(signal);
  };
  for (const name of SIGNALS) process.on(name, handler);
  try {
    const result = await Promise.race([work(), interrupted]);
    await close();
    return result;
  } catch (error) {
    // What ended the work is what people need to know, not what closing after it ran into.
    await close().catch(() => undefined);
    throw error;
  } finally {
    for (const name of SIGNALS) process.removeListener(name, handler);
  }
}
