/** Looking inside: `/v1/status` of this node and its region, one actor as it was committed. */
import { actorId } from '../../core/ids.js';
import { nearest } from '../../core/nearest.js';
import { plainJson } from '../../core/plain-json.js';
import type { HttpFacts, RoutePlugin } from './facts.js';
import { badRequest, notFound } from './problem.js';
import { Query } from './query.js';

const KEY_CHARS_MAX = 256;

export const statusRoutes: RoutePlugin = (app, facts) => {
  app.get('/v1/status', (request) => {
    new Query(request, []);
    return statusOfNode(facts, app.streams.size);
  });

  app.get<{ Params: { type: string; '*': string } }>('/v1/actors/:type/*', async (request, reply) => {
    new Query(request, []);
    const { type, '*': key } = request.params;
    expectType(type, [...facts.registry.types.keys()]);
    if (key === '' || key.length > KEY_CHARS_MAX)
      throw badRequest('The key of the actor is missing or too long.', `Ask for /v1/actors/${type}/<key>.`);
    const view = await facts.nodes.inspect(actorId(type, key));
    if (view === undefined)
      throw notFound(
        `No ${type} has the key "${key.slice(0, 80)}", or it has no state.`,
        'Check the key; an actor has state from its first message on, until it forgets.',
      );
    return reply.type('application/json; charset=utf-8').send(plainJson(view));
  });
};

async function statusOfNode(facts: HttpFacts, subscribers: number): Promise<object> {
  const { producer, region, metrics } = facts;
  const nats = facts.nats();
  return {
    version: facts.version,
    name: facts.name,
    region: region.name,
    timezone: region.timezone,
    startedAtMs: facts.startedAtMs,
    nowMs: Math.floor(facts.clock.now()),
    node: facts.node.status(),
    // Everything of the region, whichever node is asked.
    ...(await facts.nodes.status()),
    nats: { ...nats, url: nats.url.replace(/\/\/[^@/]*@/, '//') },
    http: { subscribers },
    publisher: facts.publisher(),
    ingest: {
      queued: producer.queued,
      free: producer.free.events,
      ...metrics.intake,
      failure: producer.failure?.message ?? null,
    },
  };
}

function expectType(type: string, known: readonly string[]): void {
  if (known.includes(type)) return;
  const near = nearest(type.slice(0, 64), known);
  throw badRequest(
    `No actor type is called "${type.slice(0, 40)}"${near === undefined ? '.' : `; did you mean "${near}"?`}`,
    `There are ${known.join(', ')}.`,
  );
}
