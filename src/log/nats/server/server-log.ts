/** Reads the embedded server's log file: its last lines for a message, or line by line as it grows, and what they say. */
import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs';

import type { Clock } from '../../../core/clock.js';

export interface ServerLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
}

const LEVELS: Readonly<Record<string, ServerLine['level']>> = {
  TRC: 'debug',
  DBG: 'debug',
  INF: 'info',
  WRN: 'warn',
  ERR: 'error',
  FTL: 'error',
};
/** `[4711] 2026/01/31 12:00:00.123456 [INF] Server is ready` */
const LINE = /^\[\d+\] \d{4}\/\d\d\/\d\d [\d:.]+ \[([A-Z]{3})\] (.*)$/;

const POLL_MS = 250;
const CHUNK_BYTES = 65_536;

/** The last lines of a log, or a note that there is none. */
export function lastLines(file: string, count: number): string {
  try {
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
    return lines.slice(-count).join('\n') || '(the log is empty)';
  } catch {
    return '(there is no log)';
  }
}

/** What a line of the log says. One that is not the server's usual form is its last words, or the watchdog's. */
export function parseServerLine(line: string): ServerLine {
  const [, tag = '', message = ''] = LINE.exec(line) ?? [];
  const level = LEVELS[tag];
  return level === undefined ? { level: 'warn', message: line } : { level, message };
}

/** Passes on every line as it is written; the returned function stops after what is there at that moment. */
export function followLog(file: string, clock: Clock, onLine: (line: string) => void): () => void {
  let offset = 0;
  let rest = '';
  const read = (): void => {
    let handle: number;
    try {
      handle = openSync(file, 'r');
    } catch {
      return;
    }
    try {
      // Smaller than before: the server has rotated its log.
      if (fstatSync(handle).size < offset) offset = 0;
      const chunk = Buffer.alloc(CHUNK_BYTES);
      for (
        let bytes = readSync(handle, chunk, 0, CHUNK_BYTES, offset);
        bytes > 0;
        bytes = readSync(handle, chunk, 0, CHUNK_BYTES, offset)
      ) {
        offset += bytes;
        const lines = (rest + chunk.toString('utf8', 0, bytes)).split('\n');
        rest = lines.pop()!;
        for (const line of lines) if (line !== '') onLine(line);
      }
    } finally {
      closeSync(handle);
    }
  };
  let cancel: () => void;
  const tick = (): void => {
    read();
    cancel = clock.after(POLL_MS, tick);
  };
  cancel = clock.after(POLL_MS, tick);
  return () => {
    cancel();
    read();
  };
}
