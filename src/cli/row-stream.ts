/**
 * Rows and live values as they come, from a node (server-sent events) or from nats-server (plain subscriptions). Owns
 * reconnecting and what is said about it. Whoever takes slowly slows the stream down; what a stream could not keep is
 * counted and said, never passed over (P8).
 */
import { createParser } from 'eventsource-parser';
import type { Row } from '../actor/row.js';
import { systemClock, type Clock } from '../core/clock.js';
import { GroundswellError, messageOf } from '../core/errors.js';
import type { NatsTarget } from '../log/nats/connect.js';
import { subscribe } from '../log/nats/subscribe.js';
import { pause } from './ending.js';
import type { Watched } from './node-answers.js';
import type { NodeClient } from './node-client.js';
import { count } from './screen.js';
import { span } from './times.js';

const RETRY_FIRST_MS = 500;
const RETRY_MOST_MS = 5_000;
/** A node sends a comment every 15 s: one that is silent for so long is gone. */
const SILENT_MS = 45_000;
const EVENT_CHARS_MAX = 8 * 1024 * 1024;
/** Messages of nats-server that wait to be printed. */
const WAITING_MAX = 10_000;

export interface Following {
  readonly signal: AbortSignal;
  /** Told when the stream is lost, is there again, or could not keep something. */
  readonly note: (line: string) => void;
  readonly clock?: Clock;
}

/**
 * Follows a pattern at a node until the signal; connects again whenever the stream ends.
 * @throws GroundswellError when the first connection fails, or the node refuses the pattern
 */
export async function* followNode(
  client: NodeClient,
  ask: { pattern: string; live: boolean },
  { signal, note, clock = systemClock }: Following,
): AsyncGenerator<Watched> {
  const path = `/v1/watch?pattern=${encodeURIComponent(ask.pattern)}${ask.live ? '&live=1' : ''}`;
  let lostMs: number | undefined;
  for (let waitMs = RETRY_FIRST_MS, connected = false; ;) {
    let why: string;
    try {
      const chunks = await client.events(path, signal);
      if (lostMs !== undefined)
        note(`Connected again after ${span(clock.monotonic() - lostMs)}; what came meanwhile is not shown.`);
      lostMs = undefined;
      connected = true;
      waitMs = RETRY_FIRST_MS;
      why = yield* eventsOf(chunks, clock);
    } catch (error) {
      if (signal.aborted) return;
      if (!connected || (error instanceof GroundswellError && !error.retry)) throw error;
      why = messageOf(error);
    }
    if (signal.aborted) return;
    if (lostMs === undefined) note(`The stream of ${client.address} ended: ${why} Trying again.`);
    lostMs ??= clock.monotonic();
    await pause(waitMs, signal, clock);
    waitMs = Math.min(RETRY_MOST_MS, waitMs * 2);
  }
}

const END_REASONS: Readonly<Record<string, string>> = {
  slow: 'this reader took more slowly than rows came.',
  closing: 'the node is stopping.',
};

/** Events of one connection. Gives why it ended. */
async function* eventsOf(chunks: AsyncIterable<string>, clock: Clock): AsyncGenerator<Watched, string> {
  let arrived: Watched[] = [];
  let ended: string | undefined;
  const parser = createParser({
    maxBufferSize: EVENT_CHARS_MAX,
    onEvent({ event, data }) {
      if (event === 'row') arrived.push({ kind: 'row', row: JSON.parse(data) as Row });
      else if (event === 'live')
        arrived.push({
          kind: 'live',
          ...(JSON.parse(data) as Omit<Extract<Watched, { kind: 'live' }>, 'kind'>),
        });
      else if (event === 'end') ended = (JSON.parse(data) as { reason?: string }).reason ?? '';
    },
    onError(error) {
      if (error.type === 'max-buffer-size-exceeded') throw error;
    },
  });
  const iterator = chunks[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await withinTime(iterator.next(), clock);
      if (next === 'silent') return `nothing has come for ${span(SILENT_MS)}.`;
      if (next.done === true) return END_REASONS[ended ?? ''] ?? 'the node closed it.';
      parser.feed(next.value);
      const taken = arrived;
      arrived = [];
      yield* taken;
    }
  } finally {
    // Lets go of the connection; nobody waits for what else it would say.
    iterator.return?.().catch(() => undefined);
  }
}

async function withinTime<T>(next: Promise<T>, clock: Clock): Promise<T | 'silent'> {
  let cancel = (): void => undefined;
  const silent = new Promise<'silent'>((resolve) => {
    cancel = clock.after(SILENT_MS, () => {
      resolve('silent');
    });
  });
  try {
    return await Promise.race([next, silent]);
  } finally {
    cancel();
  }
}

/**
 * Follows subjects at nats-server until the signal: what analysts may do.
 * @throws GroundswellError GS_NATS_CONNECT, GS_NATS_AUTH
 */
export async function* followNats(
  target: NatsTarget,
  subjects: readonly string[],
  { signal, note }: Following,
): AsyncGenerator<Watched> {
  let waiting: Watched[] = [];
  let dropped = 0;
  let failure: GroundswellError | undefined;
  let wake = (): void => undefined;
  const subscription = await subscribe(target, subjects, {
    name: 'groundswell watch',
    onMessage(payload) {
      const row = rowOf(payload);
      if (row === undefined || waiting.length >= WAITING_MAX) dropped++;
      else waiting.push({ kind: 'row', row });
      wake();
    },
    onState: note,
    onFailure(error) {
      failure = error;
      wake();
    },
  });
  const stop = (): void => {
    wake();
  };
  signal.addEventListener('abort', stop);
  try {
    while (!signal.aborted) {
      const woken = new Promise<void>((resolve) => (wake = resolve));
      if (failure !== undefined) throw failure;
      if (dropped > 0) {
        note(`${count(dropped)} messages are not shown: no rows, or more than could wait here.`);
        dropped = 0;
      }
      if (waiting.length === 0) await woken;
      const taken = waiting;
      waiting = [];
      yield* taken;
    }
  } finally {
    signal.removeEventListener('abort', stop);
    await subscription.close();
  }
}

/** Anybody with the right may publish on a subject: only what has the parts of a row is taken for one. */
function rowOf(payload: string): Row | undefined {
  try {
    const row = JSON.parse(payload) as Partial<Row> | null;
    const whole =
      typeof row?.key === 'string' &&
      typeof row.level === 'string' &&
      typeof row.window === 'string' &&
      typeof row.start === 'number' &&
      typeof row.features === 'object';
    return whole ? (row as Row) : undefined;
  } catch {
    return undefined;
  }
}
