/** What a way of finding nats-server may use and must answer. Each way is one file beside this one. */
import type { Clock } from '../../../core/clock.js';

export interface Search {
  readonly env: NodeJS.ProcessEnv;
  readonly clock: Clock;
  /** Folder of fetched programs; made by the first way that fetches one. */
  readonly cacheDir: string;
  readonly onProgress: (line: string) => void;
}

export interface Found {
  readonly kind: 'found';
  readonly path: string;
  readonly version: string;
}

/** Why a way did not work here, as the rest of a sentence without a full stop, for the list that the user reads. */
export interface Failed {
  readonly kind: 'failed';
  readonly why: string;
}

export interface Way {
  readonly name: string;
  /** What the user does to make this way work: one sentence. */
  readonly how: string;
  look(search: Search): Promise<Found | Failed>;
}

export function failed(why: string): Failed {
  return { kind: 'failed', why };
}
