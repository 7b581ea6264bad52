/** `groundswell watch`: rows as they become final, one line each, from a node or straight from nats-server. */
import { join } from 'node:path';
import type { Command } from 'commander';
import type { Row } from '../actor/row.js';
import { GroundswellError } from '../core/errors.js';
import { loadRegion } from '../ingest/region.js';
import { parsePattern } from '../serve/pattern.js';
import { duration, natsTarget } from './command.js';
import { ending } from './ending.js';
import { multiplierText, value } from './get.js';
import { fitted } from './live-picture.js';
import type { Watched } from './node-answers.js';
import { NodeClient, nodeAddress, withNode } from './node-client.js';
import { CONFIG_FOLDER } from './package-root.js';
import { plain } from './readable.js';
import { followNats, followNode } from './row-stream.js';
import { colors, note, say, width } from './screen.js';
import { localTime } from './times.js';

interface Options {
  http?: string;
  nats?: string;
  creds?: string;
  live: boolean;
  for?: number;
  json: boolean;
}

const KEY_COLUMNS = 12;
/** Said of every row that has them, also when they are 0. */
const ALWAYS = ['requests', 'open_end'];

export function watchCommand(program: Command): void {
  withNode(program.command('watch'))
    .description('follow rows as they become final, and with --live what happens before that')
    .argument('<pattern>', 'cell/9q8yyk, cell/9q8y*, gh5/*, region, 5m/cell/9q8y*, * or an aggregate subject')
    .option('--live', 'also what places show before their minute is over', false)
    .option('--nats <url>', 'from this nats-server instead of a node; the rights of an analyst suffice')
    .option('--creds <file>', 'credentials file for that nats-server (also NATS_CREDS)')
    .option('--for <duration>', 'end after this time', duration)
    .option('--json', 'one JSON object a line: rows as they are, {"live": …} for live values', false)
    .addHelpText('after', '\nCtrl-C ends it.')
    .addHelpText('after', '\nExample:\n  groundswell watch "cell/9q8y*" --live --for 30s')
    .action(watch);
}

async function watch(text: string, options: Options): Promise<void> {
  if (options.live && options.nats !== undefined) {
    throw new GroundswellError(
      'GS_USAGE',
      'Live values are not published: --live and --nats exclude each other.',
      {
        remedy: 'Leave --nats away to ask a node, or --live to see final rows only.',
      },
    );
  }
  const end = ending(options.for);
  try {
    const following = { signal: end.signal, note };
    let stream: AsyncIterable<Watched>;
    let timezoneOf: (region: string) => Promise<string> | string;
    if (options.nats !== undefined) {
      const pattern = parsePattern(text);
      const credentials = options.creds ?? process.env['NATS_CREDS'];
      const target = { ...natsTarget(options.nats)!, ...(credentials ? { credentials } : {}) };
      stream = followNats(target, pattern.subjects('*'), following);
      timezoneOf = timezones();
    } else {
      const client = new NodeClient(nodeAddress(options.http), { signal: end.signal });
      const { timezone } = await client.status().catch((error: unknown) => {
        // A wrong pattern is wrong without a node, too; which levels there are besides the built-in ones only it knows.
        parsePattern(text);
        throw error;
      });
      stream = followNode(client, { pattern: text.trim(), live: options.live }, following);
      timezoneOf = () => timezone;
    }
    const shown = await print(stream, timezoneOf, options.json, end.signal);
    if (shown === 0 && !end.outputGone) note(`Nothing matched ${text} in that time.`);
  } catch (error) {
    // Asked to end in the middle of a question to the node.
    if (!end.signal.aborted) throw error;
  } finally {
    end.release();
  }
}

async function print(
  stream: AsyncIterable<Watched>,
  timezoneOf: (region: string) => Promise<string> | string,
  json: boolean,
  signal: AbortSignal,
): Promise<number> {
  let shown = 0;
  for await (const watched of stream) {
    if (signal.aborted) break;
    if (json) say(JSON.stringify(watched.kind === 'row' ? watched.row : { live: withoutKind(watched) }));
    else {
      const line =
        watched.kind === 'row'
          ? rowLine(watched.row, await timezoneOf(watched.row.region))
          : liveLine(watched, await timezoneOf(''));
      say(fitted(line));
    }
    shown++;
    await drained(signal);
  }
  return shown;
}

/** Waits while the reader of standard output takes slowly: the stream then waits too. */
async function drained(signal: AbortSignal): Promise<void> {
  if (!process.stdout.writableNeedDrain) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      process.stdout.off('drain', done);
      signal.removeEventListener('abort', done);
      resolve();
    };
    process.stdout.on('drain', done);
    signal.addEventListener('abort', done);
  });
}

/** `08:41–08:42  cell/9q8yyk   1m  × 1.2  requests 3  open_end 7`. */
export function rowLine(row: Row, timezone: string): string {
  const { level, key, window, start, end, rev, features, surge } = row;
  const from = localTime(start, timezone, 'minute');
  const to = localTime(end, timezone, 'minute');
  const named = Object.entries(features).filter(([name, n]) => n !== 0 || ALWAYS.includes(name));
  named.sort(([a], [b]) => rank(a) - rank(b));
  return [
    `${colors.dim(`${from}–${to}`)}`,
    padded(placeOf(level, key)),
    plain(window).padStart(3),
    surge === undefined ? ' '.repeat(5) : multiplierText(surge.multiplier),
    ...(rev > 0 ? [colors.yellow(`revision ${rev}`)] : []),
    ...named.map(([name, n]) => `${colors.dim(plain(name))} ${value(n)}`),
  ].join('  ');
}

export function liveLine(live: Extract<Watched, { kind: 'live' }>, timezone: string): string {
  const { level, key, values, at } = live;
  const shown = Object.entries(values).filter(([name, n]) => name !== 'minute' && n !== 0);
  return [
    `${colors.dim(localTime(at, timezone).padEnd(11))}`,
    padded(placeOf(level, key)),
    colors.cyan('now'),
    ' '.repeat(5),
    ...(shown.length === 0
      ? [colors.dim('nothing')]
      : shown.map(([name, n]) => `${colors.dim(plain(name))} ${value(n)}`)),
  ].join('  ');
}

function placeOf(level: string, key: string): string {
  return plain(level === 'region' ? key || level : `${level}/${key}`);
}

function rank(name: string): number {
  const at = ALWAYS.indexOf(name);
  return at < 0 ? ALWAYS.length : at;
}

function padded(text: string): string {
  return text + ' '.repeat(Math.max(0, KEY_COLUMNS - width(text)));
}

function withoutKind({ kind: _, ...rest }: Watched): object {
  return rest;
}

/** Time zones of regions that are configured here; others are shown in UTC. */
function timezones(): (region: string) => Promise<string> | string {
  const known = new Map<string, string>();
  return async (region) => {
    const timezone =
      known.get(region) ??
      (await loadRegion({ name: region, dir: join(CONFIG_FOLDER, 'regions') }).then(
        (config) => config.timezone,
        () => 'UTC',
      ));
    if (known.size < 1_000) known.set(region, timezone);
    return timezone;
  };
}
