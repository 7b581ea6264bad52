/** All routes of a node, in one list: what the command line serves and what the fuzz test throws requests at. */
import { eventRoutes } from './event-routes.js';
import type { RoutePlugin } from './facts.js';
import { featureRoutes } from './feature-routes.js';
import { healthRoutes } from './health-routes.js';
import { mapRoutes } from './map-routes.js';
import { metricsRoutes } from './metrics.js';
import { pageRoutes } from './page-routes.js';
import { statusRoutes } from './status-routes.js';
import { watchRoutes } from './watch-routes.js';

export const ROUTES: readonly RoutePlugin[] = [
  healthRoutes,
  metricsRoutes,
  eventRoutes,
  featureRoutes,
  watchRoutes,
  mapRoutes,
  statusRoutes,
  pageRoutes,
];
