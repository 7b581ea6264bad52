// Hunts: an error of the server's told as a remark, a line that is lost because it has not the usual form.
import { describe, expect, it } from 'vitest';
import { parseServerLine } from '../../../../../src/log/nats/server/server-log.js';

describe('a line of the server’s log', () => {
  it.each([
    ['[17] 2026/01/31 12:00:00.123456 [INF] Server is ready', 'info', 'Server is ready'],
    ['[17] 2026/01/31 12:00:00.123456 [WRN] Slow [disk]', 'warn', 'Slow [disk]'],
    ['[17] 2026/01/31 12:00:00.123456 [ERR] No room', 'error', 'No room'],
    ['[17] 2026/01/31 12:00:00.123456 [FTL] Port in use', 'error', 'Port in use'],
    ['[17] 2026/01/31 12:00:00.123456 [DBG] Client connected', 'debug', 'Client connected'],
    ['[17] 2026/01/31 12:00:00.123456 [TRC] <<- PING', 'debug', '<<- PING'],
    ['[17] 2026/01/31 12:00:00.123456 [NEW] What', 'warn', '[17] 2026/01/31 12:00:00.123456 [NEW] What'],
    ['panic: runtime error: [INF] index', 'warn', 'panic: runtime error: [INF] index'],
    ['goroutine 1 [running]:', 'warn', 'goroutine 1 [running]:'],
  ])('%s', (line, level, message) => {
    expect(parseServerLine(line)).toEqual({ level, message });
  });
});
