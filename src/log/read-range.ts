/**
 * All messages of a subject between two sequences, in order, as far as there are any: it ends also when the last of them
 * is removed while it reads, which `readToEnd` would wait for.
 */
import type { Clock } from '../core/clock.js';
import { Wakeup } from '../core/wakeup.js';
import type { Log, LogMessage } from './log.js';

const TAKE_BYTES = 2 * 1024 * 1024;
/** A reader that brings nothing for so long is looked after: what it waits for may be gone. */
const LOOK_MS = 500;

export async function* readRange(
  log: Log,
  subject: string,
  range: { readonly fromSeq: number; readonly throughSeq: number; readonly clock: Clock },
): AsyncGenerator<LogMessage> {
  const { throughSeq, clock } = range;
  let nextSeq = range.fromSeq;
  const isMore = async (): Promise<boolean> =>
    nextSeq <= throughSeq && ((await log.next(subject, nextSeq))?.seq ?? Infinity) <= throughSeq;
  if (!(await isMore())) return;
  const wakeup = new Wakeup(clock);
  const reader = await log.read(subject, nextSeq, () => {
    wakeup.wake();
  });
  try {
    for (;;) {
      wakeup.arm();
      const messages = reader.take(TAKE_BYTES);
      if (reader.failure !== undefined) throw reader.failure;
      for (const message of messages) {
        if (message.seq > throughSeq) return;
        nextSeq = message.seq + 1;
        yield message;
      }
      if (messages.length > 0) continue;
      if (reader.pending === 0 && !(await isMore())) return;
      await wakeup.wait(LOOK_MS);
      if (reader.bufferedMessages === 0 && !(await isMore())) return;
    }
  } finally {
    await reader.close();
  }
}
