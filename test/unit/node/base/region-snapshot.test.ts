// Hunts, for snapshots of a whole region: mail that was under way and is lost or comes twice, a partition that is older or
// newer than the others, rows that are missing, wrong or there twice after a restore or with other partitions.
import { describe, expect, it } from 'vitest';
import { sleep, systemClock } from '../../../../src/core/clock.js';
import { Changes } from '../../../../src/partition/changes.js';
import type { Row } from '../../../../src/actor/row.js';
import { MemoryLeases, MemoryLeaseServer } from '../../../../src/log/memory/memory-leases.js';
import { MemoryLog } from '../../../../src/log/memory/memory-log.js';
import { MemoryObjects } from '../../../../src/log/memory/memory-objects.js';
import { lastControl } from '../../../../src/node/base/journal-tail.js';
import { makeBase, restoreBase } from '../../../../src/node/base/base-maker.js';
import { clean } from '../../../../src/node/base/base-cleaner.js';
import { decodeInputs } from '../../../../src/node/base/input-archive.js';
import { inputsName, listSnapshots, type RegionSnapshot } from '../../../../src/node/base/region-manifest.js';
import { reshapeSnapshot } from '../../../../src/node/base/region-reshape.js';
import { restoreRegion, verifySnapshot } from '../../../../src/node/base/region-restore.js';
import { takeRegionSnapshot } from '../../../../src/node/base/region-snapshot.js';
import { decodeMailFrame } from '../../../../src/partition/frame.js';
import { encodeJournalEntry } from '../../../../src/partition/journal.js';
import { decodeOutput } from '../../../../src/partition/output.js';
import { MemoryStore } from '../../../../src/state/memory/memory-store.js';
import { EagerClock } from '../../../support/eager-clock.js';
import { Engine, run, subjects, type EngineOptions } from '../../../support/engine.js';
import { until } from '../../../support/until.js';
import { handMade, MINUTE, smallCity, T0, type RawEvent } from '../../../support/market.js';

const clock = new EagerClock();
let ids = 0;

interface Taken {
  readonly snapshot: RegionSnapshot;
  readonly objects: MemoryObjects;
  /** Rows that the region had told the world up to the cut. */
  readonly rowsBefore: Row[];
}

async function take(log: MemoryLog, partitions: number, objects = new MemoryObjects(clock)): Promise<Taken> {
  const snapshot = await takeRegionSnapshot({
    log,
    subjects,
    objects,
    clock,
    partitions,
    scratch: new MemoryStore(),
    id: `snapshot-${++ids}`,
  });
  const reader = await log.read(subjects.allOut, 1, () => undefined);
  const rowsBefore = reader
    .take(Number.POSITIVE_INFINITY)
    .filter(({ seq }) => seq <= snapshot.cutSeq)
    .flatMap(({ payload }) => [...decodeOutput(payload).rows]);
  await reader.close();
  return { snapshot, objects, rowsBefore };
}

async function restored(snapshot: RegionSnapshot, objects: MemoryObjects): Promise<MemoryLog> {
  const log = new MemoryLog();
  await restoreRegion({
    snapshot,
    source: objects,
    log,
    subjects,
    objects,
    clock,
    writer: `restore-${++ids}`,
  });
  return log;
}

/** An engine on a restored log: its store is filled from the bases, as a node's is. */
async function engineOn(log: MemoryLog, objects: MemoryObjects, options: EngineOptions): Promise<Engine> {
  const store = new MemoryStore();
  for (let partition = 0; partition < (options.partitions ?? 4); partition++) {
    const base = (await lastControl(log, subjects.journal(partition)))?.base;
    if (base !== undefined) await restoreBase(base, partition, store, objects);
  }
  return Engine.start({ ...options, log, store });
}

/** One line per row, but for what tells how it came about. */
function lines(rows: readonly Row[]): string[] {
  return rows.map((row) => JSON.stringify({ ...row, watermark: 0, completeness: null })).sort();
}

/** Takes a snapshot in the midst of things, when a share of the events is sent, and lets the rest of the world go under. */
async function interrupted(
  events: readonly RawEvent[],
  options: EngineOptions,
  share: number,
): Promise<Taken> {
  const log = new MemoryLog();
  const nodes = await twoNodes(log, options);
  const producer = nodes[0]!.producer();
  const half = Math.floor(events.length * share);
  await producer.send(events.slice(0, half));
  const taking = take(log, options.partitions ?? 4);
  await producer.send(events.slice(half));
  const taken = await taking;
  await Promise.all(nodes.map((node) => node.stop()));
  return taken;
}

