/**
 * The replay of one file through a region: what reads the file, sends its events and writes the rows. It is the region's
 * client: the engine is in another thread, or elsewhere. Owns what it opened: file and rows.
 */
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { basename } from 'node:path';
import { loadMapping } from '../ingest/mapping.js';
import { openSource, type EventSource } from '../ingest/source.js';
import type { NatsTarget } from '../log/nats/connect.js';
import { loadEngineConfig, openEngine, type EngineConfig } from './engine.js';
import { runReplay, type ReplayProgress, type ReplaySummary } from './replay-run.js';
import { RowFile } from './row-file.js';

/** Which file, read how, into which region: plain data. */
export interface FileReplayOptions {
  readonly file: string;
  readonly mapping?: string | undefined;
  /** Rows as NDJSON. */
  readonly out?: string | undefined;
  /** Event time against wall time; Infinity for as fast as possible. */
  readonly speed: number;
  readonly region: string;
  readonly configFile?: string | undefined;
  readonly partitions?: number | undefined;
}

/** What is said on the way. */
export interface ReplayListener {
  readonly onProgress: (progress: ReplayProgress) => void;
  /** In words, for people. */
  readonly onNote: (line: string) => void;
}

export class FileReplay {
  readonly #options: FileReplayOptions;
  readonly #source: EventSource;
  readonly #producerId: string;
  readonly #rowFile: RowFile | undefined;
  readonly #region: EngineConfig;

  /** @throws GroundswellError GS_MAPPING, GS_SOURCE_FILE, GS_OUTPUT, as the region's configuration: all that can be known before there is a region */
  static async open(options: FileReplayOptions): Promise<FileReplay> {
    const { file, out } = options;
    const region = await loadEngineConfig(options);
    const mapping = options.mapping === undefined ? undefined : await loadMapping(options.mapping);
    const source = await openSource(mapping === undefined ? { file } : { file, mapping });
    try {
      const producerId = await nameOf(file, mapping?.name ?? 'identity');
      const rowFile = out === undefined ? undefined : await RowFile.create(out);
      return new FileReplay(options, region, source, producerId, rowFile);
    } catch (error) {
      await source.close();
      throw error;
    }
  }

  private constructor(
    options: FileReplayOptions,
    region: EngineConfig,
    source: EventSource,
    producerId: string,
    rowFile: RowFile | undefined,
  ) {
    this.#options = options;
    this.#region = region;
    this.#source = source;
    this.#producerId = producerId;
    this.#rowFile = rowFile;
  }

  /** Resolves when every window is final and the rows are in their file. Called once. */
  async run(nats: NatsTarget, { onProgress, onNote }: ReplayListener): Promise<ReplaySummary> {
    const { region, configFile, partitions, speed } = this.#options;
    const source = this.#source;
    const engine = await openEngine(
      {
        ...{ region, configFile, partitions, nats },
        ...{ node: false, live: false, publishRows: false },
        onProgress: onNote,
      },
      this.#region,
    );
    try {
      const summary = await runReplay({
        engine,
        feed: {
          batches: source,
          fraction: () =>
            source.bytesTotal === undefined ? undefined : source.bytesRead / source.bytesTotal,
        },
        producerId: this.#producerId,
        speed,
        onRows: async (blocks, afterMs) => this.#rowFile?.write(blocks, afterMs),
        onProgress,
        onWait: (message) => {
          onNote(`${message} The replay waits.`);
        },
      });
      await this.#rowFile?.finish();
      return summary;
    } finally {
      await engine.close();
    }
  }

  /** Leaves nothing half-written behind. Without effect when it has run to its end. */
  async close(): Promise<void> {
    await this.#rowFile?.discard();
    await this.#source.close();
  }
}

/** Bytes at a file's beginning that name it. */
const HEAD_BYTES = 64 * 1024;

/**
 * A name for this file read this way, from its beginning: a second run goes on under it, also when the file was cut off
 * and has been repaired since.
 */
async function nameOf(file: string, mapping: string): Promise<string> {
  const handle = await open(file);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
    const hash = createHash('sha256').update(mapping).update(buffer.subarray(0, bytesRead));
    return `replay:${basename(file)}:${hash.digest('hex').slice(0, 16)}`;
  } finally {
    await handle.close();
  }
}
