/** Hunts: an event that is taken twice, one that is dropped for an id of long ago, and ids that nobody ever forgets. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EventIds, type EventIdRules } from '../../../src/partition/event-ids.js';

const RULES: EventIdRules = { windowMs: 1_000, bytesMax: 1_000_000 };
/** Of an id of one letter and two digits at most. */
const ENTRY_BYTES = 13;

describe('EventIds', () => {
  it('P3 property: knows the ids of the window and no others, and has room as they say, whenever it lets go of the others', () => {
    const step = fc.record({
      id: fc.integer({ min: 10, max: 60 }).map((n) => `e${n}`),
      aheadMs: fc.integer({ min: -1_500, max: 200 }),
      passesMs: fc.integer({ min: 0, max: 300 }),
      isStored: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), fc.integer({ min: 1, max: 30 }), (steps, most) => {
        const rules = { ...RULES, bytesMax: most * ENTRY_BYTES };
        let ids = new EventIds();
        const model = new Map<string, number>();
        let watermarkMs = 10_000;
        for (const { id, aheadMs, passesMs, isStored } of steps) {
          watermarkMs += passesMs;
          if (isStored) ids = new EventIds([...ids]);
          const fromMs = watermarkMs - rules.windowMs;
          const live = [...model.values()].filter((ms) => ms >= fromMs).length;
          const before = [...ids];
          expect(ids.has(id, watermarkMs, rules)).toBe((model.get(id) ?? 0) >= fromMs);
          expect(ids.hasRoom(watermarkMs, rules)).toBe(live < most);
          expect([...ids], 'to ask changes nothing').toEqual(before);
          if (ids.has(id, watermarkMs, rules) || !ids.hasRoom(watermarkMs, rules)) continue;
          const ms = watermarkMs + aheadMs;
          ids.add(id, ms, watermarkMs, rules);
          model.set(id, Math.max(ms, watermarkMs));
        }
      }),
    );
  });

  it('P8 lets go of what is an eighth older than the window', () => {
    const ids = new EventIds();
    for (let ms = 0; ms < 10_000; ms++) {
      expect(ids.hasRoom(ms, RULES)).toBe(true);
      ids.add(`e-${ms}`, ms, ms, RULES);
      expect(ids.size).toBeLessThanOrEqual(1_000 + 1_000 / 8 + 2);
    }
  });

  it.each(['e', 'é', '\u{1f695}'])('P8 takes so many bytes and no more, of %s too', (letter) => {
    const rules = { ...RULES, bytesMax: 1_000 };
    const ids = new EventIds();
    for (let n = 0; ids.hasRoom(0, rules); n++) ids.add(`${letter}-${n}`, 0, 0, rules);
    const bytes = [...ids].reduce((sum, [id]) => sum + Buffer.byteLength(id) + 10, 0);
    expect(bytes).toBeGreaterThanOrEqual(1_000);
    expect(bytes).toBeLessThan(1_000 + 20);
    expect(ids.hasRoom(1_000, rules)).toBe(false);
    expect(ids.hasRoom(1_001, rules)).toBe(true);
    ids.add('one more', 1_001, 1_001, rules);
    expect([...ids]).toEqual([['one more', 1_001]]);
  });
});
