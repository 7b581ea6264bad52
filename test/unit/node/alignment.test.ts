// Hunts: a partition that goes on while another is minutes behind; one that waits for ever.
import { describe, expect, it } from 'vitest';
import { Alignment } from '../../../src/node/alignment.js';

const MINUTE = 60_000;
const at = (...marksMs: number[]) => marksMs.map((watermarkMs) => ({ watermarkMs }));

describe('Alignment', () => {
  it('input is taken up to the end of the pane in which the slowest is', () => {
    const alignment = new Alignment(MINUTE);
    expect(alignment.untilMs(at(130_000, 61_000, 400_000))).toBe(2 * MINUTE);
    expect(alignment.untilMs(at(2 * MINUTE, 2 * MINUTE + 1))).toBe(3 * MINUTE);
    expect(alignment.untilMs(at(0))).toBe(MINUTE);
  });

  it('nobody waits twice for one that does not move by what it takes, and then again once', () => {
    const alignment = new Alignment(MINUTE);
    const turns = [0, 0, 0, 1].map((slowestMs) => alignment.untilMs(at(slowestMs, 500_000)));
    expect(turns).toEqual([MINUTE, Number.POSITIVE_INFINITY, MINUTE, MINUTE]);
  });

  it('nobody waits for who has nothing to take', () => {
    expect(new Alignment(MINUTE).untilMs([])).toBe(Number.POSITIVE_INFINITY);
  });
});
