/**
 * Hunts: a row that depends on anything but the events: on their order of arrival, on how they were cut into frames and
 * steps, on the number of partitions, on a crash.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../src/core/random.js';
import { Engine, newLog, run, type Results, type Settings } from '../support/engine.js';
import { FaultyLog, type Fault } from '../support/faulty-log.js';
import { FaultyStore } from '../support/faulty-store.js';
import { CELLS, handMade, MINUTE, ping, ride, session, smallCity, type RawEvent } from '../support/market.js';
import { repeated, sorted } from '../support/rows.js';
import { until } from '../support/until.js';

const BOUND_MS = 5_000;
const BASE: Settings = { windowsMs: [MINUTE, 5 * MINUTE], outOfOrderBoundMs: BOUND_MS };

/** Another order of arrival within the bound; events of one time keep theirs. */
function shuffled(events: readonly RawEvent[], seed: number): RawEvent[] {
  const random = seededRandom(seed);
  const delays = new Map<number, number>();
  return events
    .map((event, i) => {
      const delay = delays.get(event.ts) ?? Math.floor(random.next() * BOUND_MS);
      delays.set(event.ts, delay);
      return { event, arrivalMs: event.ts + delay, i };
    })
    .sort((a, b) => a.arrivalMs - b.arrivalMs || a.event.ts - b.event.ts || a.i - b.i)
    .map(({ event }) => event);
}

/** A run in which the node dies at some of its commits, and its successor goes on from what is left. */
async function runWithDeaths(
  events: readonly RawEvent[],
  settings: Settings,
  deaths: readonly Fault[],
  every: number,
): Promise<Results> {
  const inner = newLog(settings);
  const feeder = new Engine({ ...settings, log: inner }).producer();
  await feeder.send(events);
  const untilMs = await feeder.end();
  let store = new FaultyStore();
  for (let life = 0; ; life++) {
    const fault = deaths[life] ?? 'none';
    const log = new FaultyLog(inner, { fault: (n) => (n === every ? fault : 'none') });
    const engine = await Engine.start({ ...settings, log, store });
    let results: Results | undefined;
    engine.results(untilMs, inner).then(
      (done) => (results = done),
      () => undefined,
    );
    await until('it dies or is done', () => log.dead || results !== undefined);
    if (results !== undefined) {
      // Its last commit may be the one it dies at.
      let stopped = false;
      engine.stop().then(
        () => (stopped = true),
        () => undefined,
      );
      await until('it stops or dies', () => stopped || log.dead);
      return results;
    }
    store.kill();
    // Snapshots may have missed the last writes.
    store = new FaultyStore({ from: store.writes.slice(0, store.writes.length - (life % 2)) });
  }
}

const second = fc.integer({ min: 0, max: 6 * 60 - 1 }).map((s) => s * 1_000);
const cell = fc.constantFrom(...CELLS);
const pings = fc
  .uniqueArray(
    fc.record({
      driver: fc.constantFrom('d-0', 'd-1', 'd-2', 'd-3'),
      ms: second,
      cell,
      status: fc.constantFrom('open', 'enroute', 'ontrip', 'offline'),
    }),
    { selector: ({ driver, ms }) => `${driver} ${ms}`, maxLength: 60 },
  )
  .map((list) => list.map(({ driver, ms, cell: where, status }) => ping(driver, ms, where, status)));
/** Rides with at most one event of each kind, possible orders and impossible ones; riders share some of them. */
const rides = fc
  .array(
    fc.record({
      rider: fc.constantFrom('r-0', 'r-1', 'r-2'),
      steps: fc.uniqueArray(
        fc.record({
          kind: fc.constantFrom('requested', 'accepted', 'picked_up', 'completed', 'cancelled'),
          ms: second,
          cell,
          placed: fc.boolean(),
        }),
        { selector: ({ kind }) => kind, maxLength: 5 },
      ),
      inOrder: fc.boolean(),
    }),
    { maxLength: 10 },
  )
  .map((list) =>
    list.flatMap(({ rider, steps, inOrder }, n) => {
      const times = steps.map(({ ms }) => ms).sort((a, b) => a - b);
      const kinds = ['requested', 'accepted', 'picked_up', 'completed', 'cancelled'];
      const life = inOrder ? [...steps].sort((a, b) => kinds.indexOf(a.kind) - kinds.indexOf(b.kind)) : steps;
      return life.map((step, i) => {
        const where = step.kind === 'requested' || step.placed ? step.cell : undefined;
        return ride(step.kind, `ride-${n}`, times[i]!, where, { riderId: rider });
      });
    }),
  );
