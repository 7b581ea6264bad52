/**
 * Hunts: a peer that does another job than the others, so that its figure says nothing; a ratio to the wrong one. Small sizes on
 * real servers; no time is asserted. What is fetched on demand runs here only where it was fetched before.
 */
import { describe, expect, it } from 'vitest';
import { bytewax, hasBytewax } from '../../bench/peers/bytewax.js';
import { checkedRows } from '../../bench/peers/check.js';
import { everything, groundswell } from '../../bench/peers/groundswell.js';
import { hashOf, newDriver, takePing, type JobPing } from '../../bench/peers/job.js';
import { map } from '../../bench/peers/map.js';
import { naive } from '../../bench/peers/naive.js';
import { expectRows, standingsOf } from '../../bench/peers/outcome.js';
import { hasRestate } from '../../bench/peers/restate-packages.js';
import { restate } from '../../bench/peers/restate.js';

const SIZE = { drivers: 200, events: 4_000, seed: 1 };
/** Pinned: the rows that the check finds. Changes only when the workload or the job does. */
const ROWS_HASH = '6477b2e3bd8691ae';

describe('the job', () => {
  it('counts a driver once per cell and minute in which it pinged while open, also when it comes back', () => {
    const driver = newDriver();
    const at = (ts: number, cell: string, status: JobPing['status'] = 'open'): JobPing => ({
      driverId: 'd',
      lat: 1,
      lon: 2,
      ts,
      status,
      cell,
    });
    const pings = [
      at(60_000, 'a'),
      at(60_001, 'b'),
      at(60_002, 'a'),
      at(60_003, 'a', 'ontrip'),
      at(119_999, 'a'),
      at(120_000, 'a'),
      at(120_001, 'c', 'offline'),
    ];
    expect(pings.map((ping) => takePing(driver, ping))).toEqual([1, 1, 0, undefined, 0, 1, undefined]);
    expect(driver).toMatchObject({ lat: 1, lon: 2, ts: 120_001, status: 'offline' });
  });

  it('has a hash of rows that knows no order and sees any change', () => {
    const rows = checkedRows({ ...SIZE, events: 500 });
    const hash = hashOf(rows);
    expect(hashOf(rows.toReversed())).toBe(hash);
    expect(hashOf([...rows, rows[0]!])).not.toBe(hash);
    expect(hashOf(rows.map((row, i) => (i === 7 ? { ...row, drivers: row.drivers + 1 } : row)))).not.toBe(
      hash,
    );
  });
});

describe('each peer writes the rows that the check finds', () => {
  it('where the check is pinned, and counts no driver twice', () => {
    const rows = checkedRows(SIZE);
    expect(hashOf(rows)).toBe(ROWS_HASH);
    expect(rows.some(({ pings, drivers }) => pings > drivers && drivers > 1)).toBe(true);
    expect(new Set(rows.map(({ start }) => start)).size).toBe(2);
  });

  it.each([map, groundswell, naive])('$name', async (peer) => {
    const run = await peer.run(SIZE);
    expect(run.events).toBe(SIZE.events);
    expect(run.seconds).toBeGreaterThan(0);
    expect(hashOf(run.rows!)).toBe(ROWS_HASH);
  });

  it.runIf(hasRestate())('restate', async () => {
    // A durable call for each: no more than a few seconds' worth.
    const size = { ...SIZE, events: 800 };
    const run = await restate.run(size);
    expect(hashOf(run.rows!)).toBe(hashOf(checkedRows(size)));
  });

  it.runIf(hasBytewax())('bytewax', async () => {
    const run = await bytewax.run(SIZE);
    expect(hashOf(run.rows!)).toBe(ROWS_HASH);
  });

  it('but for Groundswell with all its features, whose rows are others', async () => {
    const run = await everything.run({ ...SIZE, events: 1_000 });
    expect(run).toMatchObject({ events: 1_000, rows: undefined });
  });
});

describe('what the runs come to', () => {
  const ran = (events: number, seconds: number) => ({ kind: 'ran', events, seconds }) as const;

  it('is the median of the rates, and of the shares of Groundswell in the same round', () => {
    const standings = standingsOf({
      map: [ran(1000, 1), ran(1000, 2), ran(1000, 4)],
      groundswell: [ran(1000, 2), ran(1000, 8), ran(1000, 8)],
      restate: [{ kind: 'unavailable', why: 'no registry' }],
    });
    expect(standings).toMatchObject([
      { name: 'map', events: 1000, eventsPerSecond: 500, ofGroundswell: { median: 2, min: 2, max: 4 } },
      { name: 'groundswell', eventsPerSecond: 125, ofGroundswell: { median: 1, min: 1, max: 1 } },
    ]);
    expect(standingsOf({ map: [ran(1000, 1)] })).toMatchObject([{ name: 'map', ofGroundswell: undefined }]);
  });

  it('is nothing when a peer wrote other rows', () => {
    const outcome = { ...ran(10, 1), rowsHash: 'a' };
    expect(() => {
      expectRows('map', outcome, () => 'b');
    }).toThrow(/map wrote other rows \(a\) than it should have \(b\)/);
    expectRows('map', outcome, (events) => (events === 10 ? 'a' : 'b'));
  });
});
