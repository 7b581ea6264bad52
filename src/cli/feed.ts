/** What a replay is fed with: raw events with the place they come from. A file is one, the simulator another. */
import type { SourceBatch } from '../ingest/source.js';

export interface Feed {
  readonly batches: AsyncIterable<SourceBatch> | Iterable<SourceBatch>;
  /** How far it has been read, 0 … 1; undefined when nobody knows. */
  fraction(): number | undefined;
}
