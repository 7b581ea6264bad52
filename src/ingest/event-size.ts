/**
 * How large an event is: what the bounds of doors and queues are measured with. An estimate of its bytes, made without
 * writing it, for it is asked for every event.
 */

/** Largest event that is taken, bytes. */
export const EVENT_BYTES_MAX = 65_536;
/** How deep fields of an event may be nested: whoever reads a frame recurses. */
export const EVENT_DEPTH_MAX = 32;

const NUMBER_BYTES = 9;
const MARK_BYTES = 2;

/** Bytes of an event, about; `Infinity` as soon as it is over a limit, so that looking takes no longer than taking it. */
export function eventBytes(event: Readonly<Record<string, unknown>>): number {
  return bytesWith(event, 0, EVENT_DEPTH_MAX + 1);
}

/** What a value adds to the bytes before it. */
function bytesWith(value: unknown, before: number, depth: number): number {
  if (typeof value === 'string') return before + MARK_BYTES + value.length;
  if (typeof value !== 'object' || value === null) return before + NUMBER_BYTES;
  if (depth === 0) return Number.POSITIVE_INFINITY;
  let bytes = before + MARK_BYTES;
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length && bytes <= EVENT_BYTES_MAX; i++)
      bytes = bytesWith(value[i], bytes, depth - 1);
  } else {
    const fields = value as Record<string, unknown>;
    for (const key in fields) {
      bytes = bytesWith(fields[key], bytes + MARK_BYTES + key.length, depth - 1);
      if (bytes > EVENT_BYTES_MAX) break;
    }
  }
  return bytes > EVENT_BYTES_MAX ? Number.POSITIVE_INFINITY : bytes;
}
