/**
 * What this node should do about the region's partitions, from what it knows of the others: a pure decision, made anew
 * whenever something has changed. Each node decides for itself by the same rule, so that all come to the same end; where
 * two disagree for a moment the journal's compare-and-set decides between them (P1).
 *
 * - (O1) A partition should be owned by the best-ranked of the nodes that are there and not draining, its target; the next
 *   ones stand by.
 * - (O2) Who owns one and is not its target hands it over when the target is ready, one at a time.
 * - (O3) The target takes one that nobody owns; whoever it was handed to takes it at once.
 * - (O4) Who follows one and need not any more goes on until those who should are ready, so that a move leaves no gap.
 */
import { rank } from './assignment.js';
import type { NodeRecord } from './record.js';

export interface OwnershipFacts {
  /** Id of this node. It only decides while its own lease is fresh. */
  readonly self: string;
  /** Partitions of the region. */
  readonly partitions: number;
  /** Further nodes that follow each partition. */
  readonly standbys: number;
  /** All that are known, this one included. One id, one record: claims of an earlier start are not there any more. */
  readonly members: readonly (NodeRecord & { readonly alive: boolean })[];
  /** Partitions that this node owns. */
  readonly owned: ReadonlySet<number>;
  /** Partitions that it follows: whether it is at the end of the journal, and to whom the last entry there gives it. */
  readonly following: ReadonlyMap<number, { readonly ready: boolean; readonly handedTo: string | undefined }>;
  /** The partition that it is handing over now. */
  readonly releasing: number | undefined;
}

export type OwnershipAction =
  | { readonly do: 'take' | 'follow' | 'unfollow'; readonly partition: number }
  | { readonly do: 'release'; readonly partition: number; readonly to: string };

export function decideOwnership(facts: OwnershipFacts): OwnershipAction[] {
  const region = new Region(facts);
  const actions: OwnershipAction[] = [];
  let mayRelease = facts.releasing === undefined;
  for (let partition = 0; partition < facts.partitions; partition++) {
    if (facts.owned.has(partition)) {
      if (!mayRelease) continue;
      const successor = region.successor(partition);
      if (successor === undefined) continue;
      actions.push({ do: 'release', partition, to: successor });
      mayRelease = false;
    } else {
      const action = decideOther(facts, region, partition);
      if (action !== undefined) actions.push({ do: action, partition });
    }
  }
  return actions;
}

/** About a partition that this node does not own. */
function decideOther(
  { self, following }: OwnershipFacts,
  region: Region,
  partition: number,
): 'take' | 'follow' | 'unfollow' | undefined {
  const followed = following.get(partition);
  // Only at the journal's end is its last entry the last word.
  if (followed?.ready === true && followed.handedTo === self && region.isEligible(self)) return 'take';
  const owner = region.ownerOf(partition);
  if (owner === undefined && region.target(partition) === self) return 'take';
  const followers = region.followers(partition, owner);
  if (followers.includes(self)) return followed === undefined ? 'follow' : undefined;
  if (followed === undefined || owner === undefined) return undefined;
  return followers.every((id) => region.isReady(id, partition)) ? 'unfollow' : undefined;
}

/** The other nodes' claims, and the ranks of those that may own partitions. */
class Region {
  readonly #facts: OwnershipFacts;
  readonly #eligible: readonly NodeRecord[];
  readonly #eligibleIds: ReadonlySet<string>;
  readonly #owners = new Map<number, string>();
  readonly #ready = new Map<string, ReadonlySet<number>>();

  constructor(facts: OwnershipFacts) {
    const { members, self } = facts;
    this.#facts = facts;
    const alive = members.filter(({ alive, id }) => alive || id === self);
    this.#eligible = alive.filter(({ draining }) => !draining);
    this.#eligibleIds = new Set(this.#eligible.map(({ id }) => id));
    for (const { id, owned, ready } of alive) {
      if (id === self) continue;
      for (const partition of owned) this.#owners.set(partition, id);
      this.#ready.set(id, new Set(ready));
    }
  }

  isEligible(id: string): boolean {
    return this.#eligibleIds.has(id);
  }

  target(partition: number): string | undefined {
    return this.#ranks(partition)[0];
  }

  /** Another node that is there and says that it owns the partition. */
  ownerOf(partition: number): string | undefined {
    return this.#owners.get(partition);
  }

  isReady(id: string, partition: number): boolean {
    return this.#ready.get(id)?.has(partition) === true;
  }

  /** Who should follow: the target and the standbys, but for the owner. */
  followers(partition: number, owner: string | undefined): string[] {
    return this.#ranks(partition)
      .slice(0, 1 + this.#facts.standbys)
      .filter((id) => id !== owner);
  }

  /** To whom a partition of this node's can be handed now (O2). */
  successor(partition: number): string | undefined {
    const target = this.target(partition);
    if (target === undefined || target === this.#facts.self) return undefined;
    return this.isReady(target, partition) ? target : undefined;
  }

  #ranks(partition: number): string[] {
    return rank(partition, this.#eligible);
  }
}
