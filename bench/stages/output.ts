/** What does it cost to write a row into `out`, and to read it back? Baseline: JSON, a row a line. */
import type { Row } from '../../src/index.js';
import { decodeOutput, encodeOutput } from '../../src/partition/output.js';
import type { Stage } from '../stage.js';
import { sampleRows } from './sample.js';

const ROWS = 10_000;
const FRAME_BYTES_MAX = 8 * 1024 * 1024;

export const outputEncode: Stage = {
  name: 'output encode',
  question: 'What does it cost to write a row into `out`?',
  operation: 'row',
  async prepare(size) {
    const { rows } = await sampleRows(size, ROWS);
    return {
      candidates: [
        {
          name: 'encodeOutput',
          operations: rows.length,
          run: () => (encoded(rows).length > 0 ? rows.length : 0),
        },
        {
          name: 'JSON',
          operations: rows.length,
          run: () => (Buffer.from(asJson(rows)).byteLength > 0 ? rows.length : 0),
        },
      ],
    };
  },
};

export const outputDecode: Stage = {
  name: 'output decode',
  question: 'What does it cost to read a row from `out`?',
  operation: 'row',
  async prepare(size) {
    const { rows } = await sampleRows(size, ROWS);
    const frames = encoded(rows);
    const lines = Buffer.from(asJson(rows));
    const summed = (all: readonly Row[]): number =>
      all.reduce((sum, { features }) => sum + features['open_s']!, 0);
    return {
      candidates: [
        {
          name: 'decodeOutput',
          operations: rows.length,
          run: () => frames.reduce((sum, frame) => sum + Math.round(summed(decodeOutput(frame).rows)), 0),
        },
        {
          name: 'JSON',
          operations: rows.length,
          run: () =>
            Math.round(
              summed(
                lines
                  .toString()
                  .split('\n')
                  .map((line) => JSON.parse(line) as Row),
              ),
            ),
        },
      ],
    };
  },
};

function encoded(rows: readonly Row[]): Uint8Array[] {
  return encodeOutput({ progress: null, rows, sides: [] }, FRAME_BYTES_MAX);
}

function asJson(rows: readonly Row[]): string {
  return rows.map((row) => JSON.stringify(row)).join('\n');
}
