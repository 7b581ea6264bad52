/** Workers in the place of a node: what `start --workers N` runs beside its HTTP server, its view and its intake. */
import { join } from 'node:path';
import { systemClock } from '../core/clock.js';
import type { Logger } from '../core/logger.js';
import type { NodeObserver } from '../node/status.js';
import { Peers } from '../serve/nodes/peers.js';
import { WorkersNode } from '../serve/nodes/workers-node.js';
import type { Engine } from './engine.js';
import type { Shared } from './engine-options.js';
import type { WorkerStart } from './worker-messages.js';
import { spawnWorker } from './worker-process.js';
import { Workers } from './workers.js';

export interface HostedWorkersOptions {
  readonly count: number;
  readonly engine: Engine;
  /** As of the parent; each worker gets a folder and a name of its own. */
  readonly start: Omit<WorkerStart['engine'], 'shared'> & {
    readonly shared: Shared;
    readonly dataDir: string;
  };
  readonly logLevel: WorkerStart['logLevel'];
  readonly observer: NodeObserver;
  /** Without fields of the parent: lines of workers carry their own. */
  readonly logger: Logger;
}

export interface HostedWorkers {
  readonly node: WorkersNode;
  /** Rejects when workers cannot be run as they are configured; never resolves. */
  readonly failed: Promise<never>;
  /** Drains them. */
  close(): Promise<void>;
}

/** Resolves when all of them run. */
export async function hostWorkers(options: HostedWorkersOptions): Promise<HostedWorkers> {
  const { count, engine, start, logLevel, observer, logger } = options;
  const { subjects, requests, config, target: nats } = engine;
  const workers = new Workers({
    clock: systemClock,
    logger,
    observer,
    workers: Array.from({ length: count }, (_, i) => ({
      name: `${start.shared.name}-${i + 1}`,
      start: {
        kind: 'start',
        logLevel,
        engine: {
          ...start,
          nats,
          dataDir: join(start.dataDir, `worker-${i + 1}`),
          shared: { ...start.shared, name: `${start.shared.name}-${i + 1}` },
        },
      },
    })),
    spawn: (name, onMessage) => spawnWorker({ name, logger, onMessage }),
  });
  const node = new WorkersNode({
    region: config.name,
    partitionCount: config.partitions,
    peers: new Peers({ requests, subjects }),
    clock: systemClock,
    workers: () => workers.all,
  });
  try {
    await workers.start();
    await node.start();
  } catch (error) {
    workers.kill();
    throw error;
  }
  return {
    node,
    failed: workers.failed,
    close: async () => {
      node.draining();
      await workers.stop();
      await node.close();
    },
  };
}
