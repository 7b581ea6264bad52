/**
 * `Idempotency-Key`. Hunts: a request that is sent again, to the same node or another, before or after a crash, and counts
 * twice; two different requests of which one vanishes; a key that breaks the server.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ActorEvent } from '../../../../src/actor/behaviour.js';
import type { ActorId } from '../../../../src/core/ids.js';
import { ID_LENGTH_MAX } from '../../../../src/ingest/event.js';
import type { StreamLoad } from '../../../../src/log/gauge.js';
import { MemoryLog } from '../../../../src/log/memory/memory-log.js';
import { IdempotencyKey } from '../../../../src/serve/http/idempotency.js';
import { MemoryStore } from '../../../../src/state/memory/memory-store.js';
import { Engine } from '../../../support/engine.js';
import { at, MINUTE } from '../../../support/market.js';
import { until } from '../../../support/until.js';
import { problemOf, region, startNode, type TestNode } from './node.js';

const event = (more: object = {}): ActorEvent => ({
  type: 'session.opened',
  riderId: 'r-1',
  ts: 1_690_000_000_000,
  ...at('9q8yyk'),
  ...more,
});
const key = (text: string): IdempotencyKey => IdempotencyKey.of(text)!;
const idOf = (text: string, one: ActorEvent, index = 0): string => key(text).identified(one, index).id!;

describe('a key', () => {
  it('is 1 to 255 visible ASCII characters, with or without quotes', () => {
    expect(IdempotencyKey.of(undefined)).toBeUndefined();
    for (const good of ['a', '8e03978e-40d5-43dd-bc93-6894a57f9324', '~!"#', 'x'.repeat(255), '"quoted"'])
      expect(IdempotencyKey.of(good), good).toBeInstanceOf(IdempotencyKey);
    for (const bad of ['', '   ', '""', 'a b', 'é', 'x'.repeat(256), 'a\tb', 'one, two', ['a', 'b']])
      expect(() => IdempotencyKey.of(bad), String(bad)).toThrowError(
        expect.objectContaining({ status: 400, code: 'GS_USAGE' }) as Error,
      );
  });

  it('is the same with quotes and without', () => {
    expect(idOf('"k-1"', event())).toBe(idOf('k-1', event()));
    expect(idOf('k-1', event())).not.toBe(idOf('k-2', event()));
  });

  it('gives ids that events may have, one for each place and each content, and leaves those that have one', () => {
    const id = idOf('x'.repeat(255), event({ note: 'y'.repeat(60_000) }), 49_999);
    expect(id.length).toBeLessThan(40);
    expect(id.length).toBeLessThanOrEqual(ID_LENGTH_MAX);
    expect(idOf('k', event({ id: 'own' }))).toBe('own');
    expect(idOf('k', event(), 0)).not.toBe(idOf('k', event(), 1));
    expect(idOf('k', event())).not.toBe(idOf('k', event({ riderId: 'r-2' })));
    expect(key('k').identified(event(), 3)).toEqual({ ...event(), id: idOf('k', event(), 3) });
  });

  it('property: whatever the header holds, it is a key or a 400', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 300, unit: 'binary' }), (text) => {
        try {
          expect(IdempotencyKey.of(text)).toBeInstanceOf(IdempotencyKey);
        } catch (error) {
          expect(error).toMatchObject({ status: 400 });
        }
      }),
    );
  });
});

describe('POST /v1/events with a key', () => {
  const log = new MemoryLog();
  const store = new MemoryStore();
  const { partitions } = region;
  let nodes: TestNode[];
  let engine: Engine;

  const post = (node: TestNode, body: unknown, idempotencyKey?: string): Promise<Response> =>
    fetch(`${node.url}/v1/events`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }),
      },
      body: JSON.stringify(body),
    });
  const counter = (name: string): number => engine.node.status().counters[name] ?? 0;
  beforeAll(async () => {
    // Two doors of one region, and the node behind them.
    nodes = await Promise.all(['http:one', 'http:two'].map((producerId) => startNode({ log, producerId })));
    engine = await Engine.start({ log, store, partitions });
  });
  afterAll(async () => {
    await engine.stop();
    for (const node of nodes) await node.close();
  });

  it('takes effect once, whichever node takes it again, and after the engine was killed; the answer says for how long', async () => {
    const ts = Date.now();
    const rides = [1, 2, 3].map((n) => ({
      type: 'ride.requested',
      rideId: `ride-${n}`,
      riderId: 'rider-1',
      ts,
      ...at('9q8yyk'),
    }));
    const body = [...rides, { type: 'no.such' }];
    const sent: unknown[] = [];
    const send = async (node: TestNode): Promise<void> => {
      const response = await post(node, body, 'order-1');
      expect(response.status).toBe(200);
      sent.push(await response.json());
    };
    await send(nodes[0]!);
    await Promise.all([send(nodes[0]!), send(nodes[1]!)]);
    await until('all copies were taken', () => counter('duplicates') === 6);
    // Killed: another one goes on from what is stored, and does not remember either.
    await engine.stop();
    engine = await Engine.start({ log, store: new MemoryStore(), partitions });
    await send(nodes[1]!);
    await until('the last copy was taken', () => counter('duplicates') === 9);
    expect(sent).toEqual(new Array(4).fill(sent[0]));
    expect(sent[0]).toMatchObject({ accepted: 3, refused: 1, idempotencyWindowMs: 15 * MINUTE });
    // Asked for twice, a ride would be one that its rider cannot have.
    expect(counter('dead.impossible_transition')).toBe(0);
    expect(await engine.node.inspect('rider/rider-1' as ActorId)).toBeDefined();
  });

  it('does not take a request without one, or with another, for the same', async () => {
    const before = counter('duplicates');
    const events = engine.node.stats.events;
    const same = { ...event(), riderId: 'r-same', ts: Date.now() };
    for (const idempotencyKey of [undefined, undefined, 'a', 'b'])
      expect(await (await post(nodes[0]!, [same, same], idempotencyKey)).json()).toMatchObject({
        accepted: 2,
      });
    await until('all were taken', () => engine.node.stats.events >= events + 8);
    expect(counter('duplicates')).toBe(before);
  });

  it('counts another body under a key that was used before', async () => {
    const before = counter('duplicates');
    const events = engine.node.stats.events;
    for (const riderId of ['x-1', 'x-2']) await post(nodes[0]!, event({ riderId, ts: Date.now() }), 'again');
    await until('all were taken', () => engine.node.stats.events >= events + 2);
    expect(counter('duplicates')).toBe(before);
  });

  it('that is no key is refused whole, before the body is looked at', async () => {
    const problem = await problemOf(await post(nodes[0]!, event(), 'two words'));
    expect(problem).toMatchObject({ status: 400, code: 'GS_USAGE' });
    expect(problem.remedy).toMatch(/visible ASCII/);
  });
});

describe('a region that is overloaded', () => {
  it.each([
    ['behind', 429, '5'],
    ['full', 503, '30'],
  ] as const)(
    '%s: answers %i with GS_OVERLOAD and retry-after, and takes nothing',
    async (why, status, after) => {
      const full = { messages: 1, bytes: 95, bytesMax: 100, present: [], atMs: undefined };
      const behind = { ...full, bytes: 0, present: ['gs.sf.p.000.hold'] };
      let load: StreamLoad = why === 'full' ? full : behind;
      const own = await startNode({
        gauge: { load: () => Promise.resolve(load) },
        producer: { watermarkEveryMs: 20 },
      });
      await until('it has looked', () => own.producer.overload !== undefined);
      const send = (): Promise<Response> =>
        fetch(`${own.url}/v1/events`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(event({ ts: Date.now() })),
        });
      const response = await send();
      expect(response.headers.get('retry-after')).toBe(after);
      const problem = await problemOf(response);
      expect(problem).toMatchObject({ status, code: 'GS_OVERLOAD' });
      expect(problem.message).toContain('Nothing was taken');
      expect(await own.events()).toEqual([]);
      load = { ...full, bytes: 0 };
      await until('it has looked again', () => own.producer.overload === undefined);
      expect((await send()).status).toBe(200);
      await own.close();
    },
  );
});
