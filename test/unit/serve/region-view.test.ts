/**
 * The view of a region against what it is made from. Hunts a row that an older one, or a lower revision, replaced; a view
 * that says something else after a restart, or when partitions come in another order; a start that begins behind a row it
 * needs, or reads the whole stream; and memory that grows with time instead of with what is there.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Row } from '../../../src/actor/row.js';
import { VirtualClock } from '../../../src/core/clock.js';
import { silent } from '../../../src/core/logger.js';
import { MemoryLog } from '../../../src/log/memory/memory-log.js';
import { Subjects } from '../../../src/log/subjects.js';
import { RegionView, type RegionViewOptions } from '../../../src/serve/region-view.js';
import { seekOutputs } from '../../../src/serve/output-seek.js';
import { Engine, outputsNow } from '../../support/engine.js';
import { MINUTE, smallCity, T0 } from '../../support/market.js';
import { encodeOutput } from '../../../src/partition/output.js';
import { RowBlock, RowBlocks } from '../../../src/partition/row-block.js';
import { RegionOutputs, shownBlock } from '../../support/region-outputs.js';
import { turns, until } from '../../support/until.js';

const subjects = new Subjects('sf');
const HOUR = 60 * MINUTE;
const WINDOWS_MS = [MINUTE, 5 * MINUTE];
/** Longest window and lateness are short of an hour, so an hour and five minutes are kept. */
const KEEP_MS = 65 * MINUTE;

function options(
  log: MemoryLog,
  partitions: number,
  more: Partial<RegionViewOptions> = {},
): RegionViewOptions {
  return {
    log,
    subjects,
    partitions,
    windowsMs: WINDOWS_MS,
    allowedLatenessMs: 10 * MINUTE,
    clock: new VirtualClock(T0),
    logger: silent,
    ...more,
  };
}

async function opened(
  log: MemoryLog,
  partitions: number,
  more: Partial<RegionViewOptions> = {},
): Promise<RegionView> {
  const view = await RegionView.open(options(log, partitions, more));
  await until('the view is caught up', () => {
    if (view.failure !== undefined) throw view.failure;
    return view.caughtUp;
  });
  return view;
}

/** A view that has taken in all that the log holds now. */
async function level(view: RegionView, log: MemoryLog, partitions: number): Promise<void> {
  const last = new Map<number, number>();
  for (let partition = 0; partition < partitions; partition++) {
    const message = await log.last(subjects.out(partition));
    if (message !== undefined) last.set(partition, message.seq);
  }
  await until('the view has read all', () => {
    if (view.failure !== undefined) throw view.failure;
    return view.readSeq >= Math.max(0, ...last.values());
  });
}

function row(key: string, endMs: number, more: Partial<Row> & { minutes?: number } = {}): Row {
  const { minutes = 1, ...fields } = more;
  return {
    region: 'sf',
    level: 'cell',
    key,
    window: `${minutes}m`,
    start: endMs - minutes * MINUTE,
    end: endMs,
    rev: 0,
    final: true,
    features: { requests: 1, open_s: 0.125 },
    watermark: endMs + 5_000,
    completeness: { expected: 4, reported: 4 },
    ...fields,
  };
}

const keyOf = ({ level, key, window }: Row): string => `${level} ${key} ${window}`;
const before = (a: Row, b: Row): number => a.end - b.end || a.rev - b.rev;

/** What a view of these rows must say: looked at row by row. */
function bruteForce(
  rows: readonly Row[],
  watermarkMs: number,
): { latest: Map<string, Row>; history: Map<string, Row[]> } {
  const latest = new Map<string, Row>();
  const minutes = new Map<string, Row>();
  for (const one of rows.toSorted(before)) {
    if (!one.final || one.end <= watermarkMs - KEEP_MS) continue;
    latest.set(keyOf(one), one);
    if (one.window === '1m') minutes.set(`${keyOf(one)} ${one.end}`, one);
  }
  const newest = Math.max(watermarkMs, ...[...minutes.values()].map(({ end }) => end));
  const history = new Map<string, Row[]>();
  for (const one of [...minutes.values()].sort(before)) {
    if (one.end <= newest - HOUR) continue;
    history.set(keyOf(one), [...(history.get(keyOf(one)) ?? []), one]);
  }
  return { latest, history };
}

