/** Hunts: a ping that comes back another one, in another place, or after it was taken. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cellText } from '../../../actors/cell-code.js';
import { PingLog, type Ping } from '../../../actors/ping-log.js';
import { ByteReader, ByteWriter } from '../../../src/index.js';

const ping: fc.Arbitrary<Ping> = fc.record({
  // Within one minute, as they come; and far apart.
  ts: fc.oneof(
    fc.integer({ min: 1_700_000_000_000, max: 1_700_000_060_000 }),
    fc.integer({ min: 0, max: 2 ** 42 }),
  ),
  status: fc.constantFrom('open', 'enroute', 'ontrip', 'offline'),
  cell: fc.constantFrom('9q8yyk', '9q8yym', '9q8zn0', '000000', 'zzzzzz', 'gcpvj0d8', '9q8y', 'Zürich'),
});

function logOf(pings: readonly Ping[]): PingLog {
  const log = new PingLog();
  for (const { ts, status, cell } of pings) log.add(ts, status, cell);
  return log;
}

function bytesOf(log: PingLog): Uint8Array {
  const writer = new ByteWriter();
  log.writeTo(writer);
  return writer.take();
}

function storedAndLoaded(log: PingLog): PingLog {
  return PingLog.from(new ByteReader(bytesOf(log)), log.hasTaken);
}

/** Each ping by itself: none of a stay is less than no time behind another. */
function takeBefore(log: PingLog, endMs: number): Ping[] {
  return takeStays(log, endMs, -1).map(({ fromMs, toMs, status, cell }) => {
    expect(fromMs).toBe(toMs);
    return { ts: fromMs, status: status as Ping['status'], cell };
  });
}

interface Stay {
  readonly status: string;
  readonly cell: string;
  readonly fromMs: number;
  readonly toMs: number;
}

function takeStays(log: PingLog, endMs: number, holdsMs: number): Stay[] {
  const stays: Stay[] = [];
  log.takeBefore(endMs, holdsMs, {
    stay: (fromMs, toMs, status, cell) => stays.push({ status, cell: cellText(cell), fromMs, toMs }),
  });
  return stays;
}

/** What the log says it is: a list in (ts, arrival) order. */
function inOrder(pings: readonly Ping[]): Ping[] {
  return pings
    .map((one, arrival) => ({ one, arrival }))
    .sort((a, b) => a.one.ts - b.one.ts || a.arrival - b.arrival)
    .map(({ one }) => one);
}

/** Pings that say the same, one soon after the other, as the first and the last of them. */
function staysOf(pings: readonly Ping[], holdsMs: number): Stay[] {
  const all: { -readonly [K in keyof Stay]: Stay[K] }[] = [];
  for (const { ts, status, cell } of pings) {
    const last = all.at(-1);
    if (last?.status === status && last.cell === cell && ts - last.toMs <= holdsMs) last.toMs = ts;
    else all.push({ status, cell, fromMs: ts, toMs: ts });
  }
  return all;
}

