/** The engine whose latency is measured: a node in this process, or nodes in processes of their own. */
import type { Stack } from '../stack.js';
import { Workers } from '../worker/workers.js';

export interface EngineLook {
  /** Events that it has taken. */
  readonly taken: number;
  /** Those of them that are committed and were late. */
  readonly late: number;
  /** Processor time of processes of their own. */
  readonly cpuSeconds: number;
}

export interface MeasuredEngine {
  /** Settles when it ends, which it does not while it is measured. */
  readonly ended: Promise<unknown>;
  look(): Promise<EngineLook>;
  close(): Promise<void>;
}

export async function startEngine(stack: Stack, workers: number): Promise<MeasuredEngine> {
  return workers === 0 ? nodeHere(stack) : nodesElsewhere(stack, workers);
}

async function nodeHere(stack: Stack): Promise<MeasuredEngine> {
  const node = await stack.newNode();
  await node.start();
  return {
    ended: node.finished,
    look: () => {
      const { stats, counters } = node.status();
      return Promise.resolve({ taken: stats.events, late: counters['late'] ?? 0, cpuSeconds: 0 });
    },
    // It is the stack's.
    close: () => Promise.resolve(),
  };
}

async function nodesElsewhere(stack: Stack, count: number): Promise<MeasuredEngine> {
  const workers = await Workers.start(stack, count);
  return {
    ended: workers.failed,
    look: async () => {
      const sum = { taken: 0, late: 0, cpuSeconds: 0 };
      for (const { stats, counters, cpuSeconds } of await workers.look()) {
        sum.taken += stats.events;
        sum.late += counters['late'] ?? 0;
        sum.cpuSeconds += cpuSeconds;
      }
      return sum;
    },
    close: () => workers.kill(),
  };
}
