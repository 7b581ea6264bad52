/**
 * Hunts: a crash test that measures what it did not see: a take-over time that ends with a commit of the dead, a pause that
 * leaves out the longest gap, a journal fault that passes; a plan that a seed does not repeat.
 */
import { describe, expect, it } from 'vitest';
import { FaultPlan, isKill } from '../../bench/crash/fault-plan.js';
import { journalFaults, type Commit } from '../../bench/crash/journals.js';
import { unsettled } from '../../bench/crash/stack.js';
import { handOvers, longestGapMs, takeOverMs } from '../../bench/crash/take-over.js';
import { driftOf } from '../../bench/soak/drift.js';
import type { NodeStatus } from '../../src/node/status.js';

let seq = 0;
/** A commit of `writer` at a time; input is taken by each unless told otherwise. */
function commit(atMs: number, writer: string, epoch: number, more: Partial<Commit> = {}): Commit {
  seq++;
  return { seq, atMs, writer, epoch, commit: seq, inputSeq: seq, handedTo: undefined, ...more };
}

/** Commits numbered from one. */
function journal(...commits: Commit[]): Commit[] {
  return commits.map((each, i) => ({ ...each, commit: i + 1 }));
}

describe('the time of a take-over', () => {
  it('ends with the first input that another one commits, not with its taking of the partition', () => {
    const before = commit(1_000, 'a', 1);
    const commits = journal(
      before,
      commit(3_000, 'b', 2, { inputSeq: before.inputSeq }),
      commit(3_400, 'b', 2, { inputSeq: before.inputSeq + 5 }),
    );
    expect(takeOverMs(commits, 1_100)).toBe(2_300);
  });

  it('passes over what the dead node had in flight', () => {
    const commits = journal(commit(1_000, 'a', 1), commit(1_120, 'a', 1), commit(2_500, 'b', 2));
    expect(takeOverMs(commits, 1_100)).toBe(1_400);
  });

  it('ends with the taking where no input came any more, and never where nobody took it', () => {
    const before = commit(1_000, 'a', 1);
    const taken = commit(3_000, 'b', 2, { inputSeq: before.inputSeq });
    expect(takeOverMs(journal(before, taken), 1_100)).toBe(1_900);
    expect(takeOverMs(journal(before), 1_100)).toBeUndefined();
  });
});

describe('the pause of a hand-over', () => {
  it('is the longest gap around it, whoever made it', () => {
    const commits = journal(
      commit(1_000, 'a', 1),
      commit(1_020, 'a', 1),
      commit(1_050, 'a', 1, { handedTo: 'n2' }),
      commit(1_080, 'b', 2),
      commit(1_230, 'b', 2),
      commit(1_250, 'b', 2),
    );
    expect(handOvers(4, commits, { fromMs: 0, toMs: 9_999 })).toEqual([
      { partition: 4, atMs: 1_050, pauseMs: 150, untilTakenMs: 30, untilWorkingMs: 0 },
    ]);
    expect(handOvers(4, commits, { fromMs: 2_000, toMs: 9_999 })).toEqual([]);
  });

  it('is not there where nobody took the partition', () => {
    const commits = journal(commit(1_000, 'a', 1), commit(1_050, 'a', 1, { handedTo: 'n2' }));
    expect(handOvers(0, commits, { fromMs: 0, toMs: 9_999 })).toEqual([]);
  });

  it('a gap counts that only reaches into the time that is looked at', () => {
    const commits = journal(commit(1_000, 'a', 1), commit(5_000, 'a', 1), commit(5_010, 'a', 1));
    expect(longestGapMs(commits, 4_000, 6_000)).toBe(4_000);
    expect(longestGapMs(commits, 5_005, 6_000)).toBe(10);
  });
});

describe('a journal', () => {
  const good = (): Commit[] =>
    journal(commit(1, 'a', 1), commit(2, 'a', 1, { handedTo: 'n2' }), commit(3, 'b', 2), commit(4, 'c', 3));

  it('of one writer after the other, each in an epoch of its own, is without fault', () => {
    expect(journalFaults(0, good())).toEqual([]);
  });

  it.each<[string, (commits: Commit[]) => Commit, RegExp]>([
    ['two writers in one epoch', ([, , , last]) => ({ ...last!, epoch: 2 }), /both write in epoch 2/],
    ['an epoch that goes back', ([, , , last]) => ({ ...last!, epoch: 1 }), /epoch 1 follows 2/],
    ['input that goes back', ([, , , last]) => ({ ...last!, inputSeq: 0 }), /input goes back/],
    ['a commit that is missing', ([, , , last]) => ({ ...last!, commit: 9 }), /commit 9 of c follows 3 of b/],
  ])('with %s is at fault', (_what, spoilt, words) => {
    const commits = good();
    commits[3] = spoilt(commits);
    expect(journalFaults(3, commits).join('\n')).toMatch(words);
  });

  it('whose owner goes on after it has handed over is at fault', () => {
    const commits = journal(commit(1, 'a', 1, { handedTo: 'n2' }), commit(2, 'a', 1));
    expect(journalFaults(3, commits).join('\n')).toMatch(/after it had handed over/);
  });
});

