/**
 * How the engine's throughput hangs on the number of actors, and on the number of processes.
 *
 * Processes: nodes in processes of their own share the region's partitions through membership, over one nats-server; the
 * producer is in another, the reader of rows in this one. Measured as the canonical bench's end to end, from the first event until
 * every window is final in `out`. With one process the same, so that what differs is the number of nodes alone.
 */
import { EngineRun, resultOf, type CanonicalSize, type EngineTiming, type Result } from './canonical.js';
import type { Market } from './market.js';
import { RemoteProducer } from './remote-producer.js';
import { openStack } from './stack.js';
import { Workers } from './worker/workers.js';

export interface NodeShare {
  readonly partitions: number;
  readonly events: number;
  readonly cpuSeconds: number;
}

export interface ProcessesRun {
  readonly timing: EngineTiming;
  readonly nodes: readonly NodeShare[];
  readonly result: Result;
}

/** @throws Error when a partition changed its owner on the way, or events are missing */
export async function runProcesses(
  market: Market,
  size: CanonicalSize,
  processes: number,
): Promise<ProcessesRun> {
  const stack = await openStack(market);
  let workers: Workers | undefined;
  try {
    workers = await Workers.start(stack, processes);
    const before = await workers.look();
    const stats = { events: 0, batches: 0, batchBytes: 0 };
    const producer = await RemoteProducer.open(stack.target, market, size);
    const run = new EngineRun(stack, { stats, finished: workers.failed }, size.events);
    await run.finish(producer.produce());
    const nodes = (await workers.look()).map((look, i) => {
      stats.events += look.stats.events;
      stats.batches += look.stats.batches;
      stats.batchBytes += look.stats.batchBytes;
      const cpuSeconds = look.cpuSeconds - before[i]!.cpuSeconds;
      return { partitions: look.owned, events: look.stats.events, cpuSeconds };
    });
    const result = await resultOf(stack, run);
    if (result.taken !== size.events) throw new Error(`${result.taken} events took effect of ${size.events}`);
    return { timing: run.timing(), result, nodes };
  } finally {
    await workers?.kill();
    await stack.close();
  }
}
