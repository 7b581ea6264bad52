/** Questions between processes as requests of core NATS: the server says at once when nobody listens. */
import { RequestError, type NatsConnection } from 'nats';
import { messageOf } from '../../core/errors.js';
import type { Answer, Asked, Requests } from '../requests.js';
import { ConnectionWatch, LOST } from './connection-watch.js';

/** Room for headers within max_payload. */
const HEADER_BYTES = 1_024;

export class NatsRequests implements Requests {
  readonly payloadBytesMax: number;
  readonly #connection: NatsConnection;
  readonly #watch: ConnectionWatch;

  constructor(connection: NatsConnection) {
    this.#connection = connection;
    this.#watch = ConnectionWatch.of(connection);
    this.payloadBytesMax = (connection.info?.max_payload ?? 1024 * 1024) - HEADER_BYTES;
  }

  async ask(subject: string, payload: Uint8Array, timeoutMs: number): Promise<Asked> {
    if (!this.#watch.connected) return { outcome: 'silent', cause: 'no connection to nats-server' };
    try {
      const answer = await this.#watch.untilLost(
        this.#connection.request(subject, payload, { timeout: timeoutMs }),
      );
      if (answer === LOST) return { outcome: 'silent', cause: 'the connection to nats-server was lost' };
      return { outcome: 'answered', payload: answer.data };
    } catch (error) {
      if (error instanceof RequestError && error.isNoResponders()) return { outcome: 'nobody' };
      return { outcome: 'silent', cause: messageOf(error) };
    }
  }

  async listen(subject: string, answer: Answer): Promise<{ close(): Promise<void> }> {
    const subscription = this.#connection.subscribe(subject, {
      callback: (error, message) => {
        if (error !== null) return;
        answer(message.subject, message.data)
          .then((payload) => message.respond(payload))
          // Who asked hears nothing, and knows what that means.
          .catch(() => undefined);
      },
    });
    // The server has heard of it once it has answered what was sent after it; later, if it is away now.
    if (this.#watch.connected) await this.#watch.untilLost(this.#connection.flush());
    return {
      close: async () => {
        subscription.unsubscribe();
        if (this.#watch.connected) await this.#watch.untilLost(this.#connection.flush());
      },
    };
  }
}
