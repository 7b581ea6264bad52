/**
 * What a partition says to the world (`out`): rows, side outputs and its progress, in frames of msgpackr records.
 * Readers of `out` are the publisher and a replay's row file; both see only what is committed (P4).
 */
import { Packr } from 'msgpackr';
import type { Row } from '../actor/row.js';
import { GroundswellError } from '../core/errors.js';
import { RowBlock, rowsOf, splitBlock, type RowKind } from './row-block.js';

export const OUTPUT_FORMAT = 4;
/** Its rows do not repeat: they are read the same way. */
const FORMAT_BEFORE = 3;

/** Something for a side subject: `late.<type>`, `dead.<type>`. */
export interface SideOutput {
  readonly kind: 'late' | 'dead';
  readonly type: string;
  readonly body: unknown;
}

/**
 * What actors show of themselves now, in columns: the type, the names of the values, the actors' keys, and the values of
 * each key in turn. Provisional: the next one replaces it, and no row is made of it.
 */
export type ShownBlock = [type: string, names: string[], keys: string[], numbers: number[]];

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
  readonly shown: readonly ShownBlock[];
}

/** A block as it is written: what its rows share, how many they are, when the first of them ended, and their bytes. */
type StoredBlock = [
  region: string,
  level: string,
  window: string,
  lengthMs: number,
  names: readonly string[],
  model: string | null,
  hasChildren: boolean,
  rev: number,
  final: boolean,
  expected: number,
  count: number,
  firstEndMs: number,
  rows: Uint8Array,
];

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
  const { blocks, sides, shown, progress } = output;
  // What cannot fit is not packed to find that out.
  const fits =
    blocks.length <= 1 || blocks.reduce((sum, { bytes }) => sum + bytes.length, 0) <= frameBytesMax;
  const whole = fits
    ? packr.pack([OUTPUT_FORMAT, progress, blocks.map(storedBlock), sides, shown])
    : undefined;
  if (whole !== undefined && whole.byteLength <= frameBytesMax) return [whole];
  const halves = halvesOf(output);
  if (halves === undefined) {
    const block = blocks[0];
    const what = block
      ? `row ${block.kind.level}/${block.keys[0] ?? ''}`
      : `side output ${sides[0]?.kind ?? ''}.${sides[0]?.type ?? ''}`;
    throw new GroundswellError(
      'GS_FRAME_TOO_LARGE',
      `The ${what} takes ${whole?.byteLength} bytes: more than fits one message of ${frameBytesMax} bytes.`,
    );
  }
  return [
    ...encodeOutput({ progress: null, ...halves[0] }, frameBytesMax),
    ...encodeOutput({ progress, ...halves[1] }, frameBytesMax),
  ];
}

type Part = Omit<Output, 'progress'>;

const NOTHING: Part = { blocks: [], sides: [], shown: [] };

/** What there is in two halves: kinds apart, then lists, then the columns of a single block. */
function halvesOf({ blocks, sides, shown }: Part): [Part, Part] | undefined {
  if (shown.length > 0 && blocks.length + sides.length > 0) {
    return [
      { blocks, sides, shown: [] },
      { ...NOTHING, shown },
    ];
  }
  if (blocks.length > 0 && sides.length > 0) {
    return [
      { ...NOTHING, blocks },
      { ...NOTHING, sides },
    ];
  }
  const length = Math.max(blocks.length, sides.length, shown.length);
  if (length > 1) {
    const part = (from: number, to?: number): Part => ({
      blocks: blocks.slice(from, to),
      sides: sides.slice(from, to),
      shown: shown.slice(from, to),
    });
    const half = Math.ceil(length / 2);
    return [part(0, half), part(half)];
  }
  const [block] = blocks;
  if (block !== undefined && block.count > 1) {
    const [first, second] = splitBlock(block);
    return [
      { ...NOTHING, blocks: [first] },
      { ...NOTHING, blocks: [second] },
    ];
  }
  const [values] = shown;
  if (values !== undefined && values[2].length > 1) {
    const [type, names, keys, numbers] = values;
    const half = Math.ceil(keys.length / 2);
    const at = half * names.length;
    return [
      { ...NOTHING, shown: [[type, names, keys.slice(0, half), numbers.slice(0, at)]] },
      { ...NOTHING, shown: [[type, names, keys.slice(half), numbers.slice(at)]] },
    ];
  }
  return undefined;
}

/** Rows are read when they are asked for: many who read a frame want to know its progress only. */
export function decodeOutput(bytes: Uint8Array): OutputFrame {
  const [format, progress, stored, sides, shown] = packr.unpack(bytes) as [
    number,
    Progress | null,
    StoredBlock[],
    SideOutput[],
    ShownBlock[],
  ];
  if (format !== OUTPUT_FORMAT && format !== FORMAT_BEFORE) {
    throw new RangeError(`output format ${format} is not known here (expected ${OUTPUT_FORMAT})`);
  }
  const blocks = stored.map(blockOf);
  return {
    progress,
    blocks,
    sides,
    shown,
    get rows() {
      return rowsOf(blocks);
    },
  };
}

function storedBlock({ kind, count, firstEndMs, bytes }: RowBlock): StoredBlock {
  const { region, level, window, lengthMs, names, model, hasChildren, rev, final, expected } = kind;
  return [
    region,
    level,
    window,
    lengthMs,
    names,
    model,
    hasChildren,
    rev,
    final,
    expected,
    count,
    firstEndMs,
    bytes,
  ];
}

function blockOf(stored: StoredBlock): RowBlock {
  const [region, level, window, lengthMs, names, model, hasChildren, rev, final, expected] = stored;
  const kind: RowKind = { region, level, window, lengthMs, names, model, hasChildren, rev, final, expected };
  return new RowBlock(kind, stored[10], stored[11], stored[12]);
}
