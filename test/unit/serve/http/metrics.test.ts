/**
 * Metrics. Hunts a text that Prometheus refuses, documents that have fallen behind, counters that count wrongly, and labels
 * that grow without bound or name a person.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Gauge } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../../../src/core/clock.js';
import type { MemberStatus, NodeStatus } from '../../../../src/node/status.js';
import { Metrics } from '../../../../src/serve/http/metrics.js';
import { until } from '../../../support/until.js';
import { parseExposition, type Family } from './exposition.js';
import { nodeStatus, partitionStatus, startNode, type Given } from './node.js';

const ROOT = join(import.meta.dirname, '../../../..');

async function scrape(
  given: Given = {},
  before?: (url: string) => Promise<void>,
): Promise<Map<string, Family>> {
  const node = await startNode(given);
  try {
    await before?.(node.url);
    const response = await fetch(`${node.url}/metrics`);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4; charset=utf-8$/);
    return parseExposition(await response.text());
  } finally {
    await node.close();
  }
}

/** Values of a metric by its labels, as text. */
function valuesOf(families: Map<string, Family>, name: string): Record<string, number> {
  const { samples } = families.get(`groundswell_${name}`)!;
  return Object.fromEntries(samples.map(({ labels, value }) => [Object.values(labels).join(' '), value]));
}

describe('the text', () => {
  it('is in the format, strictly, and every metric has a help that is a sentence', async () => {
    const families = await scrape({}, async (url) => {
      await fetch(`${url}/v1/actors/driver/"odd\\key"\n`);
    });
    expect(families.size).toBeGreaterThan(50);
    for (const { name, help } of families.values())
      if (name.startsWith('groundswell_')) expect(help, name).toMatch(/^[A-Z0-9/].*\.$/);
  });

  it('is read the same by many at once', async () => {
    const node = await startNode();
    const texts = await Promise.all(
      Array.from({ length: 20 }, async () => (await fetch(`${node.url}/metrics`)).text()),
    );
    for (const text of texts) expect(parseExposition(text).get('groundswell_ready')!.samples).toHaveLength(1);
    await node.close();
  });

  it('has names that end with their unit, and with _total exactly when they only grow', () => {
    const metrics = new Metrics();
    for (const { name } of metrics.registry
      .getMetricsAsArray()
      .filter(({ name }) => name.startsWith('groundswell'))) {
      const type = typeOf(metrics, name);
      expect(name.endsWith('_total'), name).toBe(type === 'counter');
      expect(name).not.toMatch(/(_ms|milliseconds|_mb|_kb|percent)\b/i);
    }
    metrics.close();
  });
});

function typeOf(metrics: Metrics, name: string): string {
  const metric = metrics.registry.getSingleMetric(name)!;
  return metric.constructor.name.toLowerCase();
}

describe('the document', () => {
  it('lists every metric as the registry has it, and no other', () => {
    const metrics = new Metrics();
    const registered = metrics.registry.getMetricsAsArray().map((metric) => {
      const { labelNames } = metric as unknown as { labelNames: string[] } & Gauge;
      const labels = labelNames.filter((label) => label !== 'le').join(', ');
      return [metric.name, typeOf(metrics, metric.name), labels === '' ? '–' : labels, metric.help];
    });
    metrics.close();
    const listed = readFileSync(join(ROOT, 'docs/METRICS.md'), 'utf8')
      .split('\n')
      .filter((line) => /^\| `(groundswell|process|nodejs)_\w+` +\| (counter|gauge|histogram)/.test(line))
      .map((line) =>
        line
          .split('|')
          .slice(1, -1)
          .map((cell) => cell.trim().replaceAll('`', '').replaceAll('\\', '')),
      );
    expect(listed.sort()).toEqual(registered.sort());
  });

  it('names metrics that exist, in its text too', () => {
    const metrics = new Metrics();
    const known = metrics.registry.getMetricsAsArray().map(({ name }) => name);
    metrics.close();
    const named = readFileSync(join(ROOT, 'docs/METRICS.md'), 'utf8').match(/groundswell_\w+/g)!;
    expect(named.filter((name) => !known.includes(name))).toEqual([]);
  });
});

