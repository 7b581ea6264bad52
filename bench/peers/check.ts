/**
 * The rows that every peer must write, found another way: all open pings of the workload, sorted by minute, cell and driver,
 * and counted where neighbours differ. No state, no stream, no server.
 */
import type { CanonicalSize } from '../canonical.js';
import { canonicalMarket } from '../market.js';
import { CanonicalWorkload } from '../workload.js';
import type { JobRow } from './job.js';

export function checkedRows(size: CanonicalSize): JobRow[] {
  const { cover } = canonicalMarket({}).config;
  const lines: string[] = [];
  for (const tick of new CanonicalWorkload({ ...size, cover }).ticks())
    for (const { ts, cell, driverId, status } of tick)
      if (status === 'open') lines.push(`${Math.floor(ts / 60_000)} ${cell} ${driverId}`);
  lines.sort();
  const rows: JobRow[] = [];
  for (let i = 0; i < lines.length;) {
    const [minute, cell] = lines[i]!.split(' ') as [string, string];
    const place = `${minute} ${cell} `;
    let pings = 0;
    let drivers = 0;
    for (; i < lines.length && lines[i]!.startsWith(place); i++) {
      pings++;
      if (lines[i] !== lines[i - 1]) drivers++;
    }
    rows.push({ cell, start: Number(minute) * 60_000, pings, drivers });
  }
  return rows;
}
