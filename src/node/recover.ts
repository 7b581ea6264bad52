/** Brings a partition back: gathers what `partition/recovery` decides on, and does what it decided (P5). */
import { GroundswellError } from '../core/errors.js';
import type { ActorId } from '../core/ids.js';
import { readToEnd, type Log } from '../log/log.js';
import type { Subjects } from '../log/subjects.js';
import { decodeActor, type ActorChange } from '../partition/actor-table.js';
import { decodeControl, encodeControl, JournalReader, type Control } from '../partition/journal.js';
import type { RecoveredPartition } from '../partition/partition.js';
import { decideRecovery } from '../partition/recovery.js';
import type { SnapshotStore } from '../state/store.js';

export interface Recovery {
  readonly recovered: RecoveredPartition;
  /** Sequence of the partition's last journal message: what the next commit must find (P1). */
  readonly journalSeq: number;
  /** Journal entries that were applied on top of the snapshot. */
  readonly entriesApplied: number;
}

/** Changed actors are written to the snapshot in groups of about so many bytes: memory stays bounded (P8). */
const APPLY_BYTES_MAX = 32 * 1024 * 1024;

export async function recoverPartition(
  partition: number,
  log: Log,
  subjects: Subjects,
  store: SnapshotStore,
): Promise<Recovery> {
  const subject = subjects.journal(partition);
  const position = store.position(partition);
  const last = await log.last(subject);
  const decision = decideRecovery({
    snapshot: position,
    journal: last === undefined ? undefined : { lastSeq: last.seq },
  });
  if (decision.recover === 'impossible')
    throw new GroundswellError(
      'GS_STREAM_LOST',
      `Partition ${partition} cannot be recovered: ${decision.why}.`,
    );

  let control: Control | undefined = position === undefined ? undefined : decodeControl(position.control);
  let journalSeq = position?.journalSeq ?? 0;
  let entriesApplied = 0;
  if (decision.recover === 'journal') {
    const reader = new JournalReader();
    let changes = new Map<ActorId, ActorChange>();
    let bytes = 0;
    const flush = async (): Promise<void> => {
      if (control === undefined) return;
      await store.write([{ partition, journalSeq, control: encodeControl(control), changes }]);
      changes = new Map();
      bytes = 0;
    };
    for await (const message of readToEnd(log, subject, decision.fromSeq)) {
      const entry = reader.push(message.payload);
      if (entry === undefined) continue;
      const expected = (control?.commit ?? 0) + 1;
      if (entry.control.commit !== expected) {
        throw new GroundswellError(
          'GS_STREAM_LOST',
          `The journal of partition ${partition} goes from commit ${expected - 1} to ${entry.control.commit}: entries are missing.`,
        );
      }
      control = entry.control;
      journalSeq = message.seq;
      entriesApplied++;
      for (const change of entry.changes) {
        changes.set(change.id, change);
        bytes += change.bytes?.byteLength ?? 0;
      }
      if (bytes > APPLY_BYTES_MAX) await flush();
    }
    await flush();
  }
  return { recovered: { control, timers: timersOf(store, partition) }, journalSeq, entriesApplied };
}

function* timersOf(
  store: SnapshotStore,
  partition: number,
): Iterable<readonly [ActorId, ReadonlyMap<string, number>]> {
  for (const [id, record] of store.timed(partition)) {
    const { timers } = decodeActor(record);
    if (timers !== undefined) yield [id, timers];
  }
}
