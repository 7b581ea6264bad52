// Hunts: a dead node that is taken for alive, or the other way round; a lease that is believed longer than it lasts; news that
// is told late; a clock that was set; two processes under one id.
import { beforeEach, describe, expect, it } from 'vitest';
import type { LeaseChange } from '../../../../src/log/leases.js';
import { MemoryLeases } from '../../../../src/log/memory/memory-leases.js';
import { encodeRecord } from '../../../../src/node/membership/record.js';
import { turns } from '../../../support/until.js';
import { Neighbour, Neighbours } from './neighbours.js';
import { recordOf } from './records.js';

const TTL_MS = 2_000;
const HOUR_MS = 3_600_000;
let town: Neighbours;
beforeEach(() => {
  town = new Neighbours();
});

describe('nodes find each other', () => {
  it('after the start what is known is whole, and those who were there hear of it at once', async () => {
    const [a, b] = await town.of('a', 'b');
    const c = await town.add('c', { name: 'third', http: 'http://c:1', weight: 2 });
    expect(c.alive).toEqual(['a', 'b']);
    await turns(2);
    expect([a!.alive, b!.alive]).toEqual([
      ['b', 'c'],
      ['a', 'c'],
    ]);
    expect(a!.others.find(({ id }) => id === 'c')).toMatchObject({
      name: 'third',
      http: 'http://c:1',
      weight: 2,
      instance: 'c-1',
      owned: [],
      ready: [],
      draining: false,
      self: false,
    });
  });

  it('stay alive for each other, and are not woken by renewals', async () => {
    const nodes = await town.of('a', 'b', 'c');
    await turns(2);
    const changes = nodes.map((node) => node.changes);
    await town.pass(60_000, () => {
      for (const node of nodes) expect(node.alive.length).toBe(2);
    });
    expect(nodes.map((node) => node.changes)).toEqual(changes);
    for (const node of nodes)
      for (const { lastSeenMsAgo } of node.membership.members()) expect(lastSeenMsAgo).toBeLessThan(700);
  });

  it('renew at a third of the time to live', async () => {
    await town.of('a');
    const before = town.server.leases[0]!.seq;
    await town.pass(20_000);
    expect(town.server.leases[0]!.seq - before).toBeGreaterThanOrEqual(28);
    expect(town.server.leases[0]!.seq - before).toBeLessThanOrEqual(30);
  });

  it('this node is first among the members, alive while it is fresh', async () => {
    const [a] = await town.of('a', 'b');
    expect(a!.membership.members().map(({ id, self, alive }) => [id, self, alive])).toEqual([
      ['a', true, true],
      ['b', false, true],
    ]);
    expect(a!.membership.id).toBe('a');
    expect(a!.membership.instance).toBe('a-1');
  });
});

describe('what is new is told at once', () => {
  it('without time passing', async () => {
    const [a, b] = await town.of('a', 'b');
    await turns(2);
    const { changes } = b!;
    a!.membership.update({ owned: [1, 2], ready: [3], draining: true, http: 'http://a:2' });
    await turns(2);
    expect(b!.others[0]).toMatchObject({ owned: [1, 2], ready: [3], draining: true, http: 'http://a:2' });
    expect(b!.changes).toBe(changes + 1);
  });

  it('what comes while a write is under way goes together with the next', async () => {
    const [a, b] = await town.of('a', 'b');
    await turns(2);
    const before = town.server.leases.at(-1)!.seq;
    for (let i = 0; i < 100; i++) a!.membership.update({ owned: [i] });
    await turns(2);
    expect(b!.others[0]!.owned).toEqual([99]);
    expect(town.server.leases.at(-1)!.seq - before).toBe(2);
  });

  it('the same again is not written', async () => {
    const [a] = await town.of('a');
    a!.membership.update({ owned: [1], ready: [], draining: false });
    await turns(2);
    const { seq } = town.server.leases[0]!;
    a!.membership.update({ owned: [1], ready: [], draining: false });
    await turns(2);
    expect(town.server.leases[0]!.seq).toBe(seq);
  });

  it('what is said before the start stands in the first record', async () => {
    const [b] = await town.of('b');
    const a = new Neighbour(town, 'a');
    a.membership.update({ owned: [4] });
    expect(a.membership.members()[0]).toMatchObject({ owned: [4], alive: false });
    await a.membership.start();
    await turns(2);
    expect(b!.others[0]!.owned).toEqual([4]);
  });
});

