/** `groundswell status`: a node at a glance. Its partitions, what it has counted, and what is not as it should be. */
import type { Command } from 'commander';
import type { PartitionStatus } from '../node/status.js';
import type { NodeReport, Readiness } from './node-answers.js';
import { NodeClient, nodeAddress, withNode } from './node-client.js';
import { plain } from './readable.js';
import { colors, count, say, table } from './screen.js';
import { away, isTime, localAndUtc, localTime, span, zoneName } from './times.js';

/** A watermark further behind than this is worth a sentence; bound and quiet producers keep it some seconds behind. */
const BEHIND_MS = 30_000;
/** Event time so far from the clock is replayed or simulated: the clock says nothing about it then. */
const ANOTHER_TIME_MS = 3_600_000;
const LAG_MESSAGES = 100;

export function statusCommand(program: Command): void {
  withNode(program.command('status'))
    .description('show a node: partitions, watermarks, lags, what it has counted, and what is unusual')
    .option('--json', 'as JSON', false)
    .addHelpText('after', '\nExits with 0 when the node is ready, 1 when it is not.')
    .addHelpText('after', '\nExample:\n  groundswell status --http 7380')
    .action(async (options: { http?: string; json: boolean }) => {
      const client = new NodeClient(nodeAddress(options.http));
      const [report, readiness] = await Promise.all([client.status(), client.ready()]);
      if (options.json) say(JSON.stringify({ ...report, ...readiness }));
      else for (const line of statusLines(report, readiness, client.address)) say(line);
      if (!readiness.ready) process.exitCode = 1;
    });
}

export function statusLines(report: NodeReport, readiness: Readiness, address: string): string[] {
  const { node, nats, timezone, nowMs } = report;
  const state = readiness.ready ? colors.green('ready') : colors.red('not ready');
  const warnings = unusual(report);
  return [
    `${colors.bold(report.name)} in ${colors.bold(report.region)}: ${node.state} for ${span(nowMs - report.startedAtMs)}, ${state}`,
    ...readiness.reasons.map((reason) => `  ${colors.red('not ready:')} ${reason}`),
    ...warnings.map((sentence) => `  ${colors.yellow('unusual:')} ${sentence}`),
    '',
    ...table([
      ['  version', `groundswell ${report.version}`],
      ['  address', `${address}, ${plural(report.http.subscribers, 'subscriber')}`],
      [
        '  nats-server',
        `${nats.url}, version ${nats.version}, ${nats.embedded ? 'embedded' : 'external'}, ${nats.connected ? 'connected' : colors.red('not connected')}`,
      ],
      ['  time', localAndUtc(nowMs, timezone)],
    ]),
    '',
    ...table([
      [
        '  partition',
        'owner',
        'lag',
        `watermark (${zoneName(nowMs, timezone)})`,
        'behind',
        'held back by',
        'commit',
        'committed',
        'actors',
      ],
      ...node.partitions.map((partition) => partitionRow(partition, report)),
    ]),
    '',
    ...totals(report),
  ];
}

function partitionRow(
  partition: PartitionStatus,
  { name, timezone, nowMs }: NodeReport,
): (string | number)[] {
  const { watermarkMs, committedAtMs, holder } = partition;
  return [
    partition.partition,
    name,
    partition.lagMessages,
    localTime(watermarkMs, timezone),
    isTime(watermarkMs) ? span(nowMs - watermarkMs) : '–',
    holder === undefined ? '–' : plain(holder),
    partition.commit,
    isTime(committedAtMs) ? away(committedAtMs, nowMs) : '–',
    partition.residentActors,
  ];
}

