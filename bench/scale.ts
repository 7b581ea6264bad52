/**
 * How the engine's throughput hangs on the number of actors, and on the number of processes.
 *
 * Processes: nodes in processes of their own share the region's partitions through membership, over one nats-server; the
 * producer is in another, the reader of rows in this one. Measured as the canonical bench's end to end, from the first event until
 * every window is final in `out`. With one process the same, so that what differs is the number of nodes alone.
 */
import { join } from 'node:path';
import { EngineRun, resultOf, type CanonicalSize, type EngineTiming, type Result } from './canonical.js';
import type { Market } from './market.js';
import { RemoteProducer } from './remote-producer.js';
import { rank } from '../src/node/membership/assignment.js';
import { openStack } from './stack.js';
import type { WorkerLook } from './worker/messages.js';
import { Worker } from './worker/worker.js';

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
  const { partitions, windowsMs } = market.config;
  const stack = await openStack(market);
  const workers: Worker[] = [];
  try {
    const shares = evenShares(processes, partitions);
    for (const { id } of shares)
      workers.push(
        new Worker({ partitions, windowsMs, target: stack.target, folder: join(stack.folder, id), id }),
      );
    const failed = Promise.race(workers.map(({ failed: one }) => one));
    failed.catch(() => undefined);
    await Promise.all(workers.map((worker) => worker.ready()));
    const before = await Promise.all(
      workers.map((worker, i) =>
        worker.until('its share of the partitions', ({ owned }) => owned === shares[i]!.partitions),
      ),
    );

    const stats = { events: 0, batches: 0, batchBytes: 0 };
    const producer = await RemoteProducer.open(stack.target, market, size);
    const run = new EngineRun(stack, { stats, finished: failed }, size.events);
    await run.finish(producer.produce());
    const after = await Promise.all(workers.map((worker) => worker.look()));
    const nodes = after.map((look, i) => {
      const movedBefore = moved(before[i]!);
      if (moved(look) !== movedBefore) throw new Error('a partition changed its owner on the way');
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
    await Promise.all(workers.map((worker) => worker.kill()));
    await stack.close();
  }
}

function moved({ stats }: WorkerLook): number {
  return stats.taken + stats.handedOver + stats.fenced;
}

/** Ids of nodes whose shares are as even as can be: what is asked is what processes cost, not what the hash of a name gives. */
function evenShares(processes: number, partitions: number): { id: string; partitions: number }[] {
  for (let attempt = 1; ; attempt++) {
    const ids = Array.from({ length: processes }, (_, i) => `bench-${attempt}-${i + 1}`);
    const nodes = ids.map((id) => ({ id, weight: 1 }));
    const owners = Array.from({ length: partitions }, (_, partition) => rank(partition, nodes)[0]!);
    const shares = ids.map((id) => ({ id, partitions: owners.filter((owner) => owner === id).length }));
    const most = Math.ceil(partitions / processes);
    if (shares.every((share) => share.partitions <= most)) return shares;
  }
}
