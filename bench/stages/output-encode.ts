/** What does it cost to write a row into `out`? Baseline: JSON, a row a line. */
import { encodeOutput } from '../../src/partition/output.js';
import { RowBlocks } from '../../src/partition/row-block.js';
import type { Stage } from '../stage.js';
import { sampleRows } from './sample.js';

const ROWS = 10_000;
const FRAME_BYTES_MAX = 8 * 1024 * 1024;

export const outputEncode: Stage = {
  name: 'output encode',
  question: 'What does it cost to write a row into `out`, from being emitted to bytes?',
  operation: 'row',
  prepare(size) {
    const { rows } = sampleRows(size, ROWS);
    return {
      candidates: [
        {
          name: 'RowBlocks and encodeOutput',
          operations: rows.length,
          run() {
            const blocks = new RowBlocks();
            for (const row of rows) blocks.add(row);
            const { count } = blocks;
            return encodeOutput(
              { progress: null, blocks: blocks.take(), sides: [], shown: [] },
              FRAME_BYTES_MAX,
            ).length > 0
              ? count
              : 0;
          },
        },
        {
          name: 'JSON',
          operations: rows.length,
          run() {
            const lines = rows.map((row) => JSON.stringify(row));
            return Buffer.from(lines.join('\n')).byteLength > 0 ? lines.length : 0;
          },
        },
      ],
    };
  },
};