/** What the node has counted, one line a kind, the kinds within it behind. */
function totals({ node, publisher, ingest }: NodeReport): string[] {
  const { counters, stats, snapshot } = node;
  const within = (prefix: string): [string, number][] =>
    Object.entries(counters)
      .filter(([name, n]) => name.startsWith(`${prefix}.`) && n > 0)
      .map(([name, n]): [string, number] => [name.slice(prefix.length + 1), n])
      .sort(([, a], [, b]) => b - a);
  const kind = (name: string, text = name): (string | number)[] => {
    const parts = within(name);
    const sum = counters[name] ?? parts.reduce((all, [, n]) => all + n, 0);
    return [`  ${text}`, sum, parts.map(([part, n]) => `${part} ${count(n)}`).join(', ')];
  };
  const rare = [
    ['repeated', 'sent again by a producer, and dropped'],
    ['missing', 'that a producer left out'],
    ['unrouted', 'that no actor receives'],
    ['late_accepted', 'late, and corrected rows'],
    ['late_beyond_lateness', 'later than windows can be corrected'],
  ] as const;
  return table([
    ['  events', stats.events, 'taken since the node started'],
    [
      '  rows',
      stats.rows,
      `${count(publisher.published)} messages published, ${count(publisher.lagMessages)} behind`,
    ],
    ...(ingest === undefined
      ? []
      : [
          [
            '  over HTTP',
            ingest.accepted,
            `accepted, ${count(ingest.refused)} refused, ${count(ingest.queued)} on their way`,
          ],
        ]),
    kind('refused'),
    kind('late'),
    kind('dead'),
    kind('duplicates'),
    ...rare
      .filter(([name]) => (counters[name] ?? 0) > 0)
      .map(([name, text]) => [`  ${name.replaceAll('_', ' ')}`, counters[name]!, text]),
    [
      '  actors',
      node.partitions.reduce((sum, { residentActors }) => sum + residentActors, 0),
      `in memory; snapshot ${megabytes(snapshot.fileBytes)}, ${count(snapshot.pendingActors)} to be written`,
    ],
  ]);
}

/** Sentences about what an operator would want to be told. None when all is as it should be. */
export function unusual({ node, nats, publisher, nowMs, timezone }: NodeReport): string[] {
  const sentences: string[] = [];
  if (!nats.connected) sentences.push(`the connection to nats-server at ${nats.url} is down`);
  if (node.clockBehindMs > 0)
    sentences.push(
      `this machine’s clock is ${span(node.clockBehindMs)} behind the last commit: live windows wait for it`,
    );
  const foremostMs = Math.max(...node.partitions.map(({ watermarkMs }) => watermarkMs));
  const another = isTime(foremostMs) && Math.abs(nowMs - foremostMs) > ANOTHER_TIME_MS;
  if (another)
    sentences.push(
      `event time is ${localAndUtc(foremostMs, timezone)}, not the clock’s: events are replayed`,
    );
  const [fromMs, from] = another ? [foremostMs, 'the foremost partition'] : [nowMs, 'the clock'];
  const slow = node.partitions.filter(
    ({ watermarkMs }) => isTime(watermarkMs) && fromMs - watermarkMs > BEHIND_MS,
  );
  for (const [holder, group] of groups(slow)) {
    const behind = Math.max(...group.map(({ watermarkMs }) => fromMs - watermarkMs));
    const [are, them] = group.length === 1 ? ['is', 'it'] : ['are up to', 'them'];
    const why =
      holder === undefined
        ? `no producer holds ${them} back`
        : `producer ${plain(holder)} holds ${them} back`;
    sentences.push(`${named(group)} ${are} ${span(behind)} behind ${from}: ${why}`);
  }
  const full = node.partitions.filter(({ lagMessages }) => lagMessages > LAG_MESSAGES);
  if (full.length > 0) {
    const most = Math.max(...full.map(({ lagMessages }) => lagMessages));
    const [has, upTo] = full.length === 1 ? ['has', ''] : ['have', 'up to '];
    sentences.push(`${named(full)} ${has} ${upTo}${count(most)} messages still to take`);
  }
  if (publisher.lagMessages > LAG_MESSAGES)
    sentences.push(`publishing is ${count(publisher.lagMessages)} messages behind what is committed`);
  if (node.stats.retentionFailures > 0)
    sentences.push(
      `old inputs could not be removed ${plural(node.stats.retentionFailures, 'time')}: the stream grows until they are`,
    );
  return sentences;
}

function groups(partitions: readonly PartitionStatus[]): Map<string | undefined, PartitionStatus[]> {
  const byHolder = new Map<string | undefined, PartitionStatus[]>();
  for (const partition of partitions) {
    const { holder } = partition;
    byHolder.set(holder, [...(byHolder.get(holder) ?? []), partition]);
  }
  return byHolder;
}

/** `partition 7`, `partitions 0–3, 7`. */
function named(partitions: readonly PartitionStatus[]): string {
  const runs: [first: number, last: number][] = [];
  for (const { partition } of partitions) {
    const run = runs.at(-1);
    if (run?.[1] === partition - 1) run[1] = partition;
    else runs.push([partition, partition]);
  }
  const text = runs.map(([first, last]) => (first === last ? `${first}` : `${first}–${last}`)).join(', ');
  return `partition${partitions.length === 1 ? '' : 's'} ${text}`;
}

function plural(n: number, noun: string): string {
  return `${count(n)} ${noun}${n === 1 ? '' : 's'}`;
}

function megabytes(bytes: number): string {
  return `${count(Math.round(bytes / 1024 / 1024))} MiB`;
}
