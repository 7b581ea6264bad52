/** `/healthz`: the process turns. `/readyz`: it can do its work, or why not. */
import type { RoutePlugin } from './facts.js';
import { readiness } from './readiness.js';

export const healthRoutes: RoutePlugin = (app, facts) => {
  app.get('/healthz', () => ({ status: 'alive' }));

  app.get('/readyz', (_request, reply) => {
    const reasons = readiness(facts, facts.node.status());
    return reply.code(reasons.length === 0 ? 200 : 503).send({ ready: reasons.length === 0, reasons });
  });
};
