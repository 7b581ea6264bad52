/** Waiting for a condition: looks again and again, and names what never came. */
import { setTimeout as sleep } from 'node:timers/promises';

export interface Patience {
  readonly deadlineMs: number;
  readonly pollMs: number;
}

/** @throws Error naming what did not come */
export async function waitFor<T>(
  what: string,
  look: () => Promise<T | undefined> | T | undefined,
  { deadlineMs, pollMs }: Patience,
): Promise<T> {
  const endMs = performance.now() + deadlineMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > endMs) throw new Error(`not within ${deadlineMs / 1_000} s: ${what}`);
    await sleep(pollMs);
  }
}
