/**
 * The job that every peer does on the canonical workload: keep each driver's last position and status, and say, for each
 * cell and minute in which drivers pinged while open, how many pings and how many different drivers there were. What a ping
 * does to a driver is written once, here; how that is kept, moved and made durable is each peer's own.
 */
import { createHash } from 'node:crypto';
import type { DriverStatus } from '../../src/ingest/event.js';
import type { CanonicalSize } from '../canonical.js';

export const MINUTE_MS = 60_000;
/** A minute's rows may be written once pings this much later have come. */
export const OUT_OF_ORDER_BOUND_MS = 5_000;

export interface JobRow {
  readonly cell: string;
  /** Start of the minute, event time, ms UTC. */
  readonly start: number;
  readonly pings: number;
  /** Different drivers among them. */
  readonly drivers: number;
}

/** What the job needs of a ping. */
export interface JobPing {
  readonly driverId: string;
  readonly lat: number;
  readonly lon: number;
  readonly ts: number;
  readonly status: DriverStatus;
  readonly cell: string;
}

export interface DriverState {
  lat: number;
  lon: number;
  ts: number;
  status: DriverStatus;
  /** The newest minute in which it was open, and the cells where it was so: each counts it once. */
  minute: number;
  cells: string[];
}

export function newDriver(): DriverState {
  return { lat: 0, lon: 0, ts: 0, status: 'offline', minute: 0, cells: [] };
}

/**
 * A driver takes its next ping. Gives what it adds to its cell's count of different drivers; undefined when the ping does
 * not count there.
 */
export function takePing(state: DriverState, { lat, lon, ts, status, cell }: JobPing): 0 | 1 | undefined {
  state.lat = lat;
  state.lon = lon;
  state.ts = ts;
  state.status = status;
  if (status !== 'open') return undefined;
  const minute = minuteOf(ts);
  if (state.minute !== minute) {
    state.minute = minute;
    state.cells = [cell];
    return 1;
  }
  if (state.cells.includes(cell)) return 0;
  state.cells.push(cell);
  return 1;
}

export function minuteOf(ts: number): number {
  return ts - (ts % MINUTE_MS);
}

/** A hash of rows, whatever their order; the same row twice is not the same as once. */
export function hashOf(rows: readonly JobRow[]): string {
  const lines = rows.map(({ cell, start, pings, drivers }) => `${cell} ${start} ${pings} ${drivers}`);
  return createHash('sha256').update(lines.sort().join('\n')).digest('hex').slice(0, 16);
}

/** What a peer did. */
export interface PeerRun {
  readonly events: number;
  /** From the start of what sends until the last row is written. */
  readonly seconds: number;
  /** Read back from where they were written, after the clock has stopped; undefined where they are not those of the job. */
  readonly rows: readonly JobRow[] | undefined;
}

export interface Peer {
  readonly name: string;
  readonly what: string;
  /** What holds after a crash, in words. */
  readonly guarantees: string;
  /** It gets no more events than this: for those that would take hours otherwise. */
  readonly eventsMax: number;
  run(size: CanonicalSize): Promise<PeerRun>;
}

/** A peer that this machine cannot run: its message says, in a line, what to do. */
export class PeerUnavailable extends Error {
  override readonly name = 'PeerUnavailable';
}
