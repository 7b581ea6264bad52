/** What a node is to take of its region and has not taken yet: at its start, or after another node has died. */
import { sleep, type Clock } from '../../core/clock.js';
import { rank } from '../../node/membership/assignment.js';
import type { NodeStatus } from '../../node/status.js';

const LOOK_EVERY_MS = 20;

/** Partitions that no node owns and that this one is to take. None for a node that only follows, or is alone. */
export function unclaimed({
  members,
  partitionCount,
  serving,
}: Pick<NodeStatus, 'members' | 'partitionCount' | 'serving'>): number[] {
  const self = members.find((member) => member.self);
  if (self === undefined || self.draining || !serving) return [];
  const there = members.filter(({ alive }) => alive);
  const owned = new Set(there.flatMap((member) => member.owned));
  const takers = there.filter(({ draining }) => !draining);
  return Array.from({ length: partitionCount }, (_, partition) => partition).filter(
    (partition) => !owned.has(partition) && rank(partition, takers)[0] === self.id,
  );
}

/** Resolves when a node has taken what is its own, however long that takes. Rejects with what makes it fail. */
export async function untilClaimed(
  node: { status(): NodeStatus; readonly finished: Promise<void> },
  clock: Clock,
): Promise<void> {
  let ended = false;
  const end = node.finished.finally(() => (ended = true));
  // Heard below, when it matters.
  end.catch(() => undefined);
  while (!ended && unclaimed(node.status()).length > 0)
    await Promise.race([sleep(clock, LOOK_EVERY_MS), end]);
}
