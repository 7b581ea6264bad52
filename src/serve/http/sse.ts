/**
 * Streams of server-sent events, bounded (P8): a reader that takes more slowly than it is told is cut off once too many
 * bytes wait for it, and counted; it may connect again and goes on with the present. The table knows all open streams, so
 * that a stop ends them.
 */
import type { FastifyReply } from 'fastify';
import type { Clock } from '../../core/clock.js';
import { badRequest, busy } from './problem.js';

export interface EventStreamOptions {
  /** A comment goes out this often, so that nobody between takes a quiet stream for dead. */
  readonly heartbeatMs: number;
  /** A reader for whom more bytes wait is cut off. */
  readonly maxQueuedBytes: number;
  readonly clock: Clock;
}

export type EndReason = 'slow' | 'closing' | 'done';

export interface EventStream {
  /** `data` is an object, or JSON text that is ready. Without effect once the stream is closed. */
  send(event: string, data: object | string): void;
  /** Resolves when the stream is closed, by whom ever. */
  readonly closed: Promise<void>;
  /** Says `event: end` with the reason, then closes. */
  close(reason?: EndReason): void;
}

declare module 'fastify' {
  interface FastifyInstance {
    /** All open event streams of the server. */
    streams: StreamTable;
  }
}

/** After the last word a reader gets so long to take what waits. */
const GRACE_MS = 500;
const STREAMS_MAX = 256;

export class StreamTable {
  readonly #open = new Set<EventStream>();
  readonly #max: number;
  /** Readers that were cut off because they took too slowly. */
  cutOff = 0;

  constructor(max = STREAMS_MAX) {
    this.#max = max;
  }

  get size(): number {
    return this.#open.size;
  }

  add(stream: EventStream): void {
    this.#open.add(stream);
    stream.closed.then(
      () => this.#open.delete(stream),
      () => undefined,
    );
  }

  /** @throws HttpProblem 503 GS_BUSY when there are as many as there may be */
  expectRoom(): void {
    if (this.#open.size >= this.#max) throw busy(`There are ${this.#max} event streams already.`, 5);
  }

  closeAll(): void {
    for (const stream of this.#open) stream.close('closing');
  }
}

/**
 * Turns a reply into a stream of events. Throw what is wrong with the request before: from here on the status is 200.
 * @throws HttpProblem 503 GS_BUSY when there are too many streams
 */
export function openStream(reply: FastifyReply, options: EventStreamOptions): EventStream {
  const { streams } = reply.server;
  streams.expectRoom();
  // Behind an answer that is still being written, it would wait unseen and gather bytes.
  if (reply.raw.socket === null)
    throw badRequest('An event stream needs a connection of its own.', 'Do not pipeline it.');
  const headers = { ...reply.getHeaders() } as Record<string, string>;
  reply.hijack();
  reply.raw.writeHead(200, {
    ...headers,
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    connection: 'close',
    // A reverse proxy is not to gather events.
    'x-accel-buffering': 'no',
  });
  const stream = new ReplyStream(reply, options, streams);
  if (reply.request.method === 'HEAD') stream.close();
  else streams.add(stream);
  return stream;
}

class ReplyStream implements EventStream {
  readonly closed: Promise<void>;
  readonly #raw: FastifyReply['raw'];
  readonly #options: EventStreamOptions;
  readonly #streams: StreamTable;
  #ended = false;
  #cancelTimer: () => void = () => undefined;

  constructor(reply: FastifyReply, options: EventStreamOptions, streams: StreamTable) {
    this.#raw = reply.raw;
    this.#options = options;
    this.#streams = streams;
    this.closed = new Promise((resolve) => {
      const gone = (): void => {
        this.#ended = true;
        this.#cancelTimer();
        resolve();
      };
      if (this.#raw.destroyed) gone();
      else this.#raw.once('close', gone);
    });
    // A reader that goes away is no error; `close` follows.
    this.#raw.on('error', () => undefined);
    this.#write('retry: 2000\n\n');
    this.#beat();
  }

  send(event: string, data: object | string): void {
    this.#write(frame(event, data));
  }

  close(reason: EndReason = 'done'): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#cancelTimer();
    if (this.#raw.destroyed) return;
    this.#raw.end(frame('end', { reason }));
    this.#cancelTimer = this.#options.clock.after(GRACE_MS, () => this.#raw.destroy());
  }

  #write(text: string): void {
    if (this.#ended) return;
    if (this.#raw.writableLength + text.length > this.#options.maxQueuedBytes) {
      this.#streams.cutOff++;
      this.close('slow');
      return;
    }
    this.#raw.write(text);
  }

  #beat(): void {
    if (this.#ended) return;
    this.#cancelTimer = this.#options.clock.after(this.#options.heartbeatMs, () => {
      this.#write(':\n\n');
      this.#beat();
    });
  }
}

function frame(event: string, data: object | string): string {
  const text = typeof data === 'string' ? data : JSON.stringify(data);
  return `event: ${event}\ndata: ${text.replaceAll('\n', '\ndata: ')}\n\n`;
}
