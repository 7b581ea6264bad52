/** What a node tells about itself: for operators, metrics and those who look inside. Facts as committed, never ahead (P4). */
import type { BasePointer } from '../partition/journal.js';
import type { SilentProducer } from '../partition/watermark.js';
import type { QuarantinedActor } from '../partition/quarantine.js';
import type { BaseStatus } from './base/base-keeper.js';
import type { NodeRecord } from './membership/record.js';

export type { ActorView } from '../partition/actor-view.js';
export type { QuarantinedActor } from '../partition/quarantine.js';

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
  /** Partitions that were taken from others, or from nobody; handed over; and lost to another node without a hand-over. */
  taken: number;
  handedOver: number;
  fenced: number;
  /** Partitions that had heard one that was lost in this way, and began anew. */
  void: number;
}

/** Of a node that has done nothing yet. */
export function zeroStats(): NodeStats {
  return {
    events: 0,
    frames: 0,
    mailFrames: 0,
    steps: 0,
    commits: 0,
    batches: 0,
    batchBytes: 0,
    rows: 0,
    entriesRecovered: 0,
    retentionFailures: 0,
    taken: 0,
    handedOver: 0,
    fenced: 0,
    void: 0,
  };
}

/** Actors in quarantine, those that were put there first, and how many there are. */
export interface QuarantinedActors {
  readonly count: number;
  readonly actors: readonly QuarantinedActor[];
}

export interface PartitionStatus {
  readonly partition: number;
  /** Stage-0 watermark, event time ms: what the inputs that were taken say; 0 while none. */
  readonly watermarkMs: number;
  /** Event time up to which each stage is closed. */
  readonly closedMs: readonly number[];
  /** The producer that holds the watermark back. */
  readonly holder: string | undefined;
  /** Live producers that fell silent without a last word. */
  readonly silent: readonly SilentProducer[];
  /** Number of the last commit that was acknowledged, and the wall time of its step; none yet: 0 and undefined. */
  readonly commit: number;
  readonly committedAtMs: number | undefined;
  /** Counts the partition's owners. */
  readonly epoch: number;
  readonly base: BasePointer | undefined;
  /** How its base and the journal since are kept; absent where no bases are made. */
  readonly upkeep?: BaseStatus | undefined;
  /** Log sequences of the last committed input and of the last journal message. */
  readonly inputSeq: number;
  readonly journalSeq: number;
  /** Input messages in the stream that were not taken yet. */
  readonly lagMessages: number;
  /** Actors in quarantine. */
  readonly quarantined: number;
  readonly residentActors: number;
  readonly activations: number;
  readonly passivations: number;
}

/** A partition that this node follows, to be near when its owner goes. */
export interface FollowedStatus {
  readonly partition: number;
  readonly lagMessages: number;
  readonly journalSeq: number;
  readonly commit: number;
  readonly epoch: number;
  /** Near enough to take over at once. */
  readonly ready: boolean;
}

/** A node of the region, as it is known here. */
export interface MemberStatus extends NodeRecord {
  readonly alive: boolean;
  readonly self: boolean;
  readonly lastSeenMsAgo: number;
}

export interface NodeStatus {
  readonly state: NodeState;
  /** It works, and its lease is fresh. */
  readonly serving: boolean;
  readonly region: string;
  /** Partitions of the region, owned here or not. */
  readonly partitionCount: number;
  readonly partitions: readonly PartitionStatus[];
  readonly followed: readonly FollowedStatus[];
  /** The region's nodes, this one too; none when it is alone by configuration. */
  readonly members: readonly MemberStatus[];
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
  /** A round of snapshots was written. */
  snapshotWritten(write: { actors: number; seconds: number }): void;
}
