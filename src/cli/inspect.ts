/** `groundswell inspect`: one actor from inside. Its state, timers, partition, and as of which commit. */
import type { Command } from 'commander';
import { GroundswellError } from '../core/errors.js';
import type { ActorView } from '../node/status.js';
import type { NodeReport } from './node-answers.js';
import { NodeClient, nodeAddress, withNode } from './node-client.js';
import { value } from './get.js';
import { plain, readable } from './readable.js';
import { colors, count, say, table, width } from './screen.js';
import { away, isTime, localAndUtc, localTime, zoneName } from './times.js';

interface Options {
  http?: string;
  full: boolean;
  json: boolean;
}

const PANES_MAX = 15;
/** Of a pane's counters: with the times before them, a line of a hundred columns. */
const COUNTER_COLUMNS = 78;
/** Names that a behaviour gives to event times, ms. */
const TIME_NAME = /^(ts|at|start|end|minute)$|Ms$/;
/** Numbers below are no times of events, whatever their name. */
const TIMES_FROM_MS = Date.UTC(2000, 0, 1);

export function inspectCommand(program: Command): void {
  withNode(program.command('inspect'))
    .description('look inside one actor: state, timers, partition and commit')
    .argument('<actor>', 'its address: cell/9q8yyk, driver/<id>, rider/<id>, region/sf')
    .option('--full', 'the whole state, however large', false)
    .option('--json', 'as JSON', false)
    .addHelpText('after', '\nExample:\n  groundswell inspect cell/9q8yyk')
    .action(async (actor: string, options: Options) => {
      const { type, key } = parseActor(actor);
      const client = new NodeClient(nodeAddress(options.http));
      const view = await client.actor(type, key);
      if (options.json) say(JSON.stringify(view));
      else for (const line of actorLines(view, await client.status(), options.full)) say(line);
    });
}

/** A key may itself hold slashes. @throws GroundswellError GS_USAGE */
export function parseActor(text: string): { type: string; key: string } {
  const slash = text.indexOf('/');
  if (slash <= 0 || slash === text.length - 1) {
    throw new GroundswellError('GS_USAGE', `"${text}" is no address of an actor.`, {
      remedy: 'An address is type/key: cell/9q8yyk, driver/d-17, rider/r-3, region/sf.',
    });
  }
  return { type: text.slice(0, slash), key: text.slice(slash + 1) };
}

export function actorLines(view: ActorView, report: NodeReport, full: boolean): string[] {
  const { timezone, partitions } = report;
  const { id, stage, partition, commit, resident, seenIds, timers, state } = view;
  const { owner, status } = partitions.find((one) => one.partition === partition) ?? {};
  const closedMs = status?.closedMs[stage];
  return [
    colors.bold(plain(id)),
    ...table([
      [
        '  partition',
        `${partition}, owned by ${owner === null || owner === undefined ? 'nobody now' : plain(owner.name)}`,
      ],
      ['  stage', `${stage}, closed up to ${localAndUtc(closedMs, timezone)}`],
      ['  as of', `commit ${count(commit)}`],
      ['  where', resident ? 'in memory' : 'passivated: in the snapshot alone'],
      ...troubleRows(view, timezone),
      ...(seenIds === 0 ? [] : [['  event ids', `${count(seenIds)} remembered`]]),
    ]),
    '',
    ...timerLines(timers, closedMs, timezone),
    '',
    colors.bold('state'),
    ...stateLines(state, timezone, full).map((line) => `  ${line}`),
  ];
}

function troubleRows({ failures, quarantine }: ActorView, timezone: string): string[][] {
  const rows: string[][] = [];
  if (quarantine !== undefined) {
    const since = localAndUtc(quarantine.sinceMs, timezone);
    rows.push(['  quarantine', colors.red(`since ${since}, ${count(quarantine.kept)} kept for it`)]);
  }
  if (failures !== undefined) rows.push(['  failures', `${count(failures)} in a row`]);
  return rows;
}

