// Hunts: a partition that nobody takes, one handed to somebody who is not there, nodes that pull it to and fro.
import { describe, expect, it } from 'vitest';
import { rank } from '../../../../src/node/membership/assignment.js';
import {
  decideOwnership,
  type OwnershipAction,
  type OwnershipFacts,
} from '../../../../src/node/membership/ownership.js';
import { recordOf } from './records.js';

type Member = OwnershipFacts['members'][number];
type Following = { ready: boolean; handedTo: string | undefined };

const P = 0;
const IDS = ['a', 'b', 'c', 'd'];
/** The nodes in the order of their ranks for the partition. */
const [best, second, third, last] = rank(
  P,
  IDS.map((id) => ({ id, weight: 1 })),
) as [string, string, string, string];

const member = (id: string, said: Partial<Member> = {}): Member => ({
  ...recordOf(id),
  alive: true,
  ...said,
});

/** What one node decides about the partition; by default it owns and follows nothing. */
function decide(
  self: string,
  members: readonly Member[],
  {
    owns = false,
    follows,
    releasing,
    standbys = 1,
  }: { owns?: boolean; follows?: Partial<Following>; releasing?: number; standbys?: number } = {},
): OwnershipAction[] {
  return decideOwnership({
    self,
    partitions: 1,
    standbys,
    members,
    owned: new Set(owns ? [P] : []),
    following: new Map(follows === undefined ? [] : [[P, { ready: false, handedTo: undefined, ...follows }]]),
    releasing,
  });
}

const take = [{ do: 'take', partition: P }];
const follow = [{ do: 'follow', partition: P }];
const unfollow = [{ do: 'unfollow', partition: P }];

describe('O1 the target owns, the next stand by', () => {
  const everybody = IDS.map((id) => member(id));
  const owned = IDS.map((id) => member(id, id === best ? { owned: [P] } : {}));

  it('with an owner that is the target, as many follow as there are standbys', () => {
    for (const standbys of [0, 1, 2, 3]) {
      const followers = IDS.filter((id) => decide(id, owned, { owns: id === best, standbys }).length > 0);
      expect(followers.sort()).toEqual([second, third, last].slice(0, standbys).sort());
    }
  });

  it('with another owner, the target follows too', () => {
    const members = IDS.map((id) => member(id, id === last ? { owned: [P] } : {}));
    expect(decide(best, members)).toEqual(follow);
    expect(decide(second, members)).toEqual(follow);
    expect(decide(third, members)).toEqual([]);
    expect(decide(last, members, { owns: true })).toEqual([]);
  });

  it('who follows and should, goes on', () => {
    expect(decide(second, owned, { follows: {} })).toEqual([]);
  });

  it('alone, a node takes everything', () => {
    const self = member('a');
    const actions = decideOwnership({
      self: 'a',
      partitions: 3,
      standbys: 1,
      members: [self],
      owned: new Set([1]),
      following: new Map(),
      releasing: undefined,
    });
    expect(actions).toEqual([
      { do: 'take', partition: 0 },
      { do: 'take', partition: 2 },
    ]);
  });

  it('a heavier node has more of them', () => {
    const members = [member('a', { weight: 3 }), member('b')];
    const counts = members.map(
      ({ id: self }) =>
        decideOwnership({
          self,
          partitions: 256,
          standbys: 0,
          members,
          owned: new Set(),
          following: new Map(),
          releasing: undefined,
        }).length,
    );
    expect(counts[0]! + counts[1]!).toBe(256);
    expect(counts[0]! / 256).toBeCloseTo(0.75, 1);
  });

  it('of partitions that nobody owns each is taken by one node', () => {
    expect(IDS.filter((id) => decide(id, everybody).some((action) => action.do === 'take'))).toEqual([best]);
  });
});