describe('who goes', () => {
  it('with stop is gone at once', async () => {
    const [a, b] = await town.of('a', 'b');
    const { changes } = b!;
    await a!.membership.stop();
    await turns(2);
    expect(b!.alive).toEqual([]);
    expect(b!.changes).toBeGreaterThan(changes);
    expect(town.server.leases.map(({ name }) => name)).toEqual(['b']);
    expect(a!.membership.fresh).toBe(false);
    await town.pass(10_000);
    expect(town.server.leases.map(({ name }) => name)).toEqual(['b']);
  });

  it('by kill -9 is dead one time to live after its last renewal, and whoever waits is woken then', async () => {
    for (const afterMs of [0, 100, 350, 666, 700, 1_333]) {
      town = new Neighbours();
      const a = await town.add('a');
      // Renewals of the others fall between its own.
      await town.pass(300);
      const [b, c] = await town.of('b', 'c');
      await town.pass(afterMs);
      a.kill();
      const { changes } = b!;
      const tookMs = await town.timeUntil(() => b!.changes > changes);
      expect(tookMs).toBeLessThanOrEqual(TTL_MS + 20);
      expect(tookMs).toBeGreaterThan(TTL_MS - 700);
      expect([b!.alive, c!.alive]).toEqual([['c'], ['b']]);
    }
  });

  it('by kill -9 is found dead in that time also by a server that takes its time to say so', async () => {
    for (const afterMs of [0, 100, 350, 666, 700, 1_333]) {
      town = new Neighbours();
      const a = await town.add('a');
      await town.pass(300);
      const b = new Neighbour(town, 'b');
      const watch = b.leases.watch.bind(b.leases);
      b.leases.watch = (onChange) =>
        watch((change) => {
          if (change.kind === 'written') onChange(change);
        });
      await b.membership.start();
      await town.pass(afterMs);
      a.kill();
      await town.timeUntil(() => b.alive.length === 0);
      expect(b.others[0]!.lastSeenMsAgo).toBeGreaterThanOrEqual(TTL_MS);
      expect(b.others[0]!.lastSeenMsAgo).toBeLessThanOrEqual(TTL_MS + 40);
    }
  });

  it('and comes back within its time is not missed; a new start of it is told as such', async () => {
    const [a, b] = await town.of('a', 'b');
    a!.membership.update({ owned: [1] });
    await town.pass(500);
    a!.kill();
    await town.add('a', { instance: 'a-2' });
    await turns(2);
    expect(b!.others).toEqual([
      expect.objectContaining({ id: 'a', instance: 'a-2', owned: [], alive: true }),
    ]);
    await town.pass(10_000);
    expect(b!.alive).toEqual(['a']);
  });
});

