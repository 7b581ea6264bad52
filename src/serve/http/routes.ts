/** All routes of a node, in one list: what the command line serves and what the fuzz test throws requests at. */
import { deadRoutes } from './dead-routes.js';
import { drainRoutes } from './drain-routes.js';
import { eventRoutes } from './event-routes.js';
import type { RoutePlugin } from './facts.js';
import { featureRoutes } from './feature-routes.js';
import { healthRoutes } from './health-routes.js';
import { mapRoutes } from './map-routes.js';
import { metricsRoutes } from './metrics.js';
import { pageRoutes } from './page-routes.js';
import { quarantineRoutes } from './quarantine-routes.js';
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
  deadRoutes,
  quarantineRoutes,
  drainRoutes,
  pageRoutes,
];
