/**
 * What a new machine waits for: the states of a region from the object store of a real nats-server into an empty LMDB, partition
 * by partition, each checked against what was stored. And beside it the making of the base snapshots, and the plain bytes.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pack } from 'msgpackr';
import { systemClock } from '../src/core/clock.js';
import { partitionOf } from '../src/core/hash.js';
import { actorId } from '../src/core/ids.js';
import { connectNats } from '../src/log/nats/connect.js';
import { NatsObjects } from '../src/log/nats/nats-objects.js';
import { startEmbeddedServer } from '../src/log/nats/server/embedded.js';
import { locateNatsServer } from '../src/log/nats/server/locate.js';
import { Subjects } from '../src/log/subjects.js';
import { makeBase, restoreBase } from '../src/node/base/base-maker.js';
import { Changes, type ActorChange } from '../src/partition/changes.js';
import { encodeControl, type BasePointer } from '../src/partition/journal.js';
import { LmdbStore } from '../src/state/lmdb/lmdb-store.js';

export interface RecoveryOptions {
  readonly actors: number;
  /** Of one record, roughly. */
  readonly bytesEach: number;
  readonly partitions: number;
}

export interface RecoveryReport {
  readonly actors: number;
  readonly bytes: number;
  readonly makeSeconds: number;
  /** The same bytes, read from the object store and thrown away. */
  readonly readSeconds: number;
  readonly restoreSeconds: number;
  /** Longest time that making bases kept everything else waiting, ms. */
  readonly heldUpMs: number;
}

const REGION = 'bench';

export async function measureRecovery(options: RecoveryOptions): Promise<RecoveryReport> {
  const { partitions } = options;
  const folder = await mkdtemp(join(tmpdir(), 'groundswell-bench-'));
  const { path: binary } = await locateNatsServer({});
  const server = await startEmbeddedServer({ dataDir: folder, binary, clock: systemClock });
  const { connection, jsm } = await connectNats(server, 'groundswell bench');
  try {
    const bucket = new Subjects(REGION).baseBucket;
    const objects = await NatsObjects.open({ connection, jsm, bucket });
    const from = await LmdbStore.open(join(folder, 'from'), { region: REGION, partitions });
    await fill(from, options);
    const watch = new TurnWatch();
    const made = await timed(async () => {
      const pointers: BasePointer[] = [];
      for (let partition = 0; partition < partitions; partition++)
        pointers.push((await makeBase(placeOf(partition, from, objects, partitions)))!);
      return pointers;
    });
    const heldUpMs = watch.stop();
    const read = await timed(async () => {
      let bytes = 0;
      for (const { name } of made.value)
        for await (const chunk of (await objects.get(name))!) bytes += chunk.byteLength;
      return bytes;
    });
    const to = await LmdbStore.open(join(folder, 'to'), { region: REGION, partitions });
    const restored = await timed(async () => {
      for (const [partition, pointer] of made.value.entries())
        await restoreBase(pointer, partition, to, objects);
    });
    const actors = compare(from, to, partitions);
    await Promise.all([from.close(), to.close()]);
    return {
      actors,
      bytes: read.value,
      makeSeconds: made.seconds,
      readSeconds: read.seconds,
      restoreSeconds: restored.seconds,
      heldUpMs,
    };
  } finally {
    await connection.close();
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

function placeOf(
  partition: number,
  store: LmdbStore,
  objects: NatsObjects,
  partitions: number,
): Parameters<typeof makeBase>[0] {
  const place = { region: REGION, partitions, partition, epoch: 1, instance: 'bench' };
  return { store, objects, clock: systemClock, ...place };
}

async function fill(store: LmdbStore, { actors, bytesEach, partitions }: RecoveryOptions): Promise<void> {
  const control = encodeControl({
    writer: 'bench',
    commit: 1,
    inputSeq: 1,
    watermarkMs: 1,
    producers: new Map(),
    marks: new Array<number>(5 * partitions).fill(0),
    closed: new Array<number>(5).fill(0),
    counters: new Map(),
    wallMs: 1,
    epoch: 1,
    handedTo: undefined,
    base: undefined,
  });
  const byPartition = Array.from({ length: partitions }, () => [] as ActorChange[]);
  for (let i = 0; i < actors; i++) {
    const id = actorId('driver', `d-${i}`);
    const timers = i % 2 === 0 ? ['seal', 1_690_000_000_000 + i] : [];
    const bytes = pack([{ n: i, pings: 'x'.repeat(Math.max(0, bytesEach - 40)) }, timers, []]);
    byPartition[partitionOf(id, partitions)]!.push({ id, bytes, timed: timers.length > 0 });
  }
  for (const [partition, changes] of byPartition.entries())
    await store.write([{ partition, journalSeq: 1, control, commits: [Changes.of(changes)] }]);
}

/** Everything is there, as it was. Gives the number of actors. */
function compare(from: LmdbStore, to: LmdbStore, partitions: number): number {
  let actors = 0;
  for (let partition = 0; partition < partitions; partition++) {
    const exported = from.export(partition)!;
    const source = to.source(partition);
    for (const bite of exported.bites) {
      for (const [id, bytes] of bite) {
        if (Buffer.compare(bytes, source.get(id) ?? Buffer.alloc(0)) !== 0)
          throw new Error(`${id} came back as something else`);
        actors++;
      }
    }
    exported.close();
  }
  return actors;
}

async function timed<T>(work: () => Promise<T>): Promise<{ value: T; seconds: number }> {
  const startedMs = performance.now();
  const value = await work();
  return { value, seconds: (performance.now() - startedMs) / 1_000 };
}

/** How long the event loop was kept from its turn. */
class TurnWatch {
  #lastMs = performance.now();
  #longestMs = 0;
  readonly #timer = setInterval(() => {
    const nowMs = performance.now();
    this.#longestMs = Math.max(this.#longestMs, nowMs - this.#lastMs - 1);
    this.#lastMs = nowMs;
  }, 1);

  stop(): number {
    clearInterval(this.#timer);
    return this.#longestMs;
  }
}
