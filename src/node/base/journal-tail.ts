/** Reads a partition's journal without following it: what its last entry says, and its state at a place that is passed. */
import type { Clock } from '../../core/clock.js';
import { GroundswellError } from '../../core/errors.js';
import type { ActorId } from '../../core/ids.js';
import type { Log } from '../../log/log.js';
import type { ObjectStore } from '../../log/objects.js';
import { readRange } from '../../log/read-range.js';
import type { Subjects } from '../../log/subjects.js';
import { Changes, type ActorChange } from '../../partition/changes.js';
import {
  decodeControl,
  encodeControl,
  journalHead,
  JournalReader,
  type BasePointer,
  type Control,
} from '../../partition/journal.js';
import type { SnapshotPosition, SnapshotStore } from '../../state/store.js';
import { restoreBase } from './base-maker.js';

const ATTEMPTS_MAX = 10;
const WRITE_BYTES = 8 * 1024 * 1024;

/** The control record of a journal's last entry: it is in the entry's first part. */
export async function lastControl(log: Log, subject: string): Promise<Control | undefined> {
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
    const last = await log.last(subject);
    if (last === undefined) return undefined;
    const { part, control } = journalHead(last.payload);
    if (control !== undefined) return control;
    // Parts of one entry stand one after another in the stream. Removed in between: there is a newer entry.
    const first = await log.next(subject, last.seq - part);
    const head = first?.seq === last.seq - part ? journalHead(first.payload) : undefined;
    if (head?.control !== undefined) return head.control;
  }
  throw new GroundswellError('GS_STREAM_LOST', `The last entry of ${subject} has no beginning.`);
}

export interface StateAtOptions {
  readonly log: Log;
  readonly subjects: Subjects;
  readonly objects: ObjectStore;
  readonly clock: Clock;
  /** Filled with the state. */
  readonly store: SnapshotStore;
}

/**
 * Fills a store with a partition's state at a place of the stream: a base, and the journal's entries after it up to there.
 * @throws GroundswellError GS_LOG when entries were purged meanwhile: a later place is still to be had
 */
export async function fillStateAt(
  partition: number,
  base: BasePointer | undefined,
  throughSeq: number,
  options: StateAtOptions,
): Promise<void> {
  const { log, subjects, objects, clock, store } = options;
  if (base === undefined) await store.clear(partition);
  else await restoreBase(base, partition, store, objects);
  const position = store.position(partition);
  let commit = position === undefined ? 0 : decodeControl(position.control).commit;
  const reader = new JournalReader();
  let changes = new Map<ActorId, ActorChange>();
  let bytes = 0;
  let isFirst = true;
  let reached: { journalSeq: number; control: Uint8Array } | undefined;
  const flush = async (): Promise<void> => {
    if (reached === undefined) return;
    await store.write([{ partition, ...reached, commits: [Changes.of(changes.values())] }]);
    changes = new Map();
    bytes = 0;
  };
  const range = { fromSeq: (position?.journalSeq ?? 0) + 1, throughSeq, clock };
  for await (const { seq, payload } of readRange(log, subjects.journal(partition), range)) {
    if (isFirst && journalHead(payload).part !== 0) throw purged(partition);
    isFirst = false;
    const entry = reader.push(payload);
    if (entry === undefined) continue;
    if (entry.control.commit !== commit + 1) throw purged(partition);
    commit = entry.control.commit;
    reached = { journalSeq: seq, control: encodeControl(entry.control) };
    for (const change of entry.changes) {
      changes.set(change.id, change);
      bytes += change.bytes?.byteLength ?? 0;
    }
    if (bytes >= WRITE_BYTES) await flush();
  }
  await flush();
  await expectWhole(partition, { commit, throughSeq, position: store.position(partition) }, options);
}

/** What comes next in the journal must be what follows on the state: else entries before the place were purged. */
async function expectWhole(
  partition: number,
  at: { commit: number; throughSeq: number; position: SnapshotPosition | undefined },
  { log, subjects }: StateAtOptions,
): Promise<void> {
  const subject = subjects.journal(partition);
  const next = await log.next(subject, at.throughSeq + 1);
  const last = next === undefined ? await log.last(subject) : undefined;
  const follows =
    next === undefined
      ? (last?.seq ?? 0) <= (at.position?.journalSeq ?? 0)
      : journalHead(next.payload).control?.commit === at.commit + 1;
  if (!follows) throw purged(partition);
}

export function purged(partition: number): GroundswellError {
  return new GroundswellError(
    'GS_LOG',
    `The journal of partition ${partition} was purged while it was read.`,
    {
      remedy: 'Try again: a later state is whole.',
    },
  );
}
