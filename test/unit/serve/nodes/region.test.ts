/**
 * A region as its nodes tell it. Hunts a status that lies while nodes die: a partition shown with an owner that is gone, one
 * without an owner that nobody hears of, a record believed against its node's own word, alarms that cry wolf; and questions
 * about an actor that reach the wrong node, wait for ever, or are answered by one whose lease has run out.
 */
import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../../../src/core/clock.js';
import { partitionOf } from '../../../../src/core/hash.js';
import { actorId, type ActorId } from '../../../../src/core/ids.js';
import { systemClock } from '../../../../src/core/clock.js';
import { MemoryRequests } from '../../../../src/log/memory/memory-requests.js';
import { Subjects } from '../../../../src/log/subjects.js';
import type { ActorView, MemberStatus, NodeStatus } from '../../../../src/node/status.js';
import { answerPeers, type AskedNode } from '../../../../src/serve/nodes/peer-server.js';
import { Peers } from '../../../../src/serve/nodes/peers.js';
import { numbered } from '../../../../src/serve/nodes/region-alarms.js';
import { oneOf, RegionNodes } from '../../../../src/serve/nodes/region-nodes.js';
import { regionStatus, type RegionFacts } from '../../../../src/serve/nodes/region-status.js';
import { nodeStatus, partitionStatus } from '../http/node.js';

const NOW = 1_690_000_010_000;

const member = (id: string, over: Partial<MemberStatus> = {}): MemberStatus => ({
  id,
  instance: `${id}-1`,
  name: `node-${id}`,
  startedAtMs: 0,
  weight: 1,
  http: `http://${id}`,
  version: '1.2.3',
  draining: false,
  owned: [],
  ready: [],
  alive: true,
  self: false,
  lastSeenMsAgo: 100,
  ...over,
});

const followed = (partition: number, ready: boolean, lagMessages = 0): NodeStatus['followed'][number] => ({
  partition,
  ready,
  lagMessages,
  journalSeq: 1,
  commit: 1,
  epoch: 1,
});

/** Two nodes, a partition each, each the other's standby. */
const facts = (over: Partial<RegionFacts> = {}): RegionFacts => ({
  partitionCount: 2,
  standbys: 1,
  nowMs: NOW,
  members: [member('a', { self: true, owned: [0], ready: [1] }), member('b', { owned: [1], ready: [0] })],
  statuses: new Map([
    ['a', nodeStatus({ partitions: [partitionStatus(0)], followed: [followed(1, true)] })],
    ['b', nodeStatus({ partitions: [partitionStatus(1, { epoch: 4 })], followed: [followed(0, true, 3)] })],
  ]),
  ...over,
});
const without = (id: string): RegionFacts['statuses'] =>
  new Map([...facts().statuses].filter(([one]) => one !== id));
const kinds = (over: Partial<RegionFacts>): string[] =>
  regionStatus(facts(over)).alarms.map(({ kind }) => kind);

