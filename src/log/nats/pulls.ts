/**
 * The requests to one pull consumer: keeps one under way while the receiver has room (P8), and two while there is more
 * to come, so that the server always knows what to send next. Holds their messages to the order in which the consumer
 * gave them out. When the consumer turns out to be of no more use it says so once and falls silent;
 * `ordered-consumer.ts` makes another.
 */
import type { Msg, NatsConnection } from 'nats';
import type { Clock } from '../../core/clock.js';
import { PullRequest, type Delivery, type PullEnd } from './pull-request.js';

export interface PullsOptions {
  readonly connection: NatsConnection;
  readonly clock: Clock;
  /** Where requests of this consumer go. */
  readonly subject: string;
  /** Messages that the consumer had to give out when it was made. */
  readonly pending: number;
  /** Bytes that may be under way now for this reader, as the connection has them to give. */
  bytesMax(): number;
}

export interface PullsListener {
  /** Bytes that it would still take, besides what is under way. */
  room(): number;
  message(message: Msg, delivery: Delivery): void;
  /** The consumer is of no more use. */
  broken(cause: string): void;
  /** The server does not take such requests. */
  refused(cause: string): void;
}

const REQUESTS_MAX = 2;
const REQUEST_BYTES_MAX = 2 * 1024 * 1024;
const REQUEST_BYTES_MIN = 64 * 1024;
/** More than one request ever brings: its bytes are what bounds it. */
const BATCH_MAX = 50_000;
const EXPIRES_MS = 30_000;
const HEARTBEAT_MS = 2_000;
/** Looks, a heartbeat apart, at a request that says nothing: two heartbeats at least are missing by then. */
const SILENT_LOOKS_MAX = 3;
/** A request that ends with nothing, sooner than this, is not ended by time. */
const FRUITLESS_MS = 100;

export class Pulls {
  readonly #options: PullsOptions;
  readonly #listener: PullsListener;
  /** Requests under way, with when they were sent, ms. */
  readonly #requests = new Map<PullRequest, number>();
  #consumerSeq = 0;
  #pending: number;
  /** The next message is larger than a request is: it is asked for by itself. */
  #large = false;
  #stopped = false;
  #cancelLook: () => void;

  constructor(options: PullsOptions, listener: PullsListener) {
    this.#options = options;
    this.#listener = listener;
    this.#pending = options.pending;
    this.#cancelLook = options.clock.after(HEARTBEAT_MS, () => {
      this.#look();
    });
  }

  /** Asks for more, if there is room. */
  fill(): void {
    const { connection, clock, subject } = this.#options;
    while (!this.#stopped && this.#requests.size < this.#requestsMax) {
      let underWay = 0;
      for (const request of this.#requests.keys()) underWay += request.bytesLeft;
      if (this.#listener.room() <= underWay) return;
      const share = Math.floor(this.#options.bytesMax() / REQUESTS_MAX);
      const whole = Math.min(REQUEST_BYTES_MAX, Math.max(REQUEST_BYTES_MIN, share));
      // The server answers requests in turn: of equal size, they would end at the same moment.
      const bytes = this.#requests.size === 0 ? Math.ceil(whole / 2) : whole;
      const limits = this.#large ? { batch: 1 } : { batch: BATCH_MAX, bytes };
      const request = new PullRequest(
        connection,
        subject,
        { ...limits, expiresMs: EXPIRES_MS, heartbeatMs: HEARTBEAT_MS },
        {
          message: (message, delivery) => {
            this.#came(message, delivery);
          },
          ended: (ended, end) => {
            this.#requestEnded(ended, end);
          },
        },
      );
      this.#requests.set(request, clock.monotonic());
    }
  }

  /** One is enough to wait with, and all that a message larger than a request leaves room for. */
  get #requestsMax(): number {
    return this.#large || this.#pending === 0 ? 1 : REQUESTS_MAX;
  }

  /** Listens no more. */
  stop(): void {
    this.#stopped = true;
    this.#cancelLook();
    for (const request of this.#requests.keys()) request.cancel();
    this.#requests.clear();
  }

  #came(message: Msg, delivery: Delivery): void {
    if (delivery.consumerSeq !== this.#consumerSeq + 1) {
      this.#break(`message ${delivery.consumerSeq} came after ${this.#consumerSeq}`);
      return;
    }
    this.#consumerSeq = delivery.consumerSeq;
    this.#pending = delivery.pending;
    this.#large = false;
    this.#listener.message(message, delivery);
    if (this.#requests.size < this.#requestsMax) this.fill();
  }

  #requestEnded(request: PullRequest, end: PullEnd): void {
    const sentAtMs = this.#requests.get(request) ?? 0;
    this.#requests.delete(request);
    switch (end.end) {
      case 'over':
        if (request.received === 0 && this.#options.clock.monotonic() - sentAtMs < FRUITLESS_MS)
          this.#break('a request ended at once');
        break;
      case 'too-small':
        // It brought nothing, so even a whole request is not enough.
        if (request.received === 0) this.#large = true;
        break;
      case 'gone':
        this.#break(end.cause);
        break;
      case 'refused':
        this.stop();
        this.#listener.refused(end.cause);
        break;
    }
    this.fill();
  }

  /** The server says something to every request within a heartbeat. */
  #look(): void {
    for (const request of this.#requests.keys()) {
      if (++request.silentLooks < SILENT_LOOKS_MAX) continue;
      this.#break('the server fell silent');
      return;
    }
    this.#cancelLook = this.#options.clock.after(HEARTBEAT_MS, () => {
      this.#look();
    });
  }

  #break(cause: string): void {
    if (this.#stopped) return;
    this.stop();
    this.#listener.broken(cause);
  }
}
