/**
 * HTTP over the whole node: real nats-server, real LMDB. Hunts what fakes cannot show: an answer that comes before the stream
 * has the events, a stream that does not answer and takes the server with it, dead letters that the real log pages otherwise,
 * metrics that do not add up.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RunningNode } from '../../src/cli/running-node.js';
import { silent } from '../../src/core/logger.js';
import type { ActorView, NodeStatus } from '../../src/node/status.js';
import type { DeadLetter, DeadPage } from '../../src/serve/http/dead-letters.js';
import { at } from '../support/market.js';
import { until } from '../support/until.js';
import { parseExposition, type Family } from '../unit/serve/http/exposition.js';

let folder = '';
let node: RunningNode;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'groundswell-http-'));
  node = await RunningNode.open({
    region: 'sf',
    partitions: 4,
    dataDir: folder,
    name: 'n1',
    http: { host: '127.0.0.1', port: 0 },
    readyLagMax: 1_000,
    logger: silent,
    onProgress: () => undefined,
  });
}, 180_000);

afterAll(async () => {
  await node.close();
  await rm(folder, { recursive: true, force: true });
});

interface Answer {
  readonly accepted: number;
  readonly refused: number;
}

const ping = (driverId: string, more: object = {}): Record<string, unknown> => ({
  type: 'driver.location',
  driverId,
  ...at('9q8yyk'),
  ts: Date.now(),
  status: 'open',
  ...more,
});

const post = (events: unknown, headers: Record<string, string> = {}): Promise<Response> => {
  const text = JSON.stringify(events);
  return fetch(`${node.url}/v1/events`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: headers['content-encoding'] === 'gzip' ? gzipSync(text) : text,
  });
};
const get = async <T>(path: string): Promise<T> => (await (await fetch(node.url + path)).json()) as T;
const status = async (): Promise<NodeStatus> => (await get<{ node: NodeStatus }>('/v1/status')).node;
const metrics = async (): Promise<Map<string, Family>> =>
  parseExposition(await (await fetch(`${node.url}/metrics`)).text());
const valueOf = (families: Map<string, Family>, name: string): number =>
  families.get(`groundswell_${name}`)!.samples.reduce((sum, { value }) => sum + value, 0);

describe('a node', () => {
  it('becomes ready', async () => {
    await until('it is ready', async () => (await fetch(`${node.url}/readyz`)).status === 200, {
      pollMs: 20,
    });
  });

  it('has the events that it answered for, each with an effect of its own', async () => {
    const drivers = Array.from({ length: 500 }, (_, i) => ping(`d-${i}`));
    expect(await (await post(drivers)).json()).toMatchObject({ accepted: 500, refused: 0 });
    expect(await (await post([ping('a/b ü')], { 'content-encoding': 'gzip' })).json()).toMatchObject({
      accepted: 1,
    });
    await until('they are committed', async () => (await status()).stats.events >= 501, { pollMs: 20 });
    const view = await get<ActorView>(`/v1/actors/driver/${encodeURIComponent('a/b ü')}`);
    expect(view).toMatchObject({ id: 'driver/a/b ü', type: 'driver', key: 'a/b ü', stage: 0 });
  });
});

describe('dead letters', () => {
  it('are listed newest first, by type and page by page, and shown whole', async () => {
    const bad = Array.from({ length: 230 }, (_, i) =>
      i % 3 === 0 ? { n: i } : ping(`d-${i}`, { lat: 95, n: i }),
    );
    expect(await (await post(bad)).json()).toMatchObject({ accepted: 0, refused: 230 } satisfies Answer);
    const all: DeadLetter[] = [];
    await until(
      'all are published',
      async () => {
        all.length = 0;
        for (let before: number | undefined; ;) {
          const page: DeadPage = await get(
            `/v1/dead?limit=40${before === undefined ? '' : `&before=${before}`}`,
          );
          all.push(...page.items);
          if (!page.more) break;
          before = page.before;
        }
        return all.length >= 230;
      },
      { pollMs: 50 },
    );
    expect(all).toHaveLength(230);
    const seqs = all.map(({ seq }) => seq);
    expect(seqs).toEqual(seqs.toSorted((a, b) => b - a));
    expect(new Set(seqs).size).toBe(230);
    const numbers = all.map(({ body }) => (JSON.parse(body as string) as { n: number }).n);
    expect(numbers.sort((a, b) => a - b)).toEqual(bad.map((_, i) => i));
    const typed = await get<DeadPage>('/v1/dead?type=driver.location&limit=500');
    expect(typed.items).toHaveLength(bad.filter((_, i) => i % 3 !== 0).length);
    expect(typed.items[0]).toMatchObject({ type: 'driver_location', reason: 'off_globe' });
    for (const letter of [all[0]!, all.at(-1)!]) expect(await get(`/v1/dead/${letter.seq}`)).toEqual(letter);
    expect(Math.abs(all[0]!.atMs! - Date.now())).toBeLessThan(60_000);
  });
});

describe('metrics', () => {
  it('add up to what was sent', async () => {
    const families = await metrics();
    const { counters, stats } = await status();
    expect(valueOf(families, 'ingest_events_total')).toBe(500 + 1 + 230);
    expect(valueOf(families, 'events_total')).toBeLessThanOrEqual(stats.events);
    expect(valueOf(families, 'refused_events_total')).toBe(230);
    expect(counters['refused.off_globe']).toBe(
      families
        .get('groundswell_refused_events_total')!
        .samples.find(({ labels }) => labels['reason'] === 'off_globe')!.value,
    );
    expect(valueOf(families, 'missing_events_total')).toBe(0);
    expect(valueOf(families, 'nats_connected')).toBe(1);
    expect(valueOf(families, 'ready')).toBe(1);
    expect(families.get('groundswell_partition_lag_messages')!.samples).toHaveLength(4);
    const streams = families.get('groundswell_stream_bytes')!.samples.map(({ labels }) => labels['stream']);
    expect(streams).toEqual(expect.arrayContaining(['GS_sf', 'GS_sf_AGG', 'GS_sf_SIDE']));
    expect(valueOf(families, 'stream_bytes')).toBeGreaterThan(10_000);
    expect(valueOf(families, 'snapshot_file_bytes')).toBeGreaterThan(0);
    for (const name of ['commit_seconds', 'commit_bytes', 'commit_messages']) {
      const count = families
        .get(`groundswell_${name}`)!
        .samples.find((sample) => sample.name.endsWith('_count'))!;
      expect(count.value, name).toBeGreaterThan(0);
    }
    // Names of drivers are in no label.
    expect(JSON.stringify([...families.values()].map(({ samples }) => samples))).not.toMatch(/"d-\d|a\/b/);
  });
});

describe('a stream that does not answer', () => {
  it(
    'P6: the sender is told that the outcome is not known, the server stays up, and the same event again has one effect',
    { timeout: 120_000 },
    async () => {
      const { pid } = node.engine.server!;
      const before = (await status()).counters['duplicates'] ?? 0;
      process.kill(pid, 'SIGSTOP');
      try {
        const answers = await Promise.all(
          Array.from({ length: 4 }, () => post([ping('d-once', { id: 'e-once' })])),
        );
        for (const response of answers) {
          expect(response.status).toBe(503);
          expect(response.headers.get('retry-after')).toBe('5');
          const { error } = (await response.json()) as { error: { code: string; remedy: string } };
          expect(error.code).toBe('GS_BUSY');
          expect(error.remedy).toMatch(/not known.*may be sent again/);
        }
        expect(await get('/healthz')).toEqual({ status: 'alive' });
        expect((await fetch(`${node.url}/metrics`)).status).toBe(200);
        expect((await fetch(`${node.url}/v1/status`)).status).toBe(200);
      } finally {
        process.kill(pid, 'SIGCONT');
      }
      await until(
        'it takes events again',
        async () => (await post([ping('d-once', { id: 'e-once' })])).status === 200,
        {
          deadlineMs: 60_000,
          pollMs: 200,
        },
      );
      await until(
        'the others were duplicates',
        async () => ((await status()).counters['duplicates'] ?? 0) - before >= 4,
        { deadlineMs: 60_000, pollMs: 50 },
      );
      const view = await get<ActorView>('/v1/actors/driver/d-once');
      expect(view.seenIds).toBe(1);
      await until('it is ready', async () => (await fetch(`${node.url}/readyz`)).status === 200, {
        pollMs: 50,
      });
    },
  );
});

describe('a node that drains', () => {
  it('takes nothing more and says so, and still answers', async () => {
    await node.stopIntake();
    const response = await post([ping('d-late')]);
    expect(response.status).toBe(503);
    expect(response.headers.get('retry-after')).toBe('5');
    const ready = await fetch(`${node.url}/readyz`);
    expect(ready.status).toBe(503);
    expect(await ready.json()).toMatchObject({ ready: false, reasons: ['the node is draining'] });
    expect((await fetch(`${node.url}/v1/status`)).status).toBe(200);
  });
});
