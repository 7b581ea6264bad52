/**
 * Overload. Hunts: a producer that is ten times as fast as the node, and fills the stream, the node's memory or its own with what
 * nobody has taken; events that are dropped on the way, or counted twice; a stream so full that nothing can be committed.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.js';
import { openProducer } from '../../src/index.js';
import { differenceFromTruth } from '../support/against-truth.js';
import { MINUTE, smallCity, T0 } from '../support/market.js';
import { RealRegion } from '../support/real-region.js';
import { repeated } from '../support/rows.js';
import { SlowLog } from '../support/slow-log.js';
import { until } from '../support/until.js';

const TEST_MS = 180_000;
const MIB = 1024 * 1024;
const PARTITIONS = 2;
const FRAME_EVENTS = 64;
const LAG_MAX = 50;
const MESSAGE_EVERY_MS = 6;
const STREAM_BYTES_MAX = 256 * MIB;
let region: RealRegion;
let slow: SlowLog;

beforeAll(async () => {
  region = await RealRegion.open(PARTITIONS, {
    streams: { engineBytesMax: STREAM_BYTES_MAX },
    frameEvents: FRAME_EVENTS,
    lagMessagesMax: LAG_MAX,
    nodeLog: (log) => {
      slow = new SlowLog(log, { clock: systemClock, messageEveryMs: MESSAGE_EVERY_MS });
      return slow;
    },
  });
}, 300_000);
afterAll(() => region.close(), 60_000);

describe('a producer that is ten times as fast as the node', () => {
  it(
    'P8: is slowed to its pace: nothing is dropped, nothing counts twice, and all that waits is bounded',
    async () => {
      const city = smallCity({
        drivers: 700,
        requestsPerMinute: 60,
        durationMs: 6 * MINUTE,
        pingEveryMs: 2_000,
      });
      const framesEach = city.length / FRAME_EVENTS / PARTITIONS;
      expect(framesEach, 'many times what may wait').toBeGreaterThan(10 * LAG_MAX);
      const producer = await openProducer({
        ...region.target,
        id: 'fast',
        mode: 'replay',
        queueEventsMax: 4_000,
      });
      let lagMax = 0;
      let queuedMax = 0;
      let told: string | undefined;
      let sent = false;
      const startedMs = performance.now();
      const watching = until(
        'all is sent',
        () => {
          for (const { lagMessages } of region.node.status().partitions)
            lagMax = Math.max(lagMax, lagMessages);
          queuedMax = Math.max(queuedMax, producer.stats.queued);
          told ??= producer.stats.overload;
          return sent;
        },
        { deadlineMs: TEST_MS, pollMs: 10 },
      );
      for (const event of city) while (producer.offer(event) === 'full') await producer.room();
      const upToMs = T0 + 2 * 60 * MINUTE;
      await producer.close({ upToMs });
      sent = true;
      await watching;
      const seconds = (performance.now() - startedMs) / 1_000;
      // As fast as the node takes it, but for what may wait: a stream alone takes it all in a second or two.
      expect(seconds).toBeGreaterThan(((framesEach - 6 * LAG_MAX) * MESSAGE_EVERY_MS) / 1_000);

      const { rows, sides, count } = await region.said(upToMs);
      expect([count('late'), count('repeated'), count('missing'), sides]).toEqual([0, 0, 0, []]);
      expect(repeated(rows)).toEqual([]);
      expect(await differenceFromTruth(city, rows)).toBe('same');

      expect(told).toMatch(/behind/);
      expect(lagMax).toBeGreaterThan(LAG_MAX);
      // What was taken before it was told, and what is sent between two looks, goes on top; never all of it.
      expect(lagMax).toBeLessThan(framesEach / 2);
      expect(queuedMax).toBeLessThanOrEqual(4_000);
      expect(slow.bufferedBytesMax).toBeLessThanOrEqual(8 * MIB);
      const { bytes, bytesMax, present } = await region.log.load(region.subjects.allHolds);
      expect(bytesMax).toBe(STREAM_BYTES_MAX);
      expect(bytes).toBeLessThan(0.9 * STREAM_BYTES_MAX);
      expect(region.retries, 'there was always room for commits').toEqual([]);
      await until('nothing is held any more', async () => {
        if (present.length === 0) return true;
        return (await region.log.load(region.subjects.allHolds)).present.length === 0;
      });
    },
    TEST_MS,
  );
});