describe('values', () => {
  const status = (): NodeStatus =>
    nodeStatus({
      partitions: [
        partitionStatus(0, { lagMessages: 5, watermarkMs: 1_690_000_000_250, residentActors: 3 }),
        partitionStatus(1, { watermarkMs: 0, holder: undefined }),
      ],
      counters: {
        late: 3,
        'late.driver.location': 2,
        'late.ride.requested': 1,
        'dead.impossible_transition': 4,
        'refused.malformed': 5,
        'refused.unneeded': 6,
        duplicates: 7,
        missing: 1,
      },
      stats: { ...nodeStatus().stats, events: 100, rows: 40, batches: 9 },
      snapshot: { pendingActors: 11, fileBytes: 4_096 },
      clockBehindMs: 1_500,
    });

  it('of a node among others are what it owns and follows, and who is there', async () => {
    const record = (id: string, over: Partial<MemberStatus> = {}): MemberStatus => ({
      ...{ id, instance: id, name: id, startedAtMs: 0, weight: 1, http: undefined, version: '1' },
      ...{ draining: false, owned: [], ready: [], alive: true, self: false, lastSeenMsAgo: 0, ...over },
    });
    const follow = { journalSeq: 1, commit: 1, epoch: 1 };
    const base = { name: 'b', journalSeq: 1, madeAtMs: 1_690_000_000_000, bytes: 9 };
    const shared = nodeStatus({
      serving: false,
      partitions: [partitionStatus(0, { epoch: 6, base })],
      followed: [
        { partition: 1, lagMessages: 12, ready: true, ...follow },
        { partition: 3, lagMessages: 900, ready: false, ...follow },
      ],
      members: [
        record('a', { self: true }),
        record('b', { draining: true }),
        record('c', { alive: false }),
        record('d', { alive: false, draining: true }),
      ],
      stats: { ...nodeStatus().stats, taken: 4, handedOver: 3, fenced: 1, void: 2 },
    });
    const families = await scrape({ status: () => shared });
    const value = (name: string): Record<string, number> => valuesOf(families, name);
    expect(value('node_serving')).toEqual({ '': 0 });
    expect(value('owned_partitions')).toEqual({ '': 1 });
    expect(value('standby_ready_partitions')).toEqual({ '': 1 });
    expect(value('standby_lag_messages')).toEqual({ 1: 12, 3: 900 });
    expect(value('members')).toEqual({ alive: 1, draining: 1, gone: 1 });
    expect(value('partition_epoch')).toEqual({ 0: 6 });
    expect(value('partition_base_age_seconds')['0']).toBeGreaterThan(0);
    expect(value('partitions_taken_total')).toEqual({ '': 4 });
    expect(value('partitions_handed_over_total')).toEqual({ '': 3 });
    expect(value('partitions_fenced_total')).toEqual({ '': 1 });
    expect(value('partitions_void_total')).toEqual({ '': 2 });
  });

  it('are those of the node', async () => {
    const clock = { now: () => 1_690_000_010_250, monotonic: () => performance.now() };
    const after = (): (() => void) => () => undefined;
    const facts = { clock: { ...clock, after } as unknown as VirtualClock };
    const families = await scrape({ status, facts });
    const value = (name: string): Record<string, number> => valuesOf(families, name);
    expect(value('events_total')).toEqual({ '': 100 });
    expect(value('rows_total')).toEqual({ '': 40 });
    expect(value('commit_batches_total')).toEqual({ '': 9 });
    expect(value('late_events_total')).toEqual({ 'driver.location': 2, 'ride.requested': 1 });
    expect(value('dead_letters_total')).toEqual({ impossible_transition: 4 });
    expect(value('refused_events_total')).toEqual({ malformed: 5, unneeded: 6 });
    expect(value('duplicate_events_total')).toEqual({ '': 7 });
    expect(value('missing_events_total')).toEqual({ '': 1 });
    expect(value('partition_lag_messages')).toEqual({ 0: 5, 1: 0 });
    // A partition that has heard nothing has no watermark: 1970 would raise every alarm.
    expect(value('partition_watermark_timestamp_seconds')).toEqual({ 0: 1_690_000_000.25 });
    expect(value('partition_watermark_delay_seconds')).toEqual({ 0: 10 });
    expect(value('partition_watermark_holder_info')).toEqual({ '0 http:n1:1': 1 });
    expect(value('resident_actors')).toEqual({ 0: 3, 1: 12 });
    expect(value('snapshot_pending_actors')).toEqual({ '': 11 });
    expect(value('snapshot_file_bytes')).toEqual({ '': 4_096 });
    expect(value('clock_behind_seconds')).toEqual({ '': 1.5 });
    expect(value('node_state')).toEqual({ starting: 0, running: 1, draining: 0, stopped: 0, failed: 0 });
    expect(value('stream_bytes')).toEqual({ GS_sf: 1_000 });
    expect(value('stream_messages')).toEqual({ GS_sf: 10 });
    expect(value('info')).toEqual({ '1.2.3 n1 sf': 1 });
    expect(value('ready')).toEqual({ '': 1 });
    expect(Object.keys(value('event_loop_delay_seconds')).sort()).toEqual(['0.5', '0.9', '0.99', '1']);
  });

  it('of requests are counted by pattern and status', async () => {
    const node = await startNode();
    for (const path of [
      '/healthz',
      '/healthz',
      '/v1/dead/1',
      '/v1/dead/2',
      '/v1/dead/x',
      '/nothing',
      '/other',
    ])
      await (await fetch(node.url + path)).text();
    let families = new Map<string, Family>();
    await until('all are counted', async () => {
      families = parseExposition(await (await fetch(`${node.url}/metrics`)).text());
      return valuesOf(families, 'http_requests_total')['unmatched 404'] === 2;
    });
    expect(valuesOf(families, 'http_requests_total')).toMatchObject({
      '/healthz 200': 2,
      '/v1/dead/:seq 404': 2,
      '/v1/dead/:seq 400': 1,
      'unmatched 404': 2,
    });
    await node.close();
  });

  it('of commits come by the observer into histograms', async () => {
    const metrics = new Metrics();
    metrics.observer.committed({ bytes: 20_000, messages: 12, partitions: 4, seconds: 0.007 });
    metrics.observer.committed({ bytes: 500, messages: 2, partitions: 1, seconds: 0.004 });
    metrics.observer.snapshotWritten({ actors: 30, seconds: 0.1 });
    const families = await scrape({ facts: { metrics } });
    const sum = (name: string): number | undefined =>
      families.get(`groundswell_${name}`)!.samples.find((sample) => sample.name.endsWith('_sum'))?.value;
    expect(sum('commit_bytes')).toBe(20_500);
    expect(sum('commit_messages')).toBe(14);
    expect(sum('commit_seconds')).toBeCloseTo(0.011);
    expect(sum('snapshot_write_seconds')).toBeCloseTo(0.1);
    expect(valuesOf(families, 'snapshot_actors_written_total')).toEqual({ '': 30 });
    metrics.close();
  });

  it('of streams are left out, and nothing waits for them, while the server does not answer', async () => {
    const failing = await scrape({ facts: { streams: () => Promise.reject(new Error('timeout')) } });
    expect(failing.get('groundswell_stream_bytes')!.samples).toEqual([]);
    const clock = new VirtualClock(Date.now());
    const node = await startNode({ facts: { clock, streams: () => new Promise(() => undefined) } });
    let text: string | undefined;
    const asked = fetch(`${node.url}/metrics`).then(async (response) => (text = await response.text()));
    await until('the wait for the streams is over', () => {
      clock.advance(100);
      return text !== undefined;
    });
    await asked;
    expect(parseExposition(text!).get('groundswell_stream_bytes')!.samples).toEqual([]);
    await node.close();
  });
});

