/**
 * An ordered read of one subject: an ordered consumer, bounded in bytes. The library fetches on as its iterator is
 * consumed, so a full buffer here stops the fetching there (P8).
 */
import type { Consumer, ConsumerMessages } from '@nats-io/jetstream';
import { messageOf, GroundswellError } from '../../core/errors.js';
import type { LogMessage, LogReader } from '../log.js';

/** What may be under way from the server for one reader; larger than any one message. */
const FETCH_BYTES_MAX = 4 * 1024 * 1024;
const BUFFER_BYTES_MAX = 8 * 1024 * 1024;

export class NatsReader implements LogReader {
  #buffer: LogMessage[] = [];
  #resume: (() => void) | undefined;
  #closed = false;
  bufferedBytes = 0;
  failure: Error | undefined;
  readonly #messages: ConsumerMessages;
  readonly #wake: () => void;
  readonly #done: Promise<void>;

  static async start(consumer: Consumer, wake: () => void): Promise<NatsReader> {
    const messages = await consumer.consume({ max_bytes: FETCH_BYTES_MAX, abort_on_missing_resource: true });
    return new NatsReader(messages, wake);
  }

  private constructor(messages: ConsumerMessages, wake: () => void) {
    this.#messages = messages;
    this.#wake = wake;
    this.#done = this.#pump();
  }

  take(bytesMax: number): LogMessage[] {
    const buffer = this.#buffer;
    let count = 0;
    let bytes = 0;
    while (count < buffer.length && (count === 0 || bytes + buffer[count]!.payload.byteLength <= bytesMax)) {
      bytes += buffer[count++]!.payload.byteLength;
    }
    const taken = count === buffer.length ? buffer : buffer.slice(0, count);
    this.#buffer = count === buffer.length ? [] : buffer.slice(count);
    this.bufferedBytes -= bytes;
    if (this.bufferedBytes < BUFFER_BYTES_MAX) this.#resume?.();
    return taken;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#resume?.();
    await this.#messages.close();
    await this.#done;
  }

  async #pump(): Promise<void> {
    try {
      for await (const message of this.#messages) {
        this.#buffer.push({ subject: message.subject, seq: message.seq, payload: message.data });
        this.bufferedBytes += message.data.byteLength;
        this.#wake();
        if (this.bufferedBytes >= BUFFER_BYTES_MAX && !this.#closed) await this.#drained();
      }
      if (!this.#closed) this.#fail(new Error('the connection to nats-server is closed'));
    } catch (error) {
      if (!this.#closed) this.#fail(error);
    }
  }

  #drained(): Promise<void> {
    return new Promise((resolve) => {
      this.#resume = () => {
        this.#resume = undefined;
        resolve();
      };
    });
  }

  #fail(cause: unknown): void {
    const text = messageOf(cause);
    const lost = /stream not found|consumer not found|consumer deleted/i.test(text);
    this.failure = new GroundswellError(
      lost ? 'GS_STREAM_LOST' : 'GS_LOG',
      `Reading the stream ended: ${text}.`,
      { cause },
    );
    this.#wake();
  }
}
