/**
 * A cold start: a node with many actors on its data folder is killed while it works, and started again. Measured from the start
 * of the process until the first batch that takes input is acknowledged: input waits for it in the stream. nats-server runs on;
 * the page cache is warm.
 *
 * Afterwards, when it is asked for, the workload goes on to its end, and the rows are those of a run that nobody has killed.
 */
import { join } from 'node:path';
import { EngineRun, resultOf, type Result } from './canonical.js';
import type { Producer } from '../src/ingest/producer.js';
import type { Market } from './market.js';
import { openStack, type Stack } from './stack.js';
import type { WorkerStart } from './worker/messages.js';
import { Worker } from './worker/worker.js';
import { CanonicalWorkload } from './workload.js';

export interface ColdStartSize {
  readonly drivers: number;
  readonly seed: number;
  /** Goes on until every window is final. */
  readonly toTheEnd?: boolean;
}

export interface ColdStartReport {
  /** From the start of the process: until input is committed, until all partitions are owned, until nothing waits any more. */
  readonly firstCommitSeconds: number;
  readonly readySeconds: number;
  readonly caughtUpSeconds: number;
  /** Journal entries behind the snapshots, which it had to apply. */
  readonly entriesRecovered: number;
  readonly snapshotBytes: number;
  /** When it went on to the end. */
  readonly result: Result | undefined;
}

/** Events of the whole, per driver: two pings each, and half of another. */
export const PINGS = 2.5;
/** Shares of them: in the snapshots when it is killed; taken then, or perhaps not; waiting for it. */
const BEFORE = 0.8;
const AT_THE_KILL = 0.9;

export async function measureColdStart(market: Market, size: ColdStartSize): Promise<ColdStartReport> {
  const stack = await openStack(market);
  const workers: Worker[] = [];
  try {
    const events = Math.floor(PINGS * size.drivers);
    const start: WorkerStart = {
      ...{ market: market.options, target: stack.target },
      ...{ folder: join(stack.folder, 'cold'), id: 'cold' },
      // All of them may be in memory, before the kill and after.
      limits: { residentActorsMax: 2 * size.drivers },
    };
    const feed = new Feed(stack, { ...size, events });
    const first = new Worker(start);
    workers.push(first);
    await first.ready();
    await feed.upTo(BEFORE * events);
    await first.until('all is in the snapshots', (look) => {
      return look.stats.events >= feed.offered && look.lagMessages === 0 && look.pendingActors === 0;
    });
    const batches = (await first.look()).stats.batches;
    await feed.upTo(AT_THE_KILL * events);
    await first.until('more is committed', (look) => look.stats.batches > batches);
    await first.kill();
    const waiting = events - feed.offered;
    await feed.upTo(events);

    const startedMs = performance.now();
    const elapsed = (): number => (performance.now() - startedMs) / 1_000;
    const second = new Worker(start);
    workers.push(second);
    const committed = second.committed.then(elapsed);
    await second.ready();
    const readySeconds = elapsed();
    const firstCommitSeconds = await Promise.race([committed, second.failed]);
    const { stats, snapshotBytes } = await second.until('nothing waits', (look) => look.lagMessages === 0);
    const caughtUpSeconds = elapsed();

    const report = { firstCommitSeconds, readySeconds, caughtUpSeconds, snapshotBytes };
    const { entriesRecovered, events: taken } = stats;
    if (taken < waiting) throw new Error(`${taken} events were taken after the start, and ${waiting} waited`);
    if (size.toTheEnd !== true) return { ...report, entriesRecovered, result: undefined };
    const engine = { stats: { events: 0, batches: 0, batchBytes: 0 }, finished: second.failed };
    const run = new EngineRun(stack, engine, events);
    await run.finish(feed.producer);
    return { ...report, entriesRecovered, result: await resultOf(stack, run) };
  } finally {
    await Promise.all(workers.map((worker) => worker.kill()));
    await stack.close();
  }
}

/** The workload, a piece at a time. */
class Feed {
  offered = 0;
  readonly producer: Producer;
  readonly #ticks: ReturnType<CanonicalWorkload['ticks']>;

  constructor(stack: Stack, size: { drivers: number; events: number; seed: number }) {
    this.producer = stack.newProducer();
    this.#ticks = new CanonicalWorkload({ ...size, cover: stack.market.config.cover }).ticks();
  }

  async upTo(events: number): Promise<void> {
    while (this.offered < events) {
      const tick = this.#ticks.next();
      if (tick.done === true) break;
      for (const ping of tick.value) this.producer.offer(ping);
      this.offered += tick.value.length;
      if (this.producer.full) await this.producer.flush();
    }
    await this.producer.flush();
  }
}