describe('cardinality', () => {
  it('P8: the number of series is bounded whatever the counters, holders and paths are', async () => {
    const words = Array.from({ length: 500 }, (_, i) => `driver-${i}`);
    const counters = Object.fromEntries(
      words.flatMap((word) => ['refused', 'late', 'dead'].map((kind) => [`${kind}.${word}`, 1])),
    );
    const partitions = Array.from({ length: 256 }, (_, i) =>
      partitionStatus(i, { holder: `${'p'.repeat(500)}${i}` }),
    );
    const families = await scrape({ status: () => nodeStatus({ counters, partitions }) }, async (url) => {
      for (const word of words.slice(0, 50)) await fetch(`${url}/v1/actors/driver/${word}`);
      for (const word of words.slice(0, 50)) await fetch(`${url}/${word}`);
    });
    const count = (name: string): number => families.get(`groundswell_${name}`)!.samples.length;
    expect(valuesOf(families, 'refused_events_total')).toEqual({ other: 500 });
    expect(valuesOf(families, 'late_events_total')).toEqual({ other: 500 });
    // Words of behaviours are kept as long as they are words; names with a dash in them are none.
    expect(valuesOf(families, 'dead_letters_total')).toEqual({ other: 500 });
    expect(count('partition_lag_messages')).toBe(256);
    for (const { labels } of families.get('groundswell_partition_watermark_holder_info')!.samples)
      expect(labels['holder']!.length).toBe(64);
    expect(count('http_requests_total')).toBeLessThan(5);
    const all = [...families.values()].flatMap(({ samples }) => samples);
    expect(all.length).toBeLessThan(256 * 8 + 500);
    expect(JSON.stringify(all)).not.toContain('driver-');
  });
});
