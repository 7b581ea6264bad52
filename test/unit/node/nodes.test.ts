/** Hunts: a partition with two owners or none, a hand-over that loses or repeats something, a node that stays when it is fenced. */
import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/core/clock.js';
import { GroundswellError } from '../../../src/core/errors.js';
import { MemoryLeases, MemoryLeaseServer } from '../../../src/log/memory/memory-leases.js';
import { MemoryLog } from '../../../src/log/memory/memory-log.js';
import { MemoryStore } from '../../../src/state/memory/memory-store.js';
import { readToEnd } from '../../../src/log/log.js';
import { Changes } from '../../../src/partition/changes.js';
import { encodeJournalEntry, JournalReader, type Control } from '../../../src/partition/journal.js';
import type { ActorSource } from '../../../src/partition/actor-table.js';
import { Engine, run, subjects, type EngineOptions } from '../../support/engine.js';
import { FaultyLog } from '../../support/faulty-log.js';
import { smallCity } from '../../support/market.js';
import { repeated, sorted } from '../../support/rows.js';
import { until } from '../../support/until.js';

const PARTITIONS = 4;
const city = smallCity({ drivers: 20, requestsPerMinute: 20, pingEveryMs: 5_000 });
const undisturbed = sorted((await run(city, { partitions: PARTITIONS })).rows);

class Region {
  readonly log = new MemoryLog();
  readonly leases = new MemoryLeaseServer(systemClock);
  readonly engines = new Map<string, Engine>();
  readonly stores = new Map<string, MemoryStore>();
  readonly #logs = new Map<string, FaultyLog>();
  readonly #clients = new Map<string, MemoryLeases>();
  #starts = 0;

  async start(id: string, more: Partial<EngineOptions> & { standbys?: number } = {}): Promise<Engine> {
    const { standbys = 0, ...options } = more;
    const store = this.stores.get(id) ?? new MemoryStore();
    const log = new FaultyLog(this.log);
    const client = new MemoryLeases(this.leases);
    this.#logs.set(id, log);
    this.#clients.set(id, client);
    this.stores.set(id, store);
    const engine = new Engine({
      partitions: PARTITIONS,
      log,
      store,
      clock: systemClock,
      writer: `${id}-${++this.#starts}`,
      ...options,
      membership: {
        leases: client,
        id,
        name: id,
        weight: 1,
        version: 'test',
        standbys,
        ttlMs: 1_000,
      },
    });
    this.engines.set(id, engine);
    engine.node.finished.catch(() => undefined);
    await engine.node.start();
    return engine;
  }

  /** Whether it hears of the others, and they of it. Its way to the log is good. */
  cutOff(id: string, off: boolean): void {
    this.#clients.get(id)!.partitioned = off;
  }

  /** As after `kill -9`: nobody hears anything of it any more, nor it of anybody. */
  kill(id: string): void {
    this.#clients.get(id)!.partitioned = true;
    this.#logs.get(id)!.kill();
    this.engines.delete(id);
  }

  owned(id: string): number[] {
    return this.engines
      .get(id)!
      .node.status()
      .partitions.map(({ partition }) => partition);
  }

  /** Every partition has one owner among these nodes, and each node has some. */
  shared(...ids: string[]): boolean {
    const owned = ids.map((id) => this.owned(id));
    return (
      owned.flat().sort().join() === Array.from({ length: PARTITIONS }, (_, p) => p).join() &&
      owned.every((of) => of.length > 0)
    );
  }

  /** As if another node had become the owner of a partition. */
  async take(partition: number, writer: string): Promise<void> {
    const subject = subjects.journal(partition);
    for (;;) {
      const reader = new JournalReader();
      let control: Control | undefined;
      let expectLastSeq = 0;
      for await (const { seq, payload } of readToEnd(this.log, subject, 1)) {
        control = reader.push(payload)?.control ?? control;
        expectLastSeq = seq;
      }
      const taken = { ...control!, writer, commit: control!.commit + 1, epoch: control!.epoch + 1 };
      const [payload] = encodeJournalEntry(
        { control: taken, changes: Changes.of([]) },
        this.log.payloadBytesMax,
      );
      const { outcome } = await this.log.append([{ subject, payload: payload!, expectLastSeq }]);
      if (outcome === 'committed') return;
    }
  }

  async stop(): Promise<void> {
    await Promise.allSettled([...this.engines.values()].map(({ node }) => node.stop()));
  }
}

let region = new Region();
afterEach(async () => {
  await region.stop();
  region = new Region();
});

