// Hunts: a window closed while somebody could still write into it, and one that nobody ever closes.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ProducerTable, StageMarks, type ProducerMode } from '../../../src/partition/watermark.js';

const RULES = { outOfOrderBoundMs: 5_000, idleTimeoutMs: 30_000 };
const table = (): ProducerTable => new ProducerTable(RULES, new Map());
const WALL = 1_700_000_000_000;

interface Heard {
  mode?: ProducerMode;
  seq?: number;
  count?: number;
  end?: boolean;
  wallMs?: number;
}
function hear(t: ProducerTable, producer: string, watermarkMs: number, heard: Heard = {}): number {
  const { mode = 'live', seq = 0, count = 0, end = false, wallMs = WALL } = heard;
  return t.hear({ producer, mode, seq, count, watermarkMs, end }, wallMs);
}

describe('ProducerTable: who is known', () => {
  it('P8 a live producer silent for too long is forgotten when another comes; one that replays never is', () => {
    const t = new ProducerTable({ ...RULES, forgetAfterMs: 100_000 }, new Map());
    hear(t, 'live', WALL, { count: 5 });
    hear(t, 'ended', WALL, { count: 5, end: true });
    hear(t, 'replay', WALL, { mode: 'replay' });
    hear(t, 'second', WALL, { wallMs: WALL + 100_000 });
    expect([...t.producers.keys()]).toEqual(['live', 'ended', 'replay', 'second']);
    hear(t, 'third', WALL, { wallMs: WALL + 100_001 });
    expect([...t.producers.keys()]).toEqual(['replay', 'second', 'third']);
  });

  it('a live producer that ended and comes back counts again; a replay that ended does not', () => {
    for (const [mode, counts] of [
      ['live', true],
      ['replay', false],
    ] as const) {
      const t = table();
      hear(t, 'other', WALL, { end: true });
      hear(t, 'back', WALL - 9_000, { mode, end: true });
      expect(t.watermarkMs(WALL)).toBe(WALL);
      hear(t, 'back', WALL - 8_000, { mode });
      expect(t.watermarkMs(WALL)).toBe(counts ? WALL - 8_000 : WALL);
    }
  });

  it('live says that no replay is attached', () => {
    const t = table();
    expect(t.live).toBe(true);
    hear(t, 'live', WALL);
    hear(t, 'replay', WALL, { mode: 'replay' });
    expect(t.live).toBe(false);
    hear(t, 'replay', WALL, { mode: 'replay', end: true });
    expect(t.live).toBe(true);
  });

  it('what replays told stays replayed when they have ended, until somebody feeds it live', () => {
    const t = table();
    expect(t.replayed).toBe(false);
    hear(t, 'replay', WALL, { mode: 'replay' });
    expect(t.replayed).toBe(true);
    hear(t, 'replay', WALL, { mode: 'replay', end: true });
    expect(t.replayed).toBe(true);
    hear(t, 'live', WALL);
    expect(t.replayed).toBe(false);
  });
});

