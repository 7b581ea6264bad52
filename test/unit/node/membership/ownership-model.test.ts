/**
 * Many nodes that decide by themselves, in a small world of journals and news that comes late: joins, drains, kills, restarts
 * and slow followers in any order. Hunts: two hand-overs at once, a hand-over to a node that is not there, nodes that never
 * come to the same end, or go on moving partitions when nothing changes any more.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { rank } from '../../../../src/node/membership/assignment.js';
import { decideOwnership, type OwnershipAction } from '../../../../src/node/membership/ownership.js';
import type { NodeRecord } from '../../../../src/node/membership/record.js';
import { recordOf } from './records.js';

const PARTITIONS = 6;
const all = Array.from({ length: PARTITIONS }, (_, partition) => partition);

/** The last entry of a partition's journal. */
interface Entry {
  epoch: number;
  writer: string | undefined;
  handedTo: string | undefined;
}

class ModelNode {
  running = true;
  draining = false;
  readonly owned = new Map<number, number>();
  /** Followed partitions; true when at the journal's end. */
  readonly following = new Map<number, boolean>();
  /** A hand-over under way: it is committed with the next step of it. */
  releasing: { partition: number; to: string } | undefined;
  /** What it has heard of the others. */
  readonly heard = new Map<string, NodeRecord & { alive: boolean }>();

  constructor(
    readonly id: string,
    readonly instance: string,
    readonly weight: number,
  ) {}

  get record(): NodeRecord {
    return recordOf(this.id, {
      instance: this.instance,
      weight: this.weight,
      draining: this.draining,
      owned: [...this.owned.keys()],
      ready: [...this.following].filter(([, ready]) => ready).map(([partition]) => partition),
    });
  }
}

class World {
  readonly nodes = new Map<string, ModelNode>();
  readonly journal: Entry[] = all.map(() => ({ epoch: 0, writer: undefined, handedTo: undefined }));
  takes = 0;
  #starts = 0;

  constructor(readonly standbys: number) {}

  get running(): ModelNode[] {
    return [...this.nodes.values()].filter(({ running }) => running);
  }

  start(id: string, weight: number): void {
    if (this.nodes.get(id)?.running === true) return;
    const node = new ModelNode(id, `${id}-${++this.#starts}`, weight);
    this.nodes.set(id, node);
    // A node that starts hears of all there are before it decides anything.
    for (const other of this.running) this.tell(other, node);
  }

  /** `to` hears the present lease of `from`, or that it has run out. */
  tell(from: ModelNode, to: ModelNode): void {
    if (from.running) to.heard.set(from.id, { ...from.record, alive: true });
    else if (to.heard.has(from.id)) to.heard.set(from.id, { ...to.heard.get(from.id)!, alive: false });
  }

  decide(node: ModelNode): OwnershipAction[] {
    if (!node.running) return [];
    const actions = decideOwnership({
      self: node.id,
      partitions: PARTITIONS,
      standbys: this.standbys,
      members: [
        { ...node.record, alive: true },
        ...[...node.heard.values()].filter(({ id }) => id !== node.id),
      ],
      owned: new Set(node.owned.keys()),
      following: new Map(
        [...node.following].map(([partition, ready]) => [
          partition,
          { ready, handedTo: this.journal[partition]!.handedTo },
        ]),
      ),
      releasing: node.releasing?.partition,
    });
    this.#check(node, actions);
    for (const action of actions) this.#perform(node, action);
    return actions;
  }

  /** Commits: a hand-over, and whatever else; who was fenced learns of it. */
  commit(node: ModelNode): void {
    for (const [partition, epoch] of node.owned) {
      if (this.journal[partition]!.epoch === epoch) continue;
      node.owned.delete(partition);
    }
    const release = node.releasing;
    node.releasing = undefined;
    if (release === undefined || !node.owned.has(release.partition)) return;
    this.journal[release.partition]!.handedTo = release.to;
    node.owned.delete(release.partition);
  }

  catchUp(node: ModelNode, partition: number): void {
    if (node.following.has(partition)) node.following.set(partition, true);
  }

  #perform(node: ModelNode, action: OwnershipAction): void {
    const { partition } = action;
    const entry = this.journal[partition]!;
    switch (action.do) {
      case 'take':
        this.takes++;
        Object.assign(entry, { epoch: entry.epoch + 1, writer: node.instance, handedTo: undefined });
        node.following.delete(partition);
        node.owned.set(partition, entry.epoch);
        return;
      case 'follow':
        node.following.set(partition, false);
        return;
      case 'unfollow':
        node.following.delete(partition);
        return;
      case 'release':
        node.releasing = { partition, to: action.to };
        return;
    }
  }

  #check(node: ModelNode, actions: readonly OwnershipAction[]): void {
    const releases = actions.filter((action) => action.do === 'release');
    expect(releases.length).toBeLessThanOrEqual(node.releasing === undefined ? 1 : 0);
    for (const { partition, to } of releases) {
      const successor = node.heard.get(to);
      expect(node.owned.has(partition)).toBe(true);
      expect(successor).toMatchObject({ alive: true, draining: false });
      expect(successor!.ready).toContain(partition);
      expect(to).not.toBe(node.id);
    }
    expect(new Set(actions.map(({ partition }) => partition)).size).toBe(actions.length);
    for (const { do: what, partition } of actions) {
      if (what === 'take') expect(node.draining || node.owned.has(partition)).toBe(false);
      if (what === 'follow') expect(node.following.has(partition) || node.owned.has(partition)).toBe(false);
      if (what === 'unfollow') expect(node.following.has(partition)).toBe(true);
    }
  }

  /** Everything that can happen by itself happens, in rounds, until nothing does. */
  settle(): void {
    for (let round = 1; round <= 4 * PARTITIONS * (this.nodes.size + 1); round++) {
      let did = 0;
      for (const node of this.running) {
        this.commit(node);
        for (const partition of all) this.catchUp(node, partition);
      }
      for (const from of this.nodes.values())
        for (const to of this.running) if (from !== to) this.tell(from, to);
      for (const node of this.running) did += this.decide(node).length;
      if (did === 0) return;
    }
    throw new Error('it never came to rest');
  }

  /** What each node should have when all is quiet. */
  expectAssigned(): void {
    const eligible = this.running.filter(({ draining }) => !draining);
    for (const node of this.running) {
      const owned = all.filter((partition) => rank(partition, eligible)[0] === node.id);
      const followed = all.filter((partition) =>
        rank(partition, eligible)
          .slice(1, 1 + this.standbys)
          .includes(node.id),
      );
      if (eligible.length === 0) continue;
      expect([...node.owned.keys()].sort()).toEqual(owned);
      expect([...node.following.keys()].sort()).toEqual(followed);
      for (const [partition, epoch] of node.owned)
        expect(this.journal[partition]).toMatchObject({ epoch, writer: node.instance });
    }
  }
}

