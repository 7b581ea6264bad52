/**
 * What a seed decides before a run: how large it is, what can go wrong in it and how often. Swarm testing: each seed switches
 * about half of the kinds of faults off, for a fault that is always there hides what needs its absence (a node that is
 * killed every second never gets to purge).
 *
 * Source: Groce, Zhang, Eide, Chen, Regehr: Swarm testing, ISSTA 2012.
 */
import type { NodeLimits } from '../../src/node/node.js';
import { MINUTE, T0 } from '../support/market.js';
import { Dice } from './dice.js';
import type { WorkloadOptions } from './workload.js';

/** Mean time between two of a kind, virtual ms, when it is on. */
const TIMED = {
  'kill-node': [3_000, 30_000],
  'freeze-node': [4_000, 30_000],
  'restart-node': [4_000, 30_000],
  'rolling-restart': [15_000, 60_000],
  'jump-clock': [3_000, 20_000],
  'fill-disk': [6_000, 40_000],
  'damage-disk': [6_000, 40_000],
  'kill-server': [6_000, 40_000],
  'lose-leader': [5_000, 30_000],
  'slow-disk': [5_000, 30_000],
  disconnect: [1_000, 15_000],
  'kill-producer': [2_000, 20_000],
  'delete-stream': [20_000, 40_000],
} as const;

/** Probability at each batch, transaction or event, when it is on. */
const STEPPED = {
  'cut-batch': [0.005, 0.08],
  'silence-batch': [0.002, 0.02],
  'refuse-batch': [0.01, 0.1],
  'die-at-batch': [0.002, 0.04],
  'die-at-snapshot': [0.005, 0.08],
  'reorder-events': [1, 1],
  'late-events': [0.005, 0.05],
  'repeat-events': [0.01, 0.1],
  'abandon-producer': [0.2, 0.6],
  'producer-ahead': [0.3, 1],
} as const;

export type TimedFault = keyof typeof TIMED;
export type SteppedFault = keyof typeof STEPPED;
export type FaultKind = TimedFault | SteppedFault;

export const TIMED_FAULTS = Object.keys(TIMED) as TimedFault[];
export const FAULT_KINDS: readonly FaultKind[] = [
  ...TIMED_FAULTS,
  ...(Object.keys(STEPPED) as SteppedFault[]),
];
/** On in few seeds only: nothing comes after it. */
const RARE: Partial<Record<FaultKind, number>> = { 'delete-stream': 0.02 };

export interface Plan {
  readonly seed: number;
  readonly mode: 'replay' | 'live';
  readonly nodes: number;
  /** Nodes share the partitions; otherwise one has them all, and another stands in when it seems to be gone. */
  readonly membership: boolean;
  readonly standbys: number;
  readonly partitions: number;
  /** Lengths of windows, minutes. */
  readonly windows: readonly number[];
  readonly presenceMs: number;
  readonly boundMs: number;
  readonly allowedLatenessMs: number;
  readonly idleTimeoutMs: number;
  /** What a live producer says of a later time than this is not believed; undefined: everything is. */
  readonly clockToleranceMs: number | undefined;
  readonly payloadBytesMax: number;
  readonly frameEvents: number;
  readonly framesPerFlush: number;
  readonly publishers: boolean;
  /** Base snapshots are made so often; undefined: none are. */
  readonly bases:
    { readonly everyMs: number; readonly journalBytesMax: number; readonly keep: number } | undefined;
  readonly limits: Partial<NodeLimits>;
  readonly workload: WorkloadOptions;
  /** Faults happen for so long, virtual ms. */
  readonly chaosMs: number;
  /** How often each kind of fault happens; those that are off are not there. */
  readonly faults: Partial<Readonly<Record<FaultKind, number>>>;
}

export interface PlanOptions {
  /** Kinds of faults that are off whatever the seed says. */
  readonly without?: readonly FaultKind[];
  /** Kinds of faults that are on whatever the seed says. */
  readonly with?: readonly FaultKind[];
}

