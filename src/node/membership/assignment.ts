/**
 * Which node should own a partition, and which should stand by: weighted rendezvous hashing. Every node scores every
 * partition by itself; the best score owns it, the next ones stand by. So all who know the same nodes say the same, whatever
 * the order they came in, a node that joins or leaves moves only what it gets or had, and each gets its weight's share.
 *
 * Source: Thaler and Ravishankar, "Using name-based mappings to increase hit rates", 1998; the weights are those of
 * Schindelhauer and Schomaker, "Weighted distributed hash tables", 2005.
 */
import { fnv1a32 } from '../../core/hash.js';

export interface Candidate {
  readonly id: string;
  /** Above 0. */
  readonly weight: number;
}

/** Ids of the nodes, the best for the partition first. */
export function rank(partition: number, nodes: readonly Candidate[]): string[] {
  return nodes
    .map(({ id, weight }) => ({ id, score: -weight / Math.log(chance(partition, id)) }))
    .sort((a, b) => b.score - a.score || (a.id < b.id ? -1 : 1))
    .map(({ id }) => id);
}

/** A number between 0 and 1, neither of them, that is the same for the same partition and node everywhere. */
function chance(partition: number, id: string): number {
  const hash = fnv1a32(`${partition}/${id}`);
  const high = mix(hash);
  // A second hash of the same text, so that two nodes that meet in one do not in both.
  const low = mix(Math.imul(fnv1a32(`${id}/${partition}`), 0x9e3779b1) ^ hash);
  // 52 bits and a half: the largest is still below 1.
  return (high * 2 ** 20 + (low >>> 12) + 0.5) / 2 ** 52;
}

/** Every bit of the input moves half of the bits of the output: the finalizer of MurmurHash3. */
function mix(hash: number): number {
  let h = hash;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
