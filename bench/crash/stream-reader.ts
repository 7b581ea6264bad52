/**
 * Reads a subject of a stream by direct gets. The server keeps nothing for it, so that whatever is killed, it goes on
 * behind the last message that came. No reader of the engine's own is used: what it reads is to be judged.
 */
import { createInbox, type Msg, type NatsConnection } from 'nats';

export interface StoredMessage {
  readonly subject: string;
  readonly seq: number;
  /** When the server stored it, ms UTC. */
  readonly atMs: number;
  readonly data: Uint8Array;
}

const BATCH_MESSAGES = 2_000;
const BATCH_BYTES = 4 * 1024 * 1024;
const SILENCE_MS = 2_000;

export class StreamReader {
  readonly #connection: NatsConnection;
  readonly #stream: string;
  readonly #subject: string;
  #lastSeq = 0;

  constructor(connection: NatsConnection, stream: string, subject: string) {
    this.#connection = connection;
    this.#stream = stream;
    this.#subject = subject;
  }

  get lastSeq(): number {
    return this.#lastSeq;
  }

  /** The next messages, in order. None when there is nothing new, or nobody answers: ask again. */
  async next(): Promise<StoredMessage[]> {
    const messages: StoredMessage[] = [];
    const request = {
      seq: this.#lastSeq + 1,
      next_by_subj: this.#subject,
      batch: BATCH_MESSAGES,
      max_bytes: BATCH_BYTES,
    };
    await new Promise<void>((resolve) => {
      const inbox = createInbox();
      const done = (): void => {
        clearTimeout(timer);
        subscription.unsubscribe();
        resolve();
      };
      let timer = setTimeout(done, SILENCE_MS);
      const subscription = this.#connection.subscribe(inbox, {
        callback: (error, message) => {
          clearTimeout(timer);
          timer = setTimeout(done, SILENCE_MS);
          if (error !== null || !this.#take(message, messages)) done();
        },
      });
      try {
        this.#connection.publish(`$JS.API.DIRECT.GET.${this.#stream}`, JSON.stringify(request), {
          reply: inbox,
        });
      } catch {
        done();
      }
    });
    return messages;
  }

  /** False when it was no message, or not the one that follows: then the batch is at its end. */
  #take(message: Msg, into: StoredMessage[]): boolean {
    const { headers } = message;
    const seq = Number(headers?.get('Nats-Sequence'));
    if (headers === undefined || !(seq > this.#lastSeq)) return false;
    const before = Number(headers.get('Nats-Last-Sequence'));
    if (into.length > 0 && before > 0 && before !== this.#lastSeq) return false;
    this.#lastSeq = seq;
    into.push({
      subject: headers.get('Nats-Subject'),
      seq,
      atMs: Date.parse(headers.get('Nats-Time-Stamp')),
      data: message.data,
    });
    return true;
  }
}
