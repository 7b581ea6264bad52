/**
 * Publishes an atomic batch with raw headers: all messages are stored together or none is, and each subject may carry
 * its own compare-and-set. No round trip before the last message. The client library's own batch ignores
 * expectations and hides the server's error, so this is written out.
 *
 * Source: NATS ADR-50, JetStream batch publishing.
 */
import { headers, type NatsConnection } from 'nats';
import { messageOf } from '../../core/errors.js';
import type { AppendOutcome, LogEntry } from '../log.js';

/** JetStream error codes: a wrong last sequence, per subject, and its variants. */
const STALE_CODES = new Set([10071, 10164]);
/** Refusals that pass by themselves: no leader, out of resources for now, batch slots taken, batch abandoned. */
const PASSING_CODES = new Set([10008, 10009, 10023, 10039, 10074, 10077, 10176, 10210, 10211]);

interface BatchReply {
  readonly seq?: number;
  readonly count?: number;
  readonly error?: { readonly code: number; readonly err_code?: number; readonly description?: string };
}

/** Publishes the entries as one batch named `id` and waits for the answer to its last message. */
export async function publishBatch(
  connection: NatsConnection,
  id: string,
  entries: readonly LogEntry[],
  timeoutMs: number,
): Promise<AppendOutcome> {
  const lastIndex = entries.length - 1;
  try {
    for (let i = 0; i < lastIndex; i++) {
      const entry = entries[i]!;
      connection.publish(entry.subject, entry.payload, { headers: headersOf(id, i, entry, false) });
    }
    const last = entries[lastIndex]!;
    const answer = await connection.request(last.subject, last.payload, {
      headers: headersOf(id, lastIndex, last, true),
      timeout: timeoutMs,
    });
    return outcomeOf(answer.json<BatchReply>(), entries.length);
  } catch (error) {
    // The last message may or may not have reached the stream: only the log can tell (P6).
    return { outcome: 'unknown', cause: messageOf(error) };
  }
}

function headersOf(id: string, index: number, entry: LogEntry, commit: boolean): ReturnType<typeof headers> {
  const h = headers();
  h.set('Nats-Batch-Id', id);
  h.set('Nats-Batch-Sequence', String(index + 1));
  if (commit) h.set('Nats-Batch-Commit', '1');
  if (entry.expectLastSeq !== undefined)
    h.set('Nats-Expected-Last-Subject-Sequence', String(entry.expectLastSeq));
  if (entry.expectSubject !== undefined)
    h.set('Nats-Expected-Last-Subject-Sequence-Subject', entry.expectSubject);
  return h;
}

function outcomeOf(reply: BatchReply, count: number): AppendOutcome {
  const { error } = reply;
  if (error === undefined) {
    if (reply.seq === undefined || reply.count !== count) {
      return {
        outcome: 'unknown',
        cause: `the server acknowledged ${reply.count ?? 'no'} of ${count} messages`,
      };
    }
    return { outcome: 'committed', firstSeq: reply.seq - count + 1 };
  }
  const code = error.err_code ?? 0;
  const cause = `${error.description ?? 'refused'} (${code})`;
  if (STALE_CODES.has(code)) return { outcome: 'stale', cause };
  return { outcome: 'refused', cause, retry: error.code === 503 || PASSING_CODES.has(code) };
}
