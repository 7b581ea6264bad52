/** What a parent and its workers say to each other over their channel. Nothing of it is on a command line or a disk. */
import type { ErrorCode, GroundswellError } from '../core/errors.js';
import type { NodeObserver } from '../node/status.js';
import type { EngineOptions } from './engine-options.js';

/** What a worker is started with: all of it plain data. */
export interface WorkerStart {
  readonly kind: 'start';
  readonly engine: Omit<EngineOptions, 'node' | 'hosts' | 'logger' | 'observer' | 'limits' | 'onProgress'>;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
}

export type ToWorker =
  | WorkerStart
  /** Hand over, commit, end. */
  | { readonly kind: 'drain' };

export type FromWorker =
  /** Its node runs; the id of its data folder. */
  | { readonly kind: 'ready'; readonly id: string }
  /** It ends by this. */
  | {
      readonly kind: 'failed';
      readonly code: ErrorCode;
      readonly message: string;
      readonly remedy: string;
    }
  | { readonly kind: 'committed'; readonly batch: Parameters<NodeObserver['committed']>[0] }
  | { readonly kind: 'snapshot'; readonly write: Parameters<NodeObserver['snapshotWritten']>[0] };

export function failedMessage({ code, message, remedy }: GroundswellError): FromWorker {
  return { kind: 'failed', code, message, remedy };
}
