/**
 * What a node answers over HTTP, as the commands that look inside read it. A node may be newer than the command: what
 * is not needed here is not named here, and `--json` passes answers on as they came.
 */
import type { Row } from '../actor/row.js';
import type { NodeStatus } from '../node/status.js';
import type { RegionStatus } from '../serve/nodes/region-status.js';

/** A node, and the region as it knows it. */
export interface NodeReport extends RegionStatus {
  readonly version: string;
  readonly name: string;
  readonly region: string;
  readonly timezone: string;
  readonly startedAtMs: number;
  readonly nowMs: number;
  readonly node: NodeStatus;
  readonly nats: {
    readonly url: string;
    readonly version: string;
    readonly embedded: boolean;
    readonly connected: boolean;
  };
  readonly http: { readonly subscribers: number };
  /** What came over HTTP since it started. */
  readonly ingest?: { readonly queued: number; readonly accepted: number; readonly refused: number };
  readonly publisher: { readonly published: number; readonly lagMessages: number };
}

export interface Readiness {
  readonly ready: boolean;
  readonly reasons: readonly string[];
}

export type Values = Readonly<Record<string, number>>;

export interface FeatureReport {
  readonly region: string;
  readonly level: string;
  readonly key: string;
  readonly watermark: number | null;
  readonly rows: Readonly<Record<string, Row>>;
  readonly live: Values | null;
  readonly stale: boolean;
  /** Rows of one minute, when they were asked for. */
  readonly history?: readonly Row[];
}

export interface CellReport {
  readonly key: string;
  /** Of its last minute; null when it has no row of it. */
  readonly multiplier: number | null;
  readonly raw: number | null;
  /** Start of that minute. */
  readonly start: number | null;
  readonly features: Values;
  readonly live: Values | null;
  /** Multipliers of the last minutes, oldest first. */
  readonly spark: readonly (number | null)[];
}

export interface TopReport {
  readonly watermark: number | null;
  readonly cells: readonly CellReport[];
}

/** What `/v1/map` gives of the whole region, beside its cells. */
export interface MapReport extends TopReport {
  readonly region: string;
  readonly timezone: string;
  readonly total: Row | null;
  readonly liveTotal: Values | null;
}

export interface DeadLetter {
  readonly seq: number;
  readonly atMs?: number | null;
  readonly type: string;
  readonly reason: string;
  readonly message?: string | null;
  readonly [field: string]: unknown;
}

/** Which dead letters are asked for. */
export interface DeadAsk {
  readonly type?: string;
  readonly reason?: string;
  /** Event time, ms UTC. */
  readonly since?: number;
  readonly limit?: number;
  readonly before?: number;
}

/** The event of a dead letter that was brought in again. */
export interface ReplayedLetter {
  readonly seq: number;
  readonly type: string;
  readonly id: string;
}

export interface DeadPage {
  readonly items: readonly DeadLetter[];
  readonly more: boolean;
  /** Where the next page begins. */
  readonly before?: number;
}

/** What a watched stream brings. */
export type Watched =
  | { readonly kind: 'row'; readonly row: Row }
  | {
      readonly kind: 'live';
      readonly level: string;
      readonly key: string;
      readonly values: Values;
      readonly at: number;
    };
