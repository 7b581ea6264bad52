/**
 * An ordered consumer of our own: messages of one subject in stream order, none twice, none left out. Owns the consumer
 * on the server, which keeps nothing on disk, and makes it anew after the last message that came whenever it is of no
 * more use: after a gap, a lost connection, silence, or a restart of the server, which has then forgotten it.
 *
 * It ends for good only when the stream is gone, when a right is missing, or when the connection is closed. A server
 * that is away is waited for, however long.
 */
import type { JetStreamManager } from '@nats-io/jetstream';
import { nuid, type NatsConnection } from 'nats';
import type { Clock } from '../../core/clock.js';
import { GroundswellError, messageOf, type ErrorCode } from '../../core/errors.js';
import type { LogMessage } from '../log.js';
import { apiFailureOf } from './api-error.js';
import { ConnectionWatch, LOST } from './connection-watch.js';
import { createConsumer, deleteConsumer } from './consumer-api.js';
import { Pulls } from './pulls.js';

export interface OrderedConsumerOptions {
  readonly connection: NatsConnection;
  readonly jsm: JetStreamManager;
  readonly clock: Clock;
  readonly stream: string;
  readonly subject: string;
  readonly fromSeq: number;
}

export interface Receiver {
  /** Bytes that it would still take, besides what is under way. */
  room(): number;
  received(message: LogMessage): void;
  /** Nothing more comes, ever. */
  failed(error: GroundswellError): void;
}

const RETRY_FIRST_MS = 100;
const RETRY_LONGEST_MS = 5_000;
/** A cluster that has just come up may not know its streams at once: so long it is asked again. */
const STREAM_MISSING_MS = 2_000;
const OPEN_TIMEOUT_MS = 20_000;
const CLOSED = 'the connection to nats-server is closed';

export class OrderedConsumer {
  readonly #options: OrderedConsumerOptions;
  readonly #receiver: Receiver;
  readonly #watch: ConnectionWatch;
  readonly #leave: () => void;
  readonly #unlisten: () => void;
  /** Name on the server and the requests to it, while there is a consumer. */
  #name: string | undefined;
  #pulls: Pulls | undefined;
  #nextSeq: number;
  #hasRead = false;
  /** Counts the tries to make a consumer: what an earlier one brings is of no interest. */
  #tries = 0;
  /** Tries in a row that brought no message. */
  #failures = 0;
  #missingSinceMs: number | undefined;
  #cause = 'nats-server does not answer';
  #cancelRetry: () => void = () => undefined;
  #opening: { resolve: () => void; reject: (error: GroundswellError) => void } | undefined;
  #ended = false;
  /** Messages that the consumer has yet to give out. */
  pending = 0;

  /** @throws GroundswellError GS_STREAM_LOST; GS_LOG when the server refuses, or does not answer in time */
  static async open(options: OrderedConsumerOptions, receiver: Receiver): Promise<OrderedConsumer> {
    const consumer = new OrderedConsumer(options, receiver);
    const cancel = options.clock.after(OPEN_TIMEOUT_MS, () => {
      consumer.#fail('GS_LOG', consumer.#cause);
    });
    try {
      await new Promise<void>((resolve, reject) => {
        consumer.#opening = { resolve, reject };
        if (consumer.#watch.closed) consumer.#fail('GS_LOG', CLOSED);
        else if (consumer.#watch.connected) consumer.#make();
      });
    } finally {
      consumer.#opening = undefined;
      cancel();
    }
    return consumer;
  }

  private constructor(options: OrderedConsumerOptions, receiver: Receiver) {
    this.#options = options;
    this.#receiver = receiver;
    this.#nextSeq = Math.max(1, options.fromSeq);
    this.#watch = ConnectionWatch.of(options.connection);
    this.#leave = this.#watch.addReader();
    this.#unlisten = this.#watch.listen({
      lost: () => {
        // Whatever was under way may have been given out and lost; what is being made may never be.
        this.#tries++;
        this.#drop();
      },
      restored: () => {
        this.#failures = 0;
        this.#make();
      },
      closed: () => {
        this.#fail('GS_LOG', CLOSED);
      },
    });
  }

  /** Asks for more; to be called when room was made. */
  fill(): void {
    this.#pulls?.fill();
  }

  /** Ends all, and lets the server forget the consumer; at its own pace when it does not answer. */
  async close(): Promise<void> {
    const name = this.#name;
    this.#end();
    if (name !== undefined && this.#watch.connected) await this.#delete(name);
  }

  #make(): void {
    if (this.#ended) return;
    this.#cancelRetry();
    const tried = ++this.#tries;
    this.#create(tried).catch((error: unknown) => {
      if (tried === this.#tries && !this.#ended) this.#notMade(error);
    });
  }

