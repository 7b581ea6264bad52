/**
 * How a partition comes back: facts in, decision out. `node/recover.ts` gathers the facts and carries the decision
 * out; the table of cases is here and is tested whole (P5).
 */

export interface RecoveryFacts {
  /** Journal position of the local snapshot; undefined when there is none. */
  readonly snapshot: { readonly journalSeq: number } | undefined;
  /** Last message of the journal; undefined when the journal is empty. */
  readonly journal: { readonly lastSeq: number } | undefined;
}

export type RecoveryDecision =
  /** Nothing was ever committed. */
  | { readonly recover: 'nothing' }
  /** The snapshot is what the journal says. */
  | { readonly recover: 'snapshot' }
  /** Apply the journal from a sequence on, on top of the snapshot or of nothing. */
  | { readonly recover: 'journal'; readonly fromSeq: number }
  /** The snapshot knows of commits that the journal does not have: another stream, or one that lost its end. */
  | { readonly recover: 'impossible'; readonly why: string };

export function decideRecovery({ snapshot, journal }: RecoveryFacts): RecoveryDecision {
  if (snapshot === undefined) {
    return journal === undefined ? { recover: 'nothing' } : { recover: 'journal', fromSeq: 1 };
  }
  const lastSeq = journal?.lastSeq ?? 0;
  if (snapshot.journalSeq > lastSeq) {
    return {
      recover: 'impossible',
      why: `the snapshot stands at ${snapshot.journalSeq}, the journal ends at ${lastSeq}: this folder belongs to another stream, or the stream lost acknowledged commits`,
    };
  }
  if (snapshot.journalSeq === lastSeq) return { recover: 'snapshot' };
  return { recover: 'journal', fromSeq: snapshot.journalSeq + 1 };
}
