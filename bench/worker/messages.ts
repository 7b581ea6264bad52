/** What a bench and a node in a process of its own say to each other. */
import type { NatsTarget } from '../../src/log/nats/connect.js';
import type { NodeLimits } from '../../src/node/limits.js';
import type { NodeStats, NodeStatus } from '../../src/node/status.js';
import type { MarketOptions } from '../market.js';

export interface WorkerStart {
  /** The market is the canonical one with these. */
  readonly market: MarketOptions;
  readonly target: NatsTarget;
  /** Its snapshots; what an earlier process left there is taken up. */
  readonly folder: string;
  /** Stays the same over starts on the same folder. */
  readonly id: string;
  readonly limits?: Partial<NodeLimits>;
}

export type ToWorker =
  | { readonly kind: 'start'; readonly start: WorkerStart }
  | { readonly kind: 'look'; readonly collect: boolean }
  | { readonly kind: 'stop' };

export interface WorkerLook {
  readonly stats: NodeStats;
  /** Committed counters of what it owns. */
  readonly counters: NodeStatus['counters'];
  readonly owned: number;
  /** Nothing it may take is without an owner. */
  readonly claimed: boolean;
  readonly lagMessages: number;
  readonly residentActors: number;
  /** Actors whose last state is not in the snapshots yet. */
  readonly pendingActors: number;
  /** Of the snapshots' file. */
  readonly snapshotBytes: number;
  readonly cpuSeconds: number;
  /** Heap and external memory in use; after a collection when one was asked for. */
  readonly heapBytes: number;
  readonly externalBytes: number;
}

export type FromWorker =
  | { readonly kind: 'ready' }
  | { readonly kind: 'look'; readonly look: WorkerLook }
  /** The first batch that took input was acknowledged. */
  | { readonly kind: 'committed' }
  | { readonly kind: 'stopped' }
  | { readonly kind: 'failed'; readonly message: string };
