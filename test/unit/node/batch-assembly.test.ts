// Hunts: mail lost or doubled where it is merged or split; a compare-and-set on the wrong message; marks before their mail.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { GroundswellError } from '../../../src/core/errors.js';
import { Subjects } from '../../../src/log/subjects.js';
import { assembleBatch, encodeCommit, encodeMail } from '../../../src/node/batch-assembly.js';
import { decodeMailFrame, type MailShare } from '../../../src/partition/frame.js';
import { commitOf, encoded } from './commits.js';

const subjects = new Subjects('x');
const LIMITS = { partitions: 3, frameBytesMax: 4_096 };
const expectedSeq = (partition: number): number => 100 + partition;

describe('assembleBatch', () => {
  it('P1 puts the compare-and-set on the first journal frame of each partition, and nowhere else', () => {
    const commits = [0, 2].map((partition) =>
      encodeCommit(commitOf(partition, 1, { actors: [40, 200], progress: true }), 2_048),
    );
    expect(commits[0]!.journal.length).toBeGreaterThan(2);
    const { entries, journalAt } = assembleBatch(commits, expectedSeq, subjects, LIMITS);
    for (const [i, { subject, expectLastSeq }] of entries.entries()) {
      const partition = [0, 2].find((p) => journalAt.get(p)!.first === i);
      expect(expectLastSeq).toBe(partition === undefined ? undefined : expectedSeq(partition));
      if (partition !== undefined) expect(subject).toBe(subjects.journal(partition));
    }
    for (const partition of [0, 2]) {
      const { first, last } = journalAt.get(partition)!;
      const own = entries.flatMap(({ subject }, i) => (subject === subjects.journal(partition) ? [i] : []));
      expect(own).toEqual(Array.from({ length: last - first + 1 }, (_, i) => first + i));
    }
  });

  it('P8 merges mail over all partitions: one frame per destination, shares apart', () => {
    const commits = [
      encoded(0, 1, { mail: { 1: [['cell', 'a', 'add', 0, 1]], 2: [['cell', 'b', 'add', 0, 2]] } }),
      encoded(1, 1, { mail: { 2: [['cell', 'b', 'add', 0, 3]] } }),
    ];
    const { entries } = assembleBatch(commits, expectedSeq, subjects, LIMITS);
    const mail = entries.filter(({ subject }) => subject.endsWith('.mail'));
    expect(mail.map(({ subject, payload }) => [subject, decodeMailFrame(payload)])).toEqual([
      [subjects.mail(1), [{ from: 0, marks: [], messages: [['cell', 'a', 'add', 0, 1]] }]],
      [
        subjects.mail(2),
        [
          { from: 0, marks: [], messages: [['cell', 'b', 'add', 0, 2]] },
          { from: 1, marks: [], messages: [['cell', 'b', 'add', 0, 3]] },
        ],
      ],
    ]);
  });

  it('marks go to every partition but their own, mail or none', () => {
    const { entries } = assembleBatch([encoded(1, 1, { marks: [60, 30] })], expectedSeq, subjects, LIMITS);
    const mail = entries.filter(({ subject }) => subject.endsWith('.mail'));
    expect(mail.map(({ subject }) => subject)).toEqual([subjects.mail(0), subjects.mail(2)]);
    expect(decodeMailFrame(mail[0]!.payload)).toEqual([{ from: 1, marks: [60, 30], messages: [] }]);
  });

  it('a partition’s mail to itself goes by its own mailbox', () => {
    const commits = [encoded(1, 1, { marks: [60], mail: { 1: [['cell', 'a', 'hear', 0, 1]] } })];
    const { entries } = assembleBatch(commits, expectedSeq, subjects, LIMITS);
    const own = entries.filter(({ subject }) => subject === subjects.mail(1));
    expect(own.map(({ payload }) => decodeMailFrame(payload))).toEqual([
      [{ from: 1, marks: [], messages: [['cell', 'a', 'hear', 0, 1]] }],
    ]);
  });

  it('P4 output goes out with a commit that has something to say, and not otherwise', () => {
    const batch = assembleBatch(
      [encoded(0, 1), encoded(1, 1, { progress: true })],
      expectedSeq,
      subjects,
      LIMITS,
    );
    const outs = batch.entries.filter(({ subject }) => subject.endsWith('.out'));
    expect(outs.map(({ subject }) => subject)).toEqual([subjects.out(1)]);
  });

  it('P1 put together again without a partition, nothing of its share is left', () => {
    const parts = (key: string) => ({ mail: { 2: [['cell', key, 'add', 0, key] as const] }, marks: [60] });
    const commits = [encoded(0, 1, parts('kept')), encoded(1, 1, parts('fenced'))];
    const rest = assembleBatch(commits.slice(0, 1), expectedSeq, subjects, LIMITS);
    const all = rest.entries.map(({ payload }) => Buffer.from(payload).toString('latin1')).join();
    expect(all).toContain('kept');
    expect(all).not.toContain('fenced');
    expect([...rest.journalAt.keys()]).toEqual([0]);
  });
});

describe('encodeMail', () => {
  const share: fc.Arbitrary<MailShare> = fc.record({
    from: fc.nat(9),
    marks: fc.array(fc.nat(10_000), { maxLength: 4 }),
    messages: fc.array(
      fc.tuple(
        fc.constant('cell'),
        fc.constantFrom('a', 'b'),
        fc.constant('add'),
        fc.nat(9),
        fc.string({ maxLength: 60 }),
      ),
      { maxLength: 30 },
    ),
  });

  it('P8 splits what is too large: every message once, in order, and a share’s marks never before its last message', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(share, { selector: (s) => s.from }),
        fc.integer({ min: 200, max: 2_000 }),
        (shares, max) => {
          const frames = encodeMail(shares, max);
          for (const frame of frames) expect(frame.byteLength).toBeLessThanOrEqual(max);
          const parts = frames.flatMap(decodeMailFrame);
          for (const { from, marks, messages } of shares) {
            const own = parts.filter((part) => part.from === from);
            expect(own.flatMap((part) => part.messages)).toEqual(messages);
            expect(own.map((part) => part.marks)).toEqual([
              ...new Array<number[]>(own.length - 1).fill([]),
              marks,
            ]);
          }
          expect(encodeMail([], max)).toEqual([]);
        },
      ),
    );
  });

  it('P8 one message over the limit is GS_FRAME_TOO_LARGE, naming its receiver', () => {
    const messages = [['cell', '9q8yyk', 'add', 0, 'x'.repeat(500)] as const];
    try {
      encodeMail([{ from: 0, marks: [], messages }], 400);
      expect.unreachable();
    } catch (error) {
      expect((error as GroundswellError).code).toBe('GS_FRAME_TOO_LARGE');
      expect((error as Error).message).toContain('cell/9q8yyk');
    }
  });
});