  async #create(tried: number): Promise<void> {
    const { jsm, stream, subject } = this.#options;
    if (this.#hasRead && (await this.#streamIsBehind(tried))) return;
    const name = `gs-${nuid.next()}`;
    const info = await this.#watch.untilLost(createConsumer(jsm, stream, name, subject, this.#nextSeq));
    if (info === LOST) return;
    if (tried !== this.#tries || this.#ended) {
      await this.#delete(name);
      return;
    }
    this.#missingSinceMs = undefined;
    this.#name = name;
    this.pending = info.num_pending;
    this.#pulls = this.#pullsOf(name);
    this.#pulls.fill();
    this.#opening?.resolve();
  }

  /** A stream that ends before what has come is not the one that it was. */
  async #streamIsBehind(tried: number): Promise<boolean> {
    const { jsm, stream } = this.#options;
    const info = await this.#watch.untilLost(jsm.streams.info(stream));
    if (info === LOST || tried !== this.#tries || this.#ended) return true;
    const lastSeq = info.state.last_seq;
    if (lastSeq >= this.#nextSeq - 1) return false;
    this.#fail('GS_STREAM_LOST', `${stream} ends at ${lastSeq}, and ${this.#nextSeq - 1} was read before`);
    return true;
  }

  #pullsOf(name: string): Pulls {
    const { connection, jsm, clock, stream } = this.#options;
    const prefix = jsm.getOptions().apiPrefix ?? '$JS.API';
    return new Pulls(
      {
        connection,
        clock,
        subject: `${prefix}.CONSUMER.MSG.NEXT.${stream}.${name}`,
        pending: this.pending,
        bytesMax: () => this.#watch.readerBytesMax,
      },
      {
        room: () => this.#receiver.room(),
        message: ({ subject, data }, { streamSeq, storedAtMs, pending }) => {
          this.#failures = 0;
          this.#nextSeq = streamSeq + 1;
          this.#hasRead = true;
          this.pending = pending;
          this.#receiver.received({ subject, seq: streamSeq, payload: data, storedAtMs });
        },
        broken: (cause) => {
          this.#drop();
          this.#retry(cause);
        },
        refused: (cause) => {
          this.#fail('GS_LOG', cause);
        },
      },
    );
  }

  #notMade(error: unknown): void {
    const { clock, stream } = this.#options;
    const failure = apiFailureOf(error);
    if (failure === 'no-stream') {
      this.#missingSinceMs ??= clock.monotonic();
      // A stream that never was there is not waited for.
      if (this.#opening !== undefined || clock.monotonic() - this.#missingSinceMs >= STREAM_MISSING_MS) {
        this.#fail('GS_STREAM_LOST', `there is no stream ${stream}`);
        return;
      }
    } else {
      this.#missingSinceMs = undefined;
    }
    if (failure === 'denied' || failure === 'rejected') this.#fail('GS_LOG', messageOf(error));
    else this.#retry(messageOf(error));
  }

  /** At once the first time, then further and further apart. */
  #retry(cause: string): void {
    this.#cause = cause;
    // Without a connection it goes on when there is one again.
    if (this.#ended || !this.#watch.connected) return;
    const failures = this.#failures++;
    const delayMs = failures === 0 ? 0 : Math.min(RETRY_LONGEST_MS, RETRY_FIRST_MS * 2 ** (failures - 1));
    this.#cancelRetry = this.#options.clock.after(delayMs, () => {
      this.#make();
    });
  }

  /** Lets go of the consumer, and has the server forget it without waiting for that. */
  #drop(): void {
    const name = this.#name;
    this.#name = undefined;
    this.#pulls?.stop();
    this.#pulls = undefined;
    if (name !== undefined && this.#watch.connected) this.#delete(name).catch(() => undefined);
  }

  #fail(code: ErrorCode, cause: string): void {
    if (this.#ended) return;
    this.#end();
    const error = new GroundswellError(code, `Reading ${this.#options.subject} ended: ${cause}.`);
    if (this.#opening !== undefined) this.#opening.reject(error);
    else this.#receiver.failed(error);
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#leave();
    this.#unlisten();
    this.#cancelRetry();
    this.#pulls?.stop();
    this.#pulls = undefined;
    this.#name = undefined;
  }

  #delete(name: string): Promise<void> {
    const { jsm, clock, stream } = this.#options;
    return deleteConsumer(this.#watch, jsm, clock, stream, name);
  }
}
