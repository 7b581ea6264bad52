/** `groundswell get`: what is known of a cell, an area or the region: the latest row of each window, and what is there now. */
import type { Command } from 'commander';
import type { Row } from '../actor/row.js';
import { formatDuration } from '../core/duration.js';
import { GroundswellError } from '../core/errors.js';
import { GEOHASH_ALPHABET, isGeohash } from '../core/geohash.js';
import { duration, wholeNumber } from './command.js';
import type { FeatureReport } from './node-answers.js';
import { NodeClient, nodeAddress, withNode } from './node-client.js';
import { colors, count, say, table, width } from './screen.js';
import { isTime, localAndUtc, localTime, span, zoneName } from './times.js';

interface Options {
  http?: string;
  window?: number;
  live: boolean;
  history?: number;
  json: boolean;
}

/** Minutes that a node keeps. */
const HISTORY_MAX = 60;
/** Columns of the history, where rows have them. */
const HISTORY = ['requests', 'open_end', 'drivers', 'pickups', 'dropoffs', 'busy_s'] as const;

export function getCommand(program: Command): void {
  withNode(program.command('get'))
    .description('read the features of a cell, an area or the region')
    .argument('<place>', 'cell/<geohash>, gh5/<geohash>, gh4/<geohash> or region')
    .option('--window <duration>', 'this window only, such as 5m', duration)
    .option('--live', 'also what is there now, before the minute is over', false)
    .option('--history <n>', 'also the last n minutes, up to 60', wholeNumber(1, HISTORY_MAX))
    .option('--json', 'as JSON', false)
    .addHelpText('after', '\nExample:\n  groundswell get cell/9q8yyk --window 5m --live --history 10')
    .action(async (place: string, options: Options) => {
      const { level, key } = parsePlace(place);
      const client = new NodeClient(nodeAddress(options.http));
      const [report, timezone] = await Promise.all([
        client.features(level, key, {
          ...(options.window === undefined ? {} : { window: formatDuration(options.window) }),
          ...(options.history === undefined ? {} : { history: options.history }),
        }),
        options.json ? 'UTC' : client.status().then((status) => status.timezone),
      ]);
      if (options.json) say(JSON.stringify(report));
      else for (const line of featureLines(report, timezone, options.live)) say(line);
    });
}

/** `cell/9q8yyk` → its level and key. @throws GroundswellError GS_USAGE, with what was meant */
export function parsePlace(text: string): { level: string; key: string } {
  if (text === 'region') return { level: 'region', key: '' };
  const slash = text.indexOf('/');
  const [level, key] = slash < 0 ? ['', text] : [text.slice(0, slash), text.slice(slash + 1)];
  const forms = 'cell/9q8yyk, gh5/9q8yy, gh4/9q8y or region';
  if (level === '' || key === '' || key.includes('/')) {
    const meant = { 6: 'cell', 5: 'gh5', 4: 'gh4' }[key.length];
    const hint = isGeohash(key) && meant !== undefined ? `: did you mean ${meant}/${key}?` : '.';
    throw new GroundswellError('GS_USAGE', `"${text}" is no place${hint}`, {
      remedy: `Places are ${forms}.`,
    });
  }
  const length = { cell: 6, gh5: 5, gh4: 4 }[level];
  if (length !== undefined && !(isGeohash(key) && key.length === length)) {
    throw new GroundswellError(
      'GS_USAGE',
      `"${key}" is no geohash of ${length} characters, as a ${level} has.`,
      {
        remedy: `A geohash is made of ${GEOHASH_ALPHABET}. Places are ${forms}.`,
      },
    );
  }
  return { level, key };
}

export function featureLines(report: FeatureReport, timezone: string, live: boolean): string[] {
  const { level, key, region, watermark } = report;
  const rows = Object.values(report.rows).sort((a, b) => a.end - a.start - (b.end - b.start));
  const lines = [
    `${colors.bold(level === 'region' ? region : `${level}/${key}`)}${level === 'region' ? '' : ` in ${region}`}, final up to ${localAndUtc(watermark, timezone)}`,
  ];
  if (report.stale) lines.push(staleWarning(rows, watermark));
  if (rows.length > 0) lines.push('', ...windowTable(rows, timezone));
  if (live) lines.push('', ...liveLines(report, timezone));
  if (report.history !== undefined) lines.push('', ...historyTable(report.history, timezone));
  return lines;
}

