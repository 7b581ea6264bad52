/**
 * The port to leases: short-lived facts that processes tell each other, each under a name of its own, gone when it is not
 * written again in time. Good for knowing who is there; never for safety, which is the journal's (P1). `nats/` keeps
 * them in a key-value bucket; `memory/` is for unit and simulation tests.
 */

export interface Lease {
  /** One subject token. */
  readonly name: string;
  /** Grows with each write of any lease. */
  readonly seq: number;
  /** Never empty. */
  readonly value: Uint8Array;
}

export type LeaseChange =
  | { readonly kind: 'written'; readonly lease: Lease }
  /** It was given up, or has run out. */
  | { readonly kind: 'gone'; readonly name: string };

export type LeaseOutcome =
  | { readonly outcome: 'written'; readonly seq: number }
  /** It is not as expected: somebody else wrote it, or it has run out. */
  | { readonly outcome: 'stale' }
  /** No answer came, or none for now. */
  | { readonly outcome: 'unknown'; readonly cause: string };

export interface LeaseWrite {
  readonly name: string;
  readonly value: Uint8Array;
  /** It runs out after so long, ms: whole seconds. */
  readonly ttlMs: number;
  /** Sequence of its last write; 0 when there must be none now. Without it, whatever is there is replaced. */
  readonly expectSeq?: number;
}

export interface Leases {
  write(write: LeaseWrite): Promise<LeaseOutcome>;
  /** Gives a lease up: everybody hears of it at once. */
  remove(name: string): Promise<void>;
  /** All that there are now, as the stream's leader has them. */
  list(): Promise<Lease[]>;
  /**
   * Tells of all there are, then of each change, in the order of their sequences; of a lease that is written faster than
   * this is told, perhaps only the last. `onChange` is not called again once `close` was.
   * @param onFailure called when nothing will be told any more: the place where leases are kept is gone
   */
  watch(
    onChange: (change: LeaseChange) => void,
    onFailure?: (error: Error) => void,
  ): Promise<{ close(): Promise<void> }>;
}
