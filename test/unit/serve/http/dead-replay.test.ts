/** Hunts: a dead letter whose event is brought in twice by mistake, changed, or not at all; a release that goes astray. */
import { afterEach, describe, expect, it } from 'vitest';
import type { ActorView, QuarantinedActors } from '../../../../src/node/status.js';
import { problemOf, startNode, subjects, type Given, type TestNode } from './node.js';

const encoder = new TextEncoder();
let node: TestNode;
afterEach(() => node.close());

const opened = async (given: Given = {}): Promise<void> => {
  node = await startNode(given);
};
const post = (path: string, body: unknown = {}, type = 'application/json'): Promise<Response> =>
  fetch(`${node.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': type },
    body: JSON.stringify(body),
  });
const bury = async (type: string, body: object): Promise<void> => {
  await node.side.append([
    { subject: subjects.side('dead', type), payload: encoder.encode(JSON.stringify(body)) },
  ]);
};
const TS = 1_690_000_000_000;
const PING = { type: 'driver.location', driverId: 'd-1', lat: 37.77, lon: -122.41, ts: TS, status: 'open' };
const failed = (event: object, more: object = {}) => ({
  reason: 'threw',
  actor: 'driver/d-1',
  call: 'event',
  name: 'driver.location',
  ts: TS,
  message: 'no such luck',
  stack: 'Error: no such luck\n    at handle',
  body: event,
  ...more,
});

describe('POST /v1/dead/:seq/replay', () => {
  it('brings the event in again, checked, with an id of its own or of the letter', async () => {
    await opened();
    await bury('driver.location', failed({ ...PING, cell: 'forged' }));
    await bury('driver.location', failed({ ...PING, id: 'mine' }));
    const first = await post('/v1/dead/1/replay');
    expect([first.status, await first.json()]).toEqual([
      200,
      { seq: 1, type: 'driver.location', id: 'dead-1' },
    ]);
    expect(await (await post('/v1/dead/2/replay')).json()).toMatchObject({ id: 'mine' });
    expect(await node.events()).toEqual([
      { ...PING, cell: '9q8yy7', id: 'dead-1' },
      { ...PING, cell: '9q8yy7', id: 'mine' },
    ]);
  });

  it('does so once, unless it is asked again; the letter says when', async () => {
    await opened();
    await bury('driver.location', failed(PING));
    expect((await post('/v1/dead/1/replay')).status).toBe(200);
    expect(await problemOf(await post('/v1/dead/1/replay'))).toMatchObject({
      status: 409,
      code: 'GS_REPLAYED',
    });
    expect(await (await fetch(`${node.url}/v1/dead/1`)).json()).toMatchObject({
      actor: 'driver/d-1',
      call: 'event',
      stack: expect.stringContaining('at handle') as string,
      replayedAtMs: expect.any(Number) as number,
    });
    expect((await post('/v1/dead/1/replay', { again: true })).status).toBe(200);
    expect((await node.events()).map(({ id }) => id)).toEqual(['dead-1', 'dead-1']);
  });

  it('a refused event is tried as it was written, and refused again when it is as wrong as before', async () => {
    await opened();
    await bury('driver.location', {
      reason: 'far_future',
      message: 'then',
      ts: TS,
      body: JSON.stringify(PING),
    });
    await bury('unknown', { reason: 'malformed', message: 'no', ts: TS, body: '{"type":"driver.loc' });
    await bury('ride.requested', {
      reason: 'missing_field',
      message: 'no',
      ts: TS,
      body: '{"type":"ride.requested"}',
    });
    expect((await post('/v1/dead/1/replay')).status).toBe(200);
    expect((await problemOf(await post('/v1/dead/2/replay'))).message).toMatch(/only the beginning/);
    expect((await problemOf(await post('/v1/dead/3/replay'))).message).toMatch(/refused again/);
    expect(await node.events()).toHaveLength(1);
  });

  it('what is no event from outside is not replayed, and says why', async () => {
    await opened();
    await bury('cell', failed({ n: [1] }, { call: 'message', actor: 'cell/9q8yyk', name: 'add' }));
    await bury('ride.accepted', { reason: 'impossible_transition', body: { type: 'ride.accepted', ts: TS } });
    expect((await problemOf(await post('/v1/dead/1/replay'))).message).toMatch(/a message of an actor/);
    expect((await problemOf(await post('/v1/dead/2/replay'))).message).toMatch(/has taken the event/);
    expect(await problemOf(await post('/v1/dead/7/replay'))).toMatchObject({ status: 404 });
    expect(await problemOf(await post('/v1/dead/1/replay', {}, 'text/plain'))).toMatchObject({ status: 400 });
    expect(await node.events()).toEqual([]);
  });

  it('lists by reason and by time', async () => {
    await opened();
    for (const [i, reason] of ['threw', 'time', 'threw'].entries())
      await bury('driver.location', failed(PING, { reason, ts: TS + i }));
    const seqs = async (query: string): Promise<number[]> => {
      const page = (await (await fetch(`${node.url}/v1/dead?${query}`)).json()) as {
        items: { seq: number }[];
      };
      return page.items.map(({ seq }) => seq);
    };
    expect(await seqs('reason=threw')).toEqual([3, 1]);
    expect(await seqs(`since=${TS + 1}`)).toEqual([3, 2]);
    expect(await seqs(`since=${TS + 1}&reason=time`)).toEqual([2]);
  });
});

describe('/v1/quarantine', () => {
  const actors: QuarantinedActors = {
    count: 1,
    actors: [{ actor: 'cell/9q8yyk' as never, sinceMs: TS, failures: 5, kept: 3, keptBytes: 60, commit: 9 }],
  };
  const inspect = (): Promise<ActorView> =>
    Promise.resolve({ quarantine: { sinceMs: TS, kept: 3, keptBytes: 60 } } as ActorView);

  it('lists the actors in quarantine', async () => {
    await opened({ quarantined: () => actors });
    expect(await (await fetch(`${node.url}/v1/quarantine`)).json()).toEqual({ ...actors, silent: [] });
  });

  it('a release goes to the actor’s partition as an event of the engine’s own, and moves no time', async () => {
    await opened({ inspect });
    const answer = await post('/v1/quarantine/release', { actor: 'cell/9q8yyk' });
    expect([answer.status, await answer.json()]).toEqual([
      200,
      { actor: 'cell/9q8yyk', kept: 3, sinceMs: TS },
    ]);
    expect(await node.events()).toMatchObject([{ type: 'actor.release', actor: 'cell/9q8yyk' }]);
  });

  it('who is not in quarantine, or is nobody, is not released; nor does any producer release', async () => {
    await opened();
    expect(await problemOf(await post('/v1/quarantine/release', { actor: 'cell/9q8yyk' }))).toMatchObject({
      status: 404,
    });
    for (const actor of ['ghost/a', 'cell/', '/x', 7, undefined])
      expect(await problemOf(await post('/v1/quarantine/release', { actor }))).toMatchObject({ status: 400 });
    const sent = await post('/v1/events', [{ type: 'actor.release', ts: TS, actor: 'cell/9q8yyk' }]);
    expect(await sent.json()).toMatchObject({ accepted: 0, refused: 1 });
  });
});