/** Nodes that share a region: between them there is mail in the stream. */
async function twoNodes(log: MemoryLog, options: EngineOptions): Promise<Engine[]> {
  const leases = new MemoryLeaseServer(systemClock);
  const nodes = ['a', 'b'].map((id) => {
    const member = {
      leases: new MemoryLeases(leases),
      id,
      name: id,
      weight: 1,
      version: 'test',
      standbys: 0,
    };
    return new Engine({ ...options, log, clock: systemClock, membership: { ...member, ttlMs: 1_000 } });
  });
  await Promise.all(nodes.map(({ node }) => node.start()));
  const owned = (): number[] => nodes.map(({ node }) => node.status().partitions.length);
  const all = options.partitions ?? 4;
  await until('they share', () => owned().every((n) => n > 0) && owned().reduce((a, b) => a + b) === all, {
    pollMs: 5,
  });
  return nodes;
}

/** Waits until a region that gets no more events has done all that there was to do. */
async function rest(engine: Engine): Promise<void> {
  let lastSeq = -1;
  for (let quiet = 0; quiet < 100;) {
    await sleep(engine.clock, 10);
    const seq = await engine.log.lastSeq();
    quiet = seq === lastSeq ? quiet + 1 : 0;
    lastSeq = seq;
  }
}

async function messagesUnderWay({ snapshot, objects }: Taken): Promise<number> {
  let messages = 0;
  for (const { partition, inputs, inputSeq } of snapshot.parts) {
    if (inputs === 0) continue;
    const chunks = await objects.get(inputsName(snapshot.id, partition));
    for await (const { seq, events, payload } of decodeInputs('inputs', chunks!)) {
      if (events || seq <= inputSeq) continue;
      for (const share of decodeMailFrame(payload)) messages += share.messages.length;
    }
  }
  return messages;
}

describe('a region that is restored', () => {
  const events = [...handMade(), ...smallCity({ startMs: T0 + 4 * MINUTE, durationMs: 4 * MINUTE })];
  const options: EngineOptions = { partitions: 5, frameEvents: 4 };

  it('P3 P5 P7 goes on as if nothing had been: no row missing, wrong or twice, wherever it was cut', async () => {
    const truth = lines((await run(events, options)).rows);
    let underWay = 0;
    for (const share of [0, 0.1, 0.25, 0.4, 0.55, 0.7, 0.85, 1]) {
      const taken = await interrupted(events, options, share);
      await verifySnapshot(taken.snapshot, taken.objects);
      underWay += await messagesUnderWay(taken);
      const log = await restored(taken.snapshot, taken.objects);
      const engine = await engineOn(log, taken.objects, options);
      const producer = engine.producer();
      await producer.producer.resume();
      await producer.send(events);
      const { rows } = await engine.results(await producer.end());
      await engine.stop();
      expect(lines([...taken.rowsBefore, ...rows]), `cut at ${share}`).toEqual(truth);
    }
    // Without any, the test would not show what it is for.
    expect(underWay).toBeGreaterThan(0);
  }, 120_000);

  it('P5 reads bases and the journals after them, also when those behind were purged', async () => {
    const truth = lines((await run(events, options)).rows);
    const log = new MemoryLog();
    const objects = new MemoryObjects(clock);
    const store = new MemoryStore();
    const half = events.length / 2;
    const first = await Engine.start({ ...options, log, store });
    const producer = first.producer();
    await producer.send(events.slice(0, half));
    await first.stop();
    for (let partition = 0; partition < 5; partition++) {
      const made = { store, objects, clock, region: 'sf', partitions: 5, partition, epoch: 1, instance: 'a' };
      const base = (await makeBase(made))!;
      // What the owner of the partition does: it names the base in its next commit.
      const control = (await lastControl(log, subjects.journal(partition)))!;
      const entry = { control: { ...control, commit: control.commit + 1, base }, changes: Changes.of([]) };
      const [payload] = encodeJournalEntry(entry, log.payloadBytesMax);
      await log.append([{ subject: subjects.journal(partition), payload: payload! }]);
      await clean(partition, base, { log, subjects, objects, clock, keep: 1 });
    }
    const again = await Engine.start({ ...options, log, store });
    const resumed = again.producer();
    await resumed.producer.resume();
    await resumed.send(events.slice(0, half + 30));
    const taken = await take(log, 5, objects);
    await again.stop();
    const engine = await engineOn(await restored(taken.snapshot, objects), objects, options);
    const last = engine.producer();
    await last.producer.resume();
    await last.send(events);
    const { rows } = await engine.results(await last.end());
    await engine.stop();
    expect(lines([...taken.rowsBefore, ...rows])).toEqual(truth);
  }, 60_000);

  it('is not written over one that has a life of its own', async () => {
    const taken = await interrupted(events, options, 0.5);
    const log = new MemoryLog();
    const engine = await Engine.start({ ...options, log });
    await engine.producer().send(events.slice(0, 50));
    await engine.stop();
    const { snapshot, objects } = taken;
    const restoring = restoreRegion({
      snapshot,
      source: objects,
      log,
      subjects,
      objects,
      clock,
      writer: 'x',
    });
    await expect(restoring).rejects.toMatchObject({ code: 'GS_STREAM_CONFIG' });
  });

  it('leaves no snapshot behind that is not whole', async () => {
    const log = new MemoryLog();
    const engine = await Engine.start({ ...options, log });
    await engine.producer().send(events);
    await engine.stop();
    const objects = new MemoryObjects(clock);
    let puts = 0;
    const failing = Object.assign(Object.create(objects) as MemoryObjects, {
      put: (name: string, chunks: AsyncIterable<Uint8Array>) =>
        ++puts > 6 ? Promise.reject(new Error('no room')) : objects.put(name, chunks),
      list: () => objects.list(),
      get: (name: string) => objects.get(name),
      remove: (name: string) => objects.remove(name),
    });
    await expect(take(log, 5, failing)).rejects.toThrow('no room');
    expect(await objects.list()).toEqual([]);
    expect(await listSnapshots(objects)).toEqual([]);
  });
});

