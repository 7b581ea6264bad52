/**
 * An ordered read over a simulated connection: messages come after a while, in stream order, none twice and none left out.
 * What is under way when the connection is lost comes again when it is back. Bounded: the server sends no more than fits.
 */
import { GroundswellError } from '../../src/core/errors.js';
import type { LogMessage, LogReader } from '../../src/log/log.js';
import type { SimConnection } from './sim-server.js';
import type { SimStream } from './sim-stream.js';

export interface SimReaderOptions {
  readonly connection: SimConnection;
  readonly stream: SimStream;
  readonly subject: string;
  readonly fromSeq: number;
  readonly wake: () => void;
}

export const BUFFER_BYTES_MAX = 256 * 1024;

export class SimReader implements LogReader {
  readonly #options: SimReaderOptions;
  readonly #unlisten: (() => void)[];
  #buffer: LogMessage[] = [];
  bufferedBytes = 0;
  failure: Error | undefined;
  /** What the server sends next, and what has come. */
  #nextSeq: number;
  #sentSeq: number;
  #underWayBytes = 0;
  #generation = 0;
  #closed = false;

  constructor(options: SimReaderOptions) {
    this.#options = options;
    this.#nextSeq = Math.max(1, options.fromSeq);
    this.#sentSeq = this.#nextSeq;
    this.#unlisten = [
      options.stream.listen(() => {
        this.#send();
      }),
      options.connection.listen({
        lost: () => {
          this.#forgetUnderWay();
        },
        restored: () => {
          this.#send();
        },
      }),
    ];
    options.connection.process.onEnd(() => {
      this.#end();
    });
    this.#send();
  }

  get bufferedMessages(): number {
    return this.#buffer.length;
  }

  get pending(): number {
    return this.#options.stream.count(this.#options.subject, this.#nextSeq);
  }

  take(bytesMax: number): LogMessage[] {
    let count = 0;
    let bytes = 0;
    for (const { payload } of this.#buffer) {
      if (count > 0 && bytes + payload.byteLength > bytesMax) break;
      bytes += payload.byteLength;
      count++;
    }
    this.bufferedBytes -= bytes;
    const taken = this.#buffer.splice(0, count);
    if (count > 0) this.#send();
    return taken;
  }

  close(): Promise<void> {
    this.#end();
    return Promise.resolve();
  }

  /** The server's side: sends what there is and what fits. */
  #send(): void {
    const { connection, stream, subject } = this.#options;
    if (this.#closed) return;
    if (stream.deleted) {
      this.#fail();
      return;
    }
    if (!connection.connected) return;
    const room = BUFFER_BYTES_MAX - this.bufferedBytes - this.#underWayBytes;
    if (room <= 0) return;
    const messages = stream.from(subject, this.#sentSeq, room);
    if (messages.length === 0) return;
    this.#sentSeq = messages.at(-1)!.seq + 1;
    const bytes = messages.reduce((sum, { payload }) => sum + payload.byteLength, 0);
    this.#underWayBytes += bytes;
    const generation = this.#generation;
    connection.toClient('messages', () => {
      if (generation !== this.#generation || this.#closed) return;
      this.#underWayBytes -= bytes;
      this.#received(messages, bytes);
    });
  }

  #received(messages: readonly LogMessage[], bytes: number): void {
    this.#buffer.push(...messages);
    this.bufferedBytes += bytes;
    this.#nextSeq = messages.at(-1)!.seq + 1;
    this.#options.wake();
    this.#send();
  }

  #forgetUnderWay(): void {
    this.#generation++;
    this.#underWayBytes = 0;
    this.#sentSeq = this.#nextSeq;
  }

  #fail(): void {
    const { connection, wake } = this.#options;
    this.#end();
    connection.process.after(0, 'stream lost', () => {
      this.failure = new GroundswellError('GS_STREAM_LOST', 'The stream is gone.');
      wake();
    });
  }

  #end(): void {
    this.#closed = true;
    for (const unlisten of this.#unlisten) unlisten();
  }
}
