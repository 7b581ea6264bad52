/**
 * What a partition says to the world (`out`): rows, side outputs and its progress, in frames of msgpackr records.
 * Readers of `out` are the publisher and a replay's row file; both see only what is committed (P4).
 */
import { Packr } from 'msgpackr';
import type { Row } from '../actor/row.js';
import { GroundswellError } from '../core/errors.js';

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

export interface OutputFrame {
  /** Stands in the last frame of a commit only: who has read it has read all rows before it. */
  readonly progress: Progress | null;
  readonly rows: readonly Row[];
  readonly sides: readonly SideOutput[];
}

const packr = new Packr({ useRecords: true, moreTypes: false });

/** @throws GroundswellError GS_FRAME_TOO_LARGE when a single row or side output is over the limit */
export function encodeOutput(output: OutputFrame, frameBytesMax: number): Uint8Array[] {
  const { rows, sides, progress } = output;
  const whole = packr.pack([OUTPUT_FORMAT, progress, rows, sides]);
  if (whole.byteLength <= frameBytesMax) return [whole];
  if (rows.length + sides.length <= 1) {
    const what = rows[0]
      ? `row ${rows[0].level}/${rows[0].key}`
      : `side output ${sides[0]?.kind ?? ''}.${sides[0]?.type ?? ''}`;
    throw new GroundswellError(
      'GS_FRAME_TOO_LARGE',
      `The ${what} takes ${whole.byteLength} bytes: more than fits one message of ${frameBytesMax} bytes.`,
    );
  }
  const row = Math.ceil(rows.length / 2);
  const side = Math.ceil(sides.length / 2);
  return [
    ...encodeOutput({ progress: null, rows: rows.slice(0, row), sides: sides.slice(0, side) }, frameBytesMax),
    ...encodeOutput({ progress, rows: rows.slice(row), sides: sides.slice(side) }, frameBytesMax),
  ];
}

export function decodeOutput(bytes: Uint8Array): OutputFrame {
  const [format, progress, rows, sides] = packr.unpack(bytes) as [
    number,
    Progress | null,
    Row[],
    SideOutput[],
  ];
  if (format !== OUTPUT_FORMAT)
    throw new RangeError(`output format ${format} is not known here (expected ${OUTPUT_FORMAT})`);
  return { progress, rows, sides };
}
