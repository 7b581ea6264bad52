/** Hunts: a demo whose rows are not what its events amount to, that leaves something running, or never ends. */
import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { readRows, Sandbox } from '../support/cli.js';
import { differenceFromTruth } from '../support/against-truth.js';
import type { RawEvent } from '../support/market.js';

const sandbox = new Sandbox();
const TEST_MS = 180_000;
afterAll(() => sandbox.close());

describe('groundswell demo', () => {
  for (const [name, more] of [
    ['in live time', []],
    ['faster than the clock', ['--speed', '60x']],
  ] as const) {
    it(
      `${name}, ends by itself, leaves nothing behind, and its rows are the truth of its events`,
      async () => {
        const out = sandbox.path(`rows-${more.length}.ndjson`);
        const eventsFile = sandbox.path(`events-${more.length}.ndjson`);
        const ended = await sandbox.run([
          'demo',
          ...[
            '--for',
            '6s',
            '--warm-up',
            '4m',
            '--drivers',
            '150',
            '--requests-per-minute',
            '60',
            '--http',
            '0',
          ],
          ...['--json', '--out', out, '--events', eventsFile, ...more],
        ]);
        expect(ended.code, ended.stderr).toBe(0);
        await sandbox.quiet();
        expect(sandbox.leftovers()).toEqual([]);
        const lines = ended.stdout.trim().split('\n');
        const said = lines.map(
          (line) => JSON.parse(line) as { type: string; accepted: number; late: number },
        );
        const summary = said.at(-1)!;
        expect(summary.type).toBe('summary');
        expect(said.filter(({ type }) => type === 'status').length).toBeGreaterThan(3);
        const events = readFileSync(eventsFile, 'utf8')
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line) as RawEvent);
        expect(summary).toMatchObject({ accepted: events.length, late: 0 });
        expect(await differenceFromTruth(events, readRows(out))).toBe('same');
      },
      TEST_MS,
    );
  }
});
