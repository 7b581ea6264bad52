/**
 * `groundswell status`: a region at a glance, as one of its nodes knows it. Who is there, who owns each partition, what the
 * node has counted, and what is not as it should be.
 */
import type { Command } from 'commander';
import type { PartitionStatus } from '../node/status.js';
import type { NodeReport, Readiness } from './node-answers.js';
import { ANOTHER_TIME_MS, numbered } from '../serve/nodes/region-alarms.js';
import type { NodePresence, RegionNode, RegionPartition } from '../serve/nodes/region-status.js';
import { NodeClient, nodeAddress, withNode } from './node-client.js';
import { plain } from './readable.js';
import { colors, count, say, table } from './screen.js';
import { away, isTime, localAndUtc, localTime, span, zoneName } from './times.js';

/** A watermark further behind than this is worth a sentence; bound and quiet producers keep it some seconds behind. */
const BEHIND_MS = 30_000;
const LAG_MESSAGES = 100;
/** Of a node's id, as people see it. */
const ID_CHARS = 8;

export function statusCommand(program: Command): void {
  withNode(program.command('status'))
    .description(
      'show a region as a node knows it: nodes, partitions with owners, standbys and watermarks, and alarms',
    )
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
    ...alarms(report).map((message) => `  ${colors.red('ALARM:')} ${plain(message)}`),
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
      ['  node', 'id', 'state', 'owned', 'ready', 'last seen', 'http'],
      ...report.nodes.map((one) => nodeRow(one)),
    ]),
    '',
    ...table([
      [
        '  partition',
        'owner',
        'standbys',
        'epoch',
        'lag',
        `watermark (${zoneName(nowMs, timezone)})`,
        'behind',
        'held back by',
        'commit',
        'committed',
        'journal',
        'base',
        'actors',
      ],
      ...report.partitions.map((partition) => partitionRow(partition, report)),
    ]),
    '',
    ...totals(report),
  ];
}

/** What cannot wait for somebody to read tables. Time that stands still is told below, with who holds it back. */
function alarms({ alarms }: NodeReport): string[] {
  return alarms.filter(({ kind }) => kind !== 'held').map(({ message }) => message);
}

const STATE_COLORS: Readonly<Record<NodePresence, (text: string) => string>> = {
  alive: colors.green,
  draining: colors.yellow,
  silent: colors.red,
  left: colors.dim,
  gone: colors.red,
};

function nodeRow({
  id,
  name,
  self,
  state,
  serving,
  owned,
  ready,
  lastSeenMsAgo,
  http,
}: RegionNode): (string | number)[] {
  const word =
    state === 'alive' && serving === false ? colors.red('lease not fresh') : STATE_COLORS[state](state);
  return [
    `  ${plain(name)}`,
    id === name ? '–' : id.slice(0, ID_CHARS),
    word,
    owned.length,
    ready.length,
    self ? 'asked' : `${span(lastSeenMsAgo)} ago`,
    http === null ? '–' : plain(http),
  ];
}

function partitionRow(
  { partition, owner, standbys, journalMessages, status }: RegionPartition,
  { timezone, nowMs }: NodeReport,
): (string | number)[] {
  const who = [
    partition,
    owner === null ? colors.red('NOBODY') : plain(owner.name),
    standbys.length === 0 ? '–' : standbys.map(standbyText).join(', '),
  ];
  const journal = journalMessages ?? '–';
  if (status === null) return [...who, '?', '?', '?', '?', '?', '?', '?', journal, '?', '?'];
  const { watermarkMs, committedAtMs, holder, base } = status;
  return [
    ...who,
    status.epoch,
    status.lagMessages,
    localTime(watermarkMs, timezone),
    isTime(watermarkMs) ? span(nowMs - watermarkMs) : '–',
    holder === undefined ? '–' : plain(holder),
    status.commit,
    isTime(committedAtMs) ? away(committedAtMs, nowMs) : '–',
    journal,
    isTime(base?.madeAtMs) ? `${span(nowMs - base.madeAtMs)} old${since(status)}` : '–',
    status.residentActors,
  ];
}

/** What has been written to the journal since the base. */
function since({ upkeep }: PartitionStatus): string {
  return upkeep === undefined ? '' : `, + ${megabytes(upkeep.journalBytes)}`;
}

/** Its name, and what it lacks to take over at once. */
function standbyText({ name, ready, lagMessages }: RegionPartition['standbys'][number]): string {
  if (ready) return plain(name);
  return `${plain(name)} (${lagMessages === null ? 'silent' : `${count(lagMessages)} behind`})`;
}

/** What the node has counted, one line a kind, the kinds within it behind. */
function totals({ node, nodes, publisher, ingest }: NodeReport): string[] {
  const several = nodes.length > 1;
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
    ['  events', stats.events, `taken since the node started${several ? ', by it alone' : ''}`],
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
export function unusual({ node, partitions, nats, publisher, nowMs, timezone }: NodeReport): string[] {
  const sentences: string[] = [];
  const known = partitions.flatMap(({ status }) => status ?? []);
  if (!nats.connected) sentences.push(`the connection to nats-server at ${nats.url} is down`);
  if (node.clockBehindMs > 0)
    sentences.push(
      `this machine’s clock is ${span(node.clockBehindMs)} behind the last commit: live windows wait for it`,
    );
  const foremostMs = Math.max(...known.map(({ watermarkMs }) => watermarkMs));
  const another = isTime(foremostMs) && Math.abs(nowMs - foremostMs) > ANOTHER_TIME_MS;
  if (another)
    sentences.push(
      `event time is ${localAndUtc(foremostMs, timezone)}, not the clock’s: events are replayed`,
    );
  const [fromMs, from] = another ? [foremostMs, 'the foremost partition'] : [nowMs, 'the clock'];
  const slow = known.filter(({ watermarkMs }) => isTime(watermarkMs) && fromMs - watermarkMs > BEHIND_MS);
  for (const [holder, group] of groups(slow)) {
    const behind = Math.max(...group.map(({ watermarkMs }) => fromMs - watermarkMs));
    const [are, them] = group.length === 1 ? ['is', 'it'] : ['are up to', 'them'];
    const why =
      holder === undefined
        ? `no producer holds ${them} back`
        : `producer ${plain(holder)} holds ${them} back`;
    sentences.push(`${named(group)} ${are} ${span(behind)} behind ${from}: ${why}`);
  }
  const full = known.filter(({ lagMessages }) => lagMessages > LAG_MESSAGES);
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

function named(partitions: readonly PartitionStatus[]): string {
  return numbered(
    partitions.map(({ partition }) => partition),
    'partition',
  );
}

function plural(n: number, noun: string): string {
  return `${count(n)} ${noun}${n === 1 ? '' : 's'}`;
}

function megabytes(bytes: number): string {
  return `${count(Math.round(bytes / 1024 / 1024))} MiB`;
}