describe('the status of a region', () => {
  it('has every partition with its owner, its standbys and what its owner says of it', () => {
    const { nodes, partitions, alarms } = regionStatus(facts({ journals: new Map([[1, 77]]) }));
    expect(nodes.map(({ name, state, owned, ready }) => [name, state, owned, ready])).toEqual([
      ['node-a', 'alive', [0], [1]],
      ['node-b', 'alive', [1], [0]],
    ]);
    expect(partitions[0]).toMatchObject({
      owner: { id: 'a', name: 'node-a' },
      standbys: [{ name: 'node-b', ready: true, lagMessages: 3 }],
      journalMessages: null,
    });
    expect(partitions[1]).toMatchObject({ owner: { id: 'b' }, journalMessages: 77, status: { epoch: 4 } });
    expect(alarms).toEqual([]);
  });

  it('says which partitions nobody owns, whatever a dead node’s record says', () => {
    const members = [member('a', { self: true, owned: [0] }), member('b', { alive: false, owned: [1] })];
    const { nodes, partitions, alarms } = regionStatus(facts({ members, standbys: 0 }));
    expect(nodes[1]).toMatchObject({ state: 'gone', owned: [] });
    expect(partitions[1]).toMatchObject({ owner: null, status: null });
    expect(alarms.map(({ kind, partitions: of }) => [kind, of])).toEqual([
      ['no-owner', [1]],
      ['gone-node', []],
    ]);
    expect(alarms[0]!.message).toMatch(/^Partition 1 has no owner/);
  });

  it('goes by the record of a node that is there and does not answer, and says so', () => {
    const { nodes, partitions, alarms } = regionStatus(facts({ statuses: without('b') }));
    expect(nodes[1]).toMatchObject({ state: 'silent', serving: null, events: null });
    expect(partitions[1]).toMatchObject({ owner: { id: 'b' }, status: null });
    expect(partitions[0]!.standbys).toEqual([{ id: 'b', name: 'node-b', ready: true, lagMessages: null }]);
    expect(alarms.map(({ kind }) => kind)).toEqual(['silent-node']);
  });

  it('goes by a node’s own word where its record is older, and by the higher epoch where two claim one', () => {
    const moved = new Map([
      ['a', nodeStatus({ partitions: [partitionStatus(0, { epoch: 2 }), partitionStatus(1, { epoch: 5 })] })],
      ['b', nodeStatus({ partitions: [partitionStatus(1, { epoch: 4 })] })],
    ]);
    expect(regionStatus(facts({ statuses: moved })).partitions.map(({ owner }) => owner?.id)).toEqual([
      'a',
      'a',
    ]);
    const handed = new Map([...moved, ['b', nodeStatus({ partitions: [] })] as const]);
    const members = [member('a', { self: true }), member('b', { owned: [0, 1] })];
    const { partitions } = regionStatus(facts({ statuses: handed, members }));
    expect(partitions.map(({ owner }) => owner?.id)).toEqual(['a', 'a']);
  });

  it('tells a node that left in good order from one that died', () => {
    const left = member('b', { alive: false, draining: true });
    const statuses = new Map([['a', nodeStatus({ partitions: [partitionStatus(0), partitionStatus(1)] })]]);
    const { nodes, alarms } = regionStatus(
      facts({ members: [member('a', { self: true }), left], statuses, standbys: 0 }),
    );
    expect(nodes[1]!.state).toBe('left');
    expect(alarms).toEqual([]);
  });

  it('misses standbys only where they are configured and could be', () => {
    const statuses = new Map(
      [...facts().statuses].map(([id, status]) => [id, { ...status, followed: [] }] as const),
    );
    expect(kinds({ statuses })).toEqual(['no-standby']);
    expect(kinds({ statuses, standbys: 0 })).toEqual([]);
    const alone = facts({
      members: [member('a', { self: true })],
      statuses: without('b'),
      partitionCount: 1,
    });
    expect(regionStatus(alone).alarms.map(({ message }) => message)).toEqual([
      'Standbys are configured, and there is no other node to be one.',
    ]);
  });

  it('names what makes it unsure, a node that hangs, and names that two share', () => {
    expect(kinds({ unsure: 'node a does not serve now' })).toEqual(['unsure']);
    const hung = new Map([
      ...facts().statuses,
      ['b', { ...facts().statuses.get('b')!, serving: false }] as const,
    ]);
    expect(kinds({ statuses: hung })).toEqual(['silent-node']);
    const [a, b] = facts().members;
    expect(kinds({ members: [a!, { ...b!, name: 'node-a' }] })).toEqual(['same-name']);
  });

  it('names who holds time back, and does not take a replay for an outage', () => {
    const at = (ms0: number, ms1: number): RegionFacts['statuses'] =>
      new Map([
        [
          'a',
          nodeStatus({
            partitions: [partitionStatus(0, { watermarkMs: ms0 })],
            followed: [followed(1, true)],
          }),
        ],
        [
          'b',
          nodeStatus({
            partitions: [partitionStatus(1, { watermarkMs: ms1 })],
            followed: [followed(0, true)],
          }),
        ],
      ]);
    const { alarms } = regionStatus(facts({ statuses: at(NOW - 5_000, NOW - 300_000) }));
    expect(alarms).toMatchObject([{ kind: 'held', partitions: [1] }]);
    expect(alarms[0]!.message).toContain('http:n1:1');
    const replayed = Date.UTC(2008, 4, 21);
    expect(kinds({ statuses: at(replayed, replayed - 1_000) })).toEqual([]);
    expect(kinds({ statuses: at(replayed, replayed - 300_000) })).toEqual(['held']);
  });

  it('says which bases are overdue and which journals too large, with the reason', () => {
    const upkeep = {
      ...{ base: undefined, ageMs: 9, journalBytes: 5, making: false },
      ...{ overdue: true, journalOverBudget: false, failure: 'no room' },
    };
    const statuses = new Map([
      ...facts().statuses,
      [
        'a',
        nodeStatus({ partitions: [partitionStatus(0, { upkeep })], followed: [followed(1, true)] }),
      ] as const,
    ]);
    expect(regionStatus(facts({ statuses })).alarms).toEqual([
      {
        kind: 'base-overdue',
        partitions: [0],
        message: 'Base snapshots are overdue in partition 0: no room.',
      },
    ]);
    const large = { ...upkeep, overdue: false, journalOverBudget: true, failure: undefined };
    statuses.set(
      'a',
      nodeStatus({ partitions: [partitionStatus(0, { upkeep: large })], followed: [followed(1, true)] }),
    );
    expect(regionStatus(facts({ statuses })).alarms).toMatchObject([
      { kind: 'journal-over-budget', message: 'Journals have outgrown their budget in partition 0.' },
    ]);
  });

  it('names partitions in runs', () => {
    expect(numbered([7])).toBe('Partition 7');
    expect(numbered([3, 0, 1, 2, 7], 'partition')).toBe('partitions 0–3, 7');
  });
});

