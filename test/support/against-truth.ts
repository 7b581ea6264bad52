/** Rows of a run in memory against DuckDB's truth of the same events. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Row } from '../../src/actor/row.js';
import { compareRows } from '../truth/compare.js';
import { computeTruth, type WindowName } from '../truth/truth.js';
import { COVER, type RawEvent } from './market.js';

/** `same`, or what differs. A row that a correction emptied is no row. */
export async function differenceFromTruth(
  events: readonly RawEvent[],
  rows: readonly Row[],
  windows: readonly WindowName[] = ['1m', '5m', '15m', '1h'],
): Promise<unknown> {
  const folder = await mkdtemp(join(tmpdir(), 'gs-truth-'));
  const lines = (list: readonly object[]): string => list.map((one) => `${JSON.stringify(one)}\n`).join('');
  const emptied = ({ rev, features }: Row): boolean =>
    rev > 0 && Object.values(features).every((value) => value === 0);
  try {
    await writeFile(join(folder, 'events.ndjson'), lines(events));
    const last = new Map(rows.map((row) => [`${row.level} ${row.key} ${row.window} ${row.start}`, row]));
    const kept = rows.filter(
      (row) => !emptied(last.get(`${row.level} ${row.key} ${row.window} ${row.start}`)!),
    );
    await writeFile(join(folder, 'rows.ndjson'), lines(kept));
    const truth = await computeTruth({
      events: join(folder, 'events.ndjson'),
      cover: COVER,
      region: 'sf',
      windows,
    });
    try {
      const found = await compareRows({
        rowsFile: join(folder, 'rows.ndjson'),
        truth,
        region: 'sf',
        limit: 5,
      });
      const { same, counts, missing, extra, wrong, duplicates } = found;
      return same && found.compared > 0 ? 'same' : { counts, missing, extra, wrong, duplicates };
    } finally {
      await truth.close();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
