/** A simulated city in a region: turns words of the command line and the region's file into the simulator's options. */
import { GroundswellError } from '../core/errors.js';
import type { RegionConfig } from '../ingest/region.js';
import type { CityOptions } from '../ingest/simulator/simulator.js';

export function cityOptions(
  region: RegionConfig,
  words: { seed: number; drivers: number; requestsPerMinute: number; start: string; durationMs: number },
): CityOptions {
  const { start, ...rest } = words;
  const startMs = Date.parse(start);
  if (!Number.isFinite(startMs)) {
    throw new GroundswellError('GS_USAGE', `--start: "${start}" is not a time such as 2026-03-02T16:00:00Z.`);
  }
  return { ...rest, cover: region.cover, startMs, timezoneOffsetMs: offsetMs(region.timezone, startMs) };
}

/** Local time minus UTC in a time zone at a moment. */
function offsetMs(timezone: string, atMs: number): number {
  const part = new Intl.DateTimeFormat('en-US', { timeZone: timezone, timeZoneName: 'longOffset' })
    .formatToParts(atMs)
    .find(({ type }) => type === 'timeZoneName');
  const match = /GMT([+-])(\d{2}):(\d{2})/.exec(part?.value ?? '');
  if (!match) return 0;
  return (match[1] === '-' ? -1 : 1) * (Number(match[2]) * 60 + Number(match[3])) * 60_000;
}