const subjects = new Subjects('sf');
const PARTITIONS = 4;
const view = (id: ActorId): ActorView =>
  ({ id, key: 'x', state: { map: new Map([['k', 1]]) } }) as unknown as ActorView;

class FakeNode implements AskedNode {
  serving = true;
  draining = false;
  members: MemberStatus[] = [];
  readonly owned: Set<number>;

  constructor(owned: readonly number[]) {
    this.owned = new Set(owned);
  }
  status(): NodeStatus {
    return nodeStatus({
      partitionCount: PARTITIONS,
      partitions: [...this.owned].map((partition) => partitionStatus(partition)),
      members: this.members,
    });
  }
  owns(id: ActorId): boolean {
    return this.owned.has(partitionOf(id, PARTITIONS));
  }
  inspect(id: ActorId): Promise<ActorView | undefined> {
    return Promise.resolve(id.endsWith('nobody') ? undefined : view(id));
  }
  quarantined(): ReturnType<AskedNode['quarantined']> {
    return { count: 0, actors: [] };
  }
  drain(on: boolean): void {
    this.draining = on;
  }
}

/** Two nodes over one network; `here` is the one that is asked. */
async function pair(): Promise<{
  here: FakeNode;
  there: FakeNode;
  nodes: RegionNodes;
  away: () => Promise<void>;
}> {
  const requests = new MemoryRequests(systemClock);
  const here = new FakeNode([0, 1]);
  const there = new FakeNode([2, 3]);
  here.members = [member('a', { self: true, owned: [0, 1] }), member('b', { owned: [2, 3] })];
  await answerPeers({ requests, subjects, id: 'a', name: 'node-a', node: here });
  const listening = await answerPeers({ requests, subjects, id: 'b', name: 'node-b', node: there });
  const nodes = new RegionNodes({
    ...{ name: 'node-a', version: '1.2.3', startedAtMs: 0, partitionCount: PARTITIONS, standbys: 0 },
    clock: new VirtualClock(NOW),
    here,
    peers: new Peers({ requests, subjects, timeoutMs: 50 }),
  });
  return { here, there, nodes, away: () => listening.close() };
}

/** An actor of a partition. */
function actorIn(partition: number): ActorId {
  for (let i = 0; ; i++) {
    const id = actorId('driver', `d-${i}`);
    if (partitionOf(id, PARTITIONS) === partition) return id;
  }
}

describe('an actor', () => {
  it('is found wherever its partition is owned, with a state that JSON can hold', async () => {
    const { nodes } = await pair();
    expect(await nodes.inspect(actorIn(0))).toMatchObject({ id: actorIn(0) });
    expect(await nodes.inspect(actorIn(3))).toMatchObject({ id: actorIn(3), state: { map: { k: 1 } } });
  });

  it('is not known anywhere when its owner says so', async () => {
    const { nodes } = await pair();
    const nobody = [...Array(50).keys()]
      .map((i) => actorId('driver', `${i}-nobody`))
      .find((id) => partitionOf(id, PARTITIONS) >= 2)!;
    expect(await nodes.inspect(nobody)).toBeUndefined();
  });

  it.each<[string, (given: Awaited<ReturnType<typeof pair>>) => Promise<void> | void, RegExp]>([
    ['whose owner is away', ({ away }) => away(), /is of partition 3\. Node node-b is not there/],
    [
      'whose owner hangs',
      ({ there }) => {
        there.inspect = () => new Promise(() => undefined);
      },
      /Node node-b did not answer within 0\.05 s/,
    ],
    [
      'whose owner’s lease is not fresh',
      ({ there }) => {
        there.serving = false;
      },
      /Node node-b does not serve now/,
    ],
    [
      'that has just moved on',
      ({ there }) => {
        there.owned.clear();
      },
      /Node node-b does not own driver\/.* any more/,
    ],
    [
      'without an owner',
      ({ here }) => {
        here.members = [here.members[0]!, { ...here.members[1]!, alive: false }];
      },
      /is of partition 3, which has no owner now/,
    ],
  ])('%s is answered by a refusal that may pass, with the reason', async (_, given, message) => {
    const region = await pair();
    await given(region);
    await expect(region.nodes.inspect(actorIn(3))).rejects.toMatchObject({
      code: 'GS_BUSY',
      message: expect.stringMatching(message) as string,
    });
  });

  it('of this node is not told while its lease is not fresh', async () => {
    const { here, nodes } = await pair();
    here.serving = false;
    await expect(nodes.inspect(actorIn(0))).rejects.toMatchObject({ code: 'GS_BUSY' });
  });
});

