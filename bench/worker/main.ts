/**
 * A node of the bench's region in a process of its own, as `groundswell start` runs one, but for what is outside the engine:
 * membership by leases, snapshots on its folder, publishers of side outputs for what it owns. Told what to do over the
 * channel to its parent, and gone with it.
 */
import { randomUUID } from 'node:crypto';
import { systemClock } from '../../src/core/clock.js';
import { connectNats } from '../../src/log/nats/connect.js';
import { ensureLeases } from '../../src/log/nats/lease-bucket.js';
import { NatsLeases } from '../../src/log/nats/nats-leases.js';
import { NatsLog } from '../../src/log/nats/nats-log.js';
import { Subjects } from '../../src/log/subjects.js';
import { Node } from '../../src/node/node.js';
import { unclaimed, untilClaimed } from '../../src/serve/nodes/first-share.js';
import { Publishers } from '../../src/serve/publishers.js';
import { sideTarget } from '../../src/serve/publisher.js';
import { LmdbStore } from '../../src/state/lmdb/lmdb-store.js';
import { cpuSecondsSoFar } from '../machine.js';
import { canonicalMarket } from '../market.js';
import { nodeOptionsOf } from '../stack.js';
import type { FromWorker, ToWorker, WorkerLook, WorkerStart } from './messages.js';

interface Running {
  readonly node: Node;
  stop(): Promise<void>;
}

let running: Promise<Running> | undefined;

process.on('message', (message: ToWorker) => {
  answer(message).catch(fail);
});
// Whoever started it is gone, and so is what it was for.
process.once('disconnect', () => process.exit());

async function answer(message: ToWorker): Promise<void> {
  switch (message.kind) {
    case 'start':
      running = start(message.start);
      await untilClaimed((await running).node, systemClock);
      say({ kind: 'ready' });
      return;
    case 'look':
      say({ kind: 'look', look: look((await running!).node, message.collect) });
      return;
    case 'stop':
      await (await running!).stop();
      say({ kind: 'stopped' });
      process.disconnect();
      return;
  }
}

async function start({ market: marketOptions, target, folder, id, limits }: WorkerStart): Promise<Running> {
  const market = canonicalMarket(marketOptions);
  const { partitions } = market.config;
  const subjects = new Subjects(market.config.name);
  const { connection, jsm } = await connectNats(target, `groundswell bench ${id}`);
  const writer = randomUUID();
  const logOf = (stream: string): NatsLog => new NatsLog(connection, jsm, { stream, writer });
  const log = logOf(subjects.engineStream);
  const store = await LmdbStore.open(folder, { region: market.config.name, partitions });
  store.expectWrites();
  await ensureLeases(jsm, subjects);
  const publishers = new Publishers({
    source: log,
    targets: [sideTarget(logOf(subjects.sideStream), subjects)],
    subjects,
    clock: systemClock,
    onFailure: fail,
  });
  const options = nodeOptionsOf(market, writer);
  const inputAtStart = new Map<number, number>();
  let committed = false;
  const lookForInput = (): void => {
    const { partitions: owned } = node.status();
    const isLater = owned.some(({ partition, inputSeq }) => inputSeq > inputAtStart.get(partition)!);
    if (isLater && !committed) say({ kind: 'committed' });
    committed ||= isLater;
  };
  const node = new Node({
    ...options,
    limits: { ...options.limits, ...limits },
    ...{ log, store, subjects, clock: systemClock },
    membership: {
      leases: new NatsLeases(connection, jsm, { bucket: subjects.nodesBucket }),
      ...{ id, name: id, weight: 1, version: 'bench', standbys: 0 },
    },
    observer: {
      committed: () => {
        // Told before the node has noted it.
        if (!committed) queueMicrotask(lookForInput);
      },
      snapshotWritten: () => undefined,
    },
    ...publishers.nodeHooks,
    onOwned: (partition) => {
      inputAtStart.set(partition, node.partition(partition)!.inputSeq);
      publishers.begin(partition);
    },
  });
  await node.start();
  node.finished.catch(fail);
  return {
    node,
    stop: async () => {
      await node.stop();
      await publishers.close();
      await store.close();
      await connection.close();
    },
  };
}

function look(node: Node, collect: boolean): WorkerLook {
  if (collect) {
    if (gc === undefined) throw new Error('no garbage can be collected: start it with --expose-gc');
    // Twice: what the first one finds, finalizers let go of.
    for (let i = 0; i < 2; i++) void gc();
  }
  const status = node.status();
  const { heapUsed, external } = process.memoryUsage();
  return {
    stats: status.stats,
    counters: status.counters,
    owned: status.partitions.length,
    claimed: unclaimed(status).length === 0,
    lagMessages: status.partitions.reduce((sum, { lagMessages }) => sum + lagMessages, 0),
    residentActors: node.residentActors,
    pendingActors: status.snapshot.pendingActors,
    snapshotBytes: status.snapshot.fileBytes,
    cpuSeconds: cpuSecondsSoFar(),
    heapBytes: heapUsed,
    externalBytes: external,
  };
}

function say(message: FromWorker): void {
  if (process.connected) process.send!(message, undefined, undefined, () => undefined);
}

function fail(error: unknown): void {
  say({ kind: 'failed', message: error instanceof Error ? (error.stack ?? error.message) : String(error) });
}