function staleWarning(rows: readonly Row[], watermark: number | null): string {
  const endMs = Math.max(...rows.map(({ end }) => end));
  const age =
    isTime(watermark) && isTime(endMs) ? `: the newest row is ${span(watermark - endMs)} older` : '';
  return `${colors.yellow('stale')}${age}; a place where nothing happens has no rows`;
}

/** A column for each window, a line for each feature. */
function windowTable(rows: readonly Row[], timezone: string): string[] {
  const zone = zoneName(rows[0]!.end, timezone);
  const names = [...new Set(rows.flatMap(({ features }) => Object.keys(features)))];
  const times = (zone: string): string[][] => [
    ...(['start', 'end'] as const).map((edge) => [
      `  ${edge === 'start' ? 'from' : 'to'} (${zoneName(rows[0]!.end, zone)})`,
      ...rows.map((row) => localTime(row[edge], zone)),
    ]),
  ];
  const lines = rightAligned([
    ['  window', ...rows.map(({ window }) => window)],
    ...times(timezone),
    ...(zone === 'UTC' ? [] : times('UTC')),
    ...(rows.some(({ rev }) => rev > 0) ? [['  corrected', ...rows.map(({ rev }) => revision(rev))]] : []),
    ...names.map((name) => [`  ${name}`, ...rows.map(({ features }) => value(features[name]))]),
  ]);
  const priced = rows.find(({ surge }) => surge !== undefined);
  if (priced?.surge === undefined) return lines;
  const { multiplier, raw, model } = priced.surge;
  return [...lines, '', `  surge ${multiplierText(multiplier)}  score ${raw.toFixed(3)}, model ${model}`];
}

function liveLines({ live }: FeatureReport, timezone: string): string[] {
  if (live === null) return [`  ${colors.dim('now: nothing is known to be there')}`];
  const minute = live['minute'];
  const there = ['open', 'enroute', 'busy'];
  const counted = Object.keys(live).filter((name) => name !== 'minute' && !there.includes(name));
  const list = (names: readonly string[]): string =>
    names.map((name) => `${name} ${colors.bold(value(live[name] ?? 0))}`).join('  ');
  return [
    `  now        ${list(there)}`,
    `  so far in ${localTime(minute, timezone, 'minute')} ${zoneName(minute, timezone)} (${localTime(minute, 'UTC', 'minute')} UTC), provisional:`,
    `             ${list(counted)}`,
  ];
}

function historyTable(rows: readonly Row[], timezone: string): string[] {
  if (rows.length === 0) return [`  ${colors.dim('no minutes with anything in them')}`];
  const names = HISTORY.filter((name) => rows.some(({ features }) => name in features));
  const priced = rows.some(({ surge }) => surge !== undefined);
  return rightAligned([
    [`  minute (${zoneName(rows[0]!.start, timezone)})`, '(UTC)', ...(priced ? ['surge'] : []), ...names],
    ...rows.map(({ start, features, surge }) => [
      `  ${localTime(start, timezone, 'minute')}`,
      localTime(start, 'UTC', 'minute'),
      ...(priced ? [surge === undefined ? '' : multiplierText(surge.multiplier)] : []),
      ...names.map((name) => value(features[name])),
    ]),
  ]);
}

/** `× 1.2`, the more striking the higher. */
export function multiplierText(multiplier: number, paint = colors): string {
  const text = `× ${multiplier.toFixed(1)}`;
  if (multiplier < 1.05) return paint.dim(text);
  if (multiplier < 1.5) return paint.green(text);
  if (multiplier < 2) return paint.yellow(text);
  return multiplier < 2.5 ? paint.red(text) : paint.bold(paint.red(text));
}

/** A table whose first column stands to the left and all others to the right, also where they are text. */
function rightAligned(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, width(cell))));
  return table(
    rows.map((row) => row.map((cell, i) => (i === 0 ? cell : ' '.repeat(widths[i]! - width(cell)) + cell))),
  );
}

function revision(rev: number): string {
  return rev === 0 ? '' : `revision ${rev}`;
}

/** Numbers as they are, with at most three decimals. */
export function value(n: number | undefined): string {
  if (n === undefined) return '';
  return Number.isInteger(n) ? count(n) : String(Number(n.toFixed(3)));
}
