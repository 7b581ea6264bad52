/**
 * Turns the commits of several partitions into the messages of one atomic batch. Mail is merged per destination over
 * all partitions of the process, so a batch has at most one mail frame per destination (more only when it would be too
 * large); each source's share stays apart until here, so a batch can be put together again without a fenced one (P1).
 */
import { encodeMailFrame, type MailShare } from '../partition/frame.js';
import { encodeJournalEntry } from '../partition/journal.js';
import { encodeOutput } from '../partition/output.js';
import type { Commit } from '../partition/partition.js';
import type { LogEntry } from '../log/log.js';
import type { Subjects } from '../log/subjects.js';
import { GroundswellError } from '../core/errors.js';

/** A commit with its own frames encoded; mail is encoded with the batch. */
export interface EncodedCommit {
  readonly commit: Commit;
  readonly journal: readonly Uint8Array[];
  readonly out: readonly Uint8Array[];
  readonly bytes: number;
}

export function encodeCommit(commit: Commit, frameBytesMax: number): EncodedCommit {
  const journal = encodeJournalEntry(commit.entry, frameBytesMax);
  const { blocks, sides, shown, progress } = commit;
  const out = progress === undefined ? [] : encodeOutput({ progress, blocks, sides, shown }, frameBytesMax);
  let bytes = 0;
  for (const frame of journal) bytes += frame.byteLength;
  for (const frame of out) bytes += frame.byteLength;
  return { commit, journal, out, bytes };
}

export interface Batch {
  readonly entries: LogEntry[];
  /** Index of the last journal message of each partition, behind which its outputs are, and of the first. */
  readonly journalAt: ReadonlyMap<number, { readonly first: number; readonly last: number }>;
  /** Index of the last mail message to each partition that has any. */
  readonly mailAt: ReadonlyMap<number, number>;
}

export function assembleBatch(
  commits: readonly EncodedCommit[],
  expectedSeq: (partition: number) => number,
  subjects: Subjects,
  limits: { partitions: number; frameBytesMax: number },
): Batch {
  const entries: LogEntry[] = [];
  const journalAt = new Map<number, { first: number; last: number }>();
  for (const { commit, journal, out } of commits) {
    const { partition } = commit;
    const first = entries.length;
    journal.forEach((payload, i) => {
      // The compare-and-set goes on the first frame: a later one would see its own batch.
      const subject = subjects.journal(partition);
      entries.push(
        i === 0 ? { subject, payload, expectLastSeq: expectedSeq(partition) } : { subject, payload },
      );
    });
    journalAt.set(partition, { first, last: entries.length - 1 });
    for (const payload of out) entries.push({ subject: subjects.out(partition), payload });
  }
  const mailAt = new Map<number, number>();
  for (let to = 0; to < limits.partitions; to++) {
    for (const payload of encodeMail(sharesFor(to, commits), limits.frameBytesMax)) {
      mailAt.set(to, entries.length);
      entries.push({ subject: subjects.mail(to), payload });
    }
  }
  return { entries, journalAt, mailAt };
}

/** A commit says something to a partition by the stream. */
export function tells({ partition, mail, marks, marksKnownBy }: Commit, to: number): boolean {
  return mail.has(to) || (marks !== undefined && to !== partition && !marksKnownBy.has(to));
}

function sharesFor(to: number, commits: readonly EncodedCommit[]): MailShare[] {
  const shares: MailShare[] = [];
  for (const { commit } of commits) {
    if (!tells(commit, to)) continue;
    const { partition: from, mail, marks, marksKnownBy } = commit;
    const knowsMarks = to === from || marksKnownBy.has(to);
    shares.push({ from, marks: knowsMarks ? [] : (marks ?? []), messages: mail.get(to) ?? [] });
  }
  return shares;
}

/** Encodes shares as one frame; as halves when it would be too large. A share's marks go with its last messages. */
export function encodeMail(shares: readonly MailShare[], frameBytesMax: number): Uint8Array[] {
  if (shares.length === 0) return [];
  const whole = encodeMailFrame(shares);
  if (whole.byteLength <= frameBytesMax) return [whole];
  if (shares.length > 1) {
    const half = Math.ceil(shares.length / 2);
    return [
      ...encodeMail(shares.slice(0, half), frameBytesMax),
      ...encodeMail(shares.slice(half), frameBytesMax),
    ];
  }
  const [{ from, marks, messages }] = shares as [MailShare];
  if (messages.length <= 1) {
    throw new GroundswellError(
      'GS_FRAME_TOO_LARGE',
      `A message to ${messages[0]?.slice(0, 2).join('/') ?? 'a partition'} takes ${whole.byteLength} bytes: more than fits one of ${frameBytesMax} bytes.`,
    );
  }
  const half = Math.ceil(messages.length / 2);
  return [
    ...encodeMail([{ from, marks: [], messages: messages.slice(0, half) }], frameBytesMax),
    ...encodeMail([{ from, marks, messages: messages.slice(half) }], frameBytesMax),
  ];
}
