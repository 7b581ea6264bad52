/** Hunts: an event that is taken twice, one that is dropped for an id of long ago, and ids that nobody ever forgets. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EventIds, type EventIdRules } from '../../../src/partition/event-ids.js';

const RULES: EventIdRules = { duplicateWindowMs: 1_000, eventIdBytesMax: 1_000_000 };

describe('EventIds', () => {
  it('P3 property: knows the ids of the window, and no others, whenever it forgets the others', () => {
    const step = fc.record({
      id: fc.integer({ min: 0, max: 30 }).map(String),
      aheadMs: fc.integer({ min: -1_500, max: 200 }),
      passesMs: fc.integer({ min: 0, max: 300 }),
      isStored: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        let ids = new EventIds();
        const model = new Map<string, number>();
        let watermarkMs = 10_000;
        for (const { id, aheadMs, passesMs, isStored } of steps) {
          watermarkMs += passesMs;
          if (isStored) ids = new EventIds([...ids]);
          const fromMs = watermarkMs - RULES.duplicateWindowMs;
          expect(ids.has(id, watermarkMs, RULES)).toBe((model.get(id) ?? 0) >= fromMs);
          expect(ids.hasRoom(watermarkMs, RULES)).toBe(true);
          if (ids.has(id, watermarkMs, RULES)) continue;
          const ms = watermarkMs + aheadMs;
          ids.add(id, ms, watermarkMs);
          model.set(id, Math.max(ms, watermarkMs));
        }
      }),
    );
  });

  it('P8 forgets what is an eighth older than the window', () => {
    const ids = new EventIds();
    for (let ms = 0; ms < 10_000; ms++) {
      expect(ids.hasRoom(ms, RULES)).toBe(true);
      ids.add(`e-${ms}`, ms, ms);
      expect(ids.size).toBeLessThanOrEqual(1_000 + 1_000 / 8 + 2);
    }
  });

  it.each(['e', 'é', '\u{1f695}'])(
    'P8 takes so many bytes and no more, of %s too, until others are older than the window',
    (letter) => {
      const rules = { ...RULES, eventIdBytesMax: 1_000 };
      const ids = new EventIds();
      let added = 0;
      for (; ids.hasRoom(0, rules); added++)
        ids.add(`${letter}-${added}`, added % 2 === 0 ? -900 : 0, -1_000);
      const bytes = [...ids].reduce((sum, [id]) => sum + Buffer.byteLength(id) + 10, 0);
      expect(bytes).toBeGreaterThanOrEqual(1_000);
      expect(bytes).toBeLessThan(1_000 + 20);
      expect(ids.hasRoom(100, rules)).toBe(false);
      // One ms later every other one is too old: not yet by an eighth, but there is need of the room.
      expect(ids.hasRoom(101, rules)).toBe(true);
      expect(ids.size).toBe(Math.floor(added / 2));
      expect(new EventIds([...ids]).hasRoom(101, { ...rules, eventIdBytesMax: bytes / 4 })).toBe(false);
    },
  );
});
