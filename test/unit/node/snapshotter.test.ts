// Hunts: a snapshot ahead of its journal position, a change that a later one overtook, a failure that nobody hears of.
import { systemClock } from '../../../src/core/clock.js';
import { describe, expect, it } from 'vitest';
import { actorId } from '../../../src/core/ids.js';
import type { Committed } from '../../../src/node/group-commit.js';
import { Snapshotter } from '../../../src/node/snapshotter.js';
import { decodeControl } from '../../../src/partition/journal.js';
import { MemoryStore } from '../../../src/state/memory/memory-store.js';
import type { SnapshotUpdate } from '../../../src/state/store.js';
import { encoded, type CommitParts } from './commits.js';

/** A store that writes when it is told to. */
class HeldStore extends MemoryStore {
  readonly writes: (readonly SnapshotUpdate[])[] = [];
  #release: (() => void)[] = [];
  failing: Error | undefined;

  override async write(updates: readonly SnapshotUpdate[]): Promise<void> {
    this.writes.push(updates);
    await new Promise<void>((resolve) => this.#release.push(resolve));
    if (this.failing) throw this.failing;
    await super.write(updates);
  }

  release(): void {
    this.#release.shift()!();
  }
}

const committed = (partition: number, number: number, parts?: CommitParts): Committed => ({
  partition,
  encoded: encoded(partition, number, parts),
  journalSeq: number * 100,
  outputs: [],
});

function setUp(pendingActorsMax = 10) {
  const store = new HeldStore();
  let progress = 0;
  let moved = (): void => undefined;
  const snapshotter = new Snapshotter({
    store,
    pendingActorsMax,
    clock: systemClock,
    pauseMs: 0,
    onProgress: () => {
      progress++;
      moved();
    },
  });
  /** Lets the write that is under way end, and waits until the snapshotter knows. */
  const finish = async (): Promise<void> => {
    const done = new Promise<void>((resolve) => (moved = resolve));
    store.release();
    await done;
  };
  return { store, snapshotter, finish, progress: () => progress };
}

describe('Snapshotter', () => {
  it('P5 says that a commit is in the snapshot only once its write is done', async () => {
    const { store, snapshotter, finish } = setUp();
    snapshotter.add([committed(0, 1)]);
    expect(snapshotter.writtenCommit(0)).toBe(0);
    await finish();
    expect(snapshotter.writtenCommit(0)).toBe(1);
    expect(store.position(0)!.journalSeq).toBe(100);
    expect(decodeControl(store.position(0)!.control).commit).toBe(1);
  });

  it('P5 knows who is timed, in whichever writes an actor became so and ceased to be', async () => {
    const isTimed = [true, true, false, true, false, false, true];
    // Each bit of a number says whether the write goes on until after the next commit.
    for (let gathering = 0; gathering < 2 ** isTimed.length; gathering++) {
      const { store, snapshotter, finish } = setUp();
      for (const [i, timed] of isTimed.entries()) {
        snapshotter.add([committed(0, i + 1, { timed: [timed, isTimed[i - 1] ?? false] })]);
        if ((gathering & (1 << i)) !== 0) continue;
        while (snapshotter.writtenCommit(0) < i + 1) await finish();
        expect([...store.timed(0)].length).toBe(timed ? 1 : 0);
      }
      while (snapshotter.writtenCommit(0) < isTimed.length) await finish();
      expect([...store.timed(0)].map(([id]) => id)).toEqual([actorId('cell', 'k0')]);
    }
  });

  it('P5 a commit that does not follow the one before it is refused: what it replaces would be another’s', async () => {
    const { snapshotter, finish } = setUp();
    snapshotter.add([committed(0, 1)]);
    // Gathers, for the first is being written.
    snapshotter.add([committed(0, 2)]);
    expect(() => {
      snapshotter.add([committed(0, 4)]);
    }).toThrow(/Commit 4 of partition 0/);
    await finish();
  });

  it('P5 what comes while a write is under way is written next, a partition at a time, each actor as it was last', async () => {
    const { store, snapshotter, finish } = setUp();
    snapshotter.add([committed(0, 1)]);
    snapshotter.add([committed(0, 2), committed(1, 1)]);
    snapshotter.add([committed(0, 3, { key: 'other' })]);
    expect(store.writes.length).toBe(1);
    await finish();
    expect(store.writes.length).toBe(2);
    await finish();
    expect([snapshotter.writtenCommit(0), snapshotter.writtenCommit(1)]).toEqual([3, 0]);
    await finish();
    const positions = store.writes.map((write) => write.map((one) => [one.partition, one.journalSeq]));
    expect(positions).toEqual([[[0, 100]], [[0, 300]], [[1, 100]]]);
    expect(store.source(0).get(actorId('cell', 'k0'))![0]).toBe(2);
    expect(store.source(0).get(actorId('cell', 'other0'))![0]).toBe(3);
    expect([snapshotter.writtenCommit(0), snapshotter.writtenCommit(1)]).toEqual([3, 1]);
  });

  it('P8 is full when as many actors are not written as may be, and no longer once enough of them are', async () => {
    const { snapshotter, finish } = setUp(4);
    snapshotter.add([committed(0, 1)]);
    snapshotter.add([committed(0, 2, { actors: [2, 8] })]);
    expect([snapshotter.pendingActors, snapshotter.full]).toEqual([3, false]);
    snapshotter.add([committed(0, 3)]);
    expect([snapshotter.pendingActors, snapshotter.full]).toEqual([4, true]);
    await finish();
    expect([snapshotter.pendingActors, snapshotter.full]).toEqual([3, false]);
    await finish();
    expect(snapshotter.pendingActors).toBe(0);
  });

  it('stop waits for the write that is under way, and begins no other', async () => {
    const { store, snapshotter, finish } = setUp();
    snapshotter.add([committed(0, 1)]);
    snapshotter.add([committed(0, 2)]);
    let stopped = false;
    const stop = snapshotter.stop().then(() => (stopped = true));
    await Promise.resolve();
    expect([stopped, snapshotter.pendingActors]).toEqual([false, 1]);
    await finish();
    await stop;
    expect([store.writes.length, store.position(0)!.journalSeq]).toEqual([1, 100]);
    expect(snapshotter.pendingActors).toBe(0);
  });

  it('flush waits for all that was added', async () => {
    const { store, snapshotter, finish } = setUp();
    snapshotter.add([committed(0, 1)]);
    snapshotter.add([committed(0, 2)]);
    let flushed = false;
    const flush = snapshotter.flush().then(() => (flushed = true));
    await finish();
    expect(flushed).toBe(false);
    await finish();
    await flush;
    expect(store.position(0)!.journalSeq).toBe(200);
  });

  it('flush of nothing is done', async () => {
    await setUp().snapshotter.flush();
  });

  it('a write that fails is told, stops the writing, and is no progress of the snapshot', async () => {
    const { store, snapshotter, finish, progress } = setUp();
    store.failing = new Error('disk full');
    snapshotter.add([committed(0, 1)]);
    snapshotter.add([committed(0, 2)]);
    await finish();
    expect(snapshotter.failure).toBe(store.failing);
    expect(progress()).toBe(1);
    expect(store.writes.length).toBe(1);
    expect(snapshotter.writtenCommit(0)).toBe(0);
    await expect(snapshotter.flush()).rejects.toThrow('disk full');
  });

  it('starts from what a recovery found', () => {
    const { snapshotter } = setUp();
    snapshotter.track(2, 17);
    expect([snapshotter.writtenCommit(2), snapshotter.writtenCommit(0)]).toEqual([17, 0]);
  });
});
