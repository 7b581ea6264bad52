/**
 * Looking inside over HTTP. Hunts a node that says it is ready when it is not, secrets in an answer, keys that lose a
 * character on the way, states that JSON cannot hold, and sequences that find another letter than the one named.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { GroundswellError } from '../../../../src/core/errors.js';
import type { ActorView, MemberStatus } from '../../../../src/node/status.js';
import {
  nodeStatus,
  partitionStatus,
  problemOf,
  startNode,
  subjects,
  type Given,
  type TestNode,
} from './node.js';

const encoder = new TextEncoder();
const json = (value: unknown): Uint8Array => encoder.encode(JSON.stringify(value));

const record = (id: string, over: Partial<MemberStatus> = {}): MemberStatus => ({
  ...{ id, instance: id, name: `node-${id}`, startedAtMs: 0, weight: 1, http: undefined, version: '1' },
  ...{ draining: false, owned: [], ready: [], alive: true, self: false, lastSeenMsAgo: 0, ...over },
});

async function ask<T>(given: Given, path: string): Promise<{ status: number; body: T }> {
  const node = await startNode(given);
  try {
    const response = await fetch(node.url + path);
    return { status: response.status, body: (await response.json()) as T };
  } finally {
    await node.close();
  }
}

describe('/healthz', () => {
  it('says alive whatever the node is', async () => {
    const status = (): never => {
      throw new Error('the node has no status');
    };
    expect(await ask({ status }, '/healthz')).toEqual({ status: 200, body: { status: 'alive' } });
  });
});

describe('/readyz', () => {
  const ready = (given: Given): Promise<{ status: number; body: { ready: boolean; reasons: string[] } }> =>
    ask(given, '/readyz');

  it('is ready when nothing is missing', async () => {
    expect(await ready({})).toEqual({ status: 200, body: { ready: true, reasons: [] } });
  });

  it.each<[what: string, given: Given, reason: string]>([
    ['starts', { status: () => nodeStatus({ state: 'starting' }) }, 'the node is starting'],
    ['has failed', { status: () => nodeStatus({ state: 'failed' }) }, 'the node is failed'],
    ['drains', { facts: { draining: () => true } }, 'the node is draining'],
    [
      'has lost its lease',
      { status: () => nodeStatus({ serving: false }) },
      'the node’s lease is not fresh: it does nothing until that is renewed',
    ],
    [
      'is to take partitions',
      { status: () => nodeStatus({ partitions: [], members: [record('a', { self: true })] }) },
      'nobody owns partitions 0–1 yet, and it is this node’s turn',
    ],
    [
      'has workers that are down',
      {
        facts: { node: { status: () => nodeStatus(), troubles: () => ['worker w-2 does not answer'] } },
      },
      'worker w-2 does not answer',
    ],
    [
      'has lost the server',
      { facts: { nats: () => ({ url: '', version: '', embedded: true, connected: false }) } },
      'there is no connection to nats-server',
    ],
    [
      'is behind',
      {
        status: () =>
          nodeStatus({ partitions: [partitionStatus(0), partitionStatus(1, { lagMessages: 1_001 })] }),
      },
      'more than 1000 messages wait in the input of partition 1 (1001)',
    ],
    [
      'is far behind everywhere',
      {
        status: () =>
          nodeStatus({
            partitions: Array.from({ length: 20 }, (_, i) => partitionStatus(i, { lagMessages: 2_000 })),
          }),
      },
      'more than 1000 messages wait in the input of partition 0 (2000), 1 (2000), 2 (2000), 3 (2000), 4 (2000), 5 (2000), 6 (2000), 7 (2000) and 12 more',
    ],
  ])('is not when it %s', async (_what, given, reason) => {
    expect(await ready(given)).toEqual({ status: 503, body: { ready: false, reasons: [reason] } });
  });

  it('is not when the view or the intake is not, and says all reasons at once', async () => {
    const own = await startNode();
    const { facts } = own;
    await own.close();
    const view = { ...facts.view, caughtUp: false, failure: undefined };
    const producer = { ...facts.producer, failure: new Error('gone') };
    expect(
      (await ready({ facts: { view, producer }, status: () => nodeStatus({ state: 'draining' }) })).body,
    ).toEqual({
      ready: false,
      reasons: [
        'the node is draining',
        'the view of the rows has not caught up',
        'the stream does not take events',
      ],
    });
  });

  it('is ready as a standby that owns nothing, and while another is to take what nobody owns', async () => {
    const owner = record('b', { owned: [0, 1] });
    const standby = (members: MemberStatus[]): Given => ({
      status: () => nodeStatus({ partitions: [], members }),
    });
    expect((await ready(standby([record('a', { self: true }), owner]))).status).toBe(200);
    // Its weight gives it next to nothing: the other one takes both.
    const light = record('a', { self: true, weight: 1e-9 });
    expect((await ready(standby([light, record('b')]))).status).toBe(200);
    expect((await ready(standby([record('a', { self: true, draining: true })]))).status).toBe(200);
  });

  it('bears exactly as much lag as is configured', async () => {
    const status = (): ReturnType<typeof nodeStatus> =>
      nodeStatus({ partitions: [partitionStatus(0, { lagMessages: 1_000 })] });
    expect((await ready({ status })).status).toBe(200);
    expect((await ready({ status, facts: { readyLagMax: 999 } })).status).toBe(503);
  });
});

describe('/v1/status', () => {
  it('says everything about the node, and no password', async () => {
    const { body } = await ask<Record<string, unknown>>(
      {
        facts: {
          nats: () => ({
            url: 'nats://me:secret@127.0.0.1:4222',
            version: '2.15.1',
            embedded: false,
            connected: true,
          }),
        },
      },
      '/v1/status',
    );
    expect(body).toMatchObject({
      version: '1.2.3',
      name: 'n1',
      region: 'sf',
      timezone: 'America/Los_Angeles',
      startedAtMs: 1_690_000_000_000,
      nowMs: expect.any(Number) as number,
      node: JSON.parse(JSON.stringify(nodeStatus())) as object,
      nats: { url: 'nats://127.0.0.1:4222', version: '2.15.1', embedded: false, connected: true },
      nodes: [{ name: 'n1', state: 'alive', self: true, owned: [0, 1] }],
      partitions: [
        { partition: 0, owner: { name: 'n1' }, standbys: [], status: { commit: 7 } },
        { partition: 1, owner: { name: 'n1' } },
      ],
      http: { subscribers: 0 },
      publisher: { published: 3, lagMessages: 0 },
      ingest: { queued: 0, free: 100_000, accepted: 0, refused: 0, failure: null },
    });
    expect(Number.isInteger(body['nowMs'])).toBe(true);
    expect(JSON.stringify(body)).not.toContain('secret');
  });
});

describe('/v1/nodes', () => {
  const drain = async (
    path: string,
    body: string,
    { type = 'application/json', given = {} }: { type?: string; given?: Given } = {},
  ): Promise<{ status: number; body: unknown }> => {
    const node = await startNode(given);
    try {
      const response = await fetch(`${node.url}/v1/nodes/${path}/drain`, {
        method: 'POST',
        headers: { 'content-type': type },
        body,
      });
      return { status: response.status, body: await response.json() };
    } finally {
      await node.close();
    }
  };

  it('passes a wish on to the region, and gives what it answers', async () => {
    const asked: unknown[] = [];
    const own = await startNode();
    await own.close();
    const nodes = {
      ...pickNodes(own.facts.nodes),
      drain: (name: string, on: boolean) => {
        asked.push([name, on]);
        return Promise.resolve({ id: 'x', name, draining: on });
      },
    };
    const given = { facts: { nodes } };
    expect(await drain('sf-2', '{"on":true}', { given })).toEqual({
      status: 200,
      body: { id: 'x', name: 'sf-2', draining: true },
    });
    await drain('%C3%BCber', '{"on":false}', { given });
    expect(asked).toEqual([
      ['sf-2', true],
      ['über', false],
    ]);
  });

  it('refuses a node that is not known, one without a successor, and a wish that is none', async () => {
    expect(await drain('sf-2', '{"on":true}')).toMatchObject({
      status: 404,
      body: { error: { code: 'GS_NOT_FOUND' } },
    });
    const given = { status: () => nodeStatus({ members: [record('a', { self: true })] }) };
    expect(await drain('node-a', '{"on":true}', { given })).toMatchObject({
      status: 409,
      body: { error: { code: 'GS_NO_SUCCESSOR' } },
    });
    for (const body of ['', '{', '[]', 'null', '{"on":"yes"}', '{}'])
      expect((await drain('a', body)).status, body).toBe(400);
    // What a page of somebody else's could send.
    expect((await drain('a', '{"on":true}', { type: 'text/plain' })).status).toBe(400);
  });
});

function pickNodes(nodes: TestNode['facts']['nodes']): TestNode['facts']['nodes'] {
  return {
    status: () => nodes.status(),
    inspect: (id) => nodes.inspect(id),
    quarantined: () => nodes.quarantined(),
    drain: (name, on) => nodes.drain(name, on),
  };
}

describe('/v1/actors', () => {
  const view = (id: string, state: unknown): ActorView => ({
    id: id as ActorView['id'],
    type: id.slice(0, id.indexOf('/')),
    key: id.slice(id.indexOf('/') + 1),
    stage: 0,
    partition: 1,
    state,
    timers: { idle: 1_690_000_300_000 },
    seenIds: 2,
    resident: true,
    commit: 7,
  });
  const asked: string[] = [];
  let node: TestNode;
  beforeAll(async () => {
    node = await startNode({
      inspect(id) {
        asked.push(id);
        if (id === 'driver/away') throw new GroundswellError('GS_LOG', 'The journal could not be read.');
        return Promise.resolve(id === 'driver/nobody' ? undefined : view(id, { at: '9q8yyk' }));
      },
    });
  });
  afterAll(() => node.close());

  it.each([
    ['d-17', 'd-17'],
    ['a%2Fb%2Fc', 'a/b/c'],
    ['a/b', 'a/b'],
    ['%E2%82%AC%20%25', '€ %'],
    ['a%3Fb%23c', 'a?b#c'],
    ['%F0%9F%9A%95', '🚕'],
    ['..%2F..%2Fetc', '../../etc'],
    ['k'.repeat(128), 'k'.repeat(128)],
    [encodeURIComponent('€'.repeat(128)), '€'.repeat(128)],
  ])('/driver/%s is asked for whole', async (path, key) => {
    const response = await fetch(`${node.url}/v1/actors/driver/${path}`);
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual(view(`driver/${key}`, { at: '9q8yyk' }));
    expect(asked.at(-1)).toBe(`driver/${key}`);
  });

  it('of an unknown type is told the nearest and all', async () => {
    const problem = await problemOf(await fetch(`${node.url}/v1/actors/drvier/d-1`));
    expect(problem).toMatchObject({ status: 400, code: 'GS_USAGE' });
    expect(problem.message).toContain('did you mean "driver"?');
    expect(problem.remedy).toContain('rider');
  });

  it('without state is 404; while the stream does not answer it is 503', async () => {
    expect(await problemOf(await fetch(`${node.url}/v1/actors/driver/nobody`))).toMatchObject({
      status: 404,
      code: 'GS_NOT_FOUND',
    });
    expect(await problemOf(await fetch(`${node.url}/v1/actors/driver/away`))).toMatchObject({
      status: 503,
      code: 'GS_LOG',
    });
  });

  it('without a key or with one that is too long is refused', async () => {
    for (const path of ['driver/', `driver/${'k'.repeat(300)}`])
      expect((await fetch(`${node.url}/v1/actors/${path}`)).status).toBe(400);
  });

  it('shows states that JSON has no words for', async () => {
    const state = {
      map: new Map<string, unknown>([['a', new Set([1, 2])]]),
      numbers: Float64Array.of(1, Number.NaN),
      big: 10n,
      far: Number.POSITIVE_INFINITY,
    };
    const { body } = await ask<ActorView>(
      { inspect: (id) => Promise.resolve(view(id, state)) },
      '/v1/actors/cell/9q8yyk',
    );
    expect(body.state).toEqual({ map: { a: [1, 2] }, numbers: [1, 'NaN'], big: '10', far: 'Infinity' });
  });
});

describe('/v1/dead', () => {
  let node: TestNode;
  afterEach(() => node.close());

  const put = async (...letters: [type: string, body: unknown][]): Promise<void> => {
    for (const [type, body] of letters)
      await node.side.append([{ subject: subjects.side('dead', type), payload: json(body) }]);
  };
  const get = async <T>(path: string): Promise<T> => (await (await fetch(node.url + path)).json()) as T;

  it('lists what was refused at the door and what a behaviour could not take', async () => {
    node = await startNode();
    await put(
      [
        'driver.location',
        {
          reason: 'off_globe',
          message: 'lat: not on the globe: 95',
          ts: 1_690_000_000_001,
          body: '{"lat":95}',
        },
      ],
      ['ride.picked_up', { reason: 'impossible_transition', body: { rideId: 'r-1', ts: 1_690_000_000_002 } }],
      ['unknown', { reason: 'malformed', message: 'not JSON', ts: 0, body: 'x' }],
    );
    const newest = {
      seq: 3,
      atMs: null,
      type: 'unknown',
      reason: 'malformed',
      message: 'not JSON',
      body: 'x',
    };
    expect(await get('/v1/dead')).toEqual({
      items: [
        newest,
        {
          seq: 2,
          atMs: 1_690_000_000_002,
          type: 'ride_picked_up',
          reason: 'impossible_transition',
          message: null,
          body: { rideId: 'r-1', ts: 1_690_000_000_002 },
        },
        {
          seq: 1,
          atMs: 1_690_000_000_001,
          type: 'driver_location',
          reason: 'off_globe',
          message: 'lat: not on the globe: 95',
          body: '{"lat":95}',
        },
      ],
      more: false,
    });
    expect(await get('/v1/dead/3')).toEqual(newest);
    expect(await get('/v1/dead?type=driver.location')).toMatchObject({ items: [{ seq: 1 }], more: false });
    expect(await get('/v1/dead?type=driver_location')).toMatchObject({ items: [{ seq: 1 }], more: false });
    expect(await get('/v1/dead?limit=1&before=3')).toMatchObject({
      items: [{ seq: 2 }],
      more: true,
      before: 2,
    });
  });

  it('of a sequence that is none of them is 404, though another message has it', async () => {
    node = await startNode();
    await node.side.append([{ subject: subjects.side('late', 'driver.location'), payload: json({}) }]);
    await put(['unknown', { reason: 'malformed', body: 'x' }]);
    for (const seq of [1, 3, Number.MAX_SAFE_INTEGER])
      expect((await fetch(`${node.url}/v1/dead/${seq}`)).status, String(seq)).toBe(404);
    for (const seq of ['0', '-1', '1.5', 'x', '9'.repeat(16), '9'.repeat(40)])
      expect((await fetch(`${node.url}/v1/dead/${seq}`)).status, seq).toBe(400);
  });

  it('shows a letter that is no JSON as it stands', async () => {
    node = await startNode();
    await node.side.append([{ subject: subjects.side('dead', 'unknown'), payload: encoder.encode('odd') }]);
    expect(await get('/v1/dead/1')).toMatchObject({ reason: 'unknown', body: 'odd' });
  });

  it.each([
    'limit=0',
    'limit=501',
    'limit=x',
    'limit=1&limit=2',
    'before=0',
    'before=-1',
    'type=a%20b',
    'tpye=x',
  ])('?%s is refused', async (query) => {
    node = await startNode();
    expect(await problemOf(await fetch(`${node.url}/v1/dead?${query}`))).toMatchObject({
      status: 400,
      code: 'GS_USAGE',
    });
  });
});
