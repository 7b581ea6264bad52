/**
 * Workers taken as one node. Hunts a sum that counts one twice or forgets one, a parent that says ready while a worker is
 * down, and one that believes for long what it heard long ago.
 */
import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../../../src/core/clock.js';
import type { MemberStatus } from '../../../../src/node/status.js';
import type { PeerStatus } from '../../../../src/serve/nodes/peer-server.js';
import { WorkersNode } from '../../../../src/serve/nodes/workers-node.js';
import { turns } from '../../../support/until.js';
import { nodeStatus, partitionStatus } from '../http/node.js';

const stats = nodeStatus().stats;
const record = (id: string, owned: number[]): MemberStatus => ({
  ...{ id, instance: id, name: `w-${id}`, startedAtMs: 0, weight: 1, http: undefined, version: '1' },
  ...{ draining: false, owned, ready: [], alive: true, self: false, lastSeenMsAgo: 0 },
});

function open(): {
  node: WorkersNode;
  clock: VirtualClock;
  answers: Map<string, PeerStatus>;
  workers: { name: string; id: string | undefined }[];
} {
  const clock = new VirtualClock(1_000);
  const members = [record('1', [0]), record('2', [1])];
  const answers = new Map<string, PeerStatus>([
    [
      '1',
      {
        ...nodeStatus({ members, partitions: [partitionStatus(0)], counters: { late: 2 } }),
        stats: { ...stats, events: 10 },
        publisher: { published: 5, lagMessages: 1 },
      },
    ],
    [
      '2',
      {
        ...nodeStatus({ members, partitions: [partitionStatus(1)], counters: { late: 3, duplicates: 1 } }),
        stats: { ...stats, events: 7 },
        publisher: { published: 6, lagMessages: 0 },
      },
    ],
  ]);
  const workers = [
    { name: 'w-1', id: '1' as string | undefined },
    { name: 'w-2', id: '2' as string | undefined },
  ];
  const node = new WorkersNode({
    region: 'sf',
    partitionCount: 2,
    clock,
    workers: () => workers,
    peers: {
      status: ({ id }) => {
        const answer = answers.get(id);
        return answer === undefined ? Promise.reject(new Error('silent')) : Promise.resolve(answer);
      },
    },
  });
  return { node, clock, answers, workers };
}

describe('workers as one node', () => {
  it('are the sum of what they say', async () => {
    const { node } = open();
    await node.start();
    expect(node.status()).toMatchObject({
      state: 'running',
      serving: true,
      partitions: [{ partition: 0 }, { partition: 1 }],
      counters: { late: 5, duplicates: 1 },
      stats: { events: 17 },
      members: [{ id: '1' }, { id: '2' }],
    });
    expect(node.publisher()).toEqual({ published: 11, lagMessages: 1 });
    expect(node.troubles()).toEqual([]);
    await node.close();
  });

  it('are starting before they have answered, and draining once they were told to end', async () => {
    const { node } = open();
    expect(node.status().state).toBe('starting');
    await node.start();
    node.draining();
    expect(node.status().state).toBe('draining');
    await node.close();
  });

  it('of which one has ended are not ready, and do not show what it had as owned', async () => {
    const { node, workers } = open();
    await node.start();
    workers[1]!.id = undefined;
    expect(node.troubles()).toEqual(['worker w-2 does not answer']);
    expect(node.status().partitions.map(({ partition }) => partition)).toEqual([0]);
    expect(node.status().stats.events, 'a total does not shrink').toBe(17);
    await node.close();
  });

  it('are asked again and again; a silent one is believed for a while only', async () => {
    const { node, clock, answers } = open();
    await node.start();
    answers.delete('2');
    for (let i = 0; i < 6; i++) {
      clock.advance(500);
      await turns();
    }
    expect(node.troubles()).toEqual(['worker w-2 does not answer']);
    const [one] = answers.values();
    answers.set('1', { ...one!, members: [record('1', [0])] });
    clock.advance(500);
    await turns();
    expect(node.troubles()).toEqual(['worker w-2 does not answer', 'nobody owns partition 1 yet']);
    await node.close();
  });

  it('that are all silent leave the region to what the other nodes say', async () => {
    const { node, clock, answers, workers } = open();
    const elsewhere = record('9', [0, 1]);
    const [one] = answers.values();
    answers.set('1', { ...one!, members: [...one!.members, elsewhere] });
    await node.start();
    answers.clear();
    answers.set('9', nodeStatus({ members: [{ ...elsewhere, self: true }] }));
    for (const worker of workers) worker.id = undefined;
    clock.advance(500);
    await turns();
    expect(node.members).toEqual([elsewhere]);
    expect(node.serving).toBe(false);
    await node.close();
  });
});