describe('O2 who is not the target hands over', () => {
  const withOwner = (said: Partial<Member>): Member[] =>
    IDS.map((id) => member(id, id === second ? { owned: [P] } : id === best ? said : {}));

  it('when the target is ready', () => {
    expect(decide(second, withOwner({ ready: [P] }), { owns: true })).toEqual([
      { do: 'release', partition: P, to: best },
    ]);
  });

  it.each([
    ['not ready', {}],
    ['ready for another one', { ready: [P + 1] }],
    ['dead', { ready: [P], alive: false }],
    ['draining', { ready: [P], draining: true }],
  ])('not to a target that is %s', (_, said) => {
    expect(decide(second, withOwner(said), { owns: true })).toEqual([]);
  });

  it('not while another one is being handed over', () => {
    expect(decide(second, withOwner({ ready: [P] }), { owns: true, releasing: 5 })).toEqual([]);
  });

  it('one at a time', () => {
    const partitions = 64;
    const all = Array.from({ length: partitions }, (_, i) => i);
    const actions = decideOwnership({
      self: 'a',
      partitions,
      standbys: 1,
      members: [member('a', { draining: true }), member('b', { ready: all }), member('c', { ready: all })],
      owned: new Set(all),
      following: new Map(),
      releasing: undefined,
    });
    expect(actions).toEqual([{ do: 'release', partition: 0, to: expect.stringMatching(/^[bc]$/) as string }]);
  });

  it('a node that drains keeps what nobody can take', () => {
    const draining = member('a', { draining: true, owned: [P] });
    expect(decide('a', [draining], { owns: true })).toEqual([]);
    expect(decide('a', [draining, member('b', { alive: false, ready: [P] })], { owns: true })).toEqual([]);
    expect(decide('a', [draining, member('b', { draining: true, ready: [P] })], { owns: true })).toEqual([]);
    expect(decide('a', [draining, member('b')], { owns: true })).toEqual([]);
  });
});

describe('O3 what nobody owns is taken', () => {
  it('by the target alone, when the owner is dead', () => {
    const members = IDS.map((id) => member(id, id === best ? { owned: [P], alive: false } : { ready: [P] }));
    expect(decide(second, members, { follows: { ready: true } })).toEqual(take);
    expect(decide(third, members, { follows: { ready: true } })).toEqual([]);
  });

  it('at once by whoever it was handed to, though the old owner’s lease still names it', () => {
    const members = IDS.map((id) => member(id, id === last ? { owned: [P] } : {}));
    expect(decide(best, members, { follows: { ready: true, handedTo: best } })).toEqual(take);
    // Another node came in between and is the target now: it gets it later, from us.
    expect(decide(second, members, { follows: { ready: true, handedTo: second } })).toEqual(take);
  });

  it('not by an old hand-over that is read again on the way to the journal’s end', () => {
    const members = IDS.map((id) => member(id, id === last ? { owned: [P] } : {}));
    expect(decide(best, members, { follows: { ready: false, handedTo: best } })).toEqual([]);
  });

  it('not by a node that drains', () => {
    const members = IDS.map((id) => member(id, { draining: id === best }));
    expect(decide(best, members, { follows: { ready: true, handedTo: best } })).toEqual([]);
    expect(decide(second, members, { follows: { handedTo: best } })).toEqual(take);
  });

  it('by the target, when the one that it was handed to is not it any more', () => {
    const members = IDS.map((id) => member(id));
    expect(decide(best, members, { follows: { ready: true, handedTo: third } })).toEqual(take);
    expect(decide(second, members, { follows: { ready: true, handedTo: best } })).toEqual([]);
  });

  it('claims of an earlier start of a node are void: it takes what it had, and no other does', () => {
    const members = IDS.map((id) => member(id, { instance: `${id}-2` }));
    expect(decide(best, members)).toEqual(take);
    expect(decide(second, members, { follows: { ready: true } })).toEqual([]);
  });
});

describe('O4 whoever need not follow any more goes on until the others can', () => {
  const withOwner = (ready: readonly string[]): Member[] =>
    IDS.map((id) => member(id, id === best ? { owned: [P] } : ready.includes(id) ? { ready: [P] } : {}));

  it('until all that should are ready', () => {
    const follows = { ready: true };
    expect(decide(last, withOwner([last]), { follows })).toEqual([]);
    expect(decide(last, withOwner([last, second]), { follows })).toEqual(unfollow);
    expect(decide(last, withOwner([last, second]), { follows, standbys: 2 })).toEqual([]);
    expect(decide(last, withOwner([last, second, third]), { follows, standbys: 2 })).toEqual(unfollow);
  });

  it('and while nobody owns it', () => {
    const members = IDS.map((id) => member(id, { ready: [P] }));
    expect(decide(last, members, { follows: { ready: true } })).toEqual([]);
  });

  it('without standbys nobody follows an owner that is the target', () => {
    expect(decide(second, withOwner([]), { follows: { ready: true }, standbys: 0 })).toEqual(unfollow);
  });

  it('a node that drains lets go as well', () => {
    const members = IDS.map((id) =>
      member(id, id === best ? { owned: [P] } : { ready: [P], draining: id === second }),
    );
    expect(decide(second, members, { follows: { ready: true } })).toEqual(unfollow);
  });
});
