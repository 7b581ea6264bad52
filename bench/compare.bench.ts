/**
 * Two revisions of the engine, HEAD and another one, on the canonical bench: how many times as fast HEAD is.
 *
 *   npm run bench:compare -- REVISION [--runs 5] [--events N] [--json]
 *
 * The last line is JSON; `--json` prints nothing else to standard output.
 */
import { machine } from './machine.js';
import { compare, type Measure } from './compare/compare.js';
import { CompareError } from './compare/compare-error.js';
import { compareOptions } from './compare/options.js';

const NAMES: Readonly<Record<Measure['name'], string>> = {
  endToEnd: 'end to end, events/s',
  engineAlone: 'engine alone, events/s',
  nullReaderRatio: 'end to end ÷ null reader',
};

const broken = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => {
    broken.abort(new CompareError(`broken off by ${signal}; the worktrees are removed`));
  });

try {
  const options = compareOptions(process.argv.slice(2));
  const on = machine();
  const say = (line: string): void => {
    (options.json ? console.error : console.log)(line);
  };
  say(`${on.cpu}, ${on.cores} cores, Node ${on.node}, load ${on.loadAtStart} at the start`);
  const result = await compare(options, { root: process.cwd(), signal: broken.signal, say });
  if (!options.json) {
    const [head, other] = [result.head.slice(0, 7), result.other.slice(0, 7)];
    say('');
    say(
      `  HEAD (${head}) ÷ ${options.revision} (${other}), ${options.runs} pairs; above 1, HEAD is the better one`,
    );
    say('');
    say(
      `  ${''.padEnd(26)}${'ratio'.padStart(8)}${'min–max'.padStart(16)}${'middle half'.padStart(16)}${'HEAD'.padStart(13)}${'other'.padStart(13)}`,
    );
    for (const measure of result.measures) say(`  ${row(measure)}`);
    if (!result.sameRows) say('\n  The two make different rows: they do not do the same work.');
  }
  console.log(JSON.stringify({ bench: 'compare', machine: on, options, ...result }));
} catch (error) {
  if (!(error instanceof CompareError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}

function row({ name, ratio, head, other }: Measure): string {
  const [first, third] = ratio.quartiles;
  const range = (a: number, b: number): string => `${a.toFixed(3)}–${b.toFixed(3)}`;
  const figure = (value: number): string =>
    name === 'nullReaderRatio' ? value.toFixed(3) : Math.round(value).toLocaleString('en-US');
  return [
    NAMES[name].padEnd(26),
    ratio.median.toFixed(3).padStart(8),
    range(ratio.min, ratio.max).padStart(16),
    range(first, third).padStart(16),
    figure(head).padStart(13),
    figure(other).padStart(13),
  ].join('');
}
