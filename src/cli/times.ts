/**
 * Times and spans as people read them: the region's local time, with UTC beside it. The engine and everything in JSON
 * have milliseconds UTC; only what is printed for a person goes through here.
 */

const formats = new Map<string, Intl.DateTimeFormat>();

interface Parts {
  readonly date: string;
  readonly time: string;
  readonly zone: string;
}

function partsOf(atMs: number, timezone: string): Parts {
  let format = formats.get(timezone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone: isTimezone(timezone) ? timezone : 'UTC',
      hourCycle: 'h23',
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
      timeZoneName: 'short',
    });
    formats.set(timezone, format);
  }
  const part: Partial<Record<Intl.DateTimeFormatPartTypes, string>> = {};
  for (const { type, value } of format.formatToParts(atMs)) part[type] = value;
  return {
    date: `${part.year!}-${part.month!}-${part.day!}`,
    time: `${part.hour!}:${part.minute!}:${part.second!}`,
    zone: part.timeZoneName!,
  };
}

function isTimezone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }) !== undefined;
  } catch {
    return false;
  }
}

/** False for what says "none yet": a watermark before anything came. */
export function isTime(atMs: number | null | undefined): atMs is number {
  return typeof atMs === 'number' && Number.isFinite(atMs) && atMs > 0 && atMs <= 8.64e15;
}

/** `08:41:05`, or `08:41` to the minute; `–` when there is no such time. */
export function localTime(
  atMs: number | null | undefined,
  timezone: string,
  to: 'second' | 'minute' = 'second',
): string {
  if (!isTime(atMs)) return '–';
  const { time } = partsOf(atMs, timezone);
  return to === 'second' ? time : time.slice(0, 5);
}

/** `2026-03-02 08:41:05 PST (16:41:05 UTC)`; the date of UTC too where it is another one. */
export function localAndUtc(atMs: number | null | undefined, timezone: string): string {
  if (!isTime(atMs)) return '–';
  const local = partsOf(atMs, timezone);
  const utc = partsOf(atMs, 'UTC');
  const there = `${local.date} ${local.time} ${local.zone}`;
  if (local.zone === 'UTC') return there;
  return `${there} (${utc.date === local.date ? '' : `${utc.date} `}${utc.time} UTC)`;
}

/** Short name of the zone at a time: `PST`. */
export function zoneName(atMs: number | null | undefined, timezone: string): string {
  return partsOf(isTime(atMs) ? atMs : 0, timezone).zone;
}

const UNITS: readonly [name: string, ms: number][] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1_000],
];

/** A span in at most two units: `850 ms`, `12.4 s`, `3 min 20 s`, `2 d 5 h`. */
export function span(ms: number): string {
  if (!Number.isFinite(ms)) return '–';
  if (ms < 0) return `-${span(-ms)}`;
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${Number((ms / 1_000).toFixed(1))} s`;
  // Rounded to the smaller of the two units first, so that it never says "3 min 60 s". A unit is the largest when what
  // would be said without it rounds up to one of it: 23 h 59.5 min, 59 min 59.5 s, 59.95 s.
  const largest = UNITS.findIndex(([, size], i) => ms + (UNITS[i + 2]?.[1] ?? 100) / 2 >= size);
  const [name, size] = UNITS[largest]!;
  const [smallerName, smaller] = UNITS[largest + 1]!;
  const units = Math.round(ms / smaller);
  const rest = units % (size / smaller);
  return `${Math.floor((units * smaller) / size)} ${name}${rest === 0 ? '' : ` ${rest} ${smallerName}`}`;
}

/** How far a time lies from another: `in 40 s`, `12 s ago`, `now`. */
export function away(atMs: number, fromMs: number): string {
  if (!isTime(atMs) || !isTime(fromMs)) return '–';
  if (Math.abs(atMs - fromMs) < 1) return 'now';
  return atMs > fromMs ? `in ${span(atMs - fromMs)}` : `${span(fromMs - atMs)} ago`;
}
