/** What a node is made of: the ports it works with, its limits, and how it finds the region's other nodes. */
import type { Registry } from '../actor/registry.js';
import type { Clock } from '../core/clock.js';
import type { Logger } from '../core/logger.js';
import type { Leases } from '../log/leases.js';
import type { Log, LogMessage } from '../log/log.js';
import type { Subjects } from '../log/subjects.js';
import type { PartitionConfig } from '../partition/partition.js';
import type { SnapshotStore } from '../state/store.js';
import type { BasesOptions } from './bases.js';
import type { NodeLimits } from './limits.js';
import type { NodeObserver } from './status.js';

export interface NodeOptions {
  readonly log: Log;
  readonly store: SnapshotStore;
  readonly subjects: Subjects;
  readonly clock: Clock;
  readonly registry: Registry;
  readonly partitions: number;
  readonly partition: Omit<PartitionConfig, 'region' | 'partition' | 'partitions' | 'registry'>;
  readonly limits?: Partial<NodeLimits>;
  /** How it finds the region's other nodes; without it, it owns all partitions. */
  readonly membership?: MembershipOptions;
  /** Where base snapshots are kept; without it there are none, and journals stay whole. */
  readonly bases?: BasesOptions;
  /** Nobody opens its snapshots again: at its end they are left as they are, behind the journal. */
  readonly temporary?: boolean;
  readonly observer?: NodeObserver;
  readonly logger?: Logger;
  onRetry?(cause: string, attempt: number): void;
  /** Called when the node has begun, and has ceased, to own a partition. */
  onOwned?(partition: number): void;
  onDropped?(partition: number): void;
  /** Called with what a partition's commit has said to the world, once it is stored: commit by commit, until `onDropped`. */
  onCommitted?(outputs: readonly LogMessage[]): void;
  /** Called when a node of the region has come, gone or said something new. */
  onMembers?(): void;
}

export interface MembershipOptions {
  readonly leases: Leases;
  /** Stays the same over restarts on the same data folder: its partitions come back to it. */
  readonly id: string;
  readonly name: string;
  /** Its share of the partitions, against the other nodes' weights. */
  readonly weight: number;
  /** Where its HTTP server answers. */
  readonly http?: string;
  readonly version: string;
  /** Further nodes that follow each partition. */
  readonly standbys: number;
  /** A node that is silent for longer counts as gone, ms: whole seconds. */
  readonly ttlMs?: number;
}
