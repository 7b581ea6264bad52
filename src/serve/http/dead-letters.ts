/**
 * Dead letters, newest first: looks backwards through the side stream, whose log only knows "the next one from here". A
 * window of sequences before the end is looked through forwards, then the one before it; a gap is bridged by bisection.
 * Bounded (P8): after so many look-ups the page ends where it got to.
 */
import type { LogMessage } from '../../log/log.js';

/** What is needed of the side stream. */
export interface SideLog {
  /** The first message of a subject, wildcards included, with a sequence at or after the given one. */
  next(subject: string, fromSeq: number): Promise<LogMessage | undefined>;
  /** Sequence of the last message of the stream. */
  lastSeq(): Promise<number>;
}

export interface DeadLetter {
  readonly seq: number;
  /** When it was refused, or the time that the event told; null when neither is known. */
  readonly atMs: number | null;
  /** Type of the event as it claimed to be, as it stands on the subject. */
  readonly type: string;
  readonly reason: string;
  readonly message: string | null;
  /** Of a call that failed: whose it was, `event`, `message` or `timer`, its name, and where it threw. */
  readonly actor?: string;
  readonly call?: string;
  readonly name?: string;
  readonly stack?: string;
  readonly body: unknown;
}

/** Which letters are asked for. */
export interface DeadQuery {
  /** With a lower sequence than this. */
  readonly before?: number | undefined;
  readonly limit: number;
  readonly reason?: string | undefined;
  /** Of this event time or a later one, ms UTC. */
  readonly sinceMs?: number | undefined;
}

export interface DeadPage {
  readonly items: readonly DeadLetter[];
  readonly more: boolean;
  /** Where the next page begins, when there may be one. */
  readonly before?: number;
}

const LOOK_UPS_MAX = 5_000;
const decoder = new TextDecoder();

/**
 * The newest dead letters of a subject with a sequence below `before`.
 * @param subject one of `gs.<region>.dead.…`, wildcards included
 */
export async function newestDead(
  side: SideLog,
  subject: string,
  { before, limit, reason, sinceMs }: DeadQuery,
): Promise<DeadPage> {
  const wanted = (letter: DeadLetter): boolean =>
    (reason === undefined || letter.reason === reason) &&
    (sinceMs === undefined || (letter.atMs !== null && letter.atMs >= sinceMs));
  const look = new Backwards(side, subject);
  const first = (await look.next(1))?.seq;
  if (first === undefined) return { items: [], more: false };
  const found: DeadLetter[] = [];
  let end = Math.min(before ?? Number.MAX_SAFE_INTEGER, (await side.lastSeq()) + 1);
  while (end > first && found.length <= limit && look.ups < LOOK_UPS_MAX) {
    const from = Math.max(first, end - limit - 1);
    const window = await look.between(from, end);
    found.push(...window.map(letterOf).filter(wanted).reverse());
    // A gap may be of any length.
    end = window.length > 0 || from === first ? from : (await look.lastBefore(from, first)) + 1;
  }
  const items = found.slice(0, limit);
  if (found.length <= limit && end <= first) return { items, more: false };
  return { items, more: true, before: items.length === limit ? items.at(-1)!.seq : end };
}

/** Looks back from an end, and counts how often it asks the log. */
class Backwards {
  readonly #side: SideLog;
  readonly #subject: string;
  ups = 0;

  constructor(side: SideLog, subject: string) {
    this.#side = side;
    this.#subject = subject;
  }

  next(fromSeq: number, end = Number.POSITIVE_INFINITY): Promise<LogMessage | undefined> {
    this.ups++;
    return this.#side
      .next(this.#subject, fromSeq)
      .then((message) => (message !== undefined && message.seq < end ? message : undefined));
  }

  /** All from a sequence on and before another, in order. */
  async between(from: number, end: number): Promise<LogMessage[]> {
    const messages: LogMessage[] = [];
    for (let at = from; at < end; at = messages.at(-1)!.seq + 1) {
      const message = await this.next(at, end);
      if (message === undefined) break;
      messages.push(message);
    }
    return messages;
  }

  /** Sequence of the last one before an end, which exists: `first` is one. Steps back twice as far each time, then halves. */
  async lastBefore(end: number, first: number): Promise<number> {
    let known = first;
    // None from here on.
    let none = end;
    for (let step = 1; end - step > known; step *= 2) {
      const message = await this.next(end - step, end);
      if (message !== undefined) {
        known = message.seq;
        break;
      }
      none = end - step;
    }
    while (known + 1 < none) {
      const middle = Math.floor((known + none) / 2);
      const message = await this.next(middle, end);
      if (message === undefined) none = middle;
      else known = message.seq;
    }
    return known;
  }
}

/** One by its sequence; undefined when there is none there. */
export async function deadAt(side: SideLog, subject: string, seq: number): Promise<DeadLetter | undefined> {
  const message = await side.next(subject, seq);
  return message?.seq === seq ? letterOf(message) : undefined;
}

function letterOf({ seq, subject, payload }: LogMessage): DeadLetter {
  const type = subject.slice(subject.lastIndexOf('.') + 1);
  const told = parsed(payload);
  const inner = typeof told.body === 'object' && told.body !== null ? (told.body as { ts?: unknown }) : {};
  return {
    seq,
    atMs: timeOf(told.ts) ?? timeOf(told.atMs) ?? timeOf(inner.ts) ?? null,
    type,
    reason: typeof told.reason === 'string' ? told.reason : 'unknown',
    message: typeof told.message === 'string' ? told.message : null,
    ...texts(told),
    body: told.body ?? null,
  };
}

/** What only a call that failed has. */
function texts(told: Told): Partial<Record<(typeof CALL_FIELDS)[number], string>> {
  const found: Partial<Record<(typeof CALL_FIELDS)[number], string>> = {};
  for (const field of CALL_FIELDS) if (typeof told[field] === 'string') found[field] = told[field];
  return found;
}

const CALL_FIELDS = ['actor', 'call', 'name', 'stack'] as const;

interface Told {
  readonly reason?: unknown;
  readonly message?: unknown;
  readonly actor?: unknown;
  readonly call?: unknown;
  readonly name?: unknown;
  readonly stack?: unknown;
  readonly ts?: unknown;
  readonly atMs?: unknown;
  readonly body?: unknown;
}

function parsed(payload: Uint8Array): Told {
  const text = decoder.decode(payload);
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : { body: value };
  } catch {
    return { body: text };
  }
}

function timeOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0 ? value : undefined;
}
