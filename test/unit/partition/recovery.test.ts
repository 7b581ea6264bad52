// Hunts: a partition that starts from the wrong place: states lost, commits applied twice, or another stream's snapshot.
import { describe, expect, it } from 'vitest';
import { decideRecovery, type RecoveryFacts } from '../../../src/partition/recovery.js';

const at = (journalSeq: number): RecoveryFacts['snapshot'] => ({ journalSeq });
const ends = (lastSeq: number): RecoveryFacts['journal'] => ({ lastSeq });

describe('P5 decideRecovery: the whole table', () => {
  it.each([
    ['nothing was ever committed', undefined, undefined, { recover: 'nothing' }],
    ['the snapshot is lost: all of the journal', undefined, ends(9), { recover: 'journal', fromSeq: 1 }],
    ['the snapshot is what the journal says', at(9), ends(9), { recover: 'snapshot' }],
    ['the snapshot lags: what follows it', at(4), ends(9), { recover: 'journal', fromSeq: 5 }],
    ['the snapshot lags by one', at(8), ends(9), { recover: 'journal', fromSeq: 9 }],
    ['the snapshot leads', at(10), ends(9), { recover: 'impossible' }],
    ['the journal is gone', at(1), undefined, { recover: 'impossible' }],
  ])('%s', (_, snapshot, journal, decision) => {
    expect(decideRecovery({ snapshot, journal })).toMatchObject(decision);
  });

  it('says why it is impossible, with both positions', () => {
    const decision = decideRecovery({ snapshot: at(10), journal: ends(9) });
    expect(decision).toMatchObject({ why: expect.stringMatching(/10.*9/) as string });
  });
});