describe('this node is fresh', () => {
  it('from the first acknowledged renewal on, and waits for that', async () => {
    const a = new Neighbour(town, 'a');
    expect(a.membership.fresh).toBe(false);
    a.leases.partitioned = true;
    const started = a.membership.start();
    let fresh = false;
    const waited = a.membership.whenFresh().then((is) => (fresh = is));
    await town.pass(5_000);
    expect([fresh, a.membership.fresh]).toEqual([false, false]);
    a.leases.partitioned = false;
    await town.during(started);
    await waited;
    expect([fresh, a.membership.fresh]).toEqual([true, true]);
  });

  it('for one time to live after the last one that was acknowledged was sent, and it is told when that ends', async () => {
    const [a] = await town.of('a');
    await town.pass(5_000);
    const { changes } = a!;
    a!.leases.partitioned = true;
    const tookMs = await town.timeUntil(() => !a!.membership.fresh);
    expect(tookMs).toBeLessThanOrEqual(TTL_MS);
    expect(tookMs).toBeGreaterThan(TTL_MS - 700);
    expect(a!.changes).toBe(changes + 1);
    expect(a!.membership.members()[0]!.alive).toBe(false);
    a!.leases.partitioned = false;
    const waited = a!.membership.whenFresh();
    expect(await town.timeUntil(() => a!.membership.fresh)).toBeLessThan(500);
    expect(await waited).toBe(true);
    expect(a!.changes).toBe(changes + 2);
  });

  it('not by a renewal whose answer came too late', async () => {
    const [a] = await town.of('a');
    const slow = a!.leases.write.bind(a!.leases);
    a!.leases.write = async (write) => {
      const outcome = await slow(write);
      await new Promise<void>((resolve) => {
        town.clock.after(TTL_MS + 100, resolve);
      });
      return outcome;
    };
    await town.pass(3_000);
    for (let i = 0; i < 100; i++) {
      await town.pass(100);
      expect(a!.membership.fresh).toBe(false);
    }
  });

  it('again when an answer had been lost: what was written then is recognised as its own', async () => {
    const [a, b] = await town.of('a', 'b');
    a!.leases.losesAnswers = true;
    await town.pass(1_000, () => {
      expect(a!.membership.fresh).toBe(true);
    });
    a!.leases.losesAnswers = false;
    await town.pass(10_000, () => {
      expect(a!.membership.fresh).toBe(true);
      expect(b!.alive).toEqual(['a']);
    });
    expect(a!.membership.failure).toBeUndefined();
  });

  it('again when no answer had come for long; until then it counts as dead, for it does not work', async () => {
    const [a, b] = await town.of('a', 'b');
    a!.leases.losesAnswers = true;
    await town.pass(5_000);
    expect([a!.membership.fresh, b!.alive]).toEqual([false, []]);
    a!.leases.losesAnswers = false;
    expect(await town.timeUntil(() => a!.membership.fresh)).toBeLessThan(500);
    await turns(2);
    expect(b!.alive).toEqual(['a']);
    expect(a!.membership.failure).toBeUndefined();
  });
});

describe('a process that hangs longer than its lease', () => {
  it('is dead for the others, is not fresh when it wakes, and comes back', async () => {
    const [a, b] = await town.of('a', 'b');
    await town.pass(1_000);
    a!.hang();
    await town.pass(10_000);
    expect(b!.alive).toEqual([]);
    // The very first thing that it looks at.
    expect(a!.membership.fresh).toBe(false);
    a!.wake();
    expect(a!.membership.fresh).toBe(false);
    expect(await town.timeUntil(() => a!.membership.fresh)).toBeLessThan(500);
    await turns(2);
    expect(b!.alive).toEqual(['a']);
    expect(a!.membership.failure).toBeUndefined();
  });

  it('declares none of the others dead for its own silence', async () => {
    for (const hangMs of [700, 1_500, 2_500, 10_000, 60_000]) {
      town = new Neighbours();
      const [a] = await town.of('a', 'b', 'c');
      await town.pass(3_000);
      a!.hang();
      await town.pass(hangMs);
      expect(a!.alive).toEqual(['b', 'c']);
      a!.wake();
      await town.pass(10_000, () => {
        expect(a!.alive).toEqual(['b', 'c']);
      });
    }
  });

  it('finds out who died meanwhile', async () => {
    const [a, b] = await town.of('a', 'b', 'c');
    await town.pass(3_000);
    a!.hang();
    b!.kill();
    await town.pass(10_000);
    a!.wake();
    expect(await town.timeUntil(() => a!.alive.length === 1)).toBeLessThanOrEqual(TTL_MS + 1_000);
    expect(a!.alive).toEqual(['c']);
  });
});

describe('a node that is cut off', () => {
  it('is dead for the others; for it nobody is, then or for a time after it is back', async () => {
    const [a, b, c] = await town.of('a', 'b', 'c');
    await town.pass(3_000);
    a!.leases.partitioned = true;
    await town.pass(30_000, () => {
      expect(a!.alive).toEqual(['b', 'c']);
    });
    expect([b!.alive, c!.alive]).toEqual([['c'], ['b']]);
    a!.leases.partitioned = false;
    await town.pass(10_000, () => {
      expect(a!.alive).toEqual(['b', 'c']);
    });
    expect([b!.alive, c!.alive]).toEqual([
      ['a', 'c'],
      ['a', 'b'],
    ]);
  });

  it('hears what it missed when it is back', async () => {
    const [a, b, c] = await town.of('a', 'b', 'c');
    await town.pass(3_000);
    a!.leases.partitioned = true;
    b!.membership.update({ owned: [7] });
    await c!.membership.stop();
    await town.pass(5_000);
    expect(a!.others.find(({ id }) => id === 'b')!.owned).toEqual([]);
    a!.leases.partitioned = false;
    await town.pass(200);
    expect(a!.others.find(({ id }) => id === 'b')!.owned).toEqual([7]);
    await town.timeUntil(() => a!.alive.length === 1);
    expect(a!.alive).toEqual(['b']);
  });
});

