/** What a failed write means: the library's error, opened, and whether the disk is full. */
import { statfsSync } from 'node:fs';
import { GroundswellError, messageOf } from '../../core/errors.js';

/** A disk with less room counts as full. */
const FULL_BYTES = 1024 * 1024;

export async function writeFailure(file: string, error: unknown): Promise<GroundswellError> {
  const cause = await causeOf(error);
  const free = freeBytes(file);
  const room = free !== undefined && free < FULL_BYTES ? '; its disk is full' : '';
  return new GroundswellError(
    'GS_DATA_WRITE',
    `The snapshots in ${file} cannot be written: ${messageOf(cause)}${room}.`,
    { cause },
  );
}

/** What is behind "commit failed": the library hands it on as a promise that rejects. */
async function causeOf(error: unknown): Promise<unknown> {
  try {
    await (error as { commitError?: Promise<never> }).commitError;
    return error;
  } catch (cause) {
    return cause;
  }
}

function freeBytes(file: string): number | undefined {
  try {
    const { bavail, bsize } = statfsSync(file);
    return bavail * bsize;
  } catch {
    return undefined;
  }
}
