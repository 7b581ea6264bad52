/**
 * Rows that a run has written against the truth of the events it was given.
 *
 *   npx tsx test/truth/check.ts ROWS.ndjson --cabspotting FILE --region sf
 *   npx tsx test/truth/check.ts ROWS.ndjson --uber FILE --region nyc
 *   npx tsx test/truth/check.ts ROWS.ndjson --events FILE --region xx --cover 9q8y,9q8z
 *
 * Exit codes: 0 the same, 1 different, 2 wrong usage.
 */
import { access } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { compareRows, type Comparison, type RowId } from './compare.js';
import { computeTruth, COVERS, LEVELS, WINDOWS, type EventSource } from './truth.js';

class UsageError extends Error {}

const EXAMPLES_MAX = 10;

function chosen<T extends string>(given: string | undefined, all: readonly T[], what: string): readonly T[] {
  if (given === undefined) return all;
  return given.split(',').map((name) => {
    const known = all.find((one) => one === name);
    if (!known) throw new UsageError(`no ${what} ${name}; there are ${all.join(', ')}`);
    return known;
  });
}

function read(args: string[]) {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      cabspotting: { type: 'string' },
      uber: { type: 'string' },
      events: { type: 'string' },
      region: { type: 'string' },
      cover: { type: 'string' },
      levels: { type: 'string' },
      windows: { type: 'string' },
      'presence-ms': { type: 'string', default: '300000' },
      until: { type: 'string' },
      json: { type: 'boolean', default: false },
    },
  });
  const sources: EventSource[] = [];
  if (values.cabspotting) sources.push({ csv: 'cabspotting', file: values.cabspotting });
  if (values.uber) sources.push({ csv: 'uber', file: values.uber });
  if (values.events) sources.push({ events: values.events });
  const [rowsFile] = positionals;
  const [source] = sources;
  const { region } = values;
  if (!rowsFile || positionals.length > 1 || !source || sources.length > 1 || !region) {
    throw new UsageError('give ROWS.ndjson, --region, and one of --cabspotting, --uber, --events');
  }
  const cover = values.cover?.split(',') ?? COVERS[region];
  if (!cover) throw new UsageError(`the cover of ${region} is not known here: give --cover 9q8y,9q8z`);
  const presenceMs = Number(values['presence-ms']);
  if (!Number.isSafeInteger(presenceMs) || presenceMs <= 0) {
    throw new UsageError('--presence-ms is a positive whole number');
  }
  const untilMs = values.until === undefined ? undefined : Number(values.until);
  if (untilMs !== undefined && !Number.isSafeInteger(untilMs)) {
    throw new UsageError('--until is a whole number of ms');
  }
  return {
    rowsFile,
    source,
    region,
    cover,
    presenceMs,
    levels: chosen(values.levels, LEVELS, 'level'),
    windows: chosen(values.windows, WINDOWS, 'window'),
    ...(untilMs === undefined ? {} : { until: { untilMs } }),
    json: values.json,
  };
}

function named({ level, key, window, start }: RowId): string {
  return `${level} ${key} ${window} ${new Date(start).toISOString()} (${start})`;
}

function summary(c: Comparison): string {
  const lines = [
    `lines      ${c.lines} (${c.ignored} of another region, level or window, ${c.malformed} malformed, ` +
      `${c.superseded} replaced by a later revision)`,
    `compared   ${c.compared} rows, ${c.values} values`,
    `missing    ${c.counts.missing}`,
    ...c.missing.slice(0, EXAMPLES_MAX).map((row) => `  ${named(row)} ${JSON.stringify(row.features)}`),
    `extra      ${c.counts.extra}`,
    ...c.extra.slice(0, EXAMPLES_MAX).map((row) => `  ${named(row)} ${JSON.stringify(row.features)}`),
    `wrong      ${c.counts.wrong} values`,
    ...c.wrong
      .slice(0, EXAMPLES_MAX)
      .map((w) => `  ${named(w)} rev ${w.rev}: ${w.feature} is ${w.actual}, must be ${w.expected}`),
    `duplicates ${c.counts.duplicates}`,
    ...c.duplicates.slice(0, EXAMPLES_MAX).map((d) => `  ${named(d)} rev ${d.rev}: ${d.times} times`),
    c.same ? 'SAME' : 'DIFFERENT',
  ];
  return lines.join('\n');
}

async function main(args: string[]): Promise<number> {
  const { rowsFile, source, region, cover, presenceMs, levels, windows, until = {}, json } = read(args);
  for (const file of [rowsFile, 'events' in source ? source.events : source.file]) {
    await access(file).catch(() => {
      throw new UsageError(`cannot read ${file}`);
    });
  }
  const begun = performance.now();
  const truth = await computeTruth({ ...source, cover, region, presenceMs, levels, windows });
  try {
    const computed = performance.now();
    const comparison = await compareRows({ rowsFile, truth, levels, windows, region, ...until });
    const seconds = {
      truth: (computed - begun) / 1000,
      comparison: (performance.now() - computed) / 1000,
    };
    if (json) {
      const { events, outside } = truth;
      console.log(JSON.stringify({ events, outside, ...comparison, seconds }));
    } else {
      console.log(`events     ${truth.events}, ${truth.outside} outside the cover`);
      console.log(summary(comparison));
      console.log(
        `seconds    truth ${seconds.truth.toFixed(1)}, comparison ${seconds.comparison.toFixed(1)}`,
      );
    }
    return comparison.same ? 0 : 1;
  } finally {
    await truth.close();
  }
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const wrongUsage =
    error instanceof UsageError ||
    (error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS'));
  console.error(wrongUsage ? error.message : error);
  process.exitCode = wrongUsage ? 2 : 1;
}
