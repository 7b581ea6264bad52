/** What a region's status is made of, and what it tells. */
import type { MemberStatus, NodeStatus, PartitionStatus } from '../../node/status.js';

/** `silent`: its record is renewed, and it does not answer. `left`: it was stopped, and had handed all over. `gone`: it died. */
export type NodePresence = 'alive' | 'draining' | 'silent' | 'left' | 'gone';

export interface RegionNode {
  readonly id: string;
  readonly name: string;
  readonly state: NodePresence;
  /** It answers for this status. */
  readonly self: boolean;
  /** Its lease is fresh; null when it does not answer. */
  readonly serving: boolean | null;
  readonly http: string | null;
  readonly version: string;
  readonly weight: number;
  readonly startedAtMs: number;
  readonly lastSeenMsAgo: number;
  readonly owned: readonly number[];
  /** Partitions that it could take over at once. */
  readonly ready: readonly number[];
  /** Events that it has taken since it started; null when it does not answer. */
  readonly events: number | null;
}

export interface RegionStandby {
  readonly id: string;
  readonly name: string;
  readonly ready: boolean;
  /** Journal messages that it has not taken in yet; null when it does not answer. */
  readonly lagMessages: number | null;
}

export interface RegionPartition {
  readonly partition: number;
  readonly owner: { readonly id: string; readonly name: string } | null;
  readonly standbys: readonly RegionStandby[];
  /** Messages in its journal; null when the stream was not asked or did not answer. */
  readonly journalMessages: number | null;
  /** As its owner says; null while it has none, or none that answers. */
  readonly status: PartitionStatus | null;
}

export interface RegionStatus {
  readonly nodes: readonly RegionNode[];
  /** All of them, owned or not. */
  readonly partitions: readonly RegionPartition[];
  readonly alarms: readonly RegionAlarm[];
}

export interface RegionFacts {
  readonly partitionCount: number;
  /** Nodes that shall follow each partition. */
  readonly standbys: number;
  readonly nowMs: number;
  /** As the node that is asked knows them, itself among them. */
  readonly members: readonly MemberStatus[];
  /** What they say of themselves, by id; a node that is silent is not in it. */
  readonly statuses: ReadonlyMap<string, NodeStatus>;
  /** Messages in the journals, by partition. */
  readonly journals?: ReadonlyMap<number, number> | undefined;
  /** The one that is asked does not know for sure what others do: its own lease is not fresh, or it has no connection. */
  readonly unsure?: string | undefined;
}

export interface RegionAlarm {
  readonly kind:
    /** The node that is asked may not know what others do. */
    | 'unsure'
    /** Nobody works on partitions. */
    | 'no-owner'
    /** The owner of partitions is there and does not answer. */
    | 'silent-node'
    | 'gone-node'
    /** Nobody could take over at once, and the configuration wants that. */
    | 'no-standby'
    | 'same-name'
    /** A base snapshot is much older than it should be; a journal has outgrown what it may have. */
    | 'base-overdue'
    | 'journal-over-budget'
    /** Time stands still, or goes on without a producer; as in `alarms.ts`. */
    | 'held'
    | 'silent'
    | 'clock';
  readonly partitions: readonly number[];
  readonly message: string;
}
