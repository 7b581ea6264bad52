/**
 * Going backwards through a stream that only goes forwards. Hunts letters that are skipped or shown twice between pages,
 * and look-ups without end where letters are rare or dense.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LogMessage } from '../../../../src/log/log.js';
import { deadAt, newestDead, type DeadPage, type SideLog } from '../../../../src/serve/http/dead-letters.js';

const payload = new TextEncoder().encode('{"reason":"malformed","body":"x"}');

/** A stream with dead letters at the given sequences, which counts how often it is asked. */
class Letters implements SideLog {
  lookUps = 0;
  readonly #seqs: readonly number[];
  readonly #last: number;
  constructor(seqs: readonly number[], last: number) {
    this.#seqs = seqs;
    this.#last = last;
  }
  next(subject: string, fromSeq: number): Promise<LogMessage | undefined> {
    expect(subject).toBe('gs.sf.dead.>');
    this.lookUps++;
    let low = 0;
    let high = this.#seqs.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#seqs[middle]! < fromSeq) low = middle + 1;
      else high = middle;
    }
    const seq = this.#seqs[low];
    return Promise.resolve(seq === undefined ? undefined : { subject: 'gs.sf.dead.unknown', seq, payload });
  }
  lastSeq(): Promise<number> {
    return Promise.resolve(this.#last);
  }
}

const page = (side: SideLog, limit: number, before?: number): Promise<DeadPage> =>
  newestDead(side, 'gs.sf.dead.>', { limit, before });

describe('dead letters', () => {
  it('page by page are all of them, newest first, each once', async () => {
    const seqs = fc.uniqueArray(fc.integer({ min: 1, max: 5_000 }), { maxLength: 300 });
    await fc.assert(
      fc.asyncProperty(seqs, fc.integer({ min: 1, max: 60 }), fc.nat(2_000), async (found, limit, beyond) => {
        const sorted = found.toSorted((a, b) => a - b);
        const side = new Letters(sorted, (sorted.at(-1) ?? 0) + beyond);
        const seen: number[] = [];
        let before: number | undefined;
        for (;;) {
          const { items, more, before: next } = await page(side, limit, before);
          expect(items.length).toBeLessThanOrEqual(limit);
          seen.push(...items.map(({ seq }) => seq));
          if (!more) break;
          expect(next).toBeLessThan(before ?? Number.MAX_SAFE_INTEGER);
          before = next;
        }
        expect(seen).toEqual(sorted.toReversed());
      }),
      { numRuns: 300 },
    );
  });

  it('of an empty stream are none', async () => {
    expect(await page(new Letters([], 0), 50)).toEqual({ items: [], more: false });
    expect(await page(new Letters([], 1_000_000), 50)).toEqual({ items: [], more: false });
  });

  it.each<[what: string, seqs: number[], last: number]>([
    ['rare in a long stream', [3, 900_000_000], 1_000_000_000],
    ['dense at the end', Array.from({ length: 100_000 }, (_, i) => 1_000_000 + i), 1_100_000],
    ['dense far before the end', Array.from({ length: 100_000 }, (_, i) => 1_000 + i), 500_000_000],
    [
      'in bursts',
      Array.from({ length: 100_000 }, (_, i) => 1 + i + 50_000 * Math.floor(i / 1_000)),
      6_000_000,
    ],
  ])('are found with few look-ups when they are %s', async (_what, seqs, last) => {
    const side = new Letters(seqs, last);
    const { items } = await page(side, 50);
    expect(items.map(({ seq }) => seq)).toEqual(seqs.slice(-50).reverse());
    expect(side.lookUps).toBeLessThan(5_000);
  });

  it('P8: a page ends after so many look-ups, and the next one goes on there', async () => {
    // As far apart as can be: each one costs a search of its own.
    const seqs = Array.from({ length: 500 }, (_, i) => 1 + i * 1_000_000_000);
    const side = new Letters(seqs, 10 ** 12);
    const seen: number[] = [];
    let pages = 0;
    for (let before: number | undefined; ; pages++) {
      side.lookUps = 0;
      const { items, more, before: next } = await page(side, 500, before);
      expect(side.lookUps).toBeLessThan(5_200);
      seen.push(...items.map(({ seq }) => seq));
      if (!more) break;
      before = next;
    }
    expect(pages).toBeGreaterThan(1);
    expect(seen).toEqual(seqs.toReversed());
  });

  it('by its sequence is that one or none', async () => {
    const side = new Letters([4, 9], 20);
    expect(await deadAt(side, 'gs.sf.dead.>', 9)).toMatchObject({ seq: 9, reason: 'malformed' });
    expect(await deadAt(side, 'gs.sf.dead.>', 5)).toBeUndefined();
    expect(await deadAt(side, 'gs.sf.dead.>', 10)).toBeUndefined();
  });
});
