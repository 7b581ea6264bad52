/**
 * What must hold when a run has come to rest: every event that is in the stream took effect exactly once, every row is what
 * the events say, and none was told twice.
 */
import type { Row } from '../../src/actor/row.js';
import { parseDurationMs } from '../../src/core/duration.js';
import { CLOCK_AHEAD } from '../../src/partition/clock-ahead.js';
import { decodeEventFrame } from '../../src/partition/frame.js';
import { decodeOutput, type SideOutput } from '../../src/partition/output.js';
import { subjects, REGION } from '../support/engine.js';
import { nameOf } from '../support/rows.js';
import type { Audit } from './audit.js';
import { computeReference, type ReferenceEvent } from './reference.js';
import type { Plan } from './schedule.js';
import type { SimStream } from './sim-stream.js';

export interface Told {
  readonly rows: readonly Row[];
  readonly sides: readonly SideOutput[];
  /** Events that are in the stream, each once. */
  readonly events: ReadonlyMap<number, ReferenceEvent>;
}

/** All that a stream has ever held, read for the checks. */
export function readStream(stream: SimStream): Told {
  const rows: Row[] = [];
  const sides: SideOutput[] = [];
  const events = new Map<number, ReferenceEvent>();
  for (const { subject, payload } of stream.everOn(subjects.engineSubjects)) {
    if (subject.endsWith('.out')) {
      const frame = decodeOutput(payload);
      rows.push(...frame.rows);
      sides.push(...frame.sides);
    } else if (subject.endsWith('.in.ev')) {
      for (const event of decodeEventFrame(payload).events) events.set(event['tag'] as number, event);
    }
  }
  return { rows, sides, events };
}

export function checkOutcome(plan: Plan, told: Told, audit: Audit): void {
  const late = checkLate(plan, told, audit);
  const ahead = tagsAhead(told);
  const closedMs = closedEverywhere(plan, audit);
  const accepted = [...told.events].flatMap(([tag, event]) =>
    // A clock may have been ahead by less than a node's: such an event waits for a time that the run does not reach.
    late.has(tag) || ahead.has(tag) || event.ts >= closedMs ? [] : [event],
  );
  const reference = computeReference(accepted, {
    region: REGION,
    presenceMs: plan.presenceMs,
    windows: plan.windows,
  });
  checkRows(told.rows, reference.rows, closedMs, audit);
  checkCounters(plan, audit, { late: late.size, 'dead.impossible_transition': reference.impossible });
}

/** Tags of the events that came too late; each is told of once. */
function checkLate({ mode, workload }: Plan, { sides }: Told, audit: Audit): Set<number> {
  const late = new Set<number>();
  for (const { kind, body } of sides) {
    if (kind !== 'late') continue;
    const { tag } = body as { tag: number };
    if (late.has(tag)) audit.violate('effects', `event ${tag} is told of as late twice`);
    late.add(tag);
  }
  if (mode === 'replay' && workload.late === 0 && late.size > 0)
    audit.violate('late', `${late.size} events are late, though all came within the bound`);
  return late;
}

/** Tags of the events that were refused, for they are of a time that has not come. */
function tagsAhead({ sides }: Told): Set<number> {
  const ahead = new Set<number>();
  for (const { kind, body } of sides) {
    const { reason, body: text } = body as { reason?: string; body?: string };
    if (kind === 'dead' && reason === CLOCK_AHEAD) ahead.add((JSON.parse(text!) as { tag: number }).tag);
  }
  return ahead;
}

function checkCounters(plan: Plan, audit: Audit, expected: Readonly<Record<string, number>>): void {
  const sums = new Map<string, number>();
  for (let partition = 0; partition < plan.partitions; partition++)
    for (const [name, n] of audit.last(partition)?.counters ?? []) sums.set(name, (sums.get(name) ?? 0) + n);
  for (const [name, n] of Object.entries({ ...expected, missing: 0, unrouted: 0, late_beyond_lateness: 0 }))
    if ((sums.get(name) ?? 0) !== n)
      audit.violate('effects', `counter ${name} is ${sums.get(name) ?? 0}, must be ${n}`);
}

function checkRows(
  rows: readonly Row[],
  reference: ReadonlyMap<string, Readonly<Record<string, number>>>,
  closedMs: number,
  audit: Audit,
): void {
  const last = new Map<string, Row>();
  const nextRev = new Map<string, number>();
  for (const row of rows) {
    const name = nameOf(row);
    const expected = nextRev.get(name) ?? 0;
    // A window that was empty when it closed has no revision 0.
    const skips = expected === 0 && row.rev === 1;
    if (row.rev !== expected && !skips)
      audit.violate('repeated-row', `${name}: revision ${row.rev} where ${expected} was due`);
    if (!row.final) audit.violate('rows', `${name}: revision ${row.rev} is not final`);
    nextRev.set(name, row.rev + 1);
    last.set(name, row);
  }
  for (const [name, features] of reference) {
    const row = last.get(name);
    if (row !== undefined) checkFeatures(name, row, features, audit);
    // Whoever had a clock that was ahead may have told of a time that has not come yet.
    else if (endOf(name) <= closedMs)
      audit.violate('rows', `${name} is missing: ${JSON.stringify(features)}`);
  }
  for (const [name, { features, rev }] of last) {
    // A correction may leave nothing of a row.
    const emptied = rev > 0 && Object.values(features).every((value) => value === 0);
    if (!reference.has(name) && !emptied)
      audit.violate('rows', `${name} must not be: ${JSON.stringify(features)}`);
  }
}

/** Every partition has closed all that ends by then. */
function closedEverywhere({ partitions }: Plan, audit: Audit): number {
  let closedMs = Number.POSITIVE_INFINITY;
  for (let partition = 0; partition < partitions; partition++)
    closedMs = Math.min(closedMs, audit.last(partition)?.closed.at(-1) ?? 0);
  return closedMs;
}

/** End of the window of a row, by the row's name. */
function endOf(name: string): number {
  const [, , window, start] = name.split(' ') as [string, string, string, string];
  return Number(start) + parseDurationMs(window)!;
}

const QUANTILES = new Set(['wait_s_p50', 'wait_s_p90']);

function checkFeatures(
  name: string,
  row: Row,
  expected: Readonly<Record<string, number>>,
  audit: Audit,
): void {
  for (const feature of new Set([...Object.keys(expected), ...Object.keys(row.features)])) {
    const want = expected[feature] ?? 0;
    const have = row.features[feature] ?? 0;
    const tolerance = QUANTILES.has(feature) ? 0.011 * want + 0.001 : 1e-9 * Math.max(1, want);
    if (Math.abs(want - have) > tolerance)
      audit.violate('rows', `${name} revision ${row.rev}: ${feature} is ${have}, must be ${want}`);
  }
}
