/** All peers, in the order in which they run. */
import { bytewax } from './bytewax.js';
import { everything, groundswell } from './groundswell.js';
import type { Peer } from './job.js';
import { map } from './map.js';
import { naive } from './naive.js';
import { restate } from './restate.js';

export const PEERS: readonly Peer[] = [map, groundswell, everything, naive, restate, bytewax];