describe('a region with other partitions', () => {
  const events = smallCity({ durationMs: 8 * MINUTE });
  const cutMs = T0 + 4 * MINUTE;
  const before = events.filter(({ ts }) => ts < cutMs);
  const after = events.filter(({ ts }) => ts >= cutMs);

  /** Half of the events, and the producer's last word: the region comes to rest. */
  async function firstHalf(partitions: number): Promise<Taken & { log: MemoryLog }> {
    const log = new MemoryLog();
    const engine = await Engine.start({ partitions, log });
    const producer = engine.producer('first');
    await producer.send(before);
    await producer.producer.end(cutMs);
    await rest(engine);
    await engine.stop();
    return { ...(await take(log, partitions)), log };
  }

  function reshape(
    taken: Taken,
    partitions: number,
    more: { forget?: ReadonlySet<string> } = {},
  ): Promise<RegionSnapshot> {
    const { snapshot, objects } = taken;
    return reshapeSnapshot({
      snapshot,
      objects,
      clock,
      scratch: new MemoryStore(),
      id: `reshaped-${++ids}`,
      partitions,
      region: 'sf',
      isOfRegion: (type) => type === 'region',
      ...more,
    });
  }

  it.each([
    [4, 7],
    [7, 4],
    [3, 1],
    [1, 16],
  ])('P7 goes on from %i to %i as if it had always had them', async (from, to) => {
    const truth = lines((await run(events, { partitions: from })).rows);
    const taken = await firstHalf(from);
    const made = await reshape(taken, to);
    expect(made).toMatchObject({ partitions: to, from: taken.snapshot.id });
    await verifySnapshot(made, taken.objects);
    const log = await restored(made, taken.objects);
    const engine = await engineOn(log, taken.objects, { partitions: to });
    const producer = engine.producer('second');
    await producer.send(after);
    const { rows, count } = await engine.results(await producer.end());
    await engine.stop();
    expect(lines([...taken.rowsBefore, ...rows])).toEqual(truth);
    expect(count('late')).toBe(0);
  });

  it('P3 knows that a replay has ended, however it is sent again', async () => {
    const taken = await firstHalf(4);
    const log = await restored(await reshape(taken, 7), taken.objects);
    const engine = await engineOn(log, taken.objects, { partitions: 7 });
    const again = engine.producer('first');
    expect(await again.producer.resume()).toBeTruthy();
    await again.send(before);
    const second = engine.producer('second');
    await second.send(after);
    const { rows } = await engine.results(await second.end());
    await engine.stop();
    expect(lines([...taken.rowsBefore, ...rows])).toEqual(lines((await run(events, { partitions: 4 })).rows));
  });

  it('is refused while a producer has not ended, and names it', async () => {
    const log = new MemoryLog();
    const engine = await Engine.start({ partitions: 4, log });
    await engine.producer('never-ends').sendEach(before.slice(0, 100));
    await rest(engine);
    await engine.stop();
    const taken = await take(log, 4);
    await expect(reshape(taken, 7)).rejects.toMatchObject({
      code: 'GS_BUSY',
      message: expect.stringContaining('never-ends') as string,
    });
    expect((await listSnapshots(taken.objects)).map(({ id }) => id)).toEqual([taken.snapshot.id]);
  });

  it('is refused while mail is under way or inputs wait, and says so', async () => {
    let refused = 0;
    for (const share of [0.3, 0.5, 0.7]) {
      const taken = await interrupted(events, { partitions: 4, frameEvents: 4 }, share);
      await reshape(taken, 7, { forget: new Set(['test']) }).catch((error: unknown) => {
        expect(error).toMatchObject({ code: 'GS_BUSY', message: expect.stringMatching(/at rest/) as string });
        refused++;
      });
    }
    expect(refused).toBe(3);
  });
});
