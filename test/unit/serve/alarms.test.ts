// Hunts: time that stands still and nobody says for whom; an alarm a partition, or one for every producer that ever was.
import { describe, expect, it } from 'vitest';
import { clockAlarm, watermarkAlarms } from '../../../src/serve/alarms.js';

const NOW = 1_700_000_000_000;
const facts = (partition: number, behindMs: number, holder?: string) => ({
  partition,
  watermarkMs: NOW - behindMs,
  holder,
});

describe('watermarkAlarms', () => {
  it('are none while all is well, or nothing was ever heard', () => {
    const none = { partition: 1, watermarkMs: 0, holder: undefined };
    expect(watermarkAlarms([facts(0, 120_000, 'p'), none], NOW)).toEqual([]);
  });

  it('name who holds time back, once for all partitions, the furthest behind first', () => {
    const alarms = watermarkAlarms(
      [facts(0, 200_000, 'slow'), facts(1, 1_000, 'fast'), facts(2, 300_000, 'slow'), facts(3, 900_000)],
      NOW,
    );
    expect(alarms).toMatchObject([
      { kind: 'held', producer: undefined, partitions: [3], behindMs: 900_000 },
      { kind: 'held', producer: 'slow', partitions: [0, 2], behindMs: 300_000 },
    ]);
    expect(alarms.map(({ message }) => message)).toEqual([
      'Time is 900 s behind in partition 3; it waits for nobody: the node is behind.',
      'Time is 300 s behind in partition 0, 2; it waits for producer slow.',
    ]);
  });

  it('name who died without a last word, for an hour', () => {
    const silent = (partition: number, heardAtMs: number) => ({
      ...facts(partition, 0),
      silent: [{ producer: 'dead', watermarkMs: 0, heardAtMs }],
    });
    expect(watermarkAlarms([silent(0, NOW - 40_000), silent(1, NOW - 39_000)], NOW)).toMatchObject([
      { kind: 'silent', producer: 'dead', partitions: [0, 1], silentMs: 39_000 },
    ]);
    expect(watermarkAlarms([silent(0, NOW - 3_600_001)], NOW)).toEqual([]);
  });
});

describe('a producer whose clock is ahead', () => {
  it('is named, and is not called silent', () => {
    const silent = [{ producer: 'p', watermarkMs: 0, heardAtMs: NOW, aheadMs: 3_595_000 }];
    const alarms = watermarkAlarms(
      [0, 1].map((partition) => ({ ...facts(partition, 0), silent })),
      NOW,
    );
    expect(alarms).toMatchObject([{ kind: 'clock', producer: 'p', partitions: [0, 1], skewMs: 3_595_000 }]);
    expect(alarms[0]!.message).toContain('3,595 s ahead');
  });
});

describe('clockAlarm', () => {
  it('says by how much, which way, and what to do', () => {
    expect([clockAlarm(0), clockAlarm(5_000), clockAlarm(-5_000)]).toEqual([undefined, undefined, undefined]);
    expect(clockAlarm(3_600_000)?.message).toMatch(/3,600 s ahead of the node.*restart/);
    expect(clockAlarm(-3_600_000)?.message).toMatch(/3,600 s behind the node/);
  });
});
