/**
 * Where a reader of outputs begins so that it sees all rows after a time, without reading the stream from its start.
 *
 * A row that ends at `e` stands in an output frame whose partition had a watermark of at least `e`, and a partition's
 * watermark never goes back: so all that ends after a time stands behind the last frame with a watermark up to it, which
 * bisection over sequences finds.
 */
import type { Log } from '../log/log.js';
import type { Subjects } from '../log/subjects.js';
import { decodeOutput, type Progress } from '../partition/output.js';

export interface OutputRange {
  /** All rows that end after the time asked for have this sequence or a later one. */
  readonly fromSeq: number;
  /** Sequence of the last output that the stream held; 0 when it held none. */
  readonly lastSeq: number;
}

/**
 * @param keepMs how far before the region's watermark (what the last stage has closed everywhere) the rows begin
 */
export async function seekOutputs(
  log: Log,
  subjects: Subjects,
  partitions: number,
  keepMs: number,
): Promise<OutputRange> {
  const all = Array.from({ length: partitions }, (_, partition) => subjects.out(partition));
  const ends = await Promise.all(all.map((subject) => lastProgress(log, subject)));
  const lastSeq = Math.max(...ends.map((end) => end?.seq ?? 0));
  const watermarkMs = Math.min(...ends.map((end) => end?.progress?.closed.at(-1) ?? 0));
  const afterMs = watermarkMs - keepMs;
  if (afterMs <= 0) return { fromSeq: 1, lastSeq };
  const firsts = await Promise.all(
    all.map((subject, partition) => firstAfter(log, subject, ends[partition]!.seq, afterMs)),
  );
  return { fromSeq: Math.min(...firsts), lastSeq };
}

interface Found {
  readonly seq: number;
  /** Null in a frame that is not the last of its commit. */
  readonly progress: Progress | null;
}

async function lastProgress(log: Log, subject: string): Promise<Found | undefined> {
  const message = await log.last(subject);
  return message && { seq: message.seq, progress: decodeOutput(message.payload).progress };
}

/** The lowest sequence such that all outputs of the partition before it have a watermark up to `afterMs`. */
async function firstAfter(log: Log, subject: string, lastSeq: number, afterMs: number): Promise<number> {
  let low = 1;
  let high = lastSeq;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const found = await nextProgress(log, subject, middle);
    if (found === undefined || found.progress.watermarkMs > afterMs) high = middle;
    else low = found.seq + 1;
  }
  return low;
}

/** The first frame at or after a sequence that says its partition's progress: the last one of a commit. */
async function nextProgress(
  log: Log,
  subject: string,
  fromSeq: number,
): Promise<{ seq: number; progress: Progress } | undefined> {
  for (let seq = fromSeq; ;) {
    const message = await log.next(subject, seq);
    if (message === undefined) return undefined;
    const { progress } = decodeOutput(message.payload);
    if (progress !== null) return { seq: message.seq, progress };
    seq = message.seq + 1;
  }
}