function timerLines(timers: ActorView['timers'], closedMs: number | undefined, timezone: string): string[] {
  const due = Object.entries(timers).sort(([, a], [, b]) => a - b);
  if (due.length === 0) return [`${colors.bold('timers')}  none: nothing of it waits for time to pass`];
  return [
    `${colors.bold('timers')}  due when its stage is closed up to their time`,
    ...table(
      due.map(([name, atMs]) => [`  ${plain(name)}`, localAndUtc(atMs, timezone), untilDue(atMs, closedMs)]),
    ),
  ];
}

function untilDue(atMs: number, closedMs: number | undefined): string {
  if (!isTime(closedMs)) return '';
  return atMs <= closedMs ? 'fires next' : `${away(atMs, closedMs)} of event time`;
}

function stateLines(state: unknown, timezone: string, full: boolean): string[] {
  const time = (name: string, at: unknown): string | undefined =>
    TIME_NAME.test(name) && typeof at === 'number' && at > TIMES_FROM_MS && isTime(at)
      ? localTime(at, timezone)
      : undefined;
  if (!isWindowed(state)) return readable(state, { full, remark: time });
  const { panes, late, revisions, ...rest } = state;
  return [
    ...paneLines(panes, timezone, full),
    ...(late.length === 0 ? [] : [`changed late: ${late.map((at) => localTime(at, timezone)).join(', ')}`]),
    ...(revisions.length === 0 ? [] : [`${count(revisions.length / 3)} windows were corrected`]),
    ...(Object.keys(rest).length === 0 ? [] : readable(rest, { full, remark: time })),
  ];
}

interface Pane {
  readonly start: number;
  readonly counters: Readonly<Record<string, number>> | readonly number[];
  readonly sketch?: readonly number[];
}

/** What `windowed` actors show of themselves. */
interface WindowedState {
  readonly panes: readonly Pane[];
  readonly late: readonly number[];
  readonly revisions: readonly number[];
}

function isWindowed(state: unknown): state is WindowedState {
  const { panes, late, revisions } = (state ?? {}) as Partial<Record<keyof WindowedState, unknown>>;
  return (
    Array.isArray(panes) &&
    Array.isArray(late) &&
    Array.isArray(revisions) &&
    panes.every(
      (pane: Partial<Pane> | null) => typeof pane?.start === 'number' && typeof pane.counters === 'object',
    )
  );
}

/** The newest panes, a line each. */
function paneLines(panes: readonly Pane[], timezone: string, full: boolean): string[] {
  if (panes.length === 0) return ['no panes: nothing has come, or all of it has left the windows'];
  const sorted = [...panes].sort((a, b) => b.start - a.start);
  const shown = full ? sorted : sorted.slice(0, PANES_MAX);
  const lines = table([
    [`pane (${zoneName(sorted[0]!.start, timezone)})`, '(UTC)', 'counters'],
    ...shown.flatMap(({ start, counters, sketch }) =>
      folded([
        ...Object.entries(counters).map(([name, n]) => `${colors.dim(plain(name))} ${value(n)}`),
        ...(sketch === undefined ? [] : [colors.dim(`sketch of ${sketch.length / 2} bins`)]),
      ]).map((line, i) => [
        i === 0 ? localTime(start, timezone, 'minute') : '',
        i === 0 ? localTime(start, 'UTC', 'minute') : '',
        line,
      ]),
    ),
  ]);
  const more = sorted.length - shown.length;
  return more === 0 ? lines : [...lines, `… ${count(more)} older panes: --full shows them`];
}

/** Items side by side on as many lines as it takes. */
function folded(items: readonly string[]): string[] {
  const lines: string[] = [];
  for (const item of items) {
    const longer = lines.length === 0 ? item : `${lines.at(-1)!}  ${item}`;
    if (lines.length > 0 && width(longer) <= COUNTER_COLUMNS) lines[lines.length - 1] = longer;
    else lines.push(item);
  }
  return lines.length === 0 ? [''] : lines;
}
