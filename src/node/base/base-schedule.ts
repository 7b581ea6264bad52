/**
 * Which partition is due for a base snapshot, and what an operator should hear of: pure decisions on facts. The age is
 * counted on the monotonic clock from the first look on: a wall clock that jumps makes nothing due, and nothing late.
 */

export interface BaseFacts {
  readonly partition: number;
  /** Age of its base, ms; since it was first seen here while it has none. */
  readonly ageMs: number;
  readonly hasBase: boolean;
  /** Bytes of the journal since the base, as far as they were committed here. */
  readonly journalBytes: number;
  /** It must not be tried again before so long, ms. */
  readonly waitMs: number;
}

export interface BaseRules {
  readonly everyMs: number;
  /** Bytes that the journals of all partitions of the region may have since their bases. */
  readonly journalBytesMax: number;
  readonly partitions: number;
}

/** A partition without a base gets one soon: until then its whole journal is all there is. */
const FIRST_MS = 60_000;
/** A base that is older than so many times what it should be is overdue. */
const OVERDUE_TIMES = 2;

/** The partition that needs one most; undefined when none is due. */
export function dueForBase(all: readonly BaseFacts[], rules: BaseRules): number | undefined {
  let most: { partition: number; need: number } | undefined;
  for (const facts of all) {
    if (facts.waitMs > 0) continue;
    const need = needOf(facts, rules);
    if (need >= 1 && (most === undefined || need > most.need)) most = { partition: facts.partition, need };
  }
  return most?.partition;
}

/** Due at 1: by time, or by the journal having half of its share. */
function needOf({ ageMs, hasBase, journalBytes }: BaseFacts, rules: BaseRules): number {
  const afterMs = hasBase ? rules.everyMs : Math.min(FIRST_MS, rules.everyMs);
  return Math.max(ageMs / afterMs, journalBytes / (shareOf(rules) / 2));
}

export function isOverdue({ ageMs }: Pick<BaseFacts, 'ageMs'>, { everyMs }: BaseRules): boolean {
  return ageMs > OVERDUE_TIMES * everyMs;
}

export function isOverBudget({ journalBytes }: Pick<BaseFacts, 'journalBytes'>, rules: BaseRules): boolean {
  return journalBytes > shareOf(rules);
}

function shareOf({ journalBytesMax, partitions }: BaseRules): number {
  return journalBytesMax / partitions;
}
