/**
 * A region as its nodes have it: who is there, who owns and who follows each partition, how far each is, and what is not as
 * it should be. Pure: what one node knows and what the others have answered in, the whole out.
 *
 * What a node says of itself counts more than its record, and the higher epoch more than the lower: while partitions move, two
 * nodes may both think that they own one, and only one of them is right (P1).
 */
import type { FollowedStatus, MemberStatus, NodeStatus, PartitionStatus } from '../../node/status.js';
import { regionAlarms } from './region-alarms.js';
import type {
  RegionFacts,
  RegionNode,
  RegionPartition,
  RegionStandby,
  RegionStatus,
} from './region-shape.js';

export type {
  NodePresence,
  RegionFacts,
  RegionNode,
  RegionPartition,
  RegionStandby,
  RegionStatus,
} from './region-shape.js';

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
