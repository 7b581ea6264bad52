/** Those who wait until what was taken before is in the stream, or until there is room. */

export interface Waiting {
  /** Number of events taken when the call was made: all of them must be in the stream. */
  readonly upTo: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** Ends the waiting of those whose events are among the first `upTo`; of all by default. */
export function settle(list: Waiting[], error?: Error, upTo = Number.POSITIVE_INFINITY): void {
  const over = list.findIndex((waiting) => waiting.upTo > upTo);
  for (const { resolve, reject } of list.splice(0, over === -1 ? list.length : over)) {
    if (error === undefined) resolve();
    else reject(error);
  }
}