describe('nodes of one region', () => {
  it('P1 P3: one joins, one drains, one dies in the middle: the rows are those of one node alone', async () => {
    const a = await region.start('a');
    await until('a owns all', () => region.shared('a'), { pollMs: 5 });
    const producer = a.producer();
    await producer.send(city.slice(0, 400));
    await producer.producer.flush();
    const b = await region.start('b', { standbys: 1 });
    await until('they share', () => region.shared('a', 'b'), { pollMs: 5 });
    expect(a.node.stats.handedOver).toBeGreaterThan(0);
    expect(a.node.stats.fenced + b.node.stats.fenced).toBe(0);
    await producer.send(city.slice(400, 900));
    await producer.producer.flush();
    await a.node.stop();
    await until('b has all', () => region.shared('b'), { pollMs: 5 });
    await region.start('c');
    await until('b and c share', () => region.shared('b', 'c'), { pollMs: 5 });
    await producer.send(city.slice(900));
    const results = await b.results(await producer.end(), region.log);
    expect(repeated(results.rows)).toEqual([]);
    expect(sorted(results.rows)).toEqual(undisturbed);
  });

  it('P1 P3 P5: killed ones are followed by their standbys, and get back what they had', async () => {
    await region.start('a', { standbys: 1 });
    const b = await region.start('b', { standbys: 1 });
    await until('they share', () => region.shared('a', 'b'), { pollMs: 5 });
    const had = region.owned('a');
    const producer = b.producer('test', region.log);
    for (let i = 0; i < 3; i++) {
      await producer.send(city.slice(300 * i, 300 * i + 200));
      region.kill('a');
      await producer.send(city.slice(300 * i + 200, 300 * i + 300));
      await producer.producer.flush();
      await until('b has all', () => region.shared('b'), { pollMs: 5 });
      await region.start('a', { standbys: 1 });
      await until('a has what it had', () => region.owned('a').join() === had.join(), { pollMs: 5 });
    }
    await producer.send(city.slice(900));
    const results = await b.results(await producer.end(), region.log);
    expect(repeated(results.rows)).toEqual([]);
    expect(sorted(results.rows)).toEqual(undisturbed);
  });

  it('P1 P2 when one of its partitions is taken, what had heard it begins anew, and all rows are as ever', async () => {
    const a = await region.start('a');
    await until('a owns all', () => region.shared('a'), { pollMs: 5 });
    const producer = a.producer();
    for (let from = 0; from < city.length; from += 150) {
      await producer.send(city.slice(from, from + 150));
      await producer.producer.flush();
      const isBack = (): boolean => a.node.stats.events >= from + 150 && region.shared('a');
      await until('a has noticed, and is back at work', isBack, { pollMs: 5 });
      // Somebody has taken it meanwhile, who is nowhere to be seen afterwards.
      await region.take((from / 150) % PARTITIONS, `stranger-${from}`);
    }
    const results = await a.results(await producer.end(), region.log);
    expect(a.node.stats.fenced).toBeGreaterThan(1);
    expect(a.node.stats.void).toBeGreaterThan(0);
    expect(repeated(results.rows)).toEqual([]);
    expect(sorted(results.rows)).toEqual(undisturbed);
  });

  it('P1 one that hung for longer than its lease lets go of what others have, and goes on', async () => {
    const a = await region.start('a', { standbys: 1 });
    const b = await region.start('b', { standbys: 1 });
    await until('they share', () => region.shared('a', 'b'), { pollMs: 5 });
    const producer = b.producer('test', region.log);
    await producer.send(city.slice(0, 500));
    region.cutOff('a', true);
    await until('b has all', () => region.owned('b').length === PARTITIONS, { pollMs: 5 });
    await producer.send(city.slice(500));
    const untilMs = await producer.end();
    expect(a.node.serving).toBe(false);
    region.cutOff('a', false);
    await until('they share again', () => region.shared('a', 'b'), { pollMs: 5 });
    const results = await b.results(untilMs, region.log);
    expect(repeated(results.rows)).toEqual([]);
    expect(sorted(results.rows)).toEqual(undisturbed);
    expect(a.node.serving).toBe(true);
  });
});

/** Snapshots of which one record turns out to be damaged when it is read. */
class DamagedStore extends MemoryStore {
  found = 0;
  /** So many are good before that. */
  sound = 0;

  override source(partition: number): ActorSource {
    const source = super.source(partition);
    return {
      get: (id) => {
        const bytes = source.get(id);
        if (bytes === undefined || this.found > 0 || this.sound-- > 0) return bytes;
        this.found++;
        throw new GroundswellError('GS_DATA_CORRUPT', `The record of partition ${partition} is damaged.`);
      },
    };
  }
}

describe('a damaged snapshot', () => {
  it.each(['alone', 'with others'])(
    'P5 is made anew from the journal, and nothing of it is seen in the rows: %s',
    async (how) => {
      const store = new DamagedStore();
      const alone = { partitions: PARTITIONS, store, limits: { idleMs: 0 }, clock: systemClock };
      const engine =
        how === 'alone'
          ? await Engine.start(alone)
          : await region.start('a', { store, limits: { idleMs: 0 } });
      const producer = engine.producer();
      await producer.sendEach(city);
      const results = await engine.results(await producer.end());
      expect(store.found).toBe(1);
      expect(repeated(results.rows)).toEqual([]);
      expect(sorted(results.rows)).toEqual(undisturbed);
      await engine.stop();
    },
  );

  it.each([20, 45, 49, 53])(
    'P2 P5 what others have heard of its partition, and not committed, is taken back: after %i good ones',
    async (sound) => {
      const store = new DamagedStore();
      store.sound = Number.POSITIVE_INFINITY;
      let open: () => void = () => undefined;
      let gate = Promise.resolve();
      const log = new FaultyLog(region.log, { before: () => gate });
      const limits = { idleMs: 0, turnBytes: 1 };
      const engine = await Engine.start({ partitions: PARTITIONS, store, limits, log, frameEvents: 4 });
      const producer = engine.producer('test', region.log);
      const half = Math.floor(city.length / 2);
      await producer.send(city.slice(0, half));
      await producer.producer.flush();
      await until('all of it is taken', () => engine.node.stats.events >= half);
      // From here on nothing is committed.
      gate = new Promise<void>((resolve) => (open = resolve));
      store.sound = sound;
      await producer.send(city.slice(half));
      const untilMs = await producer.end();
      await until('the damage is found', () => store.found === 1);
      open();
      const results = await engine.results(untilMs, region.log);
      expect(repeated(results.rows)).toEqual([]);
      expect(sorted(results.rows)).toEqual(undisturbed);
      await engine.stop();
    },
  );
});