function expectSame(view: RegionView, rows: readonly Row[]): void {
  const { latest, history } = bruteForce(rows, view.watermarkMs);
  const names = new Map(rows.map((one) => [keyOf(one), one]));
  for (const [name, { level, key, window }] of names) {
    expect(view.latest(level, key, window), name).toEqual(latest.get(name));
    if (window === '1m') expect(view.history(level, key, 60), name).toEqual(history.get(name) ?? []);
    if (window === '1m')
      expect(view.history(level, key, 3), name).toEqual((history.get(name) ?? []).slice(-3));
  }
  for (const level of ['cell', 'gh5', 'region']) {
    for (const window of ['1m', '5m']) {
      const expected = [...latest.values()]
        .filter((one) => one.level === level && one.window === window)
        .sort((a, b) => (a.key < b.key ? -1 : 1));
      expect(view.find({ level, window, limit: 1_000 })).toEqual({ rows: expected, more: false });
    }
  }
}

/** The watermarks that partitions had when the output with a sequence was said. */
function timesAt(
  ends: readonly { seq: number; partition: number; watermarkMs: number }[],
  seq: number,
  partitions: number,
): number[] {
  return Array.from(
    { length: partitions },
    (_, partition) =>
      ends.findLast((end) => end.seq <= seq && end.partition === partition)?.watermarkMs ?? T0,
  );
}

/** What happens in a partition: its time moves, rows of windows that ended come, and corrections of some that did. */
const happening = fc.record({
  partition: fc.nat(3),
  minutes: fc.oneof({ weight: 6, arbitrary: fc.nat(3) }, { weight: 1, arbitrary: fc.nat(40) }),
  rows: fc.array(
    fc.record({
      key: fc.nat(5),
      level: fc.constantFrom('cell', 'gh5', 'region'),
      minutes: fc.constantFrom(1, 5),
      ago: fc.oneof(
        { weight: 4, arbitrary: fc.nat(2) },
        { weight: 1, arbitrary: fc.integer({ min: 55, max: 70 }) },
      ),
      final: fc.nat(9).map((n) => n > 0),
      surge: fc.boolean(),
      waits: fc.boolean(),
      value: fc.oneof(
        fc.nat(300),
        fc.nat(10_000_000).map((ms) => ms / 1000),
        fc.double({ noNaN: true, min: 0, max: 1e9 }),
      ),
    }),
    { maxLength: 6 },
  ),
});

