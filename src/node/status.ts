/** What a node tells about itself: for operators, metrics and those who look inside. Facts as committed, never ahead (P4). */
export type { ActorView } from '../partition/actor-view.js';

export type NodeState = 'starting' | 'running' | 'draining' | 'stopped' | 'failed';

/** What a node has done since it started. */
export interface NodeStats {
  events: number;
  frames: number;
  mailFrames: number;
  steps: number;
  commits: number;
  batches: number;
  batchBytes: number;
  rows: number;
  entriesRecovered: number;
  retentionFailures: number;
}

export interface PartitionStatus {
  readonly partition: number;
  /** Stage-0 watermark, event time ms: what the inputs that were taken say; 0 while none. */
  readonly watermarkMs: number;
  /** Event time up to which each stage is closed. */
  readonly closedMs: readonly number[];
  /** The producer that holds the watermark back. */
  readonly holder: string | undefined;
  /** Number of the last commit that was acknowledged, and the wall time of its step; none yet: 0 and undefined. */
  readonly commit: number;
  readonly committedAtMs: number | undefined;
  /** Log sequences of the last committed input and of the last journal message. */
  readonly inputSeq: number;
  readonly journalSeq: number;
  /** Input messages in the stream that were not taken yet. */
  readonly lagMessages: number;
  readonly residentActors: number;
  readonly activations: number;
  readonly passivations: number;
}

export interface NodeStatus {
  readonly state: NodeState;
  readonly region: string;
  /** Partitions of the region, owned here or not. */
  readonly partitionCount: number;
  readonly partitions: readonly PartitionStatus[];
  /** Committed counters, summed over the partitions: `late`, `refused.<reason>`, `dead.<reason>`, `duplicates`, … */
  readonly counters: Readonly<Record<string, number>>;
  readonly stats: Readonly<NodeStats>;
  readonly snapshot: { readonly pendingActors: number; readonly fileBytes: number };
  /** How far the clock of this machine is behind the last commit, ms: live windows wait for it. 0 when it is not. */
  readonly clockBehindMs: number;
}

/** Told as things happen: for histograms. */
export interface NodeObserver {
  /** A batch was acknowledged. */
  committed(batch: { bytes: number; messages: number; partitions: number; seconds: number }): void;
  /** A transaction of snapshots was written. */
  snapshotWritten(write: { actors: number; seconds: number }): void;
}
