/** A line of little bars for the last minutes, oldest first: a gap is a space, and the newest is always at the right. */
import sparkly from 'sparkly';

/** Bars are drawn against at least this height, so that a calm cell looks calm. */
const HEIGHT_MIN = 2;

/** @param length bars at most; fewer values stand at the right */
export function sparkline(values: readonly (number | null)[], length: number): string {
  if (length <= 0) return '';
  const shown = values.slice(-length).map((value) => value ?? Number.NaN);
  const maximum = Math.max(HEIGHT_MIN, ...shown.filter(Number.isFinite));
  return sparkly(shown, { minimum: 1, maximum }).padStart(length);
}
