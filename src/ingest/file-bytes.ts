/**
 * A file as a stream of plain bytes: opens it, recognises gzip by its first bytes, not its name, and inflates it as it is
 * read. Owns the file handle, and the errors of opening (GS_SOURCE_FILE).
 */
import { type FileHandle, open } from 'node:fs/promises';
import { pipeline, Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { GroundswellError, messageOf } from '../core/errors.js';

const CHUNK_BYTES = 262_144;

/** First bytes of files that people take for text or gzip, and what to say of them. */
const FOREIGN: readonly (readonly [magic: string, what: string])[] = [
  ['28b52ffd', 'compressed with zstd; unpack it, or use gzip'],
  ['fd377a585a00', 'compressed with xz; unpack it, or use gzip'],
  ['425a68', 'compressed with bzip2; unpack it, or use gzip'],
  ['504b0304', 'a ZIP archive; unpack it first'],
  ['50415231', 'a Parquet file; export it as CSV or NDJSON'],
  ['fffe', 'text in UTF-16; save it as UTF-8'],
  ['feff', 'text in UTF-16; save it as UTF-8'],
];
const GZIP = '1f8b';

export interface FileBytes {
  /** Bytes of the file, as it lies on disk; undefined for a pipe. */
  readonly bytesTotal: number | undefined;
  /** Bytes of the file read so far: compressed ones when it is compressed. */
  readonly bytesRead: () => number;
  /** The content, inflated. Ends the file handle when it is done, broken or left early. */
  readonly chunks: AsyncGenerator<Buffer, void, void>;
}

/** Opens a file; GS_SOURCE_FILE when it is missing, a directory, unreadable, empty or of a foreign kind. */
export async function openFileBytes(file: string): Promise<FileBytes> {
  const handle = await openHandle(file);
  let bytesRead = 0;
  const read = async (): Promise<Buffer> => {
    const result = await handle.read(Buffer.allocUnsafe(CHUNK_BYTES), 0, CHUNK_BYTES, null);
    bytesRead += result.bytesRead;
    return result.buffer.subarray(0, result.bytesRead);
  };
  try {
    const stat = await handle.stat();
    if (stat.isDirectory()) throw new GroundswellError('GS_SOURCE_FILE', `${file}: is a directory`);
    const first = await read();
    if (first.length === 0) throw new GroundswellError('GS_SOURCE_FILE', `${file}: is empty`);
    const magic = first.toString('hex', 0, 8);
    const foreign = FOREIGN.find(([start]) => magic.startsWith(start));
    if (foreign) throw new GroundswellError('GS_SOURCE_FILE', `${file}: is ${foreign[1]}`);
    const raw = readAll(handle, first, read);
    return {
      bytesTotal: stat.isFile() ? stat.size : undefined,
      bytesRead: () => bytesRead,
      chunks: magic.startsWith(GZIP) ? inflate(raw) : raw,
    };
  } catch (cause) {
    await handle.close();
    if (cause instanceof GroundswellError) throw cause;
    throw new GroundswellError('GS_SOURCE_FILE', `${file}: cannot be read: ${messageOf(cause)}`, { cause });
  }
}

async function openHandle(file: string): Promise<FileHandle> {
  try {
    return await open(file, 'r');
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    const what =
      code === 'ENOENT'
        ? 'there is no such file'
        : code === 'EACCES'
          ? 'may not be read by this user'
          : `cannot be opened: ${messageOf(cause)}`;
    throw new GroundswellError('GS_SOURCE_FILE', `${file}: ${what}`, { cause });
  }
}

async function* readAll(
  handle: FileHandle,
  first: Buffer,
  read: () => Promise<Buffer>,
): AsyncGenerator<Buffer, void, void> {
  try {
    for (let chunk = first; chunk.length > 0; chunk = await read()) yield chunk;
  } finally {
    await handle.close();
  }
}

async function* inflate(compressed: AsyncGenerator<Buffer, void, void>): AsyncGenerator<Buffer, void, void> {
  const gunzip = createGunzip({ chunkSize: CHUNK_BYTES });
  // The pipeline's own error is the gunzip stream's, which the loop throws.
  pipeline(Readable.from(compressed, { highWaterMark: 1 }), gunzip, () => undefined);
  for await (const chunk of gunzip) yield chunk as Buffer;
}