describe('a plan of faults', () => {
  it('is a function of its seed, and has every kind', () => {
    const faults = (seed: number): unknown[] => {
      const plan = new FaultPlan(seed);
      return Array.from({ length: 200 }, () => plan.next());
    };
    expect(faults(5)).toEqual(faults(5));
    expect(faults(5)).not.toEqual(faults(6));
    const kinds = new Set((faults(5) as { kind: string }[]).map(({ kind }) => kind));
    expect([...kinds].sort()).toEqual(['freeze', 'kill', 'restart', 'server', 'wipe']);
    const cluster = new FaultPlan(5, { cluster: true });
    expect(Array.from({ length: 200 }, () => cluster.next().kind)).toContain('cut');
  });

  it('begins with the kinds that are asked for, and freezes for longer than a lease', () => {
    const first = ['freeze', 'server', 'kill'] as const;
    const plan = new FaultPlan(1, { first });
    const faults = [plan.next(), plan.next(), plan.next()];
    expect(plan.beginning).toBe(0);
    expect(faults.map(({ kind }) => kind).sort()).toEqual([...first].sort());
    for (const { kind, awayMs } of faults) if (kind === 'freeze') expect(awayMs).toBeGreaterThan(2_000);
    expect([isKill('kill'), isKill('wipe'), isKill('restart')]).toEqual([true, true, false]);
  });
});

describe('all has settled', () => {
  const node = (owned: number[], ready: number[], more: Partial<NodeStatus> = {}): NodeStatus =>
    ({
      serving: true,
      partitions: owned.map((partition) => ({ partition, lagMessages: 0 })),
      followed: ready.map((partition) => ({ partition, ready: true })),
      ...more,
    }) as unknown as NodeStatus;

  it('when each partition has one owner and its standbys, and not before', () => {
    expect(unsettled([node([0], [1]), node([1], [0])], 2, 1)).toBeUndefined();
    expect(unsettled([node([0, 1], []), node([], [])], 2, 0)).toBeUndefined();
    expect(unsettled([node([0], []), undefined], 2, 0)).toBe('n2 does not answer');
    expect(unsettled([node([0], []), node([1], [], { serving: false })], 2, 0)).toBe('n2 does not serve');
    expect(unsettled([node([0], []), node([0, 1], [])], 2, 0)).toBe('partition 0 has 2 owners');
    expect(unsettled([node([0], []), node([], [])], 2, 0)).toBe('partition 1 has 0 owners');
    expect(unsettled([node([0], [1]), node([1], [])], 2, 1)).toMatch(/partition 0 has 0 standbys/);
  });

  it('one node needs no standby', () => {
    expect(unsettled([node([0, 1], [])], 2, 1)).toBeUndefined();
  });
});

describe('a drift', () => {
  const series = (value: (i: number) => number) => ({
    name: 'x',
    unit: 'MiB',
    bound: { shareAnHour: 0.05, valueAnHour: 1 },
    points: Array.from({ length: 61 }, (_, i) => ({ atMs: i * 60_000, value: value(i) })),
  });

  it('is that of the second half: what rises at first is flat', () => {
    const drift = driftOf(series((i) => (i < 30 ? i * 10 : 300)))!;
    expect(drift).toMatchObject({ flat: true, points: 31, mean: 300 });
    expect(drift.perHour).toBeCloseTo(0);
  });

  it('of a leak is not flat, and is told per hour', () => {
    const drift = driftOf(series((i) => 100 + i))!;
    expect(drift.perHour).toBeCloseTo(60);
    expect(drift.flat).toBe(false);
  });

  it('that scatter explains is flat, and so is one that falls', () => {
    expect(driftOf(series((i) => 100 + (i % 2) * 50 + i * 0.01))!.flat).toBe(true);
    expect(driftOf(series((i) => 500 - i))!.flat).toBe(true);
  });

  it('of too few points is none', () => {
    expect(driftOf({ ...series(() => 1), points: [{ atMs: 0, value: 1 }] })).toBeUndefined();
  });
});
