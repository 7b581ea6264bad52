/** An ordered read of one subject, bounded in bytes: what has come and was not taken lies here (P8). */
import type { GroundswellError } from '../../core/errors.js';
import type { LogMessage, LogReader } from '../log.js';
import { OrderedConsumer, type OrderedConsumerOptions, type Receiver } from './ordered-consumer.js';

/** A full buffer: nothing more is asked for until something was taken. */
const BUFFER_BYTES_MAX = 8 * 1024 * 1024;
/** What a message takes besides its payload, roughly: many small ones fill the buffer too. */
const MESSAGE_BYTES = 256;

export class NatsReader implements LogReader {
  #buffer: LogMessage[] = [];
  #consumer: OrderedConsumer | undefined;
  bufferedBytes = 0;
  get bufferedMessages(): number {
    return this.#buffer.length;
  }
  failure: Error | undefined;

  /** @throws GroundswellError GS_STREAM_LOST, GS_LOG */
  static async open(options: OrderedConsumerOptions, wake: () => void): Promise<NatsReader> {
    const reader = new NatsReader();
    reader.#consumer = await OrderedConsumer.open(options, reader.#receiver(wake));
    return reader;
  }

  get pending(): number {
    return this.#consumer?.pending ?? 0;
  }

  take(bytesMax: number): LogMessage[] {
    const buffer = this.#buffer;
    let count = 0;
    let bytes = 0;
    while (count < buffer.length && (count === 0 || bytes + buffer[count]!.payload.byteLength <= bytesMax)) {
      bytes += buffer[count++]!.payload.byteLength;
    }
    if (count === 0) return [];
    const taken = count === buffer.length ? buffer : buffer.slice(0, count);
    this.#buffer = count === buffer.length ? [] : buffer.slice(count);
    this.bufferedBytes -= bytes;
    this.#consumer?.fill();
    return taken;
  }

  async close(): Promise<void> {
    await this.#consumer?.close();
  }

  #receiver(wake: () => void): Receiver {
    return {
      room: () => BUFFER_BYTES_MAX - this.bufferedBytes - MESSAGE_BYTES * this.#buffer.length,
      received: (message) => {
        this.#buffer.push(message);
        this.bufferedBytes += message.payload.byteLength;
        wake();
      },
      failed: (error: GroundswellError) => {
        this.failure = error;
        wake();
      },
    };
  }
}
