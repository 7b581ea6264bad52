// Hunts: a base that cannot be restored when it is needed, a partition that keeps what it had beside what it got, a purge
// that takes what a kept base needs, a partition that is never due, and an owner that names what it has lost.
import { describe, expect, it } from 'vitest';
import { actorId } from '../../../../src/core/ids.js';
import { Changes } from '../../../../src/partition/changes.js';
import { VirtualClock } from '../../../../src/core/clock.js';
import { MemoryLog } from '../../../../src/log/memory/memory-log.js';
import { MemoryObjects } from '../../../../src/log/memory/memory-objects.js';
import type { ObjectInfo } from '../../../../src/log/objects.js';
import { Subjects } from '../../../../src/log/subjects.js';
import { decideCleaning } from '../../../../src/node/base/base-cleaner.js';
import { BaseKeeper, type OwnedForBase } from '../../../../src/node/base/base-keeper.js';
import { makeBase, restoreBase } from '../../../../src/node/base/base-maker.js';
import { baseName, parseBaseName } from '../../../../src/node/base/base-name.js';
import {
  dueForBase,
  isOverBudget,
  isOverdue,
  type BaseFacts,
} from '../../../../src/node/base/base-schedule.js';
import { withHold } from '../../../../src/node/base/snapshot-hold.js';
import {
  encodeControl,
  encodeJournalEntry,
  type BasePointer,
  type Control,
} from '../../../../src/partition/journal.js';
import { MemoryStore } from '../../../../src/state/memory/memory-store.js';
import { Follower } from '../../../../src/node/follower.js';
import { EagerClock } from '../../../support/eager-clock.js';
import { until } from '../../../support/until.js';

const subjects = new Subjects('sf');

const controlOf = (commit: number, more: Partial<Control> = {}): Control => ({
  writer: 'w',
  commit,
  inputSeq: 0,
  watermarkMs: 0,
  producers: new Map(),
  marks: [0],
  closed: [0],
  counters: new Map(),
  wallMs: 0,
  epoch: 1,
  handedTo: undefined,
  base: undefined,
  ...more,
});

/** A partition 0 that commits by hand: each commit changes an actor. */
class World {
  readonly clock = new EagerClock();
  readonly log = new MemoryLog();
  readonly objects = new MemoryObjects(this.clock);
  readonly store = new MemoryStore();
  commits = 0;
  journalSeq = 0;
  control: Control | undefined;

  async commit(more: Partial<Control> = {}): Promise<void> {
    const id = actorId('cell', `c-${this.commits++}`);
    const change = { id, bytes: new Uint8Array([this.commits]), timed: false };
    this.control = controlOf(this.commits, {
      ...(this.control?.base && { base: this.control.base }),
      ...more,
    });
    const [payload] = encodeJournalEntry({ control: this.control, changes: Changes.of([change]) }, 1_000_000);
    const outcome = await this.log.append([{ subject: subjects.journal(0), payload: payload! }]);
    this.journalSeq = outcome.outcome === 'committed' ? outcome.firstSeq : 0;
    await this.store.write([
      {
        partition: 0,
        journalSeq: this.journalSeq,
        control: encodeControl(this.control),
        commits: [Changes.of([change])],
      },
    ]);
  }

  make(instance = 'aaaa', epoch = 1): Promise<BasePointer | undefined> {
    const { store, objects, clock } = this;
    return makeBase({ store, objects, clock, region: 'sf', partitions: 4, partition: 0, epoch, instance });
  }

  async names(): Promise<string[]> {
    return (await this.objects.list()).map(({ name }) => name).sort();
  }

  async journalSeqs(): Promise<number[]> {
    const reader = await this.log.read(subjects.journal(0), 1, () => undefined);
    const seqs = reader.take(Number.POSITIVE_INFINITY).map(({ seq }) => seq);
    await reader.close();
    return seqs;
  }
}

const actorsIn = (store: MemoryStore): number =>
  [...(store.export(0)?.bites ?? [])].reduce((sum, bite) => sum + bite.length, 0);

