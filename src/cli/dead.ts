/**
 * `groundswell dead`: the letters that could not be delivered: refused events, and calls of behaviours that failed. Lists
 * them, shows one, and brings their events in again.
 */
import type { Command } from 'commander';
import { GroundswellError } from '../core/errors.js';
import { moment, wholeNumber } from './command.js';
import { fitted } from './live-picture.js';
import type { DeadAsk, DeadLetter, DeadPage, ReplayedLetter } from './node-answers.js';
import { NodeClient, nodeAddress, withNode } from './node-client.js';
import { plain, readable } from './readable.js';
import { colors, say, table } from './screen.js';
import { isTime, localAndUtc } from './times.js';

const LIMIT = 20;
const LIMIT_MAX = 500;
const SEQ_MAX = Number.MAX_SAFE_INTEGER;

interface Choice {
  type?: string;
  reason?: string;
  since?: number;
}

interface ListOptions extends Choice {
  http?: string;
  limit: number;
  before?: number;
  json: boolean;
}

interface ReplayOptions extends Choice {
  http?: string;
  again: boolean;
  json: boolean;
}

export function deadCommand(program: Command): void {
  const dead = program
    .command('dead')
    .description('look at dead letters, events that were refused or failed, and try them again')
    .addHelpText('after', '\nExample:\n  groundswell dead list --limit 50');
  choosing(withNode(dead.command('list')).description('list dead letters, newest first'))
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
  choosing(
    withNode(dead.command('replay')).description(
      'bring the events of dead letters in again: those that are named, or all of a kind',
    ),
  )
    .argument('[seq...]', 'their numbers, as the list shows them')
    .option('--again', 'those too that were replayed before', false)
    .option('--json', 'one JSON object at the end', false)
    .addHelpText(
      'after',
      '\nAn event without an id gets one, made of the number, so that it counts once however often it is replayed.',
    )
    .addHelpText('after', '\nExample:\n  groundswell dead replay --reason threw --since 2h')
    .action(replay);
}

function choosing(command: Command): Command {
  return command
    .option('--type <type>', 'of this type of event only, such as ride.requested')
    .option('--reason <reason>', 'for this reason only, such as threw or outside_region')
    .option('--since <time>', 'of events since this time, or since so long ago: 2h', moment);
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

export function listLines({ items, more, before }: DeadPage, timezone: string, ask: DeadAsk): string[] {
  const { type, reason, since, limit } = ask;
  const of = [
    ...(type === undefined ? [] : [`--type ${type}`]),
    ...(reason === undefined ? [] : [`--reason ${reason}`]),
    ...(since === undefined ? [] : [`--since ${new Date(since).toISOString()}`]),
  ];
  if (items.length === 0 && !more) {
    const named = type === undefined ? '' : ` of type ${type}`;
    const why = reason === undefined ? '' : ` for the reason ${reason}`;
    return [`No dead letters${named}${why}${since === undefined ? '' : ' since then'}.`];
  }
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
      `There are more: ${['groundswell dead list', ...of].join(' ')} --limit ${limit ?? LIMIT} --before ${before ?? items.at(-1)?.seq ?? 1}`,
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
  const { seq, atMs, type, reason, message, replayedAtMs, ...rest } = letter;
  return [
    `${colors.bold(`dead letter ${seq}`)}, ${isTime(atMs) ? localAndUtc(atMs, timezone) : 'of a time that is not known'}`,
    ...table([
      ['  type', plain(type)],
      ['  reason', colors.yellow(plain(reason))],
      ...(message === undefined || message === null ? [] : [['  message', plain(message)]]),
      ...(typeof replayedAtMs === 'number' ? [['  replayed', localAndUtc(replayedAtMs, timezone)]] : []),
    ]),
    ...readable(rest, { full: true }).map((line) => `  ${line}`),
  ];
}

/** What became of the letters that were to be replayed. */
export interface ReplayReport {
  readonly replayed: readonly ReplayedLetter[];
  /** Before; only `--again` brings them in once more. */
  readonly before: readonly number[];
  readonly refused: readonly { readonly seq: number; readonly why: string }[];
}

async function replay(seqs: readonly string[], options: ReplayOptions): Promise<void> {
  const { http, again, json, ...ask } = options;
  const client = new NodeClient(nodeAddress(http));
  const chosen = Object.keys(ask).length > 0;
  if (seqs.length > 0 === chosen)
    throw new GroundswellError('GS_USAGE', 'Either the letters are named, or all of a kind are meant.', {
      remedy: 'Give their numbers, or --reason, --type or --since; groundswell dead list shows them.',
    });
  const report = await replayAll(client, chosen ? await every(client, ask) : seqs.map(letterNumber), again);
  if (json) say(JSON.stringify(report));
  else for (const line of replayLines(report)) say(fitted(line));
  if (report.refused.length > 0 && report.replayed.length === 0 && report.before.length === 0)
    throw new GroundswellError('GS_NOT_FOUND', 'None of the letters could be replayed.', {
      remedy: 'The lines above say why, for each.',
    });
}

function letterNumber(text: string): number {
  const number = /^\d{1,16}$/.test(text) ? Number(text) : 0;
  if (number >= 1 && Number.isSafeInteger(number)) return number;
  throw new GroundswellError('GS_USAGE', `"${text}" is no number of a dead letter.`, {
    remedy: 'Give numbers as groundswell dead list shows them.',
  });
}

/** Numbers of all letters of a kind, oldest first: events are brought in again in the order in which they came. */
export async function every(client: Pick<NodeClient, 'deadLetters'>, ask: DeadAsk): Promise<number[]> {
  const seqs: number[] = [];
  for (let before: number | undefined; ;) {
    const page = await client.deadLetters({
      ...ask,
      limit: LIMIT_MAX,
      ...(before === undefined ? {} : { before }),
    });
    seqs.push(...page.items.map(({ seq }) => seq));
    if (!page.more || page.before === undefined) return seqs.reverse();
    before = page.before;
  }
}

/** One after the other, so that their order stays; a node that does not answer ends it. */
export async function replayAll(
  client: Pick<NodeClient, 'replayDead'>,
  seqs: readonly number[],
  again: boolean,
): Promise<ReplayReport> {
  const replayed: ReplayedLetter[] = [];
  const before: number[] = [];
  const refused: { seq: number; why: string }[] = [];
  for (const seq of seqs) {
    try {
      replayed.push(await client.replayDead(seq, again));
    } catch (error) {
      if (!(error instanceof GroundswellError)) throw error;
      if (error.code === 'GS_REPLAYED') before.push(seq);
      else if (error.code === 'GS_USAGE' || error.code === 'GS_NOT_FOUND')
        refused.push({ seq, why: error.message });
      else throw error;
    }
  }
  return { replayed, before, refused };
}

export function replayLines({ replayed, before, refused }: ReplayReport): string[] {
  const lines = replayed.map(({ seq, type, id }) => `${seq}  ${plain(type)} is in again, as ${plain(id)}`);
  for (const seq of before) lines.push(`${seq}  was replayed before: --again brings it in once more`);
  for (const { seq, why } of refused) lines.push(`${seq}  ${colors.yellow(plain(why))}`);
  return lines.length === 0 ? ['There is nothing to replay.'] : lines;
}
