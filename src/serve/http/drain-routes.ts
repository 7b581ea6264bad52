/** `POST /v1/nodes/<name or id>/drain`: asks a node of the region, this one or another, to hand over all that it owns. */
import type { RoutePlugin } from './facts.js';
import { jsonBody } from './json-body.js';
import { badRequest } from './problem.js';
import { Query } from './query.js';

const REMEDY = 'Send {"on":true} to drain the node, or {"on":false} to end that, as application/json.';

export const drainRoutes: RoutePlugin = (app, facts) => {
  app.post<{ Params: { node: string } }>('/v1/nodes/:node/drain', async (request) => {
    new Query(request, []);
    const { on } = jsonBody(request, REMEDY);
    if (typeof on !== 'boolean')
      throw badRequest('The body of the request does not say whether to drain.', REMEDY);
    return facts.nodes.drain(request.params.node, on);
  });
};