describe('a server that is away', () => {
  it.each([300, 1_000, 2_500, 60_000])(
    'for %i ms makes nobody dead, though all leases run out',
    async (awayMs) => {
      const nodes = await town.of('a', 'b', 'c');
      await town.pass(3_000);
      const everybody = (): void => {
        for (const node of nodes) expect(node.alive.length).toBe(2);
      };
      for (const node of nodes) node.leases.partitioned = true;
      await town.pass(awayMs, everybody);
      for (const node of nodes) expect(node.membership.fresh).toBe(awayMs < 1_300);
      // They find back one after the other, as clients do that try again at their own times.
      for (const node of nodes) {
        node.leases.partitioned = false;
        await town.pass(400, everybody);
      }
      await town.pass(5_000, everybody);
      for (const node of nodes) expect(node.membership.fresh).toBe(true);
    },
  );

  it('hides a death no longer than one time to live', async () => {
    const [a, b] = await town.of('a', 'b');
    await town.pass(3_000);
    for (const node of town.all) node.leases.partitioned = true;
    await town.pass(10_000);
    b!.leases.partitioned = false;
    expect(await town.timeUntil(() => b!.alive.length === 0)).toBeLessThanOrEqual(TTL_MS + 500);
    expect(a!.alive).toEqual(['b']);
  });

  it('at the start is waited for, up to a time: then it is GS_LOG', async () => {
    const a = new Neighbour(town, 'a');
    a.leases.partitioned = true;
    await expect(town.during(a.membership.start())).rejects.toMatchObject({ code: 'GS_LOG' });
    a.leases.partitioned = false;
    await town.pass(5_000);
    expect(town.server.leases).toEqual([]);
  });

  it('at the end is not waited for', async () => {
    const [a] = await town.of('a');
    a!.leases.partitioned = true;
    await a!.membership.stop();
    expect(await a!.membership.whenFresh()).toBe(false);
  });
});

describe('a reader that falls behind, while writes get through', () => {
  /** Holds back what `a` would hear; the returned function lets it through, in its order. */
  function heldBack(a: Neighbour): { hold(): void; release(): void } {
    let held: LeaseChange[] | undefined;
    const watch = a.leases.watch.bind(a.leases);
    let tell: (change: LeaseChange) => void = () => undefined;
    a.leases.watch = (onChange) => {
      tell = onChange;
      return watch((change) => {
        if (held === undefined) onChange(change);
        else held.push(change);
      });
    };
    return {
      hold: () => {
        held = [];
      },
      release: () => {
        const late = held ?? [];
        held = undefined;
        for (const change of late) tell(change);
      },
    };
  }

  it('M2 makes nobody dead, for its own writes are not heard back either', async () => {
    const a = new Neighbour(town, 'a');
    const reader = heldBack(a);
    await a.membership.start();
    const [, c] = await town.of('b', 'c');
    await town.pass(3_000);
    reader.hold();
    await town.pass(1_000);
    c!.kill();
    await town.pass(9_000, () => {
      expect(a.alive).toEqual(['b', 'c']);
      expect(a.membership.fresh).toBe(true);
    });
    reader.release();
    await town.pass(3_000, () => {
      expect(a.alive).toContain('b');
    });
    expect(a.alive).toEqual(['b']);
  });

  it('does not hide that another process writes this node’s lease', async () => {
    const a = new Neighbour(town, 'a');
    const reader = heldBack(a);
    await a.membership.start();
    reader.hold();
    await town.add('a', { instance: 'a-copy' });
    await town.pass(1_000);
    expect(a.membership.conflict).toMatchObject({ code: 'GS_NODE_ID' });
  });
});

