/** What a command and the thread of its replay say to each other. */
import type { ErrorCode } from '../core/errors.js';
import type { NatsTarget } from '../log/nats/connect.js';
import type { ReplayProgress, ReplaySummary } from './replay-run.js';

export type ToReplayThread =
  /** The region is there: begin. */
  | { readonly kind: 'run'; readonly nats: NatsTarget }
  /** Nobody waits for it any more: leave nothing half-written behind, and end. */
  | { readonly kind: 'stop' };

export type FromReplayThread =
  /** The file can be read, and the rows can be written. */
  | { readonly kind: 'opened' }
  | { readonly kind: 'progress'; readonly progress: ReplayProgress }
  | { readonly kind: 'note'; readonly line: string }
  | { readonly kind: 'done'; readonly summary: ReplaySummary }
  /** It ends by this; what a clone of an error loses stands beside it. */
  | { readonly kind: 'failed'; readonly code: ErrorCode; readonly remedy: string; readonly error: Error };
