/** Threads that others of their process wait for come first: one that may run behind them says so. */
import { getPriority, setPriority } from 'node:os';

/** Nice value: with a core for two, it gets a tenth of what the other does; with a core to spare, all it wants. */
const GIVES_WAY = 10;

/** The calling thread gives way to others from here on. Without effect where only a whole process can. */
export function giveWay(): void {
  // On Linux a priority is a thread's: setpriority(2), "C library/kernel differences".
  if (process.platform !== 'linux') return;
  try {
    setPriority(Math.max(getPriority(), GIVES_WAY));
  } catch {
    // A sandbox may forbid it. Then it takes its turn as others do: slower for them, and no reason to end.
  }
}