describe('a base', () => {
  it('has a name that says what it is of', () => {
    const name = baseName({ partition: 7, journalSeq: 12, epoch: 3, instance: 'f81d4fae-7dec-11d0' });
    expect(name).toBe('007/12-3-f81d4fae');
    expect(parseBaseName(name)).toEqual({ name, partition: 7, journalSeq: 12, epoch: 3 });
    for (const other of ['region/x/manifest', 'hold/x', '7/1-1-a', '007/1-a'])
      expect(parseBaseName(other)).toBeUndefined();
  });

  it('P5 fills an empty store, and replaces what another one had', async () => {
    const world = new World();
    for (let i = 0; i < 3; i++) await world.commit();
    const pointer = (await world.make())!;
    expect(pointer).toMatchObject({ name: '000/3-1-aaaa', journalSeq: 3 });
    const store = new MemoryStore();
    const id = actorId('cell', 'stale');
    const commits = [Changes.of([{ id, bytes: new Uint8Array(1), timed: true }])];
    await store.write([{ partition: 0, journalSeq: 1, control: new Uint8Array(1), commits }]);
    await restoreBase(pointer, 0, store, world.objects);
    expect([actorsIn(store), store.position(0)!.journalSeq, [...store.timed(0)].length]).toEqual([3, 3, 0]);
  });

  it('of a partition that nothing is known of is none', async () => {
    expect(await new World().make()).toBeUndefined();
  });

  it('that was made and not named is named the next time, not made again', async () => {
    const world = new World();
    await world.commit();
    const first = await world.make();
    expect(await world.make()).toMatchObject({ name: first!.name, bytes: first!.bytes });
    expect(await world.names()).toHaveLength(1);
  });

  it('that is damaged or gone is replaced by the newest older one', async () => {
    const world = new World();
    await world.commit();
    await world.make();
    await world.commit();
    await world.make();
    await world.commit();
    const pointer = (await world.make())!;
    world.objects.damage(pointer.name, 40);
    const store = new MemoryStore();
    await restoreBase(pointer, 0, store, world.objects);
    expect([actorsIn(store), store.position(0)!.journalSeq]).toEqual([2, 2]);
    await world.objects.remove(pointer.name);
    await world.objects.remove('000/2-1-aaaa');
    await restoreBase(pointer, 0, store, world.objects);
    expect(actorsIn(store)).toBe(1);
  });

  it('P5 when none is whole nothing is known, and it is said what to do', async () => {
    const world = new World();
    await world.commit();
    const pointer = (await world.make())!;
    world.objects.damage(pointer.name, 60);
    const store = new MemoryStore();
    await expect(restoreBase(pointer, 0, store, world.objects)).rejects.toMatchObject({
      code: 'GS_STREAM_LOST',
      remedy: expect.stringContaining('groundswell restore') as string,
    });
    expect(store.position(0)).toBeUndefined();
  });

  it('of another partition is not taken', async () => {
    const world = new World();
    await world.commit();
    const pointer = (await world.make())!;
    await expect(restoreBase(pointer, 1, new MemoryStore(), world.objects)).rejects.toMatchObject({
      code: 'GS_STREAM_LOST',
    });
  });
});

describe('a follower', () => {
  /** Restores bases one after the other; after each, the journal behind the next one is gone. */
  async function following(world: World, pointers: readonly BasePointer[]): Promise<Follower> {
    const { log, clock } = world;
    const store = new MemoryStore();
    let restores = 0;
    return Follower.open({
      ...{ partition: 0, log, subjects, store, clock },
      restore: async () => {
        const pointer = pointers[restores++];
        if (pointer === undefined) return false;
        await restoreBase(pointer, 0, store, world.objects);
        const next = pointers[restores];
        if (next !== undefined) await log.purge(subjects.journal(0), next.journalSeq + 1);
        return true;
      },
    });
  }

  async function worldOf(bases: number): Promise<{ world: World; pointers: BasePointer[] }> {
    const world = new World();
    const pointers: BasePointer[] = [];
    for (let i = 0; i < bases; i++) {
      await world.commit();
      pointers.push((await world.make())!);
    }
    await world.commit();
    await world.log.purge(subjects.journal(0), pointers[0]!.journalSeq + 1);
    return { world, pointers };
  }

  it('P5 restores a newer base when the journal behind its own went meanwhile', async () => {
    const { world, pointers } = await worldOf(3);
    const follower = await following(world, pointers);
    await follower.catchUp();
    expect(follower.control?.commit).toBe(4);
    await follower.close();
  });

  it('P8 gives up after a few', async () => {
    const { world, pointers } = await worldOf(6);
    await expect(following(world, pointers)).rejects.toMatchObject({
      code: 'GS_STREAM_LOST',
      message: expect.stringContaining('the base snapshot does not reach it') as string,
    });
  });
});

