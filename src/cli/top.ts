/** `groundswell top`: the cells that surge most. On a terminal a picture that repaints itself, in a pipe one snapshot. */
import type { Command } from 'commander';
import { duration, wholeNumber } from './command.js';
import { ending, pause, type Ending } from './ending.js';
import { multiplierText } from './get.js';
import { LiveScreen, type LivePicture } from './live-screen.js';
import type { NodeReport, TopReport } from './node-answers.js';
import { NodeClient, nodeAddress, withNode } from './node-client.js';
import { plain } from './readable.js';
import { colors, say, table } from './screen.js';
import { sparkline } from './sparkline.js';
import { localAndUtc } from './times.js';

interface Options {
  http?: string;
  number: number;
  every?: number;
  json: boolean;
}

const EVERY_MS = 1_000;
const EVERY_LEAST_MS = 250;
const CELLS_MAX = 100;
const SPARK_MINUTES = 30;
const STANDING: ReadonlySet<string> = new Set(['unsure', 'no-owner', 'silent-node']);

export function topCommand(program: Command): void {
  withNode(program.command('top'))
    .description('show the cells that surge most, with their last half hour')
    .option('-n, --number <n>', 'cells at most', wholeNumber(1, CELLS_MAX), 10)
    .option(
      '--every <duration>',
      'look again after this time (on a terminal 1s; in a pipe not at all)',
      duration,
    )
    .option('--json', 'one JSON object a line, a line for each look', false)
    .addHelpText(
      'after',
      '\nOn a terminal it repaints itself until Ctrl-C; in a pipe it prints once, or with --every again and again.',
    )
    .addHelpText('after', '\nExample:\n  groundswell top -n 20 --every 2s')
    .action(top);
}

async function top(options: Options): Promise<void> {
  const end = ending();
  const client = new NodeClient(nodeAddress(options.http), { signal: end.signal });
  const screen = new LiveScreen();
  try {
    if (screen.active && !options.json) await paint(client, screen, options, end);
    else await list(client, options, end);
  } catch (error) {
    // Asked to end in the middle of a question to the node.
    if (!end.signal.aborted) throw error;
  } finally {
    end.release();
    screen.close();
  }
}

async function list(client: NodeClient, options: Options, end: Ending): Promise<void> {
  for (let first = true; !end.signal.aborted; first = false) {
    const report = await client.top(options.number);
    if (options.json) say(JSON.stringify(report));
    else {
      const region = await client.status();
      if (!first) say('');
      for (const line of topLines(report, region.timezone)) say(line);
      for (const note of notes(region)) say(`${colors.red('ALARM:')} ${plain(note)}`);
    }
    if (options.every === undefined) return;
    await pause(options.every, end.signal);
  }
}

export function topLines({ watermark, cells }: TopReport, timezone: string): string[] {
  const upTo = `final up to ${localAndUtc(watermark, timezone)}`;
  if (cells.length === 0) return [`No cell has a surge multiplier yet, ${upTo}`];
  return [
    `Top surging cells, ${upTo}`,
    ...table([
      ['cell', 'surge', 'score', 'requests', 'open', 'open now', `last ${SPARK_MINUTES} minutes`],
      ...cells.map(({ key, multiplier, raw, features, live, spark }) => [
        key,
        multiplier === null ? '–' : multiplierText(multiplier),
        raw === null ? '–' : raw.toFixed(2),
        features['requests'] ?? 0,
        features['open_end'] ?? 0,
        live?.['open'] ?? 0,
        sparkline(spark, SPARK_MINUTES),
      ]),
    ]),
  ];
}

async function paint(client: NodeClient, screen: LiveScreen, options: Options, end: Ending): Promise<void> {
  let picture: LivePicture | undefined;
  let before: NodeReport | undefined;
  while (!end.signal.aborted) {
    try {
      const [report, cells, region] = await Promise.all([
        client.status(),
        client.top(options.number),
        // A region without a row has none to show yet.
        client.features('region', '', { window: '1m' }).catch(() => undefined),
      ]);
      picture = {
        region: report.region,
        timezone: report.timezone,
        watermark: cells.watermark,
        topCells: cells.cells,
        total: region?.rows['1m'],
        liveTotal: region?.live,
        throughput: rate(before, report),
        notes: notes(report),
        address: client.address,
      };
      before = report;
    } catch (error) {
      // Without a first picture there is nothing to keep on the screen: the error ends it.
      if (picture === undefined || end.signal.aborted) throw error;
      picture = { ...picture, throughput: undefined, notes: ['the node does not answer: trying again'] };
    }
    screen.update(picture);
    await pause(Math.max(EVERY_LEAST_MS, options.every ?? EVERY_MS), end.signal);
  }
}

/** What makes the picture less than the whole truth: cells of a partition without an owner stand still. */
export function notes({ alarms }: NodeReport): string[] {
  return alarms.filter(({ kind }) => STANDING.has(kind)).map(({ message }) => message);
}

/** Events per second between two looks, of all nodes that were there at both; undefined when none was. */
export function rate(before: NodeReport | undefined, now: NodeReport): number | undefined {
  const seconds = before === undefined ? 0 : (now.nowMs - before.nowMs) / 1000;
  if (before === undefined || seconds <= 0) return undefined;
  const taken = now.nodes.flatMap(({ id, startedAtMs, events }) => {
    const then = before.nodes.find((node) => node.id === id && node.startedAtMs === startedAtMs);
    return events === null || then === undefined || then.events === null ? [] : [events - then.events];
  });
  const events = taken.reduce((sum, n) => sum + n, 0);
  return taken.length > 0 && events >= 0 ? events / seconds : undefined;
}
