/**
 * Brings a partition back, or takes it over: follows its journal to the end and gives what the core starts from (P5). A
 * partition that others may own is taken by a journal entry with the next epoch, compared-and-set: from then on nobody
 * else's commit is stored (P1), whatever they still believe.
 */
import { sleep, type Clock } from '../core/clock.js';
import { GroundswellError } from '../core/errors.js';
import type { Log } from '../log/log.js';
import type { Subjects } from '../log/subjects.js';
import { decodeActor } from '../partition/actor-record.js';
import { Changes } from '../partition/changes.js';
import { encodeJournalEntry, type Control } from '../partition/journal.js';
import type { RecoveredPartition } from '../partition/partition.js';
import type { SnapshotStore } from '../state/store.js';
import { Follower, type FollowerOptions } from './follower.js';

export interface Recovery {
  readonly recovered: RecoveredPartition;
  /** Sequence of the partition's last journal message: what the next commit must find (P1). */
  readonly journalSeq: number;
  /** Journal entries that were applied on top of the snapshot. */
  readonly entriesApplied: number;
}

export interface TakeOptions {
  readonly log: Log;
  readonly subjects: Subjects;
  readonly store: SnapshotStore;
  readonly clock: Clock;
  /** A name that no two processes share. */
  readonly writer: string;
  readonly partitions: number;
  readonly stages: number;
  /** Called when it is taken, before all of it is there. */
  onTaken?(control: Control): void;
  /** Whether the writer of a journal's last entry is a node that is there, and so most likely still the owner. */
  isAlive(writer: string): boolean;
}

const TAKE_ATTEMPTS = 8;
const TAKE_AGAIN_MS = 50;

/** A partition that nobody else can own: as the journal has it. */
export async function recoverPartition(options: FollowerOptions): Promise<Recovery> {
  const follower = await Follower.open(options);
  try {
    await follower.catchUp();
    await follower.finish();
  } finally {
    await follower.close();
  }
  return recoveryOf(follower, options.store);
}

/**
 * Takes a partition that a follower follows. The follower has ended afterwards, also when the taking failed.
 * @returns undefined when somebody else has it, or took it at the same time
 */
export async function takePartition(follower: Follower, options: TakeOptions): Promise<Recovery | undefined> {
  const { log, subjects, store, clock, writer } = options;
  const subject = subjects.journal(follower.partition);
  let taken = false;
  try {
    // What hands it over is the last that its owner has said: unless that was long ago, and there were others since.
    let atOnce = follower.control?.handedTo !== undefined;
    if (!atOnce) await follower.catchUp();
    let epochSeen = follower.control?.epoch ?? 0;
    if (isOwned(follower.control, options)) return undefined;
    for (let attempt = 1; attempt <= TAKE_ATTEMPTS; attempt++) {
      const { control, journalSeq } = follower;
      if (control?.writer === writer && control.epoch > epochSeen) {
        options.onTaken?.(control);
        await follower.finish();
        taken = true;
        return recoveryOf(follower, store);
      }
      // A higher epoch than the one that was to be followed by ours: another took it.
      if ((control?.epoch ?? 0) > epochSeen) return undefined;
      const [payload] = encodeJournalEntry(
        { control: nextOwner(control, options), changes: Changes.of([]) },
        log.payloadBytesMax,
      );
      const outcome = await log.append([{ subject, payload: payload!, expectLastSeq: journalSeq }]);
      if (outcome.outcome === 'refused' && !outcome.retry)
        throw new GroundswellError(
          'GS_LOG',
          `Partition ${follower.partition} could not be taken: ${outcome.cause}.`,
        );
      if (outcome.outcome === 'committed') {
        await follower.reach(outcome.firstSeq);
        continue;
      }
      if (outcome.outcome === 'refused' || outcome.outcome === 'unknown') await sleep(clock, TAKE_AGAIN_MS);
      // Ours, the old owner's next commit, or another's entry? The journal tells (P6).
      await follower.catchUp();
      if (outcome.outcome === 'stale' && atOnce) {
        atOnce = false;
        epochSeen = follower.control?.epoch ?? 0;
        if (isOwned(follower.control, options)) return undefined;
      }
    }
    return undefined;
  } finally {
    if (!taken) await follower.close();
  }
}

/** Who wrote the last entry is there, and did not hand the partition to anybody. */
function isOwned(control: Control | undefined, options: TakeOptions): boolean {
  if (control === undefined || control.handedTo !== undefined || control.writer === options.writer)
    return false;
  return options.isAlive(control.writer);
}

/** The control record of the entry that makes a writer the owner. */
function nextOwner(
  control: Control | undefined,
  { writer, clock, partitions, stages }: TakeOptions,
): Control {
  const first: Control = {
    writer,
    commit: 0,
    inputSeq: 0,
    watermarkMs: 0,
    producers: new Map(),
    marks: new Array<number>(partitions * stages).fill(0),
    closed: new Array<number>(stages).fill(0),
    counters: new Map(),
    wallMs: 0,
    epoch: 0,
    handedTo: undefined,
    base: undefined,
  };
  const last = control ?? first;
  return {
    ...last,
    writer,
    commit: last.commit + 1,
    epoch: last.epoch + 1,
    handedTo: undefined,
    wallMs: Math.max(last.wallMs, clock.now()),
  };
}

function recoveryOf(follower: Follower, store: SnapshotStore): Recovery {
  const { control, journalSeq, entriesApplied, partition } = follower;
  return { recovered: { control, timers: timersOf(store, partition) }, journalSeq, entriesApplied };
}

function* timersOf(store: SnapshotStore, partition: number): RecoveredPartition['timers'] {
  for (const [id, record] of store.timed(partition)) {
    const { timers, trouble } = decodeActor(record);
    yield [id, timers, trouble];
  }
}