export function makePlan(seed: number, options: PlanOptions = {}): Plan {
  const dice = new Dice(seed).of('plan');
  const mode = dice.chance(0.65) ? 'replay' : 'live';
  const faults = chooseFaults(dice.of('faults'), options);
  const windows = dice.pick([
    [1, 5],
    [1, 5],
    [1, 5, 15],
    [1, 5, 15, 60],
  ]);
  const chaosMs = dice.int(10_000, 40_000);
  const boundMs = dice.pick([1_000, 5_000, 5_000, 20_000]);
  const minutes = mode === 'live' ? 1 : dice.int(2, 5);
  return {
    seed,
    mode,
    nodes: dice.pick([1, 2, 2, 3, 3, 4]),
    membership: dice.chance(0.85),
    standbys: dice.int(0, 1),
    partitions: dice.int(1, 6),
    windows: mode === 'live' ? [1, 5] : windows,
    presenceMs: mode === 'live' ? 60_000 : dice.pick([60_000, 120_000, 300_000]),
    boundMs,
    allowedLatenessMs: dice.pick([1, 3, 10]) * MINUTE,
    idleTimeoutMs: dice.pick([10_000, 30_000]),
    clockToleranceMs: faults['producer-ahead'] === undefined ? undefined : MINUTE,
    payloadBytesMax: dice.pick([4_096, 16_384, 1024 * 1024]),
    frameEvents: dice.int(1, 40),
    framesPerFlush: dice.int(1, 4),
    publishers: dice.chance(0.3),
    bases: dice.chance(0.5)
      ? {
          everyMs: dice.int(500, 8_000),
          journalBytesMax: dice.pick([4_000, 50_000, 10_000_000]),
          keep: dice.int(1, 3),
        }
      : undefined,
    limits: {
      commitEveryMs: dice.pick([0, 0, 50, 200]),
      closingCommitEveryMs: dice.pick([0, 50]),
      snapshotEveryMs: dice.pick([0, 100, 1_000, 5_000]),
      turnTimersMax: dice.pick([1, 7, 50, 2_000]),
      turnBytes: dice.pick([1, 2_000, 262_144]),
      uncommittedEventsMax: dice.pick([20, 1_000, 50_000]),
      residentActorsMax: dice.pick([5, 50, 1_000_000]),
      idleMs: dice.pick([0, 3, 100, 10_000]),
      pendingSnapshotActorsMax: dice.pick([20, 500_000]),
      batchBytesMax: dice.pick([1, 4_000, 16 * 1024 * 1024]),
      behindMessages: dice.pick([0, 4, 64]),
      historyMs: dice.pick([2_000, 24 * 3_600_000]),
    },
    workload: {
      startMs: T0,
      minutes,
      drivers: dice.int(1, 8),
      riders: dice.int(0, 6),
      pingEveryMs: dice.pick([4_000, 10_000, 20_000]),
      ridesPerRider: dice.int(1, 3),
      producers: dice.pick([1, 1, 2, 3]),
      boundMs,
      reorder: faults['reorder-events'] !== undefined,
      late: faults['late-events'] ?? 0,
      lateMsMax: 3 * MINUTE,
      twice: faults['repeat-events'] ?? 0,
      ids: mode === 'live',
      ahead: mode === 'live' ? (faults['producer-ahead'] ?? 0) : 0,
    },
    chaosMs: mode === 'live' ? minutes * MINUTE : chaosMs,
    faults,
  };
}

function chooseFaults(dice: Dice, { without = [], with: wanted = [] }: PlanOptions): Plan['faults'] {
  const faults: Partial<Record<FaultKind, number>> = {};
  for (const [kind, [least, most]] of Object.entries({ ...TIMED, ...STEPPED }) as [
    FaultKind,
    readonly [number, number],
  ][]) {
    // Thrown whether it is used or not: switching one kind off leaves the others as they are.
    const on = dice.chance(RARE[kind] ?? 0.4);
    const howOften = dice.between(least, most);
    if ((on || wanted.includes(kind)) && !without.includes(kind)) faults[kind] = howOften;
  }
  return faults;
}