const IDS = ['a', 'b', 'c', 'd', 'e'];
const id = fc.constantFrom(...IDS);
const step = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('start' as const), id, weight: fc.constantFrom(1, 2) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('kill' as const), id }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('drain' as const), id }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('tell' as const), id, to: id }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('decide' as const), id }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('commit' as const), id }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('catchUp' as const), id, partition: fc.nat(PARTITIONS - 1) }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

function play(world: World, what: Step): void {
  const node = world.nodes.get(what.id);
  if (what.do === 'start') world.start(what.id, what.weight);
  if (node === undefined) return;
  switch (what.do) {
    case 'start':
      return;
    case 'kill':
      node.running = false;
      return;
    case 'drain':
      node.draining = true;
      return;
    case 'tell': {
      const to = world.nodes.get(what.to);
      if (to !== undefined && to !== node) world.tell(node, to);
      return;
    }
    case 'decide':
      world.decide(node);
      return;
    case 'commit':
      if (node.running) world.commit(node);
      return;
    case 'catchUp':
      world.catchUp(node, what.partition);
      return;
  }
}

const worlds = fc.record({ standbys: fc.nat(2), steps: fc.array(step, { maxLength: 120 }) });
function played({ standbys, steps }: { standbys: number; steps: Step[] }): World {
  const world = new World(standbys);
  for (const what of steps) play(world, what);
  return world;
}
const RUNS = { numRuns: 400 };

describe('many nodes that decide by themselves', () => {
  it('P1 come to the same end, whatever happened: each partition has one owner, its target, and its standbys', () => {
    fc.assert(
      fc.property(worlds, (given) => {
        const world = played(given);
        world.settle();
        world.expectAssigned();
      }),
      RUNS,
    );
  });

  it('leave a drained node with nothing, as long as there is another', () => {
    fc.assert(
      fc.property(worlds, id, (given, drained) => {
        const world = played(given);
        world.start(drained, 1);
        world.settle();
        world.nodes.get(drained)!.draining = true;
        world.settle();
        if (!world.running.some(({ draining }) => !draining)) return;
        const { owned, following } = world.nodes.get(drained)!;
        expect([owned.size, following.size]).toEqual([0, 0]);
      }),
      RUNS,
    );
  });

  it('move only what must move when one joins, each once', () => {
    fc.assert(
      fc.property(worlds, id, (given, joiner) => {
        const world = played(given);
        const joined = world.nodes.get(joiner);
        if (joined !== undefined) joined.running = false;
        world.settle();
        if (!world.running.some(({ draining }) => !draining)) return;
        const epochs = world.journal.map(({ epoch }) => epoch);
        const takes = world.takes;
        world.start(joiner, 1);
        world.settle();
        const { owned } = world.nodes.get(joiner)!;
        expect(world.takes - takes).toBe(owned.size);
        for (const partition of all)
          expect(world.journal[partition]!.epoch - epochs[partition]!).toBe(owned.has(partition) ? 1 : 0);
      }),
      RUNS,
    );
  });

  it('take what a killed node had, each once, and nothing else', () => {
    fc.assert(
      fc.property(worlds, id, (given, killed) => {
        const world = played(given);
        world.start(killed, 1);
        world.settle();
        const victim = world.nodes.get(killed)!;
        const { takes } = world;
        const orphans = victim.owned.size;
        victim.running = false;
        world.settle();
        const heirs = world.running.some(({ draining }) => !draining);
        expect(world.takes - takes).toBe(heirs ? orphans : 0);
      }),
      RUNS,
    );
  });

  it('give a node that is restarted under its id what it had, without anybody else taking it', () => {
    fc.assert(
      fc.property(worlds, id, (given, restarted) => {
        const world = played(given);
        world.start(restarted, 1);
        world.nodes.get(restarted)!.draining = false;
        world.settle();
        const before = world.nodes.get(restarted)!;
        const { takes } = world;
        before.running = false;
        world.start(restarted, before.weight);
        // The others hear of the new start before they miss the old one.
        world.settle();
        expect([...world.nodes.get(restarted)!.owned.keys()].sort()).toEqual([...before.owned.keys()].sort());
        expect(world.takes - takes).toBe(before.owned.size);
      }),
      RUNS,
    );
  });
});
