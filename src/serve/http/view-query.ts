/** What requests for rows name: levels, keys and windows, checked with an answer that says what there is. */
import { formatDuration } from '../../core/duration.js';
import { isGeohash } from '../../core/geohash.js';
import { nearest } from '../../core/nearest.js';
import { LEVEL_CHARS } from '../pattern.js';
import type { HttpFacts } from './facts.js';
import { badRequest } from './problem.js';

/** The region's watermark is older than this: what is shown may be, too. */
const STALE_MS = 120_000;

type ViewFacts = Pick<HttpFacts, 'view' | 'region' | 'clock'>;

/** Event time up to which the region's rows are final, null while there is none, and whether that was too long ago. */
export function freshness({ view, clock }: ViewFacts): { watermark: number | null; stale: boolean } {
  const { watermarkMs } = view;
  return { watermark: watermarkMs || null, stale: clock.now() - watermarkMs > STALE_MS };
}

/** @throws HttpProblem 400 when there is no such level */
export function expectLevel(level: string, { view }: ViewFacts): void {
  const known = [...new Set([...LEVEL_CHARS.keys(), ...view.levels])];
  if (known.includes(level)) return;
  const near = nearest(level.slice(0, 64), known);
  throw badRequest(
    `No level is called "${level.slice(0, 40)}"${near === undefined ? '.' : `; did you mean "${near}"?`}`,
    `There are ${known.join(', ')}.`,
  );
}

/** @throws HttpProblem 400 when the key cannot be one of the level */
export function expectKey(level: string, key: string, { region }: ViewFacts): void {
  const chars = LEVEL_CHARS.get(level);
  if (chars === undefined) return;
  if (level === 'region') {
    if (key !== region.name)
      throw badRequest(
        `This node serves the region "${region.name}", not "${key.slice(0, 40)}".`,
        'Ask for /v1/features/region.',
      );
  } else if (!isGeohash(key) || key.length !== chars) {
    throw badRequest(
      `"${key.slice(0, 40)}" is no key of the level ${level}.`,
      `Its keys are geohashes of ${chars} characters, in lower case, such as ${'9q8yyk'.slice(0, chars)}.`,
    );
  }
}

/** @throws HttpProblem 400 when no geohash of the level begins so */
export function expectPrefix(level: string, prefix: string): void {
  const chars = LEVEL_CHARS.get(level);
  if (prefix === '' || chars === undefined || level === 'region') return;
  if (!isGeohash(prefix) || prefix.length > chars)
    throw badRequest(
      `No key of the level ${level} begins with "${prefix.slice(0, 40)}".`,
      `Give up to ${chars} characters of a geohash, in lower case.`,
    );
}

/** @throws HttpProblem 400 when the region has no such window */
export function expectWindow(window: string, { region }: ViewFacts): void {
  const known = region.windowsMs.map(formatDuration);
  if (!known.includes(window))
    throw badRequest(
      `The region has no window of "${window.slice(0, 40)}".`,
      `Its windows are ${known.join(', ')}.`,
    );
}