describe('a region view', () => {
  it('says what all rows say, however partitions interleave, whenever it is opened (P4)', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 4 }),
        fc.array(happening, { minLength: 1, maxLength: 40 }),
        fc.nat(40),
        async (partitions, happenings, cut) => {
          const log = new MemoryLog();
          const outputs = new RegionOutputs(log, subjects, 400);
          const early = await opened(log, partitions);
          let middle: RegionView | undefined;
          const rows: Row[] = [];
          const revisions = new Map<string, number>();
          const times = Array.from({ length: partitions }, () => T0);
          for (const [i, { partition: any, minutes, rows: drafts }] of happenings.entries()) {
            const partition = any % partitions;
            times[partition]! += minutes * MINUTE;
            const said: Row[] = [];
            for (const { key, level, minutes, ago, final, surge, waits, value } of drafts) {
              // A key lives in one partition: its revisions come in their order.
              const end = times[partition]! - ago * MINUTE;
              const one = row(`k${partition}${key}`, end, { level, minutes, final });
              const name = `${keyOf(one)} ${end}`;
              const rev = revisions.get(name) ?? 0;
              revisions.set(name, rev + 1);
              said.push({
                ...one,
                // In whatever order they come: 1, 0, 3, 2, …
                rev: rev ^ 1,
                features: { requests: key, open_s: value, ...(waits ? { waits: 2 } : {}) },
                ...(surge ? { surge: { multiplier: 1 + key / 10, raw: value, model: 'm@1' } } : {}),
              });
            }
            rows.push(...said);
            outputs.say(partition, {
              rows: said,
              watermarkMs: times[partition]!,
              closedMs: Math.min(...times),
            });
            if (i === cut) middle = await opened(log, partitions);
          }
          const late = await opened(log, partitions);
          for (const view of [early, middle ?? late, late]) {
            await level(view, log, partitions);
            expectSame(view, rows);
            await view.close();
          }
        },
      ),
      { numRuns: 150 },
    );
  });

  it('says the same as all rows of a real engine, from the start and after one', async () => {
    const engine = await Engine.start({ partitions: 4 });
    const log = engine.log as MemoryLog;
    const windowsMs = [1, 5, 15, 60].map((minutes) => minutes * MINUTE);
    const early = await opened(log, 4, { windowsMs });
    const producer = engine.producer();
    const events = smallCity({
      durationMs: 130 * MINUTE,
      drivers: 3,
      requestsPerMinute: 1,
      pingEveryMs: 60_000,
    });
    // In pieces with turns between, so that there are many commits.
    for (let i = 0; i < events.length; i += 25) {
      await producer.send(events.slice(i, i + 25));
      await producer.producer.flush();
      await turns(4);
    }
    await until('the engine has closed two hours', () => early.watermarkMs >= T0 + 125 * MINUTE);
    await engine.stop();
    await level(early, log, 4);
    const late = await opened(log, 4, { windowsMs });
    expect(late.firstSeq).toBeGreaterThan(1);
    const { rows } = await outputsNow(log, 4);
    const keepMs = 75 * MINUTE;
    for (const view of [early, late]) {
      expect(view.watermarkMs).toBe(early.watermarkMs);
      const latest = new Map<string, Row>();
      for (const one of rows.toSorted(before))
        if (one.end > view.watermarkMs - keepMs) latest.set(keyOf(one), one);
      const found = ['cell', 'gh5', 'gh4', 'region'].flatMap((level) =>
        ['1m', '5m', '15m', '1h'].flatMap((window) => view.find({ level, window, limit: 10_000 }).rows),
      );
      expect(new Map(found.map((one) => [keyOf(one), one]))).toEqual(latest);
      const ofRegion = rows.filter((one) => one.level === 'region' && one.window === '1m').toSorted(before);
      expect(view.history('region', 'sf', 60)).toEqual(
        [...new Map(ofRegion.map((one) => [one.end, one])).values()].filter(
          ({ end }) => end > view.watermarkMs - HOUR,
        ),
      );
      expect(view.total()).toEqual(latest.get('region sf 1m'));
      await view.close();
    }
  });

  it('is looked for by bisection, and begins right behind the last output that is not needed', async () => {
    const steps = fc.array(fc.record({ partition: fc.nat(2), minutes: fc.nat(20), rows: fc.nat(6) }), {
      minLength: 1,
      maxLength: 40,
    });
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 3 }),
        steps,
        fc.integer({ min: 1, max: 90 }),
        async (partitions, all, keepMinutes) => {
          const log = new MemoryLog();
          const outputs = new RegionOutputs(log, subjects, 300);
          const times = Array.from({ length: partitions }, () => T0);
          const ends: { seq: number; partition: number; watermarkMs: number }[] = [];
          for (const { partition: any, minutes, rows } of all) {
            const partition = any % partitions;
            const watermarkMs = (times[partition]! += minutes * MINUTE);
            const said = Array.from({ length: rows }, (_, key) => row(`k${key}`, watermarkMs));
            outputs.say(partition, { rows: said, watermarkMs, closedMs: Math.min(...times) });
            ends.push({ seq: await log.lastSeq(), partition, watermarkMs });
          }
          const { fromSeq, lastSeq } = await seekOutputs(log, subjects, partitions, keepMinutes * MINUTE);
          expect(lastSeq).toBe(await log.lastSeq());
          const closed = times.map((_, partition) => {
            const last = ends.findLast((end) => end.partition === partition);
            return last === undefined ? 0 : Math.min(...timesAt(ends, last.seq, partitions));
          });
          const afterMs = Math.min(...closed) - keepMinutes * MINUTE;
          const needed = times.map(
            (_, partition) =>
              (ends.findLast((end) => end.partition === partition && end.watermarkMs <= afterMs)?.seq ?? 0) +
              1,
          );
          expect(fromSeq).toBe(Math.min(...needed));
        },
      ),
    );
  });

  it('begins where the rows that it keeps begin, not at the start of the stream', async () => {
    const log = new MemoryLog();
    const outputs = new RegionOutputs(log, subjects, 400);
    for (let minute = 1; minute <= 600; minute++)
      for (let partition = 0; partition < 3; partition++) {
        const watermarkMs = T0 + minute * MINUTE;
        const rows = [1, 2, 3].map((key) => row(`k${partition}${key}`, watermarkMs));
        outputs.say(partition, { rows, watermarkMs });
      }
    const { fromSeq, lastSeq } = await seekOutputs(log, subjects, 3, KEEP_MS);
    const reader = await log.read(subjects.allOut, fromSeq, () => undefined);
    expect(reader.take(Number.POSITIVE_INFINITY).length / lastSeq).toBeCloseTo(65 / 600, 2);
    const view = await opened(log, 3);
    // Of the minute before, those that stand between the partitions' first ones.
    expect(view.stats.rows).toBeGreaterThanOrEqual(3 * 3 * 65);
    expect(view.stats.rows).toBeLessThan(3 * 3 * 66);
    expect(view.latest('cell', 'k01', '1m')?.end).toBe(T0 + 600 * MINUTE);
    expect(view.history('cell', 'k01', 60)).toHaveLength(60);
    await view.close();
  });

  it('is caught up at once when there is nothing, and has no watermark until all partitions have one', async () => {
    const log = new MemoryLog();
    const view = await RegionView.open(options(log, 2));
    expect(view.caughtUp).toBe(true);
    const outputs = new RegionOutputs(log, subjects);
    outputs.say(0, { watermarkMs: T0 + MINUTE });
    await level(view, log, 2);
    expect(view.watermarkMs).toBe(0);
    outputs.say(1, { watermarkMs: T0 + 3 * MINUTE });
    await until('a watermark', () => view.watermarkMs === T0 + MINUTE);
    await view.close();
  });

  it('keeps as many keys as it may, and counts what it did not keep (P8)', async () => {
    const log = new MemoryLog();
    const outputs = new RegionOutputs(log, subjects);
    const rows = Array.from({ length: 50 }, (_, i) => row(`k${String(i).padStart(2, '0')}`, T0 + MINUTE));
    outputs.say(0, { rows, watermarkMs: T0 + MINUTE });
    const view = await opened(log, 1, { keysMax: 20 });
    expect(view.stats).toMatchObject({ keys: 20, refused: 30 });
    // What is gone makes room, and a key that comes in its place has nothing of its past.
    const laterMs = T0 + MINUTE + KEEP_MS;
    outputs.say(0, { watermarkMs: laterMs });
    await until('the old ones are gone', () => view.stats.keys === 0);
    outputs.say(0, { rows: [row('k99', laterMs + MINUTE)], watermarkMs: laterMs + MINUTE });
    await level(view, log, 1);
    expect(view.history('cell', 'k99', 60)).toHaveLength(1);
    expect(view.latest('cell', 'k00', '1m')).toBeUndefined();
    await view.close();
  });

  it('stays within its memory when one minute is corrected again and again (P8)', async () => {
    const log = new MemoryLog({ payloadBytesMax: 16 * 1024 * 1024 });
    const outputs = new RegionOutputs(log, subjects, 16 * 1024 * 1024);
    const view = await opened(log, 1);
    for (let rev = 0; rev < 300; rev++) {
      const rows = Array.from({ length: 100 }, (_, i) =>
        row(`k${i}`, T0 + MINUTE, { rev, features: { requests: rev, open_s: 1 / (rev + 3) } }),
      );
      outputs.say(0, { rows, watermarkMs: T0 + MINUTE });
    }
    await level(view, log, 1);
    expect(view.stats.historyBytes).toBeLessThan(2 * 1024 * 1024);
    expect(view.history('cell', 'k7', 5)).toEqual([
      row('k7', T0 + MINUTE, { rev: 299, features: { requests: 299, open_s: 1 / 302 } }),
    ]);
    await view.close();
  });

  /** What others see of a burst of rows, at each of their turns. */
  async function seenOfBurst(clock: VirtualClock): Promise<Set<number>> {
    const log = new MemoryLog({ payloadBytesMax: 64 * 1024 * 1024 });
    const outputs = new RegionOutputs(log, subjects, 64 * 1024 * 1024);
    const rows = Array.from({ length: 20_000 }, (_, i) => row(`k${i}`, T0 + MINUTE));
    const view = await opened(log, 1, { clock });
    outputs.say(0, { rows, watermarkMs: T0 + MINUTE });
    const seen = new Set<number>();
    await until('all rows are in', () => seen.add(view.stats.rows).has(rows.length));
    await view.close();
    return seen;
  }

  /** Whoever looks at it finds that it has moved on. */
  const slowClock = (): VirtualClock =>
    new (class extends VirtualClock {
      override monotonic(): number {
        this.advance(10);
        return super.monotonic();
      }
    })(T0);

  it('leaves others their turn in the middle of a burst', async () => {
    expect((await seenOfBurst(slowClock())).size).toBeGreaterThan(20);
  });

  /** Rows that were taken in when a live value is there that came behind bursts of them. */
  async function rowsBeforeLive(bursts: number): Promise<number> {
    const log = new MemoryLog({ payloadBytesMax: 64 * 1024 * 1024 });
    const outputs = new RegionOutputs(log, subjects, 64 * 1024 * 1024);
    const rows = Array.from({ length: 60_000 }, (_, i) => row(`k${i % 1_000}`, T0 + MINUTE));
    const view = await opened(log, 1, { clock: slowClock() });
    for (let i = 0; i < bursts; i++) outputs.say(0, { rows, watermarkMs: T0 + MINUTE });
    const shown = [shownBlock({ '9q8yyk': { minute: T0, open: 2 } })];
    outputs.say(0, { shown, watermarkMs: T0 + 2 * MINUTE });
    await until('it is shown', () => view.live('9q8yyk')?.['open'] === 2);
    const taken = view.stats.rows;
    expect(view.lagMessages).toBeGreaterThan(0);
    expect(view.watermarkMs).toBeLessThan(T0 + 2 * MINUTE);
    await level(view, log, 1);
    expect(view.stats.rows).toBe(bursts * rows.length);
    expect(view.watermarkMs).toBe(T0 + 2 * MINUTE);
    expect(view.lagMessages).toBe(0);
    await view.close();
    return taken;
  }

  it('shows live values before the rows that came before them, as long as those are not too many (P8)', async () => {
    expect(await rowsBeforeLive(1)).toBeLessThan(10_000);
    expect(await rowsBeforeLive(3)).toBeGreaterThanOrEqual(120_000);
  });

  it('leaves it to them by the time, not for each slice: they may take long', async () => {
    expect((await seenOfBurst(new VirtualClock(T0))).size).toBeLessThan(5);
  });

  it('fails as its log does, and says so', async () => {
    const log = new MemoryLog();
    log.appendNow([{ subject: subjects.out(0), payload: new Uint8Array([0x91, 99]) }]);
    await expect(RegionView.open(options(log, 1))).rejects.toThrow(/format 99/);
    const other = new MemoryLog();
    const view = await opened(other, 1);
    other.appendNow([{ subject: subjects.out(0), payload: new Uint8Array([0x91, 99]) }]);
    await expect(view.finished).rejects.toThrow(/format 99/);
    expect(view.failure?.message).toMatch(/format 99/);
    await view.close();
  });

  it('fails with rows that cannot be read, when it comes to them', async () => {
    const log = new MemoryLog();
    const view = await opened(log, 1);
    const blocks = new RowBlocks();
    blocks.add(row('k', T0 + MINUTE));
    const [{ kind, count, firstEndMs, bytes }] = blocks.take() as [RowBlock];
    const lying = new RowBlock(kind, count + 1, firstEndMs, bytes);
    const output = { progress: null, blocks: [lying], sides: [], shown: [] };
    const [payload] = encodeOutput(output, 1024 * 1024) as [Uint8Array];
    log.appendNow([{ subject: subjects.out(0), payload }]);
    await expect(view.finished).rejects.toThrow(RangeError);
    expect(view.failure).toBeInstanceOf(RangeError);
    await view.close();
  });
});

