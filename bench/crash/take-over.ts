/** How long partitions stood still: computed from their commits alone, with the server's times. */
import type { Commit } from './journals.js';

/** A node that was struck, and what it owned then. */
export interface Blow {
  readonly atMs: number;
  readonly partitions: readonly number[];
}

/**
 * From the blow until the partition commits input again, by whoever has it then; without any input to come, until it is
 * taken. Undefined: never.
 */
export function takeOverMs(commits: readonly Commit[], blowAtMs: number): number | undefined {
  const next = firstAfter(commits, blowAtMs);
  const before = commits[next - 1];
  if (before === undefined) return undefined;
  let taken: number | undefined;
  for (const { writer, atMs, inputSeq } of commits.slice(next)) {
    if (writer === before.writer) {
      // What was in flight when it was struck; or it was only frozen, and nobody took its place.
      if (inputSeq > before.inputSeq && atMs - blowAtMs > IN_FLIGHT_MS) return atMs - blowAtMs;
      continue;
    }
    taken ??= atMs - blowAtMs;
    if (inputSeq > before.inputSeq) return atMs - blowAtMs;
  }
  return taken;
}

/** A batch that had been sent before the blow may be stored so much later. */
const IN_FLIGHT_MS = 500;

export interface HandOver {
  readonly partition: number;
  readonly atMs: number;
  /** The longest time without a commit around it. */
  readonly pauseMs: number;
  /** From the old owner's last commit until the new one's first, and from there until it commits input. */
  readonly untilTakenMs: number;
  readonly untilWorkingMs: number;
}

/** Looked at before and after a hand-over, ms. */
const AROUND_MS = 250;
const BEHIND_MS = 1_000;

/** All hand-overs that somebody took, between two moments: how long the partition did not commit. */
export function handOvers(
  partition: number,
  commits: readonly Commit[],
  { fromMs, toMs }: { fromMs: number; toMs: number },
): HandOver[] {
  const found: HandOver[] = [];
  for (const [i, last] of commits.entries()) {
    if (last.handedTo === undefined || last.atMs < fromMs || last.atMs > toMs) continue;
    const taken = commits[i + 1];
    if (taken === undefined) continue;
    const working = commits.find(({ seq, inputSeq }) => seq > last.seq && inputSeq > last.inputSeq) ?? taken;
    const pauseMs = longestGapMs(commits, last.atMs - AROUND_MS, working.atMs + BEHIND_MS);
    found.push({
      partition,
      atMs: last.atMs,
      pauseMs,
      untilTakenMs: taken.atMs - last.atMs,
      untilWorkingMs: working.atMs - taken.atMs,
    });
  }
  return found;
}

/** The longest time between two commits, one of which lies between two moments. */
export function longestGapMs(commits: readonly Commit[], fromMs: number, toMs: number): number {
  let longest = 0;
  for (let i = Math.max(1, firstAfter(commits, fromMs)); i < commits.length; i++) {
    const { atMs } = commits[i - 1]!;
    if (atMs > toMs) break;
    longest = Math.max(longest, commits[i]!.atMs - atMs);
  }
  return longest;
}

/** Index of the first commit after a moment. */
function firstAfter(commits: readonly Commit[], atMs: number): number {
  let low = 0;
  let high = commits.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (commits[middle]!.atMs <= atMs) low = middle + 1;
    else high = middle;
  }
  return low;
}
