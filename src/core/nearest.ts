/** "Did you mean …?": the nearest known word to a mistyped one. */
import { closest, distance } from 'fastest-levenshtein';

/** The nearest of the known words, or undefined when none is near enough to be what was meant. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  if (known.length === 0) return undefined;
  const best = closest(word, known);
  return distance(word, best) <= Math.max(2, Math.floor(word.length / 3)) ? best : undefined;
}
