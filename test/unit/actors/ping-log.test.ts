/** Hunts: a ping that comes back another one, in another place, or after it was taken. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PingLog, type Ping } from '../../../actors/ping-log.js';
import { ByteReader, ByteWriter } from '../../../src/index.js';

const ping: fc.Arbitrary<Ping> = fc.record({
  // Within one minute, as they come; and far apart.
  ts: fc.oneof(
    fc.integer({ min: 1_700_000_000_000, max: 1_700_000_060_000 }),
    fc.integer({ min: 0, max: 2 ** 42 }),
  ),
  status: fc.constantFrom('open', 'enroute', 'ontrip', 'offline'),
  cell: fc.constantFrom('9q8yyk', '9q8yym', '9q8zn0', 'gcpvj0d8'),
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

function takeBefore(log: PingLog, endMs: number): Ping[] {
  const taken: Ping[] = [];
  log.takeBefore(endMs, { ping: (ts, status, cell) => taken.push({ ts, status, cell }) });
  return taken;
}

/** What the log says it is: a list in (ts, arrival) order. */
function inOrder(pings: readonly Ping[]): Ping[] {
  return pings
    .map((one, arrival) => ({ one, arrival }))
    .sort((a, b) => a.one.ts - b.one.ts || a.arrival - b.arrival)
    .map(({ one }) => one);
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

  it('a ping of the same cell costs three bytes', () => {
    const log = logOf([{ ts: 1_700_000_000_000, status: 'open', cell: '9q8yyk' }]);
    const before = bytesOf(log).byteLength;
    log.add(1_700_000_004_000, 'ontrip', '9q8yyk');
    expect(bytesOf(log).byteLength - before).toBe(3);
  });
});
