/** `groundswell dead`: the letters that could not be delivered: refused events and what behaviours could not process. */
import type { Command } from 'commander';
import { wholeNumber } from './command.js';
import { fitted } from './live-picture.js';
import type { DeadLetter, DeadPage } from './node-answers.js';
import { NodeClient, nodeAddress, withNode } from './node-client.js';
import { plain, readable } from './readable.js';
import { colors, say, table } from './screen.js';
import { isTime, localAndUtc } from './times.js';

const LIMIT = 20;
const LIMIT_MAX = 500;
const SEQ_MAX = Number.MAX_SAFE_INTEGER;

interface ListOptions {
  http?: string;
  type?: string;
  limit: number;
  before?: number;
  json: boolean;
}

export function deadCommand(program: Command): void {
  const dead = program
    .command('dead')
    .description('look at dead letters: events that were refused, and why')
    .addHelpText('after', '\nExample:\n  groundswell dead list --limit 50');
  withNode(dead.command('list'))
    .description('list dead letters, newest first')
    .option('--type <type>', 'of this type of event only, such as ride.requested')
    .option('--limit <n>', 'so many at most', wholeNumber(1, LIMIT_MAX), LIMIT)
    .option('--before <seq>', 'older than this one: the next page', wholeNumber(1, SEQ_MAX))
    .option('--json', 'as JSON', false)
    .addHelpText('after', '\nExample:\n  groundswell dead list --type ride.requested --limit 50')
    .action(list);
  withNode(dead.command('show'))
    .description('show one dead letter whole')
    .argument('<seq>', 'its number, as the list shows it', wholeNumber(1, SEQ_MAX))
    .option('--json', 'as JSON', false)
    .addHelpText('after', '\nExample:\n  groundswell dead show 1041')
    .action(show);
}

async function list({ http, json, ...ask }: ListOptions): Promise<void> {
  const client = new NodeClient(nodeAddress(http));
  const [page, timezone] = await Promise.all([
    client.deadLetters(ask),
    json ? 'UTC' : client.status().then((status) => status.timezone),
  ]);
  if (json) say(JSON.stringify(page));
  else for (const line of listLines(page, timezone, ask)) say(fitted(line));
}

export function listLines(
  { items, more, before }: DeadPage,
  timezone: string,
  ask: { type?: string; limit: number },
): string[] {
  const of = ask.type === undefined ? '' : ` --type ${ask.type}`;
  if (items.length === 0 && !more)
    return [`No dead letters${ask.type === undefined ? '' : ` of type ${ask.type}`}.`];
  const lines = table([
    ['seq', 'time', 'type', 'reason', 'message'],
    ...items.map(({ seq, atMs, type, reason, message }) => [
      // Not grouped by thousands: it is to be copied.
      String(seq),
      isTime(atMs) ? localAndUtc(atMs, timezone) : '–',
      plain(type),
      colors.yellow(plain(reason)),
      plain(message ?? ''),
    ]),
  ]);
  if (more)
    lines.push(
      '',
      `There are more: groundswell dead list${of} --limit ${ask.limit} --before ${before ?? items.at(-1)?.seq ?? 1}`,
    );
  return lines;
}

async function show(seq: number, options: { http?: string; json: boolean }): Promise<void> {
  const client = new NodeClient(nodeAddress(options.http));
  const [letter, timezone] = await Promise.all([
    client.deadLetter(seq),
    options.json ? 'UTC' : client.status().then((status) => status.timezone),
  ]);
  if (options.json) say(JSON.stringify(letter));
  else for (const line of letterLines(letter, timezone)) say(line);
}

export function letterLines(letter: DeadLetter, timezone: string): string[] {
  const { seq, atMs, type, reason, message, ...rest } = letter;
  return [
    `${colors.bold(`dead letter ${seq}`)}, ${isTime(atMs) ? localAndUtc(atMs, timezone) : 'of a time that is not known'}`,
    ...table([
      ['  type', plain(type)],
      ['  reason', colors.yellow(plain(reason))],
      ...(message === undefined || message === null ? [] : [['  message', plain(message)]]),
    ]),
    ...readable(rest, { full: true }).map((line) => `  ${line}`),
  ];
}
