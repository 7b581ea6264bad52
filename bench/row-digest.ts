/**
 * A hash of a set of rows, whatever their order: what a bench has computed, in one word. Leaves out what may differ
 * between two right runs: when a row was made (`watermark`) and who had reported by then (`completeness`).
 */
import { createHash } from 'node:crypto';
import type { Row } from '../src/index.js';

export class RowDigest {
  readonly #digests: string[] = [];

  add({ region, level, key, window, start, end, rev, final, features, surge }: Row): void {
    // Names in order: a row is what it says, not the order in which an engine says it.
    const sorted = Object.entries(features).sort(([a], [b]) => (a < b ? -1 : 1));
    const line = JSON.stringify([region, level, key, window, start, end, rev, final, sorted, surge ?? null]);
    this.#digests.push(createHash('sha1').update(line).digest('base64'));
  }

  /** Sixteen hexadecimal digits over the sorted rows. */
  value(): string {
    const hash = createHash('sha256');
    for (const digest of this.#digests.sort()) hash.update(digest);
    return hash.digest('hex').slice(0, 16);
  }
}
