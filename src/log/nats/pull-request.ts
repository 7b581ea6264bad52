/**
 * One request for messages of a pull consumer, with a reply inbox of its own, so that every message and every status
 * line is known to belong to it. Owns the inbox and the meaning of the server's status lines; what to do next is
 * decided in `ordered-consumer.ts`.
 *
 * Source: NATS ADR-37 (pull requests and their status codes), and the server's `consumer.go`.
 */
import { createInbox, nanos, type Msg, type NatsConnection, type Subscription } from 'nats';
import { messageOf } from '../../core/errors.js';

export interface PullLimits {
  /** Most messages. */
  readonly batch: number;
  /** Most bytes, as the server counts them: subjects and headers too. Without it, any message fits. */
  readonly bytes?: number;
  /** How long the server keeps the request, ms. */
  readonly expiresMs: number;
  /** The server says something at least so often, ms; at most half of `expiresMs`. */
  readonly heartbeatMs: number;
}

/** Why no more comes for a request. */
export type PullEnd =
  /** Everything asked for has come, or its time is over: ask again. */
  | { readonly end: 'over' }
  /** The next message is larger than what was left of the bytes. */
  | { readonly end: 'too-small' }
  /** The consumer is not there, or not where it was. */
  | { readonly end: 'gone'; readonly cause: string }
  /** The server does not take such a request. */
  | { readonly end: 'refused'; readonly cause: string };

/** Where a message lies, as its reply subject says. */
export interface Delivery {
  readonly streamSeq: number;
  /** Position among all that the consumer has delivered, from 1. */
  readonly consumerSeq: number;
  /** When the stream stored the message, ms UTC by the server's clock. */
  readonly storedAtMs: number;
  /** Messages that the consumer has yet to deliver. */
  readonly pending: number;
}

export interface PullListener {
  message(message: Msg, delivery: Delivery): void;
  ended(request: PullRequest, end: PullEnd): void;
}

export class PullRequest {
  readonly #subscription: Subscription;
  readonly #listener: PullListener;
  #messagesLeft: number;
  #bytesLeft: number;
  #ended = false;
  /** Messages that came. */
  received = 0;
  /** Looks at the request since the server last said anything to it; its owner counts. */
  silentLooks = 0;

  /** @throws when the connection is closed */
  constructor(connection: NatsConnection, subject: string, limits: PullLimits, listener: PullListener) {
    this.#listener = listener;
    this.#messagesLeft = limits.batch;
    this.#bytesLeft = limits.bytes ?? Number.POSITIVE_INFINITY;
    const inbox = createInbox();
    this.#subscription = connection.subscribe(inbox, {
      callback: (error, message) => {
        if (this.#ended) return;
        this.silentLooks = 0;
        if (error !== null) this.#end({ end: 'refused', cause: messageOf(error) });
        else this.#came(message);
      },
    });
    const request = {
      batch: limits.batch,
      ...(limits.bytes === undefined ? {} : { max_bytes: limits.bytes }),
      expires: nanos(limits.expiresMs),
      idle_heartbeat: nanos(limits.heartbeatMs),
    };
    connection.publish(subject, JSON.stringify(request), { reply: inbox });
  }

  /** Bytes that may still come for it. */
  get bytesLeft(): number {
    return this.#bytesLeft;
  }

  /** Listens no more. What still comes is dropped. */
  cancel(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#subscription.unsubscribe();
  }

  #came(message: Msg): void {
    const delivery = deliveryOf(message.reply);
    if (delivery === undefined) {
      const end = endOf(message.headers?.code ?? 0, message.headers?.description ?? '');
      if (end !== undefined) this.#end(end);
      return;
    }
    this.received++;
    this.#messagesLeft--;
    this.#bytesLeft -= wireBytes(message);
    this.#listener.message(message, delivery);
    // The server says nothing when a request is used up to its last byte.
    if (this.#messagesLeft === 0 || this.#bytesLeft === 0) this.#end({ end: 'over' });
  }

  #end(end: PullEnd): void {
    if (this.#ended) return;
    this.cancel();
    this.#listener.ended(this, end);
  }
}

/**
 * `$JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<time>.<pending>`, or with domain and account
 * after `ACK` and perhaps one more word at the end. Undefined for any other subject.
 */
export function deliveryOf(reply: string | undefined): Delivery | undefined {
  if (reply?.startsWith('$JS.ACK.') !== true) return undefined;
  const words = reply.split('.');
  const at = words.length === 9 ? 5 : 7;
  if (words.length < at + 4) return undefined;
  return {
    streamSeq: Number(words[at]),
    consumerSeq: Number(words[at + 1]),
    storedAtMs: Math.floor(Number(words[at + 2]) / 1e6),
    pending: Number(words[at + 3]),
  };
}

/** What a status line means for its request; undefined for a heartbeat, which ends nothing. */
export function endOf(code: number, description: string): PullEnd | undefined {
  const cause = `${description} (${code})`;
  switch (code) {
    case 100:
      return undefined;
    // No messages, or none in time.
    case 404:
    case 408:
      return { end: 'over' };
    case 409:
      if (/exceeds maxbytes/i.test(description)) return { end: 'too-small' };
      if (/batch completed/i.test(description)) return { end: 'over' };
      if (/push based|exceeded maxrequest/i.test(description)) return { end: 'refused', cause };
      return { end: 'gone', cause };
    // Nobody listens on the consumer's subject: it does not exist.
    case 503:
      return { end: 'gone', cause: description === '' ? 'the consumer does not exist' : cause };
    default:
      return { end: 'refused', cause };
  }
}

/** What the server counts against the bytes of a request: subject, reply, headers and payload. */
function wireBytes(message: Msg): number {
  const { size } = message as Msg & { size?: () => number };
  if (size !== undefined) return size.call(message);
  return message.subject.length + (message.reply?.length ?? 0) + message.data.byteLength;
}
