/**
 * What does it cost to publish a row as a message of its own, in atomic batches, server's work included? Baseline: the
 * same messages published one by one, as many under way as a batch holds.
 */
import { RowBlocks } from '../../src/partition/row-block.js';
import { aggregateTarget } from '../../src/serve/publisher.js';
import type { Stage } from '../stage.js';
import { openStack } from '../stack.js';
import { sampleRows } from './sample.js';

const ROWS = 4_000;
const SINGLES = 50;

export const publish: Stage = {
  name: 'publish',
  question: 'What does it cost to publish a row as a message of its own, until the stream has it?',
  operation: 'message',
  async prepare(size) {
    const { market, rows } = sampleRows(size, size === 'small' ? 300 : ROWS);
    const stack = await openStack(market);
    const log = stack.logOf(stack.subjects.aggregateStream);
    const target = aggregateTarget(log, stack.subjects);
    const blocks = new RowBlocks();
    for (const row of rows) blocks.add(row);
    const entries = target.messagesOf({ progress: null, rows, blocks: blocks.take(), sides: [], shown: [] });
    const singles = entries.slice(0, SINGLES);
    const append = async (batch: typeof entries): Promise<number> => {
      const outcome = await log.append(batch);
      if (outcome.outcome !== 'committed') throw new Error(`publish: ${outcome.cause}`);
      return batch.length;
    };
    return {
      candidates: [
        {
          name: 'atomic batches',
          operations: entries.length,
          async run() {
            let out = 0;
            for (let i = 0; i < entries.length; i += log.batchEntriesMax)
              out += await append(entries.slice(i, i + log.batchEntriesMax));
            return out;
          },
        },
        {
          name: 'one by one, all under way at once',
          operations: singles.length,
          async run() {
            const answers = await Promise.all(singles.map((entry) => append([entry])));
            return answers.length;
          },
        },
      ],
      close: () => stack.close(),
    };
  },
};
