/**
 * A stage bench: one question, the engine's own code and baselines beside it, on the same input. Each candidate does
 * many operations a call and gives something that hangs on all of them, so that nothing can be left out; candidates
 * that compute the same thing give the same value.
 */
import { Bench } from 'tinybench';

export interface Candidate {
  readonly name: string;
  /** Operations in one call. */
  readonly operations: number;
  /** Called before each `run`, not timed. */
  readonly prepare?: () => void | Promise<void>;
  /** Gives a value that hangs on all the work done. */
  readonly run: () => number | Promise<number>;
}

export interface PreparedStage {
  /** The engine's own first, baselines after it. */
  readonly candidates: readonly Candidate[];
  readonly close?: () => Promise<void>;
}

export interface Stage {
  readonly name: string;
  readonly question: string;
  /** What one operation is: `event`, `row`, … */
  readonly operation: string;
  prepare(size: StageSize): PreparedStage | Promise<PreparedStage>;
}

/** `small` is for tests: it only has to be right. */
export type StageSize = 'small' | 'full';

export interface StageReport {
  readonly stage: string;
  readonly question: string;
  readonly operation: string;
  readonly candidates: readonly { readonly name: string; readonly nsPerOperation: number }[];
}

const TIME_MS = 600;
const WARMUP_MS = 300;
const ITERATIONS_MIN = 15;
const NS_PER_MS = 1e6;

/** Where results go: seen from outside this module, so that no result is without a use. */
export const sink = { value: 0 };

/** @throws Error when a candidate fails, or is too fast for the timer to tell */
export async function measureStage(stage: Stage, size: StageSize): Promise<StageReport> {
  const { candidates, close } = await stage.prepare(size);
  try {
    const bench = new Bench({
      name: stage.name,
      time: TIME_MS,
      warmupTime: WARMUP_MS,
      iterations: ITERATIONS_MIN,
      warmupIterations: 5,
      throws: true,
    });
    const saturated: string[] = [];
    bench.addEventListener('warning', ({ task, reason }) => {
      saturated.push(`${task.name} (${reason ?? 'unknown'})`);
    });
    for (const candidate of candidates) {
      const { prepare } = candidate;
      bench.add(
        candidate.name,
        async () => {
          sink.value += await candidate.run();
        },
        prepare === undefined ? {} : { beforeEach: prepare },
      );
    }
    await bench.run();
    if (saturated.length > 0)
      throw new Error(`${stage.name}: too fast for the timer: ${saturated.join(', ')}; do more in one call`);
    return {
      stage: stage.name,
      question: stage.question,
      operation: stage.operation,
      candidates: bench.tasks.map(({ name, result }, i) => {
        if (result.state !== 'completed') throw new Error(`${stage.name}: ${name} did not complete`);
        return {
          name,
          nsPerOperation: Number(
            ((result.latency.p50 * NS_PER_MS) / candidates[i]!.operations).toPrecision(4),
          ),
        };
      }),
    };
  } finally {
    await close?.();
  }
}

/** Each candidate once: what it gave. For tests. */
export async function tryStage(stage: Stage): Promise<Record<string, number>> {
  const { candidates, close } = await stage.prepare('small');
  try {
    const gave: Record<string, number> = {};
    for (const candidate of candidates) {
      await candidate.prepare?.();
      gave[candidate.name] = await candidate.run();
    }
    return gave;
  } finally {
    await close?.();
  }
}
