/**
 * A file of events: CSV or NDJSON, plain or gzip, as batches of raw events with their line numbers. Owns the order of
 * things (open, find the header, compile the mapping, then read) and the error of a file that breaks on the way
 * (GS_SOURCE_BROKEN). Memory is bounded: one chunk of the file is one batch, and the next is read when it is asked for.
 */
import { GroundswellError, messageOf } from '../core/errors.js';
import { type FileBytes, openFileBytes } from './file-bytes.js';
import { HEAD_BYTES, type LineBlock, linesFrom, LineSplitter } from './lines.js';
import { defaultMapping, type Mapping } from './mapping.js';
import type { RawSink } from './ndjson.js';
import { beginRows, type RowReader } from './row-reader.js';

/** A line that holds no row: `text` is its beginning. */
export interface MalformedLine {
  readonly line: number;
  readonly message: string;
  readonly text: string;
}

/** Rows of a file in their order: `raws[i]` stands at line `lines[i]`, and still has to pass the `EventChecker`. */
export interface SourceBatch {
  readonly lines: readonly number[];
  readonly raws: readonly unknown[];
  readonly malformed: readonly MalformedLine[];
}

export interface EventSource extends AsyncIterable<SourceBatch> {
  readonly file: string;
  /** Bytes of the file read so far, compressed ones when it is compressed: `bytesRead / bytesTotal` is the progress. */
  readonly bytesRead: number;
  /** Size of the file; undefined when it is a pipe. */
  readonly bytesTotal: number | undefined;
  /** Closes the file without reading on. Iterating to the end, or leaving the loop, closes it too. */
  close(): Promise<void>;
}

class Batch implements SourceBatch {
  readonly lines: number[] = [];
  readonly raws: unknown[] = [];
  readonly malformed: MalformedLine[] = [];
}

/**
 * Opens a file of events. Everything that can be known beforehand fails here, before a batch is given: GS_SOURCE_FILE for
 * a file that is missing, empty or of a foreign kind, GS_MAPPING for columns that it lacks.
 *
 * @param options.mapping default: the identity for `.ndjson` files
 * @example
 * const source = await openSource({ file: 'pings.csv.gz', mapping: await loadMapping('config/sources/cabspotting.yaml') });
 * for await (const { raws, lines, malformed } of source) { … }
 */
export async function openSource(options: { file: string; mapping?: Mapping }): Promise<EventSource> {
  const { file } = options;
  const mapping = options.mapping ?? defaultMapping(file);
  const bytes = await openFileBytes(file);
  const source = new FileSource(file, bytes);
  try {
    await source.begin(mapping);
  } catch (cause) {
    await source.close();
    throw cause;
  }
  return source;
}

class FileSource implements EventSource {
  readonly file: string;
  readonly bytesTotal: number | undefined;
  readonly #bytes: FileBytes;
  readonly #splitter = new LineSplitter();
  readonly #blocks: AsyncGenerator<LineBlock, void, void>;
  /** The block that holds the header, less the header. */
  #first: LineBlock | undefined;
  #reader: RowReader | undefined;
  #batch = new Batch();
  #offset = 0;
  #taken = false;

  constructor(file: string, bytes: FileBytes) {
    this.file = file;
    this.bytesTotal = bytes.bytesTotal;
    this.#bytes = bytes;
    this.#blocks = this.#readBlocks();
  }

  get bytesRead(): number {
    return this.#bytes.bytesRead();
  }

  async close(): Promise<void> {
    // `begin` has read from it, so that this runs the `finally` that closes the file.
    await this.#blocks.return();
  }

  /** Reads as far as the first line that is not blank, and gets the reader ready. */
  async begin(mapping: Mapping): Promise<void> {
    for (;;) {
      const block = await this.#nextFirst();
      const start = block.lines.findIndex((line) => line.trim() !== '');
      if (start === -1) continue;
      const { reader, rest } = beginRows(this.file, mapping, linesFrom(block, start), this.#sink());
      this.#reader = reader;
      this.#first = rest;
      return;
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<SourceBatch, void, void> {
    if (this.#taken) throw new GroundswellError('GS_INTERNAL', `${this.file}: a source is read once`);
    this.#taken = true;
    const reader = this.#reader!;
    try {
      reader.push(this.#first!);
      if (this.#hasRows()) yield this.#takeBatch();
      for await (const block of this.#blocks) {
        reader.push(block);
        if (this.#hasRows()) yield this.#takeBatch();
      }
      reader.end();
      if (this.#hasRows()) yield this.#takeBatch();
    } finally {
      await this.close();
    }
  }

  async #nextFirst(): Promise<LineBlock> {
    try {
      const next = await this.#blocks.next();
      if (!next.done) return next.value;
    } catch (cause) {
      throw new GroundswellError(
        'GS_SOURCE_FILE',
        `${this.file}: is damaged at its start: ${messageOf(cause)}`,
        { cause },
      );
    }
    throw new GroundswellError('GS_SOURCE_FILE', `${this.file}: is empty`);
  }

  async *#readBlocks(): AsyncGenerator<LineBlock, void, void> {
    try {
      for await (const chunk of this.#bytes.chunks) {
        yield* this.#splitter.push(chunk);
        this.#offset += chunk.length;
      }
    } catch (cause) {
      const place = `line ${this.#splitter.nextLine - 1} (byte ${this.#offset} of its content)`;
      const message = `${this.file}: breaks off after ${place}: ${messageOf(cause)}`;
      throw new GroundswellError('GS_SOURCE_BROKEN', message, { cause });
    }
    yield* this.#splitter.end();
  }

  #sink(): RawSink {
    return {
      raw: (raw, line) => {
        this.#batch.raws.push(raw);
        this.#batch.lines.push(line);
      },
      malformed: (line, message, text) => {
        this.#batch.malformed.push({ line, message, text: text.slice(0, HEAD_BYTES) });
      },
    };
  }

  #hasRows(): boolean {
    return this.#batch.raws.length > 0 || this.#batch.malformed.length > 0;
  }

  #takeBatch(): SourceBatch {
    const batch = this.#batch;
    this.#batch = new Batch();
    return batch;
  }
}
