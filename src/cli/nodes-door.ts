/** A way to the nodes of a region: over the HTTP of any of them, or over their nats-server. */
import type { RegionStatus } from '../serve/nodes/region-status.js';

export interface NodesDoor {
  status(): Promise<RegionStatus>;
  drain(nameOrId: string, on: boolean): Promise<{ id: string; name: string }>;
  close(): Promise<void>;
}