const sessions = fc
  .array(fc.record({ rider: fc.constantFrom('r-0', 'r-9'), ms: second, cell }), { maxLength: 8 })
  .map((list) => list.map(({ rider, ms, cell: where }) => session(rider, ms, where)));
const events = fc
  .tuple(pings, rides, sessions)
  .map((parts) => parts.flat().sort((a, b) => a.ts - b.ts))
  .filter((list) => list.length > 0);

const circumstances = fc.record({
  partitions: fc.constantFrom(1, 2, 4, 16),
  frameEvents: fc.integer({ min: 1, max: 40 }),
  framesPerFlush: fc.integer({ min: 1, max: 4 }),
  seed: fc.integer({ min: 1, max: 1_000_000 }),
  limits: fc.record({
    turnTimersMax: fc.constantFrom(1, 7, 20_000),
    turnBytes: fc.constantFrom(1, 2_000, 262_144),
    residentActorsMax: fc.constantFrom(1, 20, 1_000_000),
    idleMs: fc.constantFrom(0, 3, 10_000),
    batchBytesMax: fc.constantFrom(1, 4_000, 16_777_216),
    commitEveryMs: fc.constantFrom(0, 200),
    replayCommitEveryMs: fc.constantFrom(0, 200),
    snapshotEveryMs: fc.constantFrom(0, 1_000),
  }),
  deaths: fc.array(fc.constantFrom<Fault>('die-before', 'die-after'), { maxLength: 3 }),
  every: fc.integer({ min: 1, max: 6 }),
});

describe('P7: final rows are a function of the events alone', () => {
  it('P7: the same rows for any order of arrival within the bound, partitions, frames, limits and crashes', async () => {
    await fc.assert(
      fc.asyncProperty(events, circumstances, async (list, { seed, deaths, every, ...settings }) => {
        const plain = await run(list, { ...BASE, partitions: 1 });
        expect(repeated(plain.rows)).toEqual([]);
        const other = await runWithDeaths(shuffled(list, seed), { ...BASE, ...settings }, deaths, every);
        expect(sorted(other.rows)).toEqual(sorted(plain.rows));
        expect(other.count('late')).toBe(0);
        expect(other.count('dead.impossible_transition')).toBe(plain.count('dead.impossible_transition'));
      }),
      { numRuns: 60, seed: 20_240_501, endOnFailure: false },
    );
  }, 120_000);

  it.each([1, 4, 16])(
    'P7: the same rows of a simulated city for %i partitions, with all windows',
    async (partitions) => {
      const city = smallCity();
      const reference = await run(city, { partitions: 2 });
      expect(reference.rows.length).toBeGreaterThan(1_000);
      const other = await run(city, { partitions });
      expect(sorted(other.rows)).toEqual(sorted(reference.rows));
    },
  );

  it('P7: the same rows of a simulated city for any order of arrival within the bound', async () => {
    const city = smallCity({ pingEveryMs: 5_000 });
    const reference = sorted((await run(city, BASE)).rows);
    for (let seed = 1; seed <= 8; seed++) {
      const order = shuffled(city, seed);
      expect(order).not.toEqual(city);
      const { rows, count } = await run(order, { ...BASE, frameEvents: 1 + seed });
      expect(sorted(rows), `seed ${seed}`).toEqual(reference);
      expect(count('late')).toBe(0);
    }
  });

  it('P7: an event that comes as late as the bound allows is on time, to the millisecond', async () => {
    const list = [
      ping('d-0', 0, CELLS[0]),
      ping('d-0', MINUTE - 1, CELLS[1]),
      ping('d-1', MINUTE - 1 + BOUND_MS, CELLS[2]),
    ];
    const reference = await run(list, BASE);
    const late = [list[0]!, list[2]!, list[1]!];
    const engine = await Engine.start({ ...BASE, partitions: 4 });
    const producer = engine.producer();
    await producer.sendEach(late);
    const { rows, count } = await engine.results(await producer.end());
    await engine.stop();
    expect(count('late')).toBe(0);
    expect(sorted(rows)).toEqual(sorted(reference.rows));
  });

  it('P7: replay equals live: the same rows when frames come one by one with a pause between them', async () => {
    const reference = await run(handMade(), BASE);
    const engine = await Engine.start({ ...BASE, partitions: 4 });
    const producer = engine.producer();
    for (const event of handMade()) {
      await producer.sendEach([event]);
      const { frames, mailFrames } = engine.node.stats;
      await until(
        'the node has taken it',
        () => engine.node.stats.frames + engine.node.stats.mailFrames >= frames + mailFrames,
      );
    }
    const { rows } = await engine.results(await producer.end());
    await engine.stop();
    expect(sorted(rows)).toEqual(sorted(reference.rows));
  });
});
