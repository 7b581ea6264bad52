/** What a producer is made of, and what may be said to it. */
import type { Clock } from '../core/clock.js';
import type { Gauge } from '../log/gauge.js';
import type { Log, LogEntry } from '../log/log.js';
import type { Subjects } from '../log/subjects.js';
import type { ProducerMode } from '../partition/watermark.js';
import type { Overload } from './back-pressure.js';
import type { Routes } from './routes.js';

export interface ProducerOptions {
  readonly log: Log;
  readonly subjects: Subjects;
  /** A registry's routes, or a region card's. */
  readonly routes: Routes;
  readonly clock: Clock;
  readonly partitions: number;
  /** Stable over restarts: see `resume`. */
  readonly id: string;
  readonly mode: ProducerMode;
  readonly outOfOrderBoundMs: number;
  /** Most events in one frame. */
  readonly frameEvents: number;
  /** Frames of each partition that are sent together: fewer, larger batches. 4 by default. */
  readonly framesPerFlush?: number;
  /** How full the stream is: with it, events wait while it is too full or nodes are behind. */
  readonly gauge?: Gauge;
  /** Told when `flush` begins to wait for that. */
  onWait?(overload: Overload): void;
}

export interface PackOptions {
  /** What is promised, event time ms; by default the latest event less the out-of-order bound. It never goes back. */
  readonly watermarkMs?: number;
  /** Whether partitions without events hear the watermark too; true by default. */
  readonly toAll?: boolean;
  /** The producer's last word. */
  readonly end?: boolean;
  /**
   * Goes into the same atomic batch as all the frames. `sent` says where the first of them stands; the outcome is `stale`,
   * and nothing is stored, when a compare-and-set of one of them failed.
   */
  readonly with?: readonly LogEntry[];
}

export interface SendOptions {
  /** How long to try again while the stream does not take a batch, ms. By default about two minutes. */
  readonly patienceMs?: number;
}
