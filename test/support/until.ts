/** Waiting for a condition instead of a time: looks again and again, and names what never came. */

/** Resolves once the condition holds; looks after every turn of the event loop, or every `pollMs`. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  { deadlineMs = 30_000, pollMs = 0 } = {},
): Promise<void> {
  const endMs = performance.now() + deadlineMs;
  while (!(await condition())) {
    if (performance.now() > endMs) throw new Error(`not within ${deadlineMs} ms: ${what}`);
    await new Promise<void>((resolve) => {
      if (pollMs === 0) setImmediate(resolve);
      else setTimeout(resolve, pollMs);
    });
  }
}

/** Lets everything that can go on go on, for a number of turns of the event loop. */
export async function turns(count = 50): Promise<void> {
  for (let i = 0; i < count; i++)
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
}
