// Hunts: a subject that somebody reads who must not: a filter that matches more than it says, a cursor taken for data.
import { describe, expect, it } from 'vitest';
import { messageMatches } from '../../../src/log/memory/match.js';
import { Subjects } from '../../../src/log/subjects.js';

const subjects = new Subjects('sf');

describe('subjects', () => {
  it('the cursor of raw events lies in the engine’s stream, and in no filter of a partition’s', () => {
    expect(messageMatches(subjects.engineSubjects, subjects.ingestCursor)).toBe(true);
    const filters = [
      subjects.allOut,
      'gs.sf.p.*.journal',
      'gs.sf.p.*.in.*',
      'gs.sf.p.*.in.ev',
      ...Array.from({ length: 1_000 }, (_, partition) => partition).flatMap((partition) => [
        subjects.inputs(partition),
        subjects.journal(partition),
        subjects.out(partition),
      ]),
    ];
    expect(filters.filter((filter) => messageMatches(filter, subjects.ingestCursor))).toEqual([]);
  });

  it('raw events lie in their own stream, one subject a type, and in no other stream', () => {
    expect(subjects.ingest('driver.location')).toBe('gs.sf.ingest.driver_location');
    const subject = subjects.ingest('ride.picked_up');
    expect(messageMatches(subjects.ingestSubjects, subject)).toBe(true);
    const others = [subjects.engineSubjects, ...subjects.aggregateSubjects, ...subjects.sideSubjects];
    expect(others.filter((pattern) => messageMatches(pattern, subject))).toEqual([]);
  });

  it('analysts see neither cursors nor raw events', () => {
    const unseen = [
      subjects.aggregateCursor(0),
      subjects.sideCursor(0),
      subjects.ingestCursor,
      subjects.ingest('driver.location'),
      subjects.side('dead', 'driver.location'),
    ];
    for (const pattern of ['gs.*.agg.>', 'gs.*.surge.>'])
      expect(unseen.filter((subject) => messageMatches(pattern, subject))).toEqual([]);
  });
});
