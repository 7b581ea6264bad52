/**
 * Actors in quarantine: which there are, of all nodes of the region, and letting one out. A release is an event like any
 * other: it goes through the stream to the partition, so that it takes effect once, whatever crashes.
 */
import { actorId, actorType, type ActorId } from '../../core/ids.js';
import { RELEASE_EVENT } from '../../partition/quarantine.js';
import type { HttpFacts, RoutePlugin } from './facts.js';
import { bringIn } from './intake.js';
import { jsonBody } from './json-body.js';
import { badRequest, notFound } from './problem.js';
import { Query } from './query.js';

const REMEDY = 'Send {"actor":"cell/9q8yyk"} as application/json.';
const ACTOR_CHARS_MAX = 320;

export const quarantineRoutes: RoutePlugin = (app, facts) => {
  app.get('/v1/quarantine', (request) => {
    new Query(request, []);
    return facts.nodes.quarantined();
  });

  app.post('/v1/quarantine/release', async (request) => {
    new Query(request, []);
    const id = actorOf(jsonBody(request, REMEDY)['actor'], facts);
    const view = await facts.nodes.inspect(id);
    if (view?.quarantine === undefined)
      throw notFound(`${id} is not in quarantine.`, 'List those that are with /v1/quarantine.');
    await bringIn({ type: RELEASE_EVENT, ts: Math.floor(facts.clock.now()), actor: id }, facts);
    const { kept, sinceMs } = view.quarantine;
    return { actor: id, kept, sinceMs };
  });
};

function actorOf(value: unknown, { registry }: HttpFacts): ActorId {
  const slash = typeof value === 'string' && value.length <= ACTOR_CHARS_MAX ? value.indexOf('/') : -1;
  if (slash <= 0 || slash === (value as string).length - 1)
    throw badRequest('The body of the request names no actor.', REMEDY);
  const id = actorId((value as string).slice(0, slash), (value as string).slice(slash + 1));
  if (!registry.types.has(actorType(id)))
    throw badRequest(
      `No actor type is called "${actorType(id).slice(0, 40)}".`,
      `There are ${[...registry.types.keys()].join(', ')}.`,
    );
  return id;
}