describe('a wall clock that is set', () => {
  it.each([HOUR_MS, -HOUR_MS])('by %i ms, here or elsewhere, matters to nobody', async (byMs) => {
    const nodes = await town.of('a', 'b', 'c');
    await town.pass(3_000);
    const sound = (): void => {
      for (const node of nodes) {
        expect(node.alive.length).toBe(2);
        expect(node.membership.fresh).toBe(true);
      }
    };
    const changes = nodes.map((node) => node.changes);
    nodes[0]!.clock.wallOffMs = byMs;
    await town.pass(10_000, sound);
    for (const node of nodes) node.clock.wallOffMs += byMs;
    await town.pass(10_000, sound);
    expect(nodes.map((node) => node.changes)).toEqual(changes);
  });
});

describe('two processes under one id', () => {
  it('the one that had it says so, with what to do, and leaves the lease to the other', async () => {
    const [a, b] = await town.of('a', 'b');
    await town.pass(1_000);
    const { changes } = a!;
    const waited = a!.membership.whenFresh();
    const copy = await town.add('a', { instance: 'a-copy' });
    await town.pass(100);
    expect(a!.membership.conflict).toMatchObject({
      code: 'GS_NODE_ID',
      remedy: expect.stringMatching(/node-id/) as string,
    });
    expect(a!.membership.failure).toBe(a!.membership.conflict);
    expect(a!.membership.fresh).toBe(false);
    expect(a!.changes).toBe(changes + 1);
    expect(await waited).toBe(true);
    expect(await a!.membership.whenFresh()).toBe(false);
    await a!.membership.stop();
    await town.pass(10_000);
    expect(copy.membership.fresh).toBe(true);
    expect(copy.membership.conflict).toBeUndefined();
    expect(b!.others).toEqual([expect.objectContaining({ id: 'a', instance: 'a-copy', alive: true })]);
  });

  it('also when it finds out only after it had been cut off', async () => {
    const [a] = await town.of('a');
    await town.pass(1_000);
    a!.leases.partitioned = true;
    const copy = await town.add('a', { instance: 'a-copy' });
    await town.pass(5_000);
    expect(a!.membership.conflict).toBeUndefined();
    a!.leases.partitioned = false;
    await town.timeUntil(() => a!.membership.conflict !== undefined);
    expect(copy.membership.fresh).toBe(true);
  });

  it('what an earlier start left is no conflict', async () => {
    const [a] = await town.of('a');
    a!.kill();
    const again = await town.add('a', { instance: 'a-2' });
    await town.pass(10_000);
    expect(again.membership.conflict).toBeUndefined();
    expect(again.membership.fresh).toBe(true);
  });
});

describe('leases that cannot be read', () => {
  it('are counted and passed over: garbage, a newer format, a record under another’s name', async () => {
    const [a] = await town.of('a', 'b');
    const other = new MemoryLeases(town.server);
    const write = (name: string, value: Uint8Array): Promise<unknown> =>
      other.write({ name, value, ttlMs: TTL_MS });
    await write('x', new Uint8Array([1, 2, 3]));
    await write('y', new TextEncoder().encode('{"format":2}'));
    await write('z', encodeRecord(recordOf('somebody')));
    await turns(2);
    expect(a!.alive).toEqual(['b']);
    expect(a!.membership.ignored).toBe(3);
    await town.pass(5_000);
    expect(a!.alive).toEqual(['b']);
  });
});

describe('leases that are no longer kept', () => {
  it('end it, with the reason: a bucket that was deleted is not a server that is away', async () => {
    const a = new Neighbour(town, 'a');
    let fail: (error: Error) => void = () => undefined;
    const watch = a.leases.watch.bind(a.leases);
    a.leases.watch = (onChange, onFailure = () => undefined) => {
      fail = onFailure;
      return watch(onChange);
    };
    await a.membership.start();
    const { changes } = a;
    fail(new Error('the bucket is gone'));
    expect(a.membership.failure).toMatchObject({ code: 'GS_LOG', message: 'the bucket is gone' });
    expect(a.membership.conflict).toBeUndefined();
    expect(a.changes).toBe(changes + 1);
    expect(a.membership.fresh).toBe(false);
    const { seq } = town.server.leases[0]!;
    await town.pass(1_500);
    expect(town.server.leases[0]!.seq).toBe(seq);
  });
});
