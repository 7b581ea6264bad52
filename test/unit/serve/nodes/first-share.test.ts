/** What is a node's own. Hunts a node that says ready before it has it, or waits for what is another's. */
import { expect, it } from 'vitest';
import { VirtualClock } from '../../../../src/core/clock.js';
import type { MemberStatus } from '../../../../src/node/status.js';
import { unclaimed, untilClaimed } from '../../../../src/serve/nodes/first-share.js';
import { turns } from '../../../support/until.js';
import { nodeStatus } from '../http/node.js';

const record = (id: string, over: Partial<MemberStatus> = {}): MemberStatus => ({
  ...{ id, instance: id, name: id, startedAtMs: 0, weight: 1, http: undefined, version: '1' },
  ...{ draining: false, owned: [], ready: [], alive: true, self: false, lastSeenMsAgo: 0, ...over },
});
const left = (...members: MemberStatus[]): number[] =>
  unclaimed({ members, partitionCount: 8, serving: true });

it('is all that nobody owns when it is alone, its share when it is not, and nothing of what others own', () => {
  const self = record('a', { self: true });
  expect(left(self)).toHaveLength(8);
  const mine = left(self, record('b'));
  expect(left(record('a'), record('b', { self: true }))).toEqual(
    [0, 1, 2, 3, 4, 5, 6, 7].filter((partition) => !mine.includes(partition)),
  );
  expect(left(self, record('b', { owned: [0, 1, 2, 3, 4, 5, 6, 7] }))).toEqual([]);
  // What a dead one had is nobody's; what a draining one has is still its.
  expect(left(self, record('b', { alive: false, owned: [0, 1, 2] }))).toHaveLength(8);
  expect(left(self, record('b', { draining: true, owned: [0, 1, 2] }))).toEqual([3, 4, 5, 6, 7]);
});

it('is nothing for one that drains, that does not serve, or that is alone by configuration', () => {
  expect(left(record('a', { self: true, draining: true }))).toEqual([]);
  expect(left()).toEqual([]);
  expect(unclaimed({ members: [record('a', { self: true })], partitionCount: 8, serving: false })).toEqual(
    [],
  );
});

it('is waited for, until it is there or the node fails', async () => {
  const clock = new VirtualClock();
  let owned: number[] = [];
  const status = (): ReturnType<typeof nodeStatus> =>
    nodeStatus({ members: [record('a', { self: true, owned })], partitionCount: 2 });
  let fail: (error: Error) => void = () => undefined;
  const finished = new Promise<void>((_, reject) => (fail = reject));
  let done = false;
  const waiting = untilClaimed({ status, finished }, clock).then(() => (done = true));
  for (const taken of [[0], [0, 1]]) {
    expect(done).toBe(false);
    owned = taken;
    clock.advance(20);
    await turns();
  }
  await waiting;
  owned = [];
  const failing = untilClaimed({ status, finished }, clock);
  fail(new Error('no disk'));
  await expect(failing).rejects.toThrow('no disk');
});
