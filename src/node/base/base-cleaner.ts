/**
 * Lets go of what a committed base snapshot has made superfluous: the journal behind it, older bases, and those that no
 * journal ever named. The last few bases stay, and the journal behind the oldest of them: a base that turns out to be
 * damaged is then no loss, and a standby that is a little behind can go on.
 */
import type { Clock } from '../../core/clock.js';
import type { Log } from '../../log/log.js';
import type { ObjectInfo, ObjectStore } from '../../log/objects.js';
import type { Subjects } from '../../log/subjects.js';
import type { BasePointer } from '../../partition/journal.js';
import { parseBaseName, type BaseName } from './base-name.js';
import { isHeld } from './snapshot-hold.js';

export interface CleaningOptions {
  readonly log: Log;
  readonly subjects: Subjects;
  readonly objects: ObjectStore;
  readonly clock: Clock;
  /** Bases of each partition that stay, the newest included. */
  readonly keep: number;
}

/** A base newer than the pointer may be about to be named: by its name nobody can tell. Older than this, it is not. */
export const ORPHAN_MS = 3_600_000;

export interface Cleaning {
  /** Names of bases that go. */
  readonly remove: readonly string[];
  /** Journal entries below this sequence go. */
  readonly purgeBelow: number;
}

/** What goes, once a pointer is committed. */
export function decideCleaning(
  partition: number,
  pointer: BasePointer,
  all: readonly ObjectInfo[],
  { keep, nowMs }: { keep: number; nowMs: number },
): Cleaning {
  const bases = all.flatMap((info): (BaseName & ObjectInfo)[] => {
    const base = parseBaseName(info.name);
    return base?.partition === partition ? [{ ...base, ...info }] : [];
  });
  const isOther = ({ name }: BaseName): boolean => name !== pointer.name;
  const older = bases
    .filter((base) => isOther(base) && base.journalSeq <= pointer.journalSeq)
    .sort((a, b) => b.journalSeq - a.journalSeq || b.epoch - a.epoch);
  const orphans = bases.filter(
    (base) => isOther(base) && base.journalSeq > pointer.journalSeq && nowMs - base.storedAtMs > ORPHAN_MS,
  );
  const kept = older.slice(0, Math.max(0, keep - 1));
  const gone = older.slice(kept.length);
  const oldest = kept.at(-1)?.journalSeq ?? pointer.journalSeq;
  return { remove: [...gone, ...orphans].map(({ name }) => name), purgeBelow: oldest + 1 };
}

/** Removes it. Does nothing while a snapshot of the region is being taken: it reads what would go. */
export async function clean(
  partition: number,
  pointer: BasePointer,
  options: CleaningOptions,
): Promise<void> {
  const { log, subjects, objects, clock, keep } = options;
  const all = await objects.list();
  const nowMs = clock.now();
  if (isHeld(all, nowMs)) return;
  const { remove, purgeBelow } = decideCleaning(partition, pointer, all, { keep, nowMs });
  // The journal first: a base without the journal behind it is of no use, a journal without the base is.
  await log.purge(subjects.journal(partition), purgeBelow);
  for (const name of remove) await objects.remove(name);
}
