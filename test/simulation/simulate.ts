/** Runs a seed from beginning to end, and finds out which faults a failure needs. */
import type { Violation } from './audit.js';
import { FAULT_KINDS, makePlan, type FaultKind, type Plan, type PlanOptions } from './schedule.js';
import type { TraceLine } from './sim-clock.js';
import type { Canary } from './sim-node.js';
import { World } from './world.js';

export interface SimulateOptions extends PlanOptions {
  /** The engine, broken on purpose: made anew for each run. */
  readonly canary?: () => Canary;
  readonly trace?: (line: TraceLine) => void;
}

export interface SeedResult {
  readonly seed: number;
  readonly plan: Plan;
  readonly violations: readonly Violation[];
  /** Of all that happened: the same seed has the same. */
  readonly hash: number;
  readonly events: number;
  readonly virtualMs: number;
  /** Commits that were stored, and starts of nodes. */
  readonly commits: number;
  readonly ends: number;
  /** How often a partition got another owner, and how often it was handed over. */
  readonly taken: number;
  readonly handedOver: number;
  readonly happened: Readonly<Record<string, number>>;
}

export async function simulate(seed: number, options: SimulateOptions = {}): Promise<SeedResult> {
  const plan = makePlan(seed, options);
  const world = new World(plan, options.canary?.());
  if (options.trace !== undefined) world.scheduler.trace = options.trace;
  await world.run();
  const { scheduler, audit } = world;
  return {
    seed,
    plan,
    violations: audit.violations,
    hash: scheduler.hash,
    events: scheduler.events,
    virtualMs: scheduler.nowMs,
    commits: audit.entries,
    ends: world.ends.length,
    taken: audit.taken,
    handedOver: audit.handedOver,
    happened: Object.fromEntries(world.faults.happened),
  };
}

/** Switches kinds of faults off, one by one, as long as the seed still fails. Gives those that may be off. */
export async function shrink(seed: number, options: SimulateOptions = {}): Promise<FaultKind[]> {
  const on = makePlan(seed, options).faults;
  let without = [...(options.without ?? [])];
  for (const kind of FAULT_KINDS) {
    if (on[kind] === undefined) continue;
    const { violations } = await simulate(seed, { ...options, without: [...without, kind] });
    if (violations.length > 0) without = [...without, kind];
  }
  return without;
}
