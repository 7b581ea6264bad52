/** What a command says of the engine that it wants: which region, where its server and its data are, and what is done here. */
import type { Logger } from '../core/logger.js';
import type { NatsTarget } from '../log/nats/connect.js';
import type { BasesOptions } from '../node/bases.js';
import type { NodeLimits } from '../node/limits.js';
import type { NodeObserver } from '../node/status.js';

export interface EngineOptions {
  readonly region: string;
  readonly configFile?: string | undefined;
  readonly partitions?: number | undefined;
  /** Without it, a temporary folder that is removed at the end. */
  readonly dataDir?: string | undefined;
  /** A server elsewhere; without it, one of our own under the data folder. */
  readonly nats?: NatsTarget | undefined;
  /** A node in this process, which does the work; without one, nodes elsewhere must. */
  readonly node: boolean;
  /** The node shares the region with others; without it, it owns all partitions. */
  readonly shared?: Shared | undefined;
  /** No node here, but in processes that this one starts: what they need of folder and streams is made here. */
  readonly hosts?: boolean;
  /** Publish rows one by one on the aggregate subjects. */
  readonly publishRows: boolean;
  /** Tell live views what happens now. */
  readonly live: boolean;
  readonly retention?: Retention;
  /** Copies of each stream in a cluster; without it, as they are. */
  readonly replicas?: number;
  /** Limits that the region's file does not name. */
  readonly limits?: Partial<NodeLimits>;
  readonly maxFileStoreBytes?: number | undefined;
  /** How base snapshots are kept; without it there are none, and journals stay whole. */
  readonly bases?: Omit<BasesOptions, 'objects'>;
  /** Limit of the engine's stream; without it, none but the store's. */
  readonly engineBytesMax?: number | undefined;
  /** Called when the region's streams are there: who brings events may begin, though no node takes them yet. */
  readonly onRegion?: (nats: NatsTarget) => void;
  readonly logger?: Logger;
  readonly observer?: NodeObserver;
  /** Steps of getting ready, for people. */
  readonly onProgress: (line: string) => void;
}

/** What the other nodes of the region get to know of this one. */
export interface Shared {
  readonly name: string;
  readonly weight: number;
  /** As the region's file says unless given. */
  readonly standbys?: number | undefined;
  /** Where its HTTP server answers. */
  readonly http?: string | undefined;
}

/** How long things stay in the streams, ms. */
export interface Retention {
  readonly aggregatesMs: number;
  readonly sidesMs: number;
  readonly outputsMs: number;
}
