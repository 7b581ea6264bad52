/**
 * What the HTTP routes stand on. The command line wires it; tests give fakes of the same shape. Owns no behaviour: a route
 * asks these facts and nothing else, so that no route knows where they come from.
 */
import type { FastifyInstance } from 'fastify';
import type { Registry } from '../../actor/registry.js';
import type { Clock } from '../../core/clock.js';
import type { EventChecker } from '../../ingest/check.js';
import type { LiveProducer } from '../../ingest/live-producer.js';
import type { RegionConfig } from '../../ingest/region.js';
import type { Log } from '../../log/log.js';
import type { Subjects } from '../../log/subjects.js';
import type { NodeStatus } from '../../node/status.js';
import type { RegionNodes } from '../nodes/region-nodes.js';
import type { RegionView } from '../region-view.js';
import type { SideLog } from './dead-letters.js';

/** What the intake needs of the live producer. */
export type Intake = Pick<
  LiveProducer,
  'queued' | 'free' | 'failure' | 'overload' | 'turnedAway' | 'offer' | 'refuse' | 'flushed'
>;

export interface StreamSize {
  readonly stream: string;
  readonly bytes: number;
  readonly messages: number;
}

/** What is measured of the process, `Metrics` in `metrics.ts`. */
export interface MetricsPort {
  /** What the intake has answered, item by item. */
  readonly intake: { accepted: number; refused: number };
  /** Notes an answered request. `seconds` is undefined where the time says nothing: event streams, no requests at all. */
  requestEnded(route: string, status: number | 'aborted', seconds: number | undefined): void;
  /** All metrics as Prometheus reads them, and the content type of that. */
  text(facts: HttpFacts, streams: { readonly size: number; readonly cutOff: number }): Promise<string>;
  readonly contentType: string;
}

export interface NatsFacts {
  /** Without user and password. */
  readonly url: string;
  readonly version: string;
  readonly embedded: boolean;
  readonly connected: boolean;
}

export interface HttpFacts {
  /** Of the package. */
  readonly version: string;
  /** Of this node. */
  readonly name: string;
  readonly region: RegionConfig;
  readonly startedAtMs: number;
  readonly clock: Clock;
  /** What works on partitions in this process, or for it. */
  readonly node: {
    status(): NodeStatus;
    /** Why it is not ready, beyond what its status says: a sentence each. */
    troubles?(): readonly string[];
  };
  /** The whole region: its status, an actor wherever it is owned, a wish to one node. */
  readonly nodes: Pick<RegionNodes, 'status' | 'inspect' | 'quarantined' | 'drain'>;
  readonly registry: Registry;
  readonly producer: Intake;
  readonly checker: EventChecker;
  /** The region that covers a point, if one of the known ones does. */
  regionOf(lat: number, lon: number): string | undefined;
  readonly view: Pick<RegionView, keyof RegionView>;
  /** Between which the model's multipliers lie, for legends. */
  readonly surgeBounds?: { readonly min: number; readonly max: number };
  /** The region's engine stream. */
  readonly log: Log;
  readonly subjects: Subjects;
  /** The stream of late events and dead letters. */
  readonly side: SideLog & Pick<Log, 'append'>;
  readonly metrics: MetricsPort;
  nats(): NatsFacts;
  publisher(): { readonly published: number; readonly lagMessages: number };
  /** Sizes of the region's streams. */
  streams(): Promise<readonly StreamSize[]>;
  /** True once the node has begun to stop: nothing more is taken. */
  draining(): boolean;
  /** A node with more messages waiting in a partition is not ready. */
  readonly readyLagMax: number;
}

/** Adds routes to the server. All of them are listed in `routes.ts`. */
export type RoutePlugin = (app: FastifyInstance, facts: HttpFacts) => void;
