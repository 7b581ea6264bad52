/** Metrics of the node: partitions, actors, commits, and the committed counters. Read from its status when asked for. */
import { EVENT_TYPES, REFUSAL_REASONS } from '../../ingest/event.js';
import type {
  FollowedStatus,
  MemberStatus,
  NodeState,
  NodeStatus,
  PartitionStatus,
} from '../../node/status.js';
import type { MetricSet } from './metric-set.js';

const STATES: readonly NodeState[] = ['starting', 'running', 'draining', 'stopped', 'failed'];
const REFUSALS: readonly string[] = [...REFUSAL_REASONS, 'unneeded'];
/** Reasons of dead letters are words of behaviours: as many as a person would write. */
const DEAD_REASONS_MAX = 32;
const HOLDER_CHARS_MAX = 64;

/** Counters that have no label: name in the journal, name of the metric, help. */
const COUNTERS = [
  ['duplicates', 'duplicate_events_total', 'Events dropped because one with the same id was taken before.'],
  ['repeated', 'repeated_events_total', 'Events that a producer sent again and that were not taken twice.'],
  [
    'missing',
    'missing_events_total',
    'Events of a producer that never reached a partition; 0 unless a stream lost data.',
  ],
  ['unrouted', 'unrouted_events_total', 'Events that no behaviour receives.'],
  ['late_accepted', 'late_accepted_events_total', 'Late events that corrected rows.'],
  [
    'late_beyond_lateness',
    'late_beyond_lateness_events_total',
    'Late events that came after the allowed lateness.',
  ],
] as const;

/** Totals since the start of the process: key in the status, name of the metric, help. */
const TOTALS = [
  ['events', 'events_total', 'Events taken from the input, refused ones included.'],
  ['frames', 'event_frames_total', 'Frames of events taken from the input.'],
  ['mailFrames', 'mail_frames_total', 'Frames of mail of other partitions taken from the input.'],
  ['rows', 'rows_total', 'Rows committed.'],
  ['commits', 'commits_total', 'Commits of partitions acknowledged.'],
  ['batches', 'commit_batches_total', 'Batches of commits acknowledged.'],
  ['entriesRecovered', 'recovered_entries_total', 'Journal entries applied at the start.'],
  [
    'retentionFailures',
    'retention_failures_total',
    'Times that old inputs could not be removed; tried again.',
  ],
  ['taken', 'partitions_taken_total', 'Partitions taken from other nodes, or from nobody.'],
  ['handedOver', 'partitions_handed_over_total', 'Partitions handed over to other nodes.'],
  ['fenced', 'partitions_fenced_total', 'Partitions lost to other nodes without a hand-over.'],
  [
    'void',
    'partitions_void_total',
    'Partitions that had heard one lost in this way, and began anew from their journals.',
  ],
] as const;
const MEMBER_STATES = ['alive', 'draining', 'gone'] as const;

export function nodeMetrics({ gauge, total }: MetricSet): (status: NodeStatus, nowMs: number) => void {
  const state = gauge('node_state', '1 for the state that the node is in, 0 for the others.', ['state']);
  const clockBehind = gauge(
    'clock_behind_seconds',
    'How far this machine’s clock is behind the last commit.',
  );
  const totals = TOTALS.map(([key, name, help]) => [key, total(name, help)] as const);
  const refusals = total('refused_events_total', 'Events refused, by reason.', ['reason']);
  const late = total('late_events_total', 'Events too late for a row, by type.', ['type']);
  const dead = total('dead_letters_total', 'Events that a behaviour could not take, by reason.', ['reason']);
  const counters = COUNTERS.map(([key, name, help]) => [key, total(name, help)] as const);
  const perPartition = partitionMetrics({ gauge, total });
  const together = togetherMetrics({ gauge, total });
  const pendingActors = gauge(
    'snapshot_pending_actors',
    'Committed states that are not in the snapshot yet.',
  );
  const fileBytes = gauge('snapshot_file_bytes', 'Size of the snapshot file (LMDB).');

  return (status, nowMs) => {
    const all = status.counters;
    state(STATES.map((name) => [{ state: name }, status.state === name ? 1 : 0]));
    clockBehind([[{}, status.clockBehindMs / 1_000]]);
    for (const [key, set] of totals) set([[{}, status.stats[key]]]);
    for (const [key, set] of counters) set([[{}, all[key] ?? 0]]);
    refusals(byWord(all, 'refused.', 'reason', REFUSALS));
    late(byWord(all, 'late.', 'type', EVENT_TYPES));
    dead(byWord(all, 'dead.', 'reason', firstWords(all, 'dead.')));
    perPartition(status.partitions, nowMs);
    together(status);
    pendingActors([[{}, status.snapshot.pendingActors]]);
    fileBytes([[{}, status.snapshot.fileBytes]]);
  };
}

