/** Hunts: a ping that comes back another one, in another place, or after it was taken. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PingLog, type Ping } from '../../../actors/ping-log.js';

const ping: fc.Arbitrary<Ping> = fc.record({
  // Within one minute, as they come; and far apart.
  ts: fc.oneof(
    fc.integer({ min: 1_700_000_000_000, max: 1_700_000_060_000 }),
    fc.integer({ min: 0, max: 2 ** 42 }),
  ),
  status: fc.constantFrom('open', 'enroute', 'ontrip', 'offline'),
  cell: fc.constantFrom('9q8yyk', '9q8yym', '9q8zn0', 'gcpvj0d8'),
});

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
          for (const [i, one] of pings.entries()) {
            log.add(one);
            if (storedAfter.includes(i)) log = PingLog.from(log.bytes);
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
        const log = new PingLog();
        for (const one of pings) log.add(one);
        expect(log.takeBefore(endMs)).toEqual(inOrder(pings).filter(({ ts }) => ts < endMs));
        const rest = inOrder(pings).filter(({ ts }) => ts >= endMs);
        expect(log.list()).toEqual(rest);
        expect(log.bytes).toEqual(new PingLog(rest).bytes);
      }),
    );
  });

  it('a ping of the same cell costs three bytes', () => {
    const log = new PingLog([{ ts: 1_700_000_000_000, status: 'open', cell: '9q8yyk' }]);
    const before = log.bytes.byteLength;
    log.add({ ts: 1_700_000_004_000, status: 'ontrip', cell: '9q8yyk' });
    expect(log.bytes.byteLength - before).toBe(3);
  });
});
