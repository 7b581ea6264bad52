/** `/v1/map`, whole or as it changes, and `/v1/top`: what the page and `groundswell top` are made from. */
import { turn } from '../turn.js';
import type { HttpFacts, RoutePlugin } from './facts.js';
import { MapFeed, mapHead } from './map-feed.js';
import { Query } from './query.js';
import { openStream } from './sse.js';
import { freshness } from './view-query.js';
import { HEARTBEAT_MS, QUEUED_BYTES_MAX } from './watch-routes.js';

const TOP = 10;
const TOP_MAX = 100;
const CELLS_PER_SLICE = 500;

export const mapRoutes: RoutePlugin = (app, facts) => {
  const feed = new MapFeed(facts);
  let making: Promise<string> | undefined;

  app.get('/v1/map', async (request, reply) => {
    new Query(request, []);
    // Who asks while one is being made gets the same.
    making ??= wholeMap(facts).finally(() => {
      making = undefined;
    });
    return reply.type('application/json; charset=utf-8').send(await making);
  });

  app.get('/v1/map/stream', (request, reply) => {
    new Query(request, []);
    const { clock } = facts;
    feed.join(openStream(reply, { heartbeatMs: HEARTBEAT_MS, maxQueuedBytes: QUEUED_BYTES_MAX, clock }));
    return reply;
  });

  app.get('/v1/top', (request) => {
    const n = new Query(request, ['n']).whole('n', 1, TOP_MAX) ?? TOP;
    return { ...freshness(facts), cells: facts.view.top(n) };
  });
};

/** In slices: a large region has megabytes of cells. */
async function wholeMap(facts: HttpFacts): Promise<string> {
  const { view } = facts;
  const keys = view.cellKeys();
  const cells: string[] = [];
  for (let i = 0; i < keys.length; i += CELLS_PER_SLICE) {
    for (const key of keys.slice(i, i + CELLS_PER_SLICE)) cells.push(JSON.stringify(view.cell(key)));
    await turn();
  }
  return `${JSON.stringify(mapHead(facts)).slice(0, -1)},"cells":[${cells.join(',')}]}`;
}