describe('a node that is drained', () => {
  it('is told, by name or id, this one as well, and told to come back', async () => {
    const { here, there, nodes } = await pair();
    expect(await nodes.drain('node-b', true)).toEqual({ id: 'b', name: 'node-b', draining: true });
    expect(there.draining).toBe(true);
    await nodes.drain('b', false);
    expect(there.draining).toBe(false);
    await nodes.drain('a', true);
    expect(here.draining).toBe(true);
  });

  it('is refused without a successor, and when it is not known', async () => {
    const { here, nodes } = await pair();
    here.members = [here.members[0]!, { ...here.members[1]!, draining: true }];
    await expect(nodes.drain('node-a', true)).rejects.toMatchObject({ code: 'GS_NO_SUCCESSOR' });
    await expect(nodes.drain('node-c', true)).rejects.toMatchObject({
      code: 'GS_NOT_FOUND',
      message: expect.stringContaining('did you mean "node-') as string,
    });
  });

  it('must be named by its id where two share a name', () => {
    const two = [
      { id: '1', name: 'x' },
      { id: '2', name: 'x' },
    ];
    expect(() => oneOf(two, 'x')).toThrow(/2 nodes are called "x"/);
    expect(oneOf(two, '2')).toBe(two[1]);
  });
});

describe('a region', () => {
  it('is asked of all nodes at once', async () => {
    const { nodes } = await pair();
    const { partitions, alarms } = await nodes.status();
    expect(partitions.map(({ owner, status }) => [owner?.name, status?.partition])).toEqual([
      ['node-a', 0],
      ['node-a', 1],
      ['node-b', 2],
      ['node-b', 3],
    ]);
    expect(alarms).toEqual([]);
  });

  it('of one node that is alone has no record of it, and no standbys to miss', async () => {
    const here = new FakeNode([0, 1, 2, 3]);
    const nodes = new RegionNodes({
      ...{ name: 'demo', version: '1', startedAtMs: 5, partitionCount: PARTITIONS, standbys: 1, here },
      clock: new VirtualClock(NOW),
    });
    const { nodes: shown, partitions, alarms } = await nodes.status();
    expect(shown).toMatchObject([{ id: 'demo', state: 'alive', self: true, startedAtMs: 5 }]);
    expect(partitions.every(({ owner }) => owner?.name === 'demo')).toBe(true);
    expect(alarms).toEqual([]);
  });
});

describe('what a node is asked', () => {
  it('is answered with an error for anything else than it knows', async () => {
    const requests = new MemoryRequests(systemClock);
    await answerPeers({ requests, subjects, id: 'a', name: 'node-a', node: new FakeNode([0]) });
    const ask = async (question: string, text: string): Promise<unknown> => {
      const answer = await requests.ask(subjects.node('a', question), new TextEncoder().encode(text), 1_000);
      return answer.outcome === 'answered' ? JSON.parse(new TextDecoder().decode(answer.payload)) : answer;
    };
    for (const [question, text] of [
      ['nothing', 'null'],
      ['inspect', '{"type":1}'],
      ['inspect', 'no json'],
      ['drain', '{}'],
      ['drain', 'null'],
    ] as const)
      expect(await ask(question, text), question).toMatchObject({ error: { code: 'GS_USAGE' } });
  });

  it('P8 is refused beyond a number of questions at once', async () => {
    const requests = new MemoryRequests(systemClock);
    const node = new FakeNode([0, 1, 2, 3]);
    const waiting: (() => void)[] = [];
    node.inspect = () => new Promise((resolve) => waiting.push(() => resolve(undefined)));
    await answerPeers({ requests, subjects, id: 'a', name: 'node-a', node });
    const peers = new Peers({ requests, subjects, timeoutMs: 5_000 });
    const asked = Array.from({ length: 70 }, () =>
      peers.inspect({ id: 'a', name: 'node-a' }, actorIn(0)).then(
        () => 'answered',
        (error: { code: string }) => error.code,
      ),
    );
    await expect(peers.inspect({ id: 'a', name: 'node-a' }, actorIn(0))).rejects.toMatchObject({
      code: 'GS_BUSY',
    });
    for (const go of waiting) go();
    const outcomes = await Promise.all(asked);
    expect(outcomes.filter((outcome) => outcome === 'answered')).toHaveLength(64);
  });
});
