/**
 * What an actor costs in memory and on disk: a node in a process of its own, given drivers that ping for a while, and looked at
 * when it has taken everything and its snapshots are written. Of two numbers of drivers, the difference of what is in use
 * divided by the difference of the actors: whatever is there once, cells and code and buffers, cancels out.
 *
 * - **Active**: nothing is passivated; each driver holds the pings of a minute that is not over.
 * - **Passivated, timer standing**: the node was told to passivate early; a minute of each driver is not sealed, so its timer
 *   stands.
 * - **Passivated**: time has passed until no driver's ping holds any more, and no driver has a timer.
 */
import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { open } from 'lmdb';
import type { NodeLimits } from '../src/node/limits.js';
import type { Producer } from '../src/ingest/producer.js';
import { LmdbStore } from '../src/state/lmdb/lmdb-store.js';
import { produce } from './canonical.js';
import type { Market } from './market.js';
import { openStack, type Stack } from './stack.js';
import type { WorkerLook } from './worker/messages.js';
import { Worker } from './worker/worker.js';

export interface MemorySize {
  readonly drivers: number;
  /** Of each driver; they are five seconds apart. */
  readonly pings: number;
  readonly seed: number;
}

/** Of a node, at rest. */
export interface InUse {
  /** Of all types. */
  readonly residentActors: number;
  readonly heapBytes: number;
  readonly externalBytes: number;
}

export interface MemoryAt {
  readonly drivers: number;
  readonly active: InUse;
  readonly passivatedWithTimer: InUse;
  readonly passivated: InUse;
  readonly disk: {
    /** Drivers that have a record. */
    readonly drivers: number;
    readonly recordBytes: number;
    /** Of the file, with what it keeps for pages to come. */
    readonly fileBytes: number;
    /** Of a compacted copy: the pages in use. */
    readonly compactedBytes: number;
  };
}

export interface MemoryPerDriver {
  readonly active: number;
  readonly passivatedWithTimer: number;
  readonly passivated: number;
  readonly diskCompacted: number;
  readonly diskFile: number;
  readonly diskRecord: number;
}

/** What is taken is committed at once: what waits for a commit is no actor's memory. */
const AT_ONCE: Partial<NodeLimits> = { replayCommitEveryMs: 0 };
const NEVER: Partial<NodeLimits> = {
  ...AT_ONCE,
  idleMs: Number.MAX_SAFE_INTEGER,
  residentActorsMax: 100_000_000,
};
/** So soon that a rest of the bench is enough; looked for in many short turns. */
const SOON: Partial<NodeLimits> = { ...AT_ONCE, idleMs: 200, tickMs: 1 };
/** Past presence, and the longest window of a cell. */
const REST_MS = 2 * 3_600_000;

export async function memoryAt(market: Market, size: MemorySize): Promise<MemoryAt> {
  const active = await withNode(market, size, NEVER, async ({ settled }) => inUse(await settled()));
  return withNode(market, size, SOON, async ({ stack, worker, producer, settled, folder }) => {
    const isAtRest = ({ residentActors }: WorkerLook): boolean => residentActors === 0;
    const passivatedWithTimer = inUse(await settled(isAtRest));
    const { frames } = (await worker.look()).stats;
    await producer.advanceTo(producer.latestMs! + REST_MS);
    const passivated = inUse(
      await settled((look) => isAtRest(look) && look.stats.frames >= frames + stack.market.config.partitions),
    );
    await worker.stop();
    const disk = await diskOf(folder, market);
    return { drivers: size.drivers, active, passivatedWithTimer, passivated, disk };
  });
}

/** What one driver more takes. */
export function perDriver(small: MemoryAt, large: MemoryAt): MemoryPerDriver {
  const drivers = large.drivers - small.drivers;
  const memory = (of: (at: MemoryAt) => InUse): number =>
    (of(large).heapBytes + of(large).externalBytes - of(small).heapBytes - of(small).externalBytes) / drivers;
  const disk = (of: (at: MemoryAt) => number): number => (of(large) - of(small)) / drivers;
  return {
    active: memory((at) => at.active),
    passivatedWithTimer: memory((at) => at.passivatedWithTimer),
    passivated: memory((at) => at.passivated),
    diskCompacted: disk((at) => at.disk.compactedBytes),
    diskFile: disk((at) => at.disk.fileBytes),
    diskRecord: disk((at) => at.disk.recordBytes),
  };
}

interface Fed {
  readonly stack: Stack;
  readonly worker: Worker;
  readonly producer: Producer;
  readonly folder: string;
  /** Looks, garbage collected, once everything is taken, committed and in the snapshots, and something more is so. */
  readonly settled: (isSo?: (look: WorkerLook) => boolean) => Promise<WorkerLook>;
}

async function withNode<T>(
  market: Market,
  { drivers, pings, seed }: MemorySize,
  limits: Partial<NodeLimits>,
  work: (fed: Fed) => Promise<T>,
): Promise<T> {
  const stack = await openStack(market);
  const folder = join(stack.folder, 'memory');
  const worker = new Worker({ market: market.options, target: stack.target, folder, id: 'memory', limits });
  try {
    await worker.ready();
    const events = drivers * pings;
    const producer = await produce(stack, { drivers, events, seed });
    const settled = async (isSo: (look: WorkerLook) => boolean = () => true): Promise<WorkerLook> => {
      await worker.until('all is in the snapshots', (look) => {
        const { stats, lagMessages, pendingActors } = look;
        return stats.events >= events && lagMessages === 0 && pendingActors === 0 && isSo(look);
      });
      return worker.look(true);
    };
    return await work({ stack, worker, producer, folder, settled });
  } finally {
    await worker.kill();
    await stack.close();
  }
}

function inUse({ residentActors, heapBytes, externalBytes }: WorkerLook): InUse {
  return { residentActors, heapBytes, externalBytes };
}

async function diskOf(folder: string, { config }: Market): Promise<MemoryAt['disk']> {
  const { name: region, partitions } = config;
  const store = await LmdbStore.open(folder, { region, partitions });
  const fileBytes = store.sizeBytes();
  let drivers = 0;
  let recordBytes = 0;
  for (let partition = 0; partition < partitions; partition++) {
    const exported = store.export(partition)!;
    for (const bite of exported.bites) {
      for (const [id, bytes] of bite) {
        if (!id.startsWith('driver/')) continue;
        drivers++;
        recordBytes += bytes.byteLength;
      }
    }
    exported.close();
  }
  await store.close();

  const copy = `${folder}-compacted`;
  await mkdir(copy);
  const root = open({ path: folder, maxDbs: 2 * partitions + 4, compression: false, readOnly: true });
  await root.backup(copy, true);
  await root.close();
  const { size: compactedBytes } = await stat(join(copy, 'data.mdb'));
  return { drivers, recordBytes, fileBytes, compactedBytes };
}
