// Hunts: input that is taken beyond what a turn may take; a partition that takes nothing for ever; a message that is let go untaken.
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/core/clock.js';
import type { LogMessage, LogReader } from '../../../src/log/log.js';
import { Subjects } from '../../../src/log/subjects.js';
import { OwnedPartition } from '../../../src/node/owned-partition.js';
import { zeroStats } from '../../../src/node/status.js';
import { encodeEventFrame } from '../../../src/partition/frame.js';
import { Driven, MINUTE } from '../partition/driven.js';

const LIMITS = { turnBytes: 1_000_000, uncommittedEventsMax: 1_000 };
const NEVER = Number.POSITIVE_INFINITY;

/** A partition whose frames each move its time by half a minute, and how far it has come. */
function setUp(frames: number) {
  const subject = new Subjects('sf').events(0);
  const messages = Array.from({ length: frames }, (_, i): LogMessage => {
    const events = [{ type: 'nothing', ts: 0 }];
    const head = {
      producer: 'p',
      mode: 'replay' as const,
      seq: i,
      watermarkMs: (i + 1) * (MINUTE / 2),
      end: false,
    };
    return {
      subject,
      seq: i + 1,
      payload: encodeEventFrame({ ...head, events }),
      storedAtMs: 0,
    };
  });
  const reader = { failure: undefined, pending: 0, bufferedMessages: 0, take: () => messages.splice(0) };
  const { partition } = new Driven([]);
  const owned = new OwnedPartition({
    ...{ partition, clock: systemClock, committed: undefined, journalSeq: 0 },
    reader: reader as unknown as LogReader,
  });
  const turn = (until: { monotonicMs: number; eventMs: number }): number[] => {
    owned.fetch(LIMITS);
    owned.accept(0, until, zeroStats());
    return [owned.settleInput(), partition.watermarkMs];
  };
  return { owned, turn };
}

describe('OwnedPartition', () => {
  it('takes input up to an event time, and nothing when it is there', () => {
    const { owned, turn } = setUp(6);
    expect(turn({ monotonicMs: NEVER, eventMs: MINUTE })).toEqual([2, MINUTE]);
    expect(turn({ monotonicMs: NEVER, eventMs: MINUTE })).toEqual([0, MINUTE]);
    expect(owned.lagMessages).toBe(4);
    expect(turn({ monotonicMs: NEVER, eventMs: NEVER })).toEqual([4, 3 * MINUTE]);
    expect(owned.hasInput).toBe(false);
  });

  it('takes one message in each turn, whatever the clock says', () => {
    const { turn } = setUp(3);
    const late = { monotonicMs: 0, eventMs: NEVER };
    expect([turn(late)[0], turn(late)[0], turn(late)[0], turn(late)[0]]).toEqual([1, 1, 1, 0]);
  });
});