describe('a cell of the view', () => {
  const [a, b, c] = ['9q8yyk', '9q8yym', '9q8yyq'] as const;
  const scored = (key: string, endMs: number, multiplier: number, raw = multiplier): Row =>
    row(key, endMs, { surge: { multiplier, raw, model: 'm@1' }, features: { requests: 2, cancels: 0 } });

  it('has a multiplier as long as its row is of the last minute, and a line of those before', async () => {
    const log = new MemoryLog();
    const outputs = new RegionOutputs(log, subjects);
    for (let minute = 1; minute <= 40; minute++) {
      const end = T0 + minute * MINUTE;
      const rows = minute % 10 === 0 ? [] : [scored(a, end, 1 + (minute % 10) / 10)];
      outputs.say(0, { rows: [...rows, scored(b, end, 2)], watermarkMs: end });
    }
    const view = await opened(log, 1);
    expect(view.cell(b)).toMatchObject({
      multiplier: 2,
      raw: 2,
      start: T0 + 39 * MINUTE,
      features: { requests: 2 },
    });
    expect(view.cell(b).features).toEqual({ requests: 2 });
    expect(view.cell(b).spark).toEqual(Array.from({ length: 30 }, () => 2));
    expect(view.cell(a)).toMatchObject({ multiplier: null, start: null, features: {}, live: null });
    const line = view.cell(a).spark;
    expect(line.slice(-11)).toEqual([null, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 1.9, null]);
    expect(view.map().map(({ key }) => key)).toEqual([b]);
    expect(view.cell(c)).toMatchObject({ multiplier: null, spark: [] });
    await view.close();
  });

  it('stands in the top list by multiplier, then by raw score', async () => {
    const log = new MemoryLog();
    const end = T0 + MINUTE;
    new RegionOutputs(log, subjects).say(0, {
      rows: [scored(a, end, 3, 3.1), scored(b, end, 3, 5), scored(c, end, 1.5), row('9q8yyr', end)],
      watermarkMs: end,
    });
    const view = await opened(log, 1);
    expect(view.top(10).map(({ key }) => key)).toEqual([b, a, c]);
    expect(view.top(1).map(({ key }) => key)).toEqual([b]);
    await view.close();
  });

  it('is told of when a row comes, when values are shown, when time takes its row away, and when it falls silent', async () => {
    const log = new MemoryLog();
    const clock = new VirtualClock(T0);
    const outputs = new RegionOutputs(log, subjects);
    outputs.say(0, { rows: [scored(a, T0, 1)], watermarkMs: T0 });
    const view = await opened(log, 1, { clock });
    const told: string[] = [];
    const stop = view.subscribe({
      rows: (rows) => told.push(...rows.map(({ key, end }) => `row ${key} ${(end - T0) / MINUTE}`)),
      live: (changes) =>
        told.push(...changes.map(({ level, key, values }) => `live ${level} ${key} ${values['open']}`)),
      cells: (keys) => told.push(`cells ${keys.join(' ')}`),
    });
    view.subscribe({
      rows: () => {
        throw new Error('a listener that fails');
      },
    });
    outputs.say(0, { rows: [scored(b, T0 + MINUTE, 2)], watermarkMs: T0 + MINUTE });
    await level(view, log, 1);
    expect(told.splice(0)).toEqual([`cells ${b}`, `row ${b} 1`, `cells ${a}`]);
    outputs.say(0, { shown: [shownBlock({ [c]: { minute: T0, open: 2 } })], watermarkMs: T0 + MINUTE });
    await level(view, log, 1);
    expect(told.splice(0)).toEqual([`cells ${c}`, `live cell ${c} 2`]);
    expect(view.map().map(({ key }) => key)).toEqual([b, c]);
    clock.advance(4 * MINUTE);
    expect(told.splice(0)).toEqual([`cells ${c}`]);
    expect(view.live(c)).toBeUndefined();
    stop();
    outputs.say(0, { rows: [scored(b, T0 + 2 * MINUTE, 2)], watermarkMs: T0 + 2 * MINUTE });
    await level(view, log, 1);
    expect(told).toEqual([]);
    await view.close();
  });
});
