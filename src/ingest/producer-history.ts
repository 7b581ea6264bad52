/**
 * What the stream knows of a producer: how far each partition has come with its events, and whether it had ended. The
 * partition's last journal entry says so up to the input that it had taken; the event frames after that say the rest.
 * So it is exact however many producers write to the region, and only the tail of the input is read.
 */
import { GroundswellError } from '../core/errors.js';
import { readToEnd, type Log, type LogMessage } from '../log/log.js';
import type { Subjects } from '../log/subjects.js';
import { decodeEventFrame } from '../partition/frame.js';
import { journalHead, type Control } from '../partition/journal.js';
import type { ProducerMode } from '../partition/watermark.js';

export interface ProducerHistory {
  readonly mode: ProducerMode;
  /** Sequence of the producer's next event for the partition. */
  readonly seq: number;
  /** It has said its last word. */
  readonly ended: boolean;
}

/** Partitions that are looked at side by side: each may need a reader of its own. */
const PARALLEL_MAX = 8;
const ATTEMPTS_MAX = 10;
/** Messages that are fetched one by one before a reader is opened. */
const FETCHED_MAX = 64;

/** The producer's history by partition; undefined where it was never heard. */
export async function producerHistory(options: {
  log: Log;
  subjects: Subjects;
  id: string;
  partitions: number;
}): Promise<(ProducerHistory | undefined)[]> {
  const { log, subjects, id, partitions } = options;
  const found = new Array<ProducerHistory | undefined>(partitions).fill(undefined);
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < partitions) {
      const partition = next++;
      found[partition] = await historyIn(log, subjects, id, partition);
    }
  };
  await Promise.all(Array.from({ length: Math.min(PARALLEL_MAX, partitions) }, work));
  return found;
}

async function historyIn(
  log: Log,
  subjects: Subjects,
  id: string,
  partition: number,
): Promise<ProducerHistory | undefined> {
  const control = await lastControl(log, subjects.journal(partition));
  let found: ProducerHistory | undefined = control?.producers.get(id);
  // Inputs are never removed before they are behind the journal, so nothing is missing between the two.
  const fromSeq = (control?.inputSeq ?? 0) + 1;
  for await (const { payload } of tailOf(log, subjects.events(partition), fromSeq)) {
    const { producer, mode, seq, events, end } = decodeEventFrame(payload);
    if (producer !== id) continue;
    found = {
      mode: found?.mode ?? mode,
      seq: Math.max(found?.seq ?? 0, seq + events.length),
      ended: end || found?.ended === true,
    };
  }
  return found;
}

/**
 * All messages of a subject from a sequence on. A few are fetched one by one: that is quick, and needs no right to create a
 * consumer, which producers elsewhere do not have. More are read as a stream, where that is allowed.
 */
async function* tailOf(log: Log, subject: string, fromSeq: number): AsyncGenerator<LogMessage> {
  const last = await log.last(subject);
  let nextSeq = fromSeq;
  for (let fetched = 0; last !== undefined && nextSeq <= last.seq; fetched++) {
    if (fetched === FETCHED_MAX) {
      try {
        yield* readToEnd(log, subject, nextSeq);
        return;
      } catch {
        // Not allowed, or broken off: what was read already does no harm when it comes again.
      }
    }
    const message = await log.next(subject, nextSeq);
    if (message === undefined) return;
    yield message;
    nextSeq = message.seq + 1;
  }
}

/** The control record of a journal's last entry: it is in the entry's first part. */
async function lastControl(log: Log, subject: string): Promise<Control | undefined> {
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
    const last = await log.last(subject);
    if (last === undefined) return undefined;
    const { part, control } = journalHead(last.payload);
    if (control !== undefined) return control;
    // Parts of one entry stand one after another in the stream. Removed in between: there is a newer entry.
    const first = await log.next(subject, last.seq - part);
    if (first?.seq !== last.seq - part) continue;
    const head = journalHead(first.payload);
    if (head.control !== undefined) return head.control;
  }
  throw new GroundswellError('GS_STREAM_LOST', `The last entry of ${subject} has no beginning.`);
}
