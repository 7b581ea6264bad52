/**
 * The raw pump's cursor, as it stands in the engine's stream: all that a pump needs to go on where another stopped. It is
 * only ever written in one batch with the frames that it speaks of, so it is never ahead of them nor behind.
 */
import { GroundswellError, messageOf } from '../core/errors.js';
import type { Log } from '../log/log.js';

const CURSOR_FORMAT = 1;

export interface RawCursor {
  /** Sequence of the last raw message taken; 0 for none. */
  readonly seq: number;
  /** Sequence of the producer's next event, by partition. */
  readonly lanes: readonly number[];
  /** Who wrote it, and which of its rounds it was: no two cursors have the same. */
  readonly writer: string;
  readonly round: number;
}

/** A cursor with its place in the stream: what the next one must find. 0 when there is none yet. */
export interface FoundCursor {
  readonly cursor: RawCursor;
  readonly at: number;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function encodeCursor(cursor: RawCursor): Uint8Array {
  return encoder.encode(JSON.stringify({ format: CURSOR_FORMAT, ...cursor }));
}

/**
 * The last cursor in the stream.
 * @throws GroundswellError GS_DATA_NEWER, GS_STREAM_CONFIG when it is of a later format or another partition count
 */
export async function findCursor(log: Log, subject: string, partitions: number): Promise<FoundCursor> {
  const last = await log.last(subject);
  if (last === undefined) {
    const lanes = new Array<number>(partitions).fill(0);
    return { cursor: { seq: 0, lanes, writer: '', round: 0 }, at: 0 };
  }
  let stored: RawCursor & { format: number };
  try {
    stored = JSON.parse(decoder.decode(last.payload)) as RawCursor & { format: number };
  } catch (cause) {
    throw new GroundswellError('GS_STREAM_LOST', `${subject} holds no cursor: ${messageOf(cause)}.`, {
      cause,
    });
  }
  const { format, ...cursor } = stored;
  if (format !== CURSOR_FORMAT) {
    throw new GroundswellError(
      'GS_DATA_NEWER',
      `The cursor of raw events has format ${format}; this version reads ${CURSOR_FORMAT}.`,
    );
  }
  if (cursor.lanes.length !== partitions) {
    throw new GroundswellError(
      'GS_STREAM_CONFIG',
      `The cursor of raw events knows ${cursor.lanes.length} partitions, this run has ${partitions}.`,
    );
  }
  return { cursor, at: last.seq };
}
