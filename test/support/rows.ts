/** Rows as tests compare them. */
import type { Row } from '../../src/actor/row.js';

/** What a row is about: two rows with the same name and revision are one row too many. */
export const nameOf = ({ level, key, window, start }: Row): string => `${level} ${key} ${window} ${start}`;

/** A row's text, less the two fields that may differ between runs. */
export function comparable({ watermark: _w, completeness: _c, ...row }: Row): string {
  return JSON.stringify({ ...row, features: sortedKeys(row.features) });
}

/** All rows, sorted: the same list means the same rows, none missing and none twice. */
export const sorted = (rows: readonly Row[]): string[] => rows.map(comparable).sort();

/** The last word on each row: of its revisions the highest, less the revision's number. */
export function lastWords(rows: readonly Row[]): string[] {
  const last = new Map<string, Row>();
  for (const row of rows) {
    const known = last.get(nameOf(row));
    if (known === undefined || row.rev > known.rev) last.set(nameOf(row), row);
  }
  return [...last.values()].map((row) => comparable({ ...row, rev: 0 })).sort();
}

/** Names of rows that came twice with one revision. */
export function repeated(rows: readonly Row[]): string[] {
  const seen = new Set<string>();
  const twice: string[] = [];
  for (const row of rows) {
    const name = `${nameOf(row)} rev ${row.rev}`;
    if (seen.has(name)) twice.push(name);
    seen.add(name);
  }
  return twice;
}

/** Sum of a feature over the rows of a level and window. */
export function total(rows: readonly Row[], level: string, window: string, feature: string): number {
  let sum = 0;
  for (const row of rows) if (row.level === level && row.window === window) sum += row.features[feature] ?? 0;
  return sum;
}

function sortedKeys(record: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));
}