describe('ProducerTable: the watermark', () => {
  it('there is none before any producer was heard', () => {
    expect(table().watermarkMs(WALL)).toBeUndefined();
  });

  it('is the minimum over the active producers, and the lowest is its holder', () => {
    const t = table();
    hear(t, 'fast', WALL - 1_000);
    hear(t, 'slow', WALL - 9_000);
    expect(t.watermarkMs(WALL)).toBe(WALL - 9_000);
    expect(t.holder(WALL)).toBe('slow');
  });

  it('a live producer silent for longer than the time-out no longer holds it back; until then it does', () => {
    const t = table();
    hear(t, 'silent', WALL - 60_000);
    hear(t, 'lively', WALL + 20_000, { wallMs: WALL + 25_000 });
    expect(t.watermarkMs(WALL + RULES.idleTimeoutMs)).toBe(WALL - 60_000);
    expect(t.watermarkMs(WALL + RULES.idleTimeoutMs + 1)).toBe(WALL + 20_000);
    hear(t, 'silent', WALL - 50_000, { wallMs: WALL + 40_000 });
    expect(t.watermarkMs(WALL + 40_000)).toBe(WALL - 50_000);
  });

  it('when all live producers are silent it follows the wall clock less the bound', () => {
    const t = table();
    hear(t, 'a', WALL - 60_000);
    const laterMs = WALL + 31_000.75;
    expect(t.watermarkMs(laterMs)).toBe(WALL + 31_000 - RULES.outOfOrderBoundMs);
  });

  it('while a replay is attached, idle or not, the wall clock moves nothing', () => {
    const t = table();
    hear(t, 'replay', 1_000, { mode: 'replay' });
    hear(t, 'live', WALL);
    expect(t.watermarkMs(WALL)).toBe(1_000);
    expect(t.watermarkMs(WALL + 10 ** 9)).toBe(1_000);
    expect(t.holder(WALL + 10 ** 9)).toBe('replay');
  });

  it('a replay that has ended holds nothing back; alone, its last word stands', () => {
    const t = table();
    hear(t, 'replay', 5_000, { mode: 'replay', end: true });
    expect(t.watermarkMs(WALL)).toBe(5_000);
    expect(t.watermarkMs(WALL + 10 ** 9)).toBe(5_000);
    hear(t, 'live', WALL - 3_000);
    expect(t.watermarkMs(WALL)).toBe(WALL - 3_000);
    expect(t.holder(WALL)).toBe('live');
  });

  it('of producers that all ended, the furthest counts', () => {
    const t = table();
    hear(t, 'a', 5_000, { mode: 'replay', end: true });
    hear(t, 'b', 9_000, { mode: 'replay', end: true });
    expect(t.watermarkMs(WALL)).toBe(9_000);
  });

  it('a region that was fed live goes on with the clock when all have said their last word', () => {
    const t = table();
    hear(t, 'a', WALL + 1_000, { end: true });
    hear(t, 'b', WALL - 9_000, { end: true });
    expect(t.watermarkMs(WALL), 'what the last words promised stands').toBe(WALL + 1_000);
    expect(t.watermarkMs(WALL + 60_000)).toBe(WALL + 55_000);
    hear(t, 'replay', 1_000, { mode: 'replay' });
    expect(t.watermarkMs(WALL + 120_000), 'unless a replay is attached').toBe(1_000);
  });

  it('a producer’s own watermark never goes back', () => {
    const t = table();
    hear(t, 'a', 5_000, { mode: 'replay' });
    hear(t, 'a', 4_000, { mode: 'replay' });
    expect(t.watermarkMs(WALL)).toBe(5_000);
  });

  it('after a recovery a live producer gets its full time-out, from the first look on', () => {
    const known = { mode: 'live' as const, seq: 7, watermarkMs: WALL - 60_000, ended: false, heardAtMs: 0 };
    const t = new ProducerTable(RULES, new Map([['a', known]]));
    const restartMs = WALL + 10 ** 9;
    expect(t.watermarkMs(restartMs)).toBe(WALL - 60_000);
    expect(t.watermarkMs(restartMs + RULES.idleTimeoutMs)).toBe(WALL - 60_000);
    expect(t.watermarkMs(restartMs + RULES.idleTimeoutMs + 1)).toBe(
      restartMs + RULES.idleTimeoutMs + 1 - RULES.outOfOrderBoundMs,
    );
  });
});

