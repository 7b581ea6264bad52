/**
 * What the world was told: all rows of the aggregate stream into a file, as they are there, and what lies on the subjects
 * beside them. Owns counting; whether the values are right, the truth says.
 */
import { createWriteStream } from 'node:fs';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { NatsConnection } from 'nats';
import { Subjects } from '../../src/log/subjects.js';
import { StreamReader, type StoredMessage } from './stream-reader.js';

export interface Published {
  readonly rows: number;
  /** Rows that correct others. */
  readonly corrected: number;
  readonly surges: number;
  /** Multipliers that were given a second time. */
  readonly surgesTwice: number;
  readonly late: number;
  /** By the subject's last token. */
  readonly dead: Readonly<Record<string, number>>;
}

interface Head {
  readonly end: number;
  readonly rev: number;
  readonly level: string;
  readonly window: string;
}

const POLL_MS = 250;
const QUIET_MS = 3_000;
const DEADLINE_MS = 90_000;

/**
 * Reads the rows once all are there: `complete` says when, from what has come so far; and a while longer, for what may come
 * twice. A stream that never has them all is read as it is.
 */
export async function readPublished(options: {
  connection: NatsConnection;
  region: string;
  rowsFile: string;
  /** Only rows of windows that end by then. */
  untilMs: number;
  readonly complete: (seen: { rows: number; regionMinuteEndMs: number }) => boolean;
}): Promise<Published> {
  const { connection, region, rowsFile, untilMs, complete } = options;
  const subjects = new Subjects(region);
  const reader = new StreamReader(connection, subjects.aggregateStream, `gs.${region}.agg.>`);
  const file = createWriteStream(rowsFile);
  const seen = { rows: 0, regionMinuteEndMs: 0 };
  let rows = 0;
  let corrected = 0;
  let quietSinceMs = performance.now();
  const deadlineMs = performance.now() + DEADLINE_MS;
  for (;;) {
    const messages = await reader.next();
    let text = '';
    for (const { data } of messages) {
      const line = Buffer.from(data).toString();
      const { end, rev, level, window } = JSON.parse(line) as Head;
      seen.rows++;
      if (level === 'region' && window === '1m')
        seen.regionMinuteEndMs = Math.max(seen.regionMinuteEndMs, end);
      if (end > untilMs) continue;
      rows++;
      if (rev > 0) corrected++;
      text += `${line}\n`;
    }
    if (text !== '' && !file.write(text)) await once(file, 'drain');
    const nowMs = performance.now();
    if (messages.length > 0) {
      quietSinceMs = nowMs;
      continue;
    }
    if (nowMs > deadlineMs || (complete(seen) && nowMs - quietSinceMs > QUIET_MS)) break;
    await sleep(POLL_MS);
  }
  file.end();
  await once(file, 'finish');
  return { rows, corrected, ...(await besides(connection, subjects)) };
}

async function besides(
  connection: NatsConnection,
  subjects: Subjects,
): Promise<Omit<Published, 'rows' | 'corrected'>> {
  const { region } = subjects;
  const given = new Set<string>();
  let surges = 0;
  for await (const { subject, data } of all(connection, subjects.aggregateStream, `gs.${region}.surge.>`)) {
    surges++;
    const { start } = JSON.parse(Buffer.from(data).toString()) as { start: number };
    given.add(`${subject} ${start}`);
  }
  let late = 0;
  for await (const { subject } of all(connection, subjects.sideStream, `gs.${region}.late.>`))
    late += Number(subject !== '');
  const dead: Record<string, number> = {};
  for await (const { subject } of all(connection, subjects.sideStream, `gs.${region}.dead.>`)) {
    const type = subject.slice(subject.lastIndexOf('.') + 1);
    dead[type] = (dead[type] ?? 0) + 1;
  }
  return { surges, surgesTwice: surges - given.size, late, dead };
}

async function* all(
  connection: NatsConnection,
  stream: string,
  subject: string,
): AsyncGenerator<StoredMessage> {
  const reader = new StreamReader(connection, stream, subject);
  for (;;) {
    const messages = await reader.next();
    if (messages.length === 0) return;
    yield* messages;
  }
}