describe('the schedule', () => {
  const rules = { everyMs: 600_000, journalBytesMax: 1_600, partitions: 4 };
  const facts = (partition: number, more: Partial<BaseFacts> = {}): BaseFacts => {
    return { partition, ageMs: 0, hasBase: true, journalBytes: 0, waitMs: 0, ...more };
  };

  it.each<[string, BaseFacts[], number | undefined]>([
    ['nobody', [], undefined],
    ['nobody before the time', [facts(0, { ageMs: 599_999 })], undefined],
    ['the one whose time has come', [facts(0), facts(1, { ageMs: 600_000 })], 1],
    ['the one that is longest over', [facts(0, { ageMs: 700_000 }), facts(1, { ageMs: 800_000 })], 1],
    ['one whose journal has half of its share', [facts(0), facts(1, { journalBytes: 200 })], 1],
    ['one without any, soon', [facts(0, { ageMs: 59_000 }), facts(1, { ageMs: 60_000, hasBase: false })], 1],
    ['not one that has just failed', [facts(0, { ageMs: 900_000, waitMs: 1 }), facts(1)], undefined],
  ])('is due: %s', (_, all, due) => {
    expect(dueForBase(all, rules)).toBe(due);
  });

  it('raises an alarm when a base is late, and when a journal outgrows its share', () => {
    expect([1_200_000, 1_200_001].map((ageMs) => isOverdue({ ageMs }, rules))).toEqual([false, true]);
    expect([400, 401].map((journalBytes) => isOverBudget({ journalBytes }, rules))).toEqual([false, true]);
  });
});

describe('cleaning', () => {
  const stored = (partition: number, journalSeq: number, storedAtMs = 0, epoch = 1): ObjectInfo => {
    return { name: baseName({ partition, journalSeq, epoch, instance: 'a' }), bytes: 1, storedAtMs };
  };
  const pointer = (journalSeq: number): BasePointer => ({
    ...stored(0, journalSeq),
    journalSeq,
    madeAtMs: 0,
  });
  const all = [10, 20, 30, 40].map((seq) => stored(0, seq));

  it.each([
    [1, ['000/10-1-a', '000/20-1-a', '000/30-1-a'], 41],
    [2, ['000/10-1-a', '000/20-1-a'], 31],
    [9, [], 11],
  ])('keeps %i bases, and the journal behind the oldest of them', (keep, remove, purgeBelow) => {
    const decision = decideCleaning(0, pointer(40), all, { keep, nowMs: 0 });
    expect({ ...decision, remove: [...decision.remove].sort() }).toEqual({ remove, purgeBelow });
  });

  it('removes what nobody has named for an hour, and nothing of other partitions, nor what is no base', () => {
    const others = [
      stored(0, 60, 0),
      stored(0, 70, 3_000_000),
      stored(1, 5),
      { name: 'region/x/records/000', bytes: 1, storedAtMs: 0 },
      { name: 'hold/x', bytes: 1, storedAtMs: 0 },
    ];
    expect(decideCleaning(0, pointer(40), [...all, ...others], { keep: 9, nowMs: 3_600_001 }).remove).toEqual(
      ['000/60-1-a'],
    );
  });
});

