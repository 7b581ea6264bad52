/** docs/GUARANTEES.md names tests that there are. Hunts a promise whose proof was renamed or removed without anybody hearing of it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');
const text = readFileSync(join(ROOT, 'docs/GUARANTEES.md'), 'utf8');

/** A file of tests, and what one of them is called, as far as the document quotes it. */
const named = [...text.matchAll(/`(test\/[^`]+\.test\.ts)`(?:\s*“([^”]+)”)?/g)].map(([, file, title]) => ({
  file: file!,
  title: title?.replaceAll(/\s+/g, ' '),
}));

it('names tests for every promise, and for every fault', () => {
  expect(named.length).toBeGreaterThan(25);
  for (const promise of ['P1', 'P2', 'P3', 'P4', 'P5', 'P6', 'P7', 'P8'])
    expect(text).toMatch(new RegExp(`^\\| \\*\\*${promise}\\*\\* .*test/`, 'm'));
  const faults = text
    .slice(text.indexOf('## Faults'))
    .split('\n')
    .filter((line) => line.startsWith('| '));
  for (const line of faults.slice(2)) expect(line).toMatch(/`test\/|npm run/);
});

it.each(named)('$file: $title', ({ file, title }) => {
  const tests = readFileSync(join(ROOT, file), 'utf8').replaceAll(/\s+/g, ' ');
  if (title !== undefined) expect(tests).toContain(title);
});
