/** What is seen of a node from outside, put together from its parts. Reads, and changes nothing. */
import type { BaseKeeper } from './base/base-keeper.js';
import type { OwnedPartition } from './owned-partition.js';
import type { NodeStatus, PartitionStatus, QuarantinedActors } from './status.js';

/** Actors in quarantine that are listed. */
const QUARANTINED_MAX = 1_000;

/** Counters of all partitions together, as far as they are committed. */
export function countersOf(all: Iterable<OwnedPartition>): NodeStatus['counters'] {
  const counters: Record<string, number> = {};
  for (const { committed } of all)
    for (const [name, n] of committed?.counters ?? []) counters[name] = (counters[name] ?? 0) + n;
  return counters;
}

/** Each partition, in order of their numbers. */
export function partitionsOf(
  all: Iterable<OwnedPartition>,
  keeper: BaseKeeper | undefined,
): PartitionStatus[] {
  return Array.from(all, (owned) => {
    const status = owned.status();
    return keeper === undefined ? status : { ...status, upkeep: keeper.status(status.partition) };
  }).sort((a, b) => a.partition - b.partition);
}

/** Actors in quarantine, those that were put there first; of very many, the first. */
export function quarantinedOf(all: Iterable<OwnedPartition>): QuarantinedActors {
  const actors = Array.from(all, (owned) => [...owned.quarantined()]).flat();
  actors.sort((a, b) => a.sinceMs - b.sinceMs);
  return { count: actors.length, actors: actors.slice(0, QUARANTINED_MAX) };
}