describe('ProducerTable: sequences', () => {
  it('P3 says how many events of a frame were seen before: none, all, or the first few', () => {
    const t = table();
    expect(hear(t, 'a', 0, { seq: 0, count: 10 })).toBe(0);
    expect(hear(t, 'a', 0, { seq: 0, count: 10 })).toBe(10);
    expect(hear(t, 'a', 0, { seq: 5, count: 10 })).toBe(5);
    expect(hear(t, 'a', 0, { seq: 15, count: 1 })).toBe(0);
    expect(hear(t, 'b', 0, { seq: 0, count: 3 })).toBe(0);
  });

  it('P3 whatever is sent again, each event is taken once', () => {
    const frames = fc.array(fc.record({ back: fc.nat(20), count: fc.nat(15) }), { maxLength: 30 });
    fc.assert(
      fc.property(frames, (list) => {
        const t = table();
        const taken: number[] = [];
        let next = 0;
        for (const { back, count } of list) {
          // A producer that was restarted begins again somewhere before its end, never after it.
          const seq = Math.max(0, next - back);
          const seen = hear(t, 'a', 0, { seq, count });
          for (let i = seen; i < count; i++) taken.push(seq + i);
          next = Math.max(next, seq + count);
        }
        expect(taken).toEqual(Array.from({ length: next }, (_, i) => i));
        expect(t.producers.get('a')?.seq ?? 0).toBe(next);
      }),
    );
  });
});

describe('StageMarks', () => {
  it('a stage may close up to the minimum of the marks of all partitions for the stage below', () => {
    const marks = new StageMarks(3, 2);
    marks.raise(0, 0, 120);
    expect(marks.limitMs(1)).toBe(0);
    marks.raise(0, 1, 60);
    expect(marks.limitMs(1)).toBe(60);
    expect(marks.limitMs(2)).toBe(0);
  });

  it('P7 whatever marks come in whatever order, limits never go back, and are the minimum', () => {
    const raise = fc.record({ stage: fc.nat(2), partition: fc.nat(3), markMs: fc.nat(100) });
    fc.assert(
      fc.property(fc.array(raise, { maxLength: 80 }), (raises) => {
        const marks = new StageMarks(3, 4);
        const model = Array.from({ length: 3 }, () => [0, 0, 0, 0]);
        let before = [0, 0, 0];
        for (const { stage, partition, markMs } of raises) {
          marks.raise(stage, partition, markMs);
          model[stage]![partition] = Math.max(model[stage]![partition]!, markMs);
          const limits = [1, 2, 3].map((s) => marks.limitMs(s));
          expect(limits).toEqual(model.map((row) => Math.min(...row)));
          limits.forEach((limit, i) => expect(limit).toBeGreaterThanOrEqual(before[i]!));
          before = limits;
        }
        // As recovered from a journal.
        const again = new StageMarks(3, 4, marks.marks);
        expect([1, 2, 3].map((s) => again.limitMs(s))).toEqual(before);
        expect(again.get(2, 3)).toBe(model[2]![3]);
      }),
    );
  });

  it('P2 a copy stays as it was, whichever of the two goes on', () => {
    const raise = fc.record({
      copy: fc.boolean(),
      stage: fc.nat(1),
      partition: fc.nat(2),
      markMs: fc.nat(100),
    });
    fc.assert(
      fc.property(fc.array(raise), fc.array(raise), (before, after) => {
        const marks = new StageMarks(2, 3);
        for (const { stage, partition, markMs } of before) marks.raise(stage, partition, markMs);
        const both = [marks, marks.copy()];
        const alone = both.map((one) => new StageMarks(2, 3, one.marks));
        for (const { copy, stage, partition, markMs } of after)
          for (const of of [both, alone]) of[copy ? 1 : 0]!.raise(stage, partition, markMs);
        for (const [i, one] of both.entries()) {
          expect(one.marks).toEqual(alone[i]!.marks);
          expect([1, 2].map((stage) => one.limitMs(stage))).toEqual(
            [1, 2].map((stage) => alone[i]!.limitMs(stage)),
          );
        }
      }),
    );
  });

  it('counts the partitions that have reported up to a time', () => {
    const marks = new StageMarks(2, 3);
    marks.raise(0, 0, 60);
    marks.raise(0, 2, 120);
    expect([0, 60, 61, 120, 121].map((endMs) => marks.reported(1, endMs))).toEqual([3, 2, 1, 1, 0]);
  });
});
