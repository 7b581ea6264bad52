/** What does it cost to read a row of `out` and write it as JSON: the row file, the publisher? Baseline: row objects. */
import { decodeOutput, encodeOutput } from '../../src/partition/output.js';
import { RowBlocks } from '../../src/partition/row-block.js';
import { renderRows } from '../../src/serve/row-json.js';
import type { Stage } from '../stage.js';
import { sampleRows } from './sample.js';

const ROWS = 10_000;
const FRAME_BYTES_MAX = 8 * 1024 * 1024;

export const outputRead: Stage = {
  name: 'output read',
  question: 'What does it cost to read a row of `out` and write it as JSON?',
  operation: 'row',
  prepare(size) {
    const { rows } = sampleRows(size, ROWS);
    const blocks = new RowBlocks();
    for (const row of rows) blocks.add(row);
    const frames = encodeOutput(
      { progress: null, blocks: blocks.take(), sides: [], shown: [] },
      FRAME_BYTES_MAX,
    );
    return {
      candidates: [
        {
          name: 'decodeOutput and renderRows',
          operations: rows.length,
          run() {
            let chars = 0;
            for (const frame of frames)
              for (const block of decodeOutput(frame).blocks)
                renderRows(block, 0, (json) => {
                  chars += json.length;
                });
            return chars;
          },
        },
        {
          name: 'row objects and JSON',
          operations: rows.length,
          run() {
            let chars = 0;
            for (const frame of frames)
              for (const row of decodeOutput(frame).rows) chars += JSON.stringify(row).length;
            return chars;
          },
        },
      ],
    };
  },
};