function partitionMetrics({
  gauge,
  total,
}: MetricSet): (partitions: readonly PartitionStatus[], nowMs: number) => void {
  const labels = ['partition'];
  const lag = gauge(
    'partition_lag_messages',
    'Input messages in the stream that were not taken yet.',
    labels,
  );
  const watermark = gauge(
    'partition_watermark_timestamp_seconds',
    'Event time up to which everything was seen; absent before the first event.',
    labels,
  );
  const delay = gauge(
    'partition_watermark_delay_seconds',
    'How far the watermark is behind the wall clock; absent before the first event.',
    labels,
  );
  const holder = gauge(
    'partition_watermark_holder_info',
    'Always 1; the producer that holds the watermark of the partition back.',
    ['partition', 'holder'],
  );
  const epoch = gauge('partition_epoch', 'Counts the owners that the partition has had.', labels);
  const baseAge = gauge(
    'partition_base_age_seconds',
    'How old the partition’s last base snapshot is; absent while there is none.',
    labels,
  );
  const resident = gauge('resident_actors', 'Actors in memory.', labels);
  const quarantined = gauge(
    'quarantined_actors',
    'Actors that are not called, for their calls had failed.',
    labels,
  );
  const activations = total('actor_activations_total', 'Actors taken into memory.', labels);
  const passivations = total('actor_passivations_total', 'Actors let go of memory.', labels);

  return (partitions, nowMs) => {
    type Value = (status: PartitionStatus) => number;
    const each = (value: Value, of = partitions): [Record<string, string>, number][] =>
      of.map((status) => [{ partition: String(status.partition) }, value(status)]);
    const begun = partitions.filter(({ watermarkMs }) => watermarkMs > 0);
    lag(each(({ lagMessages }) => lagMessages));
    watermark(each(({ watermarkMs }) => watermarkMs / 1_000, begun));
    delay(each(({ watermarkMs }) => (nowMs - watermarkMs) / 1_000, begun));
    holder(
      partitions.flatMap(({ partition, holder }) =>
        holder === undefined
          ? []
          : [[{ partition: String(partition), holder: holder.slice(0, HOLDER_CHARS_MAX) }, 1] as const],
      ),
    );
    epoch(each((status) => status.epoch));
    baseAge(
      partitions.flatMap(({ partition, base }) =>
        base === undefined
          ? []
          : [[{ partition: String(partition) }, (nowMs - base.madeAtMs) / 1_000] as const],
      ),
    );
    resident(each(({ residentActors }) => residentActors));
    quarantined(each((status) => status.quarantined));
    activations(each((status) => status.activations));
    passivations(each((status) => status.passivations));
  };
}

/** What the node owns and follows among the region's nodes, and who of them is there. */
function togetherMetrics({
  gauge,
}: MetricSet): (status: Pick<NodeStatus, 'serving' | 'partitions' | 'followed' | 'members'>) => void {
  const serving = gauge('node_serving', '1 while the node works and its lease is fresh.');
  const owned = gauge('owned_partitions', 'Partitions that the node owns.');
  const ready = gauge(
    'standby_ready_partitions',
    'Partitions that the node follows and could take over at once.',
  );
  const lag = gauge(
    'standby_lag_messages',
    'Journal messages that the node has not taken in yet of a partition that it follows.',
    ['partition'],
  );
  const members = gauge('members', 'Nodes of the region as this one knows them; itself is one.', ['state']);
  return (status) => {
    serving([[{}, status.serving ? 1 : 0]]);
    owned([[{}, status.partitions.length]]);
    ready([[{}, status.followed.filter((followed) => followed.ready).length]]);
    lag(
      status.followed.map(({ partition, lagMessages }: FollowedStatus) => [
        { partition: String(partition) },
        lagMessages,
      ]),
    );
    const count = (state: string): number =>
      status.members.filter((member) => memberState(member) === state).length;
    members(MEMBER_STATES.map((state) => [{ state }, count(state)]));
  };
}

/** Who was stopped, and had handed all over, is missed by nobody. */
function memberState({ alive, draining, owned }: MemberStatus): (typeof MEMBER_STATES)[number] | undefined {
  if (!alive) return draining && owned.length === 0 ? undefined : 'gone';
  return draining ? 'draining' : 'alive';
}

/** Counters under a prefix by their word; words that are not known stand together as `other`. */
function byWord(
  counters: Readonly<Record<string, number>>,
  prefix: string,
  label: string,
  known: readonly string[],
): [Record<string, string>, number][] {
  const sums = new Map<string, number>();
  for (const [name, count] of Object.entries(counters)) {
    if (!name.startsWith(prefix)) continue;
    const word = name.slice(prefix.length);
    const shown = known.includes(word) ? word : 'other';
    sums.set(shown, (sums.get(shown) ?? 0) + count);
  }
  return [...sums].map(([word, count]) => [{ [label]: word }, count]);
}

function firstWords(counters: Readonly<Record<string, number>>, prefix: string): string[] {
  return Object.keys(counters)
    .filter((name) => name.startsWith(prefix))
    .map((name) => name.slice(prefix.length))
    .filter((word) => /^[a-z0-9_]{1,64}$/.test(word))
    .sort()
    .slice(0, DEAD_REASONS_MAX);
}
