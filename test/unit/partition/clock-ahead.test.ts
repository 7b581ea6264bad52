/**
 * Hunts: a producer whose clock is an hour ahead and that closes the windows of all others; events of a time that has not come
 * in a row; and the other way round: good events refused because one of our own clocks is behind, or because they are replayed.
 */
import { describe, expect, it } from 'vitest';
import { defineActor, type ActorEvent } from '../../../src/actor/behaviour.js';
import { encodeEventFrame, type EventFrame } from '../../../src/partition/frame.js';
import { Driven, MINUTE } from './driven.js';

const NOW = 1_700_000_000_000;
const HOUR = 60 * MINUTE;
const TOLERANCE = 60_000;
const BOUND = 5_000;
const IDLE = 30_000;

const counted = defineActor<{ count: number }>({
  type: 'counted',
  sends: [],
  state: () => ({ count: 0 }),
  events: {
    'session.opened': {
      key: 'riderId',
      handle: (state) => {
        state.count++;
      },
    },
  },
});

function region(): Driven & {
  frame: (frame: Partial<EventFrame>, at?: { wallMs?: number; storedMs?: number }) => void;
} {
  const time = { outOfOrderBoundMs: BOUND, idleTimeoutMs: IDLE, clockToleranceMs: TOLERANCE };
  const driven = new Driven([counted], { time });
  let seq = 0;
  return Object.assign(driven, {
    frame: (
      more: Partial<EventFrame>,
      { wallMs = NOW, storedMs }: { wallMs?: number; storedMs?: number } = {},
    ) => {
      const frame = {
        producer: 'p',
        mode: 'live' as const,
        seq: 0,
        watermarkMs: 0,
        end: false,
        events: [],
        ...more,
      };
      driven.partition.acceptEvents(encodeEventFrame(frame), ++seq, wallMs, storedMs);
    },
  });
}

const opened = (ts: number, riderId = 'r'): ActorEvent => ({ type: 'session.opened', riderId, ts });
const count = (driven: Driven): number =>
  (driven.stored('counted', 'r') as { count: number } | undefined)?.count ?? 0;

describe('a producer with a clock an hour ahead', () => {
  it('is refused: its events are dead letters with the reason, and count nowhere', async () => {
    const one = region();
    one.frame({
      events: [opened(NOW + HOUR), opened(NOW + TOLERANCE), opened(NOW + TOLERANCE + 1), opened(NOW)],
    });
    await one.commit(NOW);
    expect(count(one)).toBe(2);
    expect(one.counter('refused.clock_ahead')).toBe(2);
    expect(
      one.sides.map(({ kind, type, body }) => [kind, type, (body as { reason: string }).reason]),
    ).toEqual([
      ['dead', 'session.opened', 'clock_ahead'],
      ['dead', 'session.opened', 'clock_ahead'],
    ]);
    expect((one.sides[0]!.body as { body: string }).body).toContain('"riderId":"r"');
  });

  it('never drags the watermark, alone or with others, now or later', async () => {
    const one = region();
    one.frame({ watermarkMs: NOW + HOUR });
    await one.commit(NOW);
    expect(one.partition.watermarkMs).toBe(0);
    one.frame({ producer: 'good', watermarkMs: NOW - BOUND });
    expect(one.partition.holder(NOW)).toBe('p');
    // It holds nothing back either: who tells such a time counts as silent, however often it is told.
    for (let ms = 0; ms <= IDLE + 1_000; ms += 1_000) {
      one.frame({ watermarkMs: NOW + HOUR + ms }, { wallMs: NOW + ms });
      one.frame({ producer: 'good', watermarkMs: NOW + ms - BOUND }, { wallMs: NOW + ms });
    }
    expect(one.partition.watermarkMs).toBe(NOW + IDLE + 1_000 - BOUND);
    expect(one.partition.silent(NOW + IDLE + 1_000)).toMatchObject([{ producer: 'p', aheadMs: HOUR }]);
    one.partition.advance(NOW + 10 * MINUTE);
    expect(one.partition.watermarkMs).toBe(NOW + 10 * MINUTE - BOUND);
  });

  it('is believed again as soon as its clock is right', () => {
    const one = region();
    one.frame({ watermarkMs: NOW + HOUR });
    one.frame({ watermarkMs: NOW - BOUND }, { wallMs: NOW });
    expect(one.partition.watermarkMs).toBe(NOW - BOUND);
  });

  it('P3: its sequence counts on, refused or not, so nothing of it is taken twice', async () => {
    const one = region();
    const frame = { events: [opened(NOW + HOUR), opened(NOW)], watermarkMs: NOW + HOUR };
    one.frame(frame);
    one.frame(frame);
    one.frame({ events: [opened(NOW)], seq: 2 });
    await one.commit(NOW);
    expect([count(one), one.counter('repeated'), one.counter('missing'), one.sides.length]).toEqual([
      2, 2, 0, 1,
    ]);
  });
});

describe('who is not refused', () => {
  it('P7: a replay, whatever its time', async () => {
    const one = region();
    one.frame({ mode: 'replay', events: [opened(NOW + 10 * HOUR)], watermarkMs: NOW + 10 * HOUR });
    await one.commit(NOW);
    expect([count(one), one.partition.watermarkMs, one.sides]).toEqual([1, NOW + 10 * HOUR, []]);
  });

  it('anybody, while one of our two clocks says that its time has come', async () => {
    const one = region();
    one.frame({ events: [opened(NOW)], watermarkMs: NOW - BOUND }, { wallMs: NOW - HOUR, storedMs: NOW });
    one.frame(
      { events: [opened(NOW)], seq: 1, watermarkMs: NOW - BOUND },
      { wallMs: NOW, storedMs: NOW - HOUR },
    );
    await one.commit(NOW);
    expect([count(one), one.sides]).toEqual([2, []]);
    expect(one.partition.watermarkMs).toBe(NOW - BOUND);
  });

  it('an event that was refused at the door keeps its own reason', async () => {
    const one = region();
    const refused = {
      type: 'refused',
      ts: NOW + HOUR,
      claimed: 'x',
      reason: 'malformed',
      message: '',
      body: '',
    };
    one.frame({ events: [refused] });
    await one.commit(NOW);
    expect(one.counter('refused.malformed')).toBe(1);
  });
});

describe('a producer that dies and leaves its watermark behind', () => {
  it('holds windows no longer than the idle time-out, and is named', () => {
    const one = region();
    one.frame({ producer: 'dead', watermarkMs: NOW - 2 * MINUTE });
    const tell = (ms: number): void => {
      one.frame({ producer: 'alive', watermarkMs: NOW + ms - BOUND }, { wallMs: NOW + ms });
      one.partition.advance(NOW + ms);
    };
    tell(IDLE);
    expect(one.partition.watermarkMs).toBe(NOW - 2 * MINUTE);
    expect(one.partition.holder(NOW + IDLE)).toBe('dead');
    tell(IDLE + 1);
    expect(one.partition.watermarkMs).toBe(NOW + IDLE + 1 - BOUND);
    expect(one.partition.silent(NOW + IDLE + 1)).toEqual([
      { producer: 'dead', watermarkMs: NOW - 2 * MINUTE, heardAtMs: NOW },
    ]);
  });

  it('is not named when it said its last word', () => {
    const one = region();
    one.frame({ producer: 'ended', watermarkMs: NOW, end: true });
    one.frame({ producer: 'replay', mode: 'replay', watermarkMs: NOW });
    expect(one.partition.silent(NOW + HOUR)).toEqual([]);
  });
});
