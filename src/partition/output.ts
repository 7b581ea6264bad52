/**
 * What a partition says to the world (`out`): rows, side outputs and its progress, in frames of msgpackr records.
 * Readers of `out` are the publisher and a replay's row file; both see only what is committed (P4).
 */
import { Packr } from 'msgpackr';
import type { Row } from '../actor/row.js';
import { GroundswellError } from '../core/errors.js';
import { rowsOf, splitBlock, type RowBlock } from './row-block.js';

export const OUTPUT_FORMAT = 1;

/** Something for a side subject: `late.<type>`, `dead.<type>`. */
export interface SideOutput {
  readonly kind: 'late' | 'dead';
  readonly type: string;
  readonly body: unknown;
}

/** How far a partition has come: with each output frame. */
export interface Progress {
  readonly partition: number;
  readonly commit: number;
  readonly watermarkMs: number;
  /** Event time up to which each stage is closed here. */
  readonly closed: readonly number[];
  /** Latest time at which any timer stands; 0 when none is set. */
  readonly latestTimerMs: number;
  readonly counters: Readonly<Record<string, number>>;
}

/** What one commit says, in blocks of rows. */
export interface Output {
  readonly progress: Progress | null;
  readonly blocks: readonly RowBlock[];
  readonly sides: readonly SideOutput[];
}

/** An output frame as it is read. */
export interface OutputFrame extends Output {
  /** Stands in the last frame of a commit only: who has read it has read all rows before it. */
  readonly progress: Progress | null;
  /** The rows of the blocks, made when asked for. */
  readonly rows: readonly Row[];
}

const packr = new Packr({ useRecords: true, moreTypes: false });

/** @throws GroundswellError GS_FRAME_TOO_LARGE when a single row or side output is over the limit */
export function encodeOutput(output: Output, frameBytesMax: number): Uint8Array[] {
  const { blocks, sides, progress } = output;
  const whole = packr.pack([OUTPUT_FORMAT, progress, blocks, sides]);
  if (whole.byteLength <= frameBytesMax) return [whole];
  const halves = halvesOf(blocks, sides);
  if (halves === undefined) {
    const block = blocks[0];
    const what = block
      ? `row ${block[1]}/${block[8][0] ?? ''}`
      : `side output ${sides[0]?.kind ?? ''}.${sides[0]?.type ?? ''}`;
    throw new GroundswellError(
      'GS_FRAME_TOO_LARGE',
      `The ${what} takes ${whole.byteLength} bytes: more than fits one message of ${frameBytesMax} bytes.`,
    );
  }
  return [
    ...encodeOutput({ progress: null, ...halves[0] }, frameBytesMax),
    ...encodeOutput({ progress, ...halves[1] }, frameBytesMax),
  ];
}

type Part = Pick<Output, 'blocks' | 'sides'>;

function halvesOf(blocks: readonly RowBlock[], sides: readonly SideOutput[]): [Part, Part] | undefined {
  if (blocks.length > 0 && sides.length > 0) {
    return [
      { blocks, sides: [] },
      { blocks: [], sides },
    ];
  }
  const half = Math.ceil(Math.max(blocks.length, sides.length) / 2);
  if (blocks.length > 1 || sides.length > 1) {
    return [
      { blocks: blocks.slice(0, half), sides: sides.slice(0, half) },
      { blocks: blocks.slice(half), sides: sides.slice(half) },
    ];
  }
  const [block] = blocks;
  if (block === undefined || block[8].length <= 1) return undefined;
  const [first, second] = splitBlock(block);
  return [
    { blocks: [first], sides: [] },
    { blocks: [second], sides: [] },
  ];
}

export function decodeOutput(bytes: Uint8Array): OutputFrame {
  const [format, progress, blocks, sides] = packr.unpack(bytes) as [
    number,
    Progress | null,
    RowBlock[],
    SideOutput[],
  ];
  if (format !== OUTPUT_FORMAT) {
    throw new RangeError(`output format ${format} is not known here (expected ${OUTPUT_FORMAT})`);
  }
  return {
    progress,
    blocks,
    sides,
    get rows() {
      return rowsOf(blocks);
    },
  };
}
