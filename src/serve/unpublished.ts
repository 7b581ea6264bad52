/** Whether all that a region has said is published: outputs behind the publishers' cursors that hold something to publish. */
import type { Clock } from '../core/clock.js';
import type { Log } from '../log/log.js';
import { readRange } from '../log/read-range.js';
import type { Subjects } from '../log/subjects.js';
import { decodeOutput, type OutputFrame } from '../partition/output.js';

export interface UnpublishedOptions {
  readonly source: Log;
  readonly aggregates: Log;
  readonly sides: Log;
  readonly subjects: Subjects;
  readonly partitions: number;
  readonly clock: Clock;
}

/** Number of output frames that wait to be published. Rows count only where rows were ever published. */
export async function unpublished(options: UnpublishedOptions): Promise<number> {
  const { aggregates, sides, subjects, partitions } = options;
  const publishesRows =
    (await aggregates.next(subjects.cursorsOf(subjects.aggregateStream), 1)) !== undefined;
  let waiting = 0;
  for (let partition = 0; partition < partitions; partition++) {
    if (publishesRows) {
      const cursor = subjects.aggregateCursor(partition);
      waiting += await behind(partition, aggregates, cursor, ({ blocks }) => blocks.length > 0, options);
    }
    const cursor = subjects.sideCursor(partition);
    waiting += await behind(partition, sides, cursor, (frame) => frame.sides.length > 0, options);
  }
  return waiting;
}

async function behind(
  partition: number,
  target: Log,
  cursor: string,
  says: (frame: OutputFrame) => boolean,
  { source, subjects, clock }: UnpublishedOptions,
): Promise<number> {
  const found = await target.last(cursor);
  const at =
    found === undefined
      ? { seq: 0, messages: 0 }
      : (JSON.parse(new TextDecoder().decode(found.payload)) as { seq: number; messages: number });
  const last = await source.last(subjects.out(partition));
  if (last === undefined) return 0;
  const range = { fromSeq: at.messages > 0 ? at.seq : at.seq + 1, throughSeq: last.seq, clock };
  let waiting = 0;
  for await (const { payload } of readRange(source, subjects.out(partition), range))
    if (says(decodeOutput(payload))) waiting++;
  return waiting;
}