describe('PingLog', () => {
  it('gives pings back in (ts, arrival) order, also after it was stored at any time', () => {
    fc.assert(
      fc.property(
        fc.array(ping, { maxLength: 40 }),
        fc.array(fc.nat(39), { maxLength: 5 }),
        (pings, storedAfter) => {
          let log = new PingLog();
          for (const [i, { ts, status, cell }] of pings.entries()) {
            log.add(ts, status, cell);
            if (storedAfter.includes(i)) log = storedAndLoaded(log);
          }
          expect(log.list()).toEqual(inOrder(pings));
          expect(log.newest).toEqual(inOrder(pings).at(-1));
        },
      ),
    );
  });

  it('parts at a time, exclusive: what was taken is gone, the rest is as if the others had never been', () => {
    fc.assert(
      fc.property(fc.array(ping, { maxLength: 40 }), fc.integer({ min: 0, max: 2 ** 42 }), (pings, endMs) => {
        let log = logOf(pings);
        const before = inOrder(pings).filter(({ ts }) => ts < endMs);
        const rest = inOrder(pings).filter(({ ts }) => ts >= endMs);
        expect(takeBefore(log, endMs)).toEqual(before);
        for (const again of [false, true]) {
          if (again) log = storedAndLoaded(log);
          expect(log.list()).toEqual(rest);
          expect(log.oldestMs).toBe(rest[0]?.ts);
          expect(log.taken).toEqual(before.at(-1));
          expect(log.newest).toEqual(rest.at(-1) ?? before.at(-1));
        }
        expect(takeBefore(log, Number.POSITIVE_INFINITY)).toEqual(rest);
        expect(log.taken).toEqual(inOrder(pings).at(-1));
      }),
    );
  });

  it('takes pings in any order between takings, where there is room before the first and behind the last', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(ping, { maxLength: 12 }), { maxLength: 8 }),
        fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 8, maxLength: 8 }),
        (lots, shares) => {
          const log = new PingLog();
          let left: Ping[] = [];
          for (const [i, lot] of lots.entries()) {
            for (const { ts, status, cell } of lot) expect(log.add(ts, status, cell)).toBe(true);
            left = inOrder([...left, ...lot]);
            expect(log.list()).toEqual(left);
            const endMs = left[Math.floor(shares[i]! * left.length)]?.ts ?? 0;
            takeBefore(log, endMs);
            left = left.filter(({ ts }) => ts >= endMs);
            expect(log.list()).toEqual(left);
          }
        },
      ),
    );
  });

  it('P7 pings drawn together say what all of them said, and who comes among them is turned away', () => {
    const often = fc.record({
      afterMs: fc.integer({ min: 0, max: 900 }),
      // Most say what the one before said.
      change: fc.integer({ min: 0, max: 15 }),
      lateMs: fc.option(fc.integer({ min: 1, max: 30_000 }), { nil: undefined, freq: 6 }),
    });
    let left = 0;
    let turnedAway = 0;
    fc.assert(
      fc.property(
        fc.array(often, { minLength: 20, maxLength: 150 }),
        fc.integer({ min: 500, max: 20_000 }),
        fc.array(fc.nat(149), { maxLength: 4 }),
        (steps, holdsMs, storedAfter) => {
          let log = new PingLog();
          const accepted: Ping[] = [];
          let ts = 1_700_000_000_000;
          let [status, cell] = ['open', '9q8yyk'] as [Ping['status'], string];
          for (const [i, { afterMs, change, lateMs }] of steps.entries()) {
            ts += afterMs;
            if (change === 0) status = status === 'open' ? 'ontrip' : 'open';
            if (change === 1) cell = cell === '9q8yyk' ? '9q8yym' : '9q8yyk';
            const ping = {
              ts: ts - (lateMs ?? 0),
              status: lateMs === undefined ? status : 'enroute',
              cell,
            } as Ping;
            if (log.add(ping.ts, ping.status, ping.cell)) accepted.push(ping);
            else turnedAway++;
            log.drawTogether(ts - 5_000, holdsMs);
            if (storedAfter.includes(i)) log = storedAndLoaded(log);
          }
          left += accepted.length - log.list().length;
          const endMs = ts - 3_000;
          const all = inOrder(accepted);
          expect(takeStays(log, endMs, holdsMs)).toEqual(
            staysOf(
              all.filter((one) => one.ts < endMs),
              holdsMs,
            ),
          );
          expect(staysOf(log.list(), holdsMs)).toEqual(
            staysOf(
              all.filter((one) => one.ts >= endMs),
              holdsMs,
            ),
          );
        },
      ),
      { numRuns: 300 },
    );
    expect(left, 'pings that were left out').toBeGreaterThan(1_000);
    expect(turnedAway, 'pings that were turned away').toBeGreaterThan(100);
  });

  it('one that pings twice a second and stays is a few pings', () => {
    const log = new PingLog();
    for (let i = 0; i < 120; i++) {
      expect(log.add(1_700_000_000_000 + 500 * i, 'open', '9q8yyk')).toBe(true);
      log.drawTogether(1_700_000_000_000 + 500 * i - 5_000, 300_000);
    }
    expect(log.list().length).toBeLessThan(32);
  });

  it('a log that was stored before pings were drawn together is read', () => {
    const writer = new ByteWriter();
    // Eight times the time, four for another cell, the status.
    writer
      .uint(1_700_000_000_000 * 8 + 4 + 2)
      .text('9q8yyk')
      .uint(4_000 * 8 + 1);
    const log = PingLog.from(new ByteReader(writer.take()), false, 'single');
    expect(log.list()).toEqual([
      { ts: 1_700_000_000_000, status: 'ontrip', cell: '9q8yyk' },
      { ts: 1_700_000_004_000, status: 'enroute', cell: '9q8yyk' },
    ]);
  });

  it('a log that was stored before cells were numbers is read', () => {
    const writer = new ByteWriter();
    writer.float(1_700_000_000_000).uint(1).text('9q8yyj');
    // Sixteen times the time, eight for one of several, four for another cell, the status.
    writer
      .uint(1_700_000_060_000 * 16 + 4 + 2)
      .text('9q8yyk')
      .uint(9_000 * 16 + 8 + 2)
      .uint(1_000 * 16 + 4)
      .text('gcpvj0d8');
    const log = PingLog.from(new ByteReader(writer.take()), true, 'texts');
    expect(log.taken).toEqual({ ts: 1_700_000_000_000, status: 'enroute', cell: '9q8yyj' });
    const pings = [
      { ts: 1_700_000_060_000, status: 'ontrip', cell: '9q8yyk' },
      { ts: 1_700_000_069_000, status: 'ontrip', cell: '9q8yyk' },
      { ts: 1_700_000_070_000, status: 'open', cell: 'gcpvj0d8' },
    ];
    expect(log.list()).toEqual(pings);
    expect(storedAndLoaded(log).list()).toEqual(pings);
    expect(storedAndLoaded(log).taken).toEqual(log.taken);
  });

  it('a ping of a neighbouring cell costs a byte or two more', () => {
    const log = logOf([{ ts: 1_700_000_000_000, status: 'open', cell: '9q8yyk' }]);
    const before = bytesOf(log).byteLength;
    log.add(1_700_000_004_000, 'open', '9q8yym');
    expect(bytesOf(log).byteLength - before).toBe(4);
    log.add(1_700_000_008_000, 'open', '9q8yzm');
    expect(bytesOf(log).byteLength - before).toBe(8);
  });

  it('a ping of the same cell costs three bytes', () => {
    const log = logOf([{ ts: 1_700_000_000_000, status: 'open', cell: '9q8yyk' }]);
    const before = bytesOf(log).byteLength;
    log.add(1_700_000_004_000, 'ontrip', '9q8yyk');
    expect(bytesOf(log).byteLength - before).toBe(3);
  });
});
