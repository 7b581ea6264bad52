/** What a node takes, holds and waits for at most: every queue and every bite of work has its limit here (P8). */

export interface NodeLimits {
  /** Input bytes a partition takes in one turn. */
  readonly turnBytes: number;
  /** Input is taken for so long in one turn, ms; each partition takes one message at least. */
  readonly turnInputMs: number;
  /** Events a partition may have taken and not committed. */
  readonly uncommittedEventsMax: number;
  /** Bytes of one batch, roughly. */
  readonly batchBytesMax: number;
  /**
   * Timers that fire in one turn, over all partitions: a minute that closes leaves room for what comes meanwhile. The less room, the
   * sooner it has closed: a cell that is told by many is called, and stored, in each turn.
   */
  readonly turnTimersMax: number;
  /** The same in time, ms, for a region that is fed live: a turn ends soon after it, however much there is to close. */
  readonly turnTimersMs: number;
  /** Actors in memory, over all partitions of the node. */
  readonly residentActorsMax: number;
  /** An actor that was not touched for so long is passivated, ms; longer than a minute, at whose end each cell is touched. */
  readonly idleMs: number;
  /** Changed actors that may wait to be in the snapshots, each time they changed: some 100 bytes each. */
  readonly pendingSnapshotActorsMax: number;
  /** At least so long between two rounds of snapshots, ms; longer where a round takes long. */
  readonly snapshotEveryMs: number;
  /**
   * Commits are so far apart at most, ms, while a node is behind on live input: what is gathered costs less. It is less, the less
   * the node is behind; when it is not, a commit follows as soon as the last one is acknowledged.
   */
  readonly commitEveryMs: number;
  /**
   * The same while a replay is attached, or when one has ended and the region was never fed live, however far behind the node is, ms;
   * what others wait for goes out sooner, and a commit that is due waits up to twice as long until partitions have heard each other.
   */
  readonly replayCommitEveryMs: number;
  /** While a minute closes, commits are at least so far apart, ms: cells are told by many, a little each time. */
  readonly closingCommitEveryMs: number;
  /** Input messages that were not taken yet: with more of them, the node begins to be behind. */
  readonly behindMessages: number;
  /** Attempts to store a commit before the node gives up. */
  readonly commitAttemptsMax: number;
  /** How often time is looked at when nothing comes, ms. */
  readonly tickMs: number;
  /** How long committed inputs are kept, ms. */
  readonly historyMs: number;
  /** A node that stops hands its partitions over for so long at most, ms; others then take what is left. */
  readonly drainMs: number;
}

export const DEFAULT_LIMITS: NodeLimits = {
  turnBytes: 256 * 1024,
  turnInputMs: 30,
  uncommittedEventsMax: 50_000,
  batchBytesMax: 16 * 1024 * 1024,
  turnTimersMax: 20_000,
  turnTimersMs: 30,
  residentActorsMax: 1_000_000,
  idleMs: 3 * 60_000,
  pendingSnapshotActorsMax: 4_000_000,
  snapshotEveryMs: 5_000,
  commitEveryMs: 200,
  replayCommitEveryMs: 500,
  closingCommitEveryMs: 50,
  behindMessages: 64,
  commitAttemptsMax: 30,
  tickMs: 200,
  historyMs: 24 * 3_600_000,
  drainMs: 3_000,
};
