/**
 * A region as its nodes have it: who is there, who owns and who follows each partition, how far each is, and what is not as
 * it should be. Pure: what one node knows and what the others have answered in, the whole out.
 *
 * What a node says of itself counts more than its record, and the higher epoch more than the lower: while partitions move, two
 * nodes may both think that they own one, and only one of them is right (P1).
 */
import type { FollowedStatus, MemberStatus, NodeStatus, PartitionStatus } from '../../node/status.js';
import { regionAlarms, type RegionAlarm } from './region-alarms.js';

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

export function regionStatus(facts: RegionFacts): RegionStatus {
  const nodes = facts.members.map((member) => regionNode(member, facts.statuses.get(member.id)));
  const present = nodes.filter(({ state }) => state !== 'gone' && state !== 'left');
  const partitions = Array.from({ length: facts.partitionCount }, (_, partition) =>
    regionPartition(partition, present, facts),
  );
  return { nodes, partitions, alarms: regionAlarms(nodes, partitions, facts) };
}

function regionNode(member: MemberStatus, status: NodeStatus | undefined): RegionNode {
  const { id, name, self, version, weight, startedAtMs, lastSeenMsAgo } = member;
  const common = { id, name, self, version, weight, startedAtMs, lastSeenMsAgo, http: member.http ?? null };
  if (!member.alive && !self) {
    const left = member.draining && member.owned.length === 0;
    return { ...common, state: left ? 'left' : 'gone', serving: null, owned: [], ready: [], events: null };
  }
  if (status === undefined)
    return {
      ...common,
      state: 'silent',
      serving: null,
      owned: member.owned,
      ready: member.ready,
      events: null,
    };
  return {
    ...common,
    state: member.draining || status.state === 'draining' ? 'draining' : 'alive',
    serving: status.serving,
    owned: status.partitions.map(({ partition }) => partition),
    ready: status.followed.filter(({ ready }) => ready).map(({ partition }) => partition),
    events: status.stats.events,
  };
}

function regionPartition(
  partition: number,
  nodes: readonly RegionNode[],
  { statuses, journals }: RegionFacts,
): RegionPartition {
  const claims = nodes
    .filter(({ owned }) => owned.includes(partition))
    .map(({ id, name }) => ({ id, name, status: ownedBy(statuses.get(id), partition) }))
    // Whose word is its own before one whose record alone says so.
    .sort((a, b) => (b.status?.epoch ?? -1) - (a.status?.epoch ?? -1));
  const [first] = claims;
  return {
    partition,
    owner: first === undefined ? null : { id: first.id, name: first.name },
    standbys: nodes
      .filter(({ id }) => id !== first?.id)
      .flatMap((node) => standbyOf(node, partition, statuses.get(node.id)) ?? []),
    journalMessages: journals?.get(partition) ?? null,
    status: first?.status ?? null,
  };
}

function ownedBy(status: NodeStatus | undefined, partition: number): PartitionStatus | undefined {
  return status?.partitions.find((owned) => owned.partition === partition);
}

function standbyOf(
  { id, name, ready }: RegionNode,
  partition: number,
  status: NodeStatus | undefined,
): RegionStandby | undefined {
  const followed: FollowedStatus | undefined = status?.followed.find((one) => one.partition === partition);
  if (followed !== undefined) return { id, name, ready: followed.ready, lagMessages: followed.lagMessages };
  return status === undefined && ready.includes(partition)
    ? { id, name, ready: true, lagMessages: null }
    : undefined;
}
