/** What an operator must hear of a region's nodes and partitions: as sentences, the worst first. Pure. */
import { watermarkAlarms } from '../alarms.js';
import type { RegionAlarm, RegionFacts, RegionNode, RegionPartition } from './region-shape.js';

/** Event time so far from the clock is replayed or simulated: the clock says nothing about it then. */
export const ANOTHER_TIME_MS = 3_600_000;

export function regionAlarms(
  nodes: readonly RegionNode[],
  partitions: readonly RegionPartition[],
  facts: RegionFacts,
): RegionAlarm[] {
  return [
    ...(facts.unsure === undefined
      ? []
      : [{ kind: 'unsure' as const, partitions: [], message: `What is told may be old: ${facts.unsure}.` }]),
    ...ownerless(partitions),
    ...absent(nodes),
    ...withoutStandby(nodes, partitions, facts.standbys),
    ...sameNames(nodes),
    ...ofBases(partitions),
    ...ofTime(partitions, facts.nowMs),
  ];
}

function ofBases(partitions: readonly RegionPartition[]): RegionAlarm[] {
  const kept = partitions.flatMap(({ partition, status }) =>
    status?.upkeep === undefined ? [] : [{ partition, ...status.upkeep }],
  );
  const overdue = kept.filter((one) => one.overdue);
  const large = kept.filter((one) => one.journalOverBudget);
  const why = [...overdue, ...large].find(({ failure }) => failure !== undefined)?.failure;
  const because = why === undefined ? '' : `: ${why}`;
  const told = (kind: RegionAlarm['kind'], of: typeof kept, what: string): RegionAlarm[] => {
    const numbers = of.map(({ partition }) => partition);
    return of.length === 0
      ? []
      : [{ kind, partitions: numbers, message: `${what} ${numbered(numbers, 'partition')}${because}.` }];
  };
  return [
    ...told('base-overdue', overdue, 'Base snapshots are overdue in'),
    ...told('journal-over-budget', large, 'Journals have outgrown their budget in'),
  ];
}

/** Event time that is far from the clock's is replayed: then the foremost partition is what others are measured by. */
function ofTime(partitions: readonly RegionPartition[], nowMs: number): RegionAlarm[] {
  const statuses = partitions.flatMap(({ status }) => status ?? []);
  const foremostMs = Math.max(0, ...statuses.map(({ watermarkMs }) => watermarkMs));
  const isReplayed = foremostMs > 0 && Math.abs(nowMs - foremostMs) > ANOTHER_TIME_MS;
  const alarms = [
    ...watermarkAlarms(statuses, isReplayed ? foremostMs : nowMs).filter(({ kind }) => kind === 'held'),
    ...watermarkAlarms(statuses, nowMs).filter(({ kind }) => kind === 'silent'),
  ];
  return alarms.map((alarm) => ({
    kind: alarm.kind,
    partitions: 'partitions' in alarm ? alarm.partitions : [],
    message: alarm.message,
  }));
}

function ownerless(partitions: readonly RegionPartition[]): RegionAlarm[] {
  const without = partitions.filter(({ owner }) => owner === null).map(({ partition }) => partition);
  if (without.length === 0) return [];
  const message = `${numbered(without)} ${without.length === 1 ? 'has' : 'have'} no owner: nothing of ${without.length === 1 ? 'it' : 'them'} is worked on until a node takes over.`;
  return [{ kind: 'no-owner', partitions: without, message }];
}

function absent(nodes: readonly RegionNode[]): RegionAlarm[] {
  return nodes.flatMap(({ name, state, owned, serving }): RegionAlarm[] => {
    if (state === 'gone')
      return [
        { kind: 'gone-node', partitions: [], message: `Node ${name} is gone and has not said good-bye.` },
      ];
    const what = owned.length === 0 ? 'It owns nothing.' : `It owns ${numbered(owned, 'partition')}.`;
    if (state === 'silent')
      return [{ kind: 'silent-node', partitions: owned, message: `Node ${name} does not answer. ${what}` }];
    if (serving === false)
      return [
        {
          kind: 'silent-node',
          partitions: owned,
          message: `Node ${name} does not work now: its lease is not fresh. ${what}`,
        },
      ];
    return [];
  });
}

function withoutStandby(
  nodes: readonly RegionNode[],
  partitions: readonly RegionPartition[],
  wanted: number,
): RegionAlarm[] {
  if (wanted === 0) return [];
  const others = nodes.filter(({ state }) => state === 'alive' || state === 'silent').length - 1;
  if (others < 1)
    return [
      {
        kind: 'no-standby',
        partitions: partitions.map(({ partition }) => partition),
        message: `Standbys are configured, and there is no other node to be one.`,
      },
    ];
  const without = partitions
    .filter(({ owner, standbys }) => owner !== null && !standbys.some(({ ready }) => ready))
    .map(({ partition }) => partition);
  if (without.length === 0) return [];
  const message = `${numbered(without)} ${without.length === 1 ? 'has' : 'have'} no standby that could take over at once.`;
  return [{ kind: 'no-standby', partitions: without, message }];
}

function sameNames(nodes: readonly RegionNode[]): RegionAlarm[] {
  const present = nodes.filter(({ state }) => state !== 'gone' && state !== 'left').map(({ name }) => name);
  const twice = [...new Set(present.filter((name, i) => present.indexOf(name) !== i))];
  return twice.map((name) => ({
    kind: 'same-name',
    partitions: [],
    message: `More than one node is called ${name}: commands that name a node need its id then.`,
  }));
}

/** `Partition 7`, `Partitions 0–3, 7`. */
export function numbered(partitions: readonly number[], noun = 'Partition'): string {
  const runs: [first: number, last: number][] = [];
  for (const partition of [...partitions].sort((a, b) => a - b)) {
    const run = runs.at(-1);
    if (run?.[1] === partition - 1) run[1] = partition;
    else runs.push([partition, partition]);
  }
  const text = runs.map(([first, last]) => (first === last ? `${first}` : `${first}–${last}`)).join(', ');
  return `${noun}${partitions.length === 1 ? '' : 's'} ${text}`;
}
