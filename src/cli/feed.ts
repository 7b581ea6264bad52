/** What a replay is fed with: raw events with the place they come from. A file is one, the simulator another. */
import type { SourceBatch } from '../ingest/source.js';

export interface FeedBatch extends SourceBatch {
  /** Somebody waits for these: they are sent at once, however few. */
  readonly atOnce?: boolean;
}

export interface Feed {
  readonly batches: AsyncIterable<FeedBatch> | Iterable<FeedBatch>;
  /** How far it has been read, 0 … 1; undefined when nobody knows. */
  fraction(): number | undefined;
}
