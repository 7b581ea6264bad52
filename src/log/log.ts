/**
 * The port to the stream: append a batch whole or not at all, read a subject in order, look at the last message.
 * One Log is one stream. `nats/` is the real one; `memory/` is for unit and simulation tests. Both pass the same suite.
 */

export interface LogEntry {
  readonly subject: string;
  readonly payload: Uint8Array;
  /**
   * Compare-and-set: the sequence of the last message on this subject, 0 when there is none. Only on the first entry
   * of a subject within a batch. One stale expectation refuses the whole batch.
   */
  readonly expectLastSeq?: number;
  /** The subject whose last sequence `expectLastSeq` speaks of, when it is another than the entry's own. */
  readonly expectSubject?: string;
}

export interface LogMessage {
  readonly subject: string;
  readonly seq: number;
  readonly payload: Uint8Array;
  /** When the stream stored it, ms UTC by the stream's own clock, where it has one. */
  readonly storedAtMs?: number;
}

export type AppendOutcome =
  /** Stored whole: entry i has sequence `firstSeq + i`. */
  | { readonly outcome: 'committed'; readonly firstSeq: number }
  /** Nothing is stored: somebody else wrote to a subject that the batch expected untouched (P1). */
  | { readonly outcome: 'stale'; readonly cause: string }
  /** Nothing is stored, for a reason of the stream's: full, too large, not allowed. */
  | { readonly outcome: 'refused'; readonly cause: string; readonly retry: boolean }
  /** No answer came: stored whole or not at all, and only the log knows (P6). */
  | { readonly outcome: 'unknown'; readonly cause: string };

/** An ordered read of one subject (or a pattern of few), bounded in bytes: it stops fetching while nobody takes. */
export interface LogReader {
  /** Takes what has come, oldest first, up to a number of bytes (at least one message when there is any). */
  take(bytesMax: number): LogMessage[];
  /** Bytes, and messages, that have come and were not taken. */
  readonly bufferedBytes: number;
  readonly bufferedMessages: number;
  /** Messages that the stream holds for this reader and that have not come yet, as of the last one that came. */
  readonly pending: number;
  /** Set once the reader has failed for good. */
  readonly failure: Error | undefined;
  close(): Promise<void>;
}

export interface Log {
  /** Largest payload of one message, bytes. */
  readonly payloadBytesMax: number;
  /** Most messages in one batch. */
  readonly batchEntriesMax: number;
  append(entries: readonly LogEntry[]): Promise<AppendOutcome>;
  /** Reads on from a sequence (inclusive). `wake` is called whenever something has come, or the reader failed. */
  read(subject: string, fromSeq: number, wake: () => void): Promise<LogReader>;
  /** The last message of a subject, read from the stream's leader: sees every acknowledged append. */
  last(subject: string): Promise<LogMessage | undefined>;
  /** The first message of a subject with a sequence at or after the given one, as the stream's leader has it. */
  next(subject: string, fromSeq: number): Promise<LogMessage | undefined>;
  /** Removes messages of a subject with a sequence below the given one. */
  purge(subject: string, belowSeq: number): Promise<void>;
  /** Sequence of the last message of the stream, 0 when it is empty. */
  lastSeq(): Promise<number>;
}

/** All messages of a subject from a sequence up to its present last one, in order. */
export async function* readToEnd(log: Log, subject: string, fromSeq: number): AsyncGenerator<LogMessage> {
  const last = await log.last(subject);
  if (last === undefined || last.seq < fromSeq) return;
  let wake = (): void => undefined;
  const reader = await log.read(subject, fromSeq, () => {
    wake();
  });
  try {
    for (;;) {
      const woken = new Promise<void>((resolve) => {
        wake = resolve;
      });
      const messages = reader.take(8 * 1024 * 1024);
      if (reader.failure !== undefined) throw reader.failure;
      if (messages.length === 0) await woken;
      for (const message of messages) {
        yield message;
        if (message.seq >= last.seq) return;
      }
    }
  } finally {
    await reader.close();
  }
}