describe('BaseKeeper', () => {
  interface Kept {
    readonly world: World;
    readonly keeper: BaseKeeper;
    readonly named: BasePointer[];
    readonly tend: (epoch?: number) => void;
  }

  function keep(everyMs = 1_000, world = new World()): Kept {
    const named: BasePointer[] = [];
    const keeper = new BaseKeeper({
      ...world,
      log: world.log,
      subjects,
      store: world.store,
      objects: world.objects,
      clock: world.clock,
      partitions: 1,
      instance: 'aaaa',
      everyMs,
      journalBytesMax: 1_000,
      keep: 2,
    });
    const tend = (epoch = 1): void => {
      const facts: OwnedForBase = { control: world.control, journalSeq: world.journalSeq, epoch };
      keeper.tend(new Map([[0, facts]]), (partition, pointer) => {
        expect(partition).toBe(0);
        named.push(pointer);
      });
    };
    return { world, keeper, named, tend };
  }

  /** Lets virtual time pass while the keeper is tended. */
  async function tended({ world, tend }: Kept, ms: number, epoch = 1): Promise<void> {
    for (let passed = 0; passed < ms; passed += 250) {
      tend(epoch);
      await new Promise<void>((resolve) => {
        world.clock.after(250, resolve);
      });
    }
  }

  it('makes a base when it is due, has it named once, and cleans up behind it when it is committed', async () => {
    const kept = keep();
    const { world, keeper, named } = kept;
    const bases = async (): Promise<void> => {
      const before = named.length;
      await world.commit();
      await tended(kept, 5_000);
      expect(named).toHaveLength(before + 1);
      await world.commit({ base: named.at(-1)! });
      keeper.committed(0, world.control!, 10);
    };
    for (let round = 0; round < 4; round++) await bases();
    await tended(kept, 1_000);
    await keeper.stop();
    const seqs = named.map(({ journalSeq }) => journalSeq);
    expect(await world.names()).toEqual(
      seqs
        .slice(-2)
        .map((seq) => `000/${seq}-1-aaaa`)
        .sort(),
    );
    expect((await world.journalSeqs())[0]).toBe(seqs.at(-2)! + 1);
    expect(keeper.status(0)).toMatchObject({ base: named.at(-1), failure: undefined, overdue: false });
  });

  it('does nothing while nothing is committed, and nothing before its time', async () => {
    const idle = keep();
    await tended(idle, 10_000);
    expect(idle.named).toEqual([]);
    const early = keep(3_600_000);
    await early.world.commit();
    await tended(early, 30_000);
    expect(early.named).toEqual([]);
    await tended(early, 40_000);
    expect(early.named).toHaveLength(1);
  });

  it('tells why it failed, tries again, and does not clean up before a commit', async () => {
    const kept = keep();
    const { world, keeper, named } = kept;
    await world.commit();
    const put = world.objects.put.bind(world.objects);
    let failures = 1;
    world.objects.put = (name, chunks) =>
      failures-- > 0 ? Promise.reject(new Error('no room')) : put(name, chunks);
    await tended(kept, 5_000);
    expect(keeper.status(0)).toMatchObject({ failure: 'no room', overdue: true });
    await tended(kept, 60_000);
    expect(named).toHaveLength(1);
    expect(keeper.status(0).failure).toBeUndefined();
    expect(await world.journalSeqs()).toEqual([1]);
  });

  it('P1 what was made for a partition that is lost meanwhile is not named', async () => {
    const kept = keep();
    const { world, keeper, named } = kept;
    await world.commit();
    let release: () => void = () => undefined;
    const put = world.objects.put.bind(world.objects);
    let started = false;
    world.objects.put = async (name, chunks) => {
      started = true;
      await new Promise<void>((resolve) => (release = resolve));
      return put(name, chunks);
    };
    await tended(kept, 3_000);
    await until('a base is being made', () => started);
    keeper.tend(new Map(), () => undefined);
    await new Promise<void>((resolve) => world.clock.after(2_000, resolve));
    keeper.tend(new Map(), () => undefined);
    release();
    await keeper.stop();
    expect(named).toEqual([]);
  });

  it('counts bytes since the base, and says when they are over the budget', async () => {
    const kept = keep(3_600_000);
    const { world, keeper, named } = kept;
    await world.commit();
    kept.tend();
    keeper.committed(0, world.control!, 1_001);
    expect(keeper.status(0)).toMatchObject({ journalBytes: 1_001, journalOverBudget: true });
    await tended(kept, 5_000);
    expect(named).toHaveLength(1);
    await world.commit({ base: named[0]! });
    keeper.committed(0, world.control!, 7);
    expect(keeper.status(0)).toMatchObject({ journalBytes: 7, journalOverBudget: false });
  });

  it('purges nothing while a snapshot of the region is being taken', async () => {
    const kept = keep();
    const { world, keeper, named } = kept;
    await withHold(world.objects, world.clock, 'x', async () => {
      for (let round = 0; round < 3; round++) {
        await world.commit();
        await tended(kept, 3_000);
        await world.commit({ base: named.at(-1)! });
        keeper.committed(0, world.control!, 10);
        await tended(kept, 1_000);
      }
      expect((await world.journalSeqs())[0]).toBe(1);
      expect((await world.names()).filter((name) => name.startsWith('000/'))).toHaveLength(3);
    });
    expect((await world.names()).filter((name) => name.startsWith('hold/'))).toEqual([]);
  });

  it('a wall clock that jumps makes nothing due, and nothing late', async () => {
    const clock = new VirtualClock(1_700_000_000_000);
    const world = new World();
    await world.commit({ base: { name: 'x', journalSeq: 0, madeAtMs: clock.now() + 3_600_000, bytes: 1 } });
    const keeper = new BaseKeeper({
      log: world.log,
      subjects,
      store: world.store,
      objects: world.objects,
      clock,
      partitions: 1,
      instance: 'a',
      everyMs: 600_000,
      journalBytesMax: 1_000,
      keep: 2,
    });
    keeper.tend(new Map([[0, { control: world.control, journalSeq: 1, epoch: 1 }]]), () => undefined);
    expect(keeper.status(0)).toMatchObject({ ageMs: 0, overdue: false });
    clock.advance(1_000);
    expect(keeper.status(0).ageMs).toBe(1_000);
  });
});
