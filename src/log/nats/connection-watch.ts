/**
 * Whether a connection to nats-server stands, told to whoever waits for it: one watch per connection, shared by all logs
 * and readers on it. The library connects again by itself; what it had not sent by then is lost, and what was asked
 * before gets no answer, so every question here ends with the connection and is put again.
 */
import type { NatsConnection } from 'nats';
import type { Clock } from '../../core/clock.js';

export interface ConnectionListener {
  /** The connection is lost; the library tries to make it again. */
  lost?(): void;
  /** The connection stands again. */
  restored?(): void;
  /** The connection is closed for good. */
  closed?(): void;
  /** The server said that something is wrong, such as a right that is missing. */
  failed?(error: Error): void;
}

/** Answer of a question whose connection was lost before the answer came. */
export const LOST = Symbol('the connection was lost');

/** Bytes under way, over all readers of a connection: a server cuts off a client that has 64 MB waiting. */
const READERS_BYTES_MAX = 48 * 1024 * 1024;

const watches = new WeakMap<NatsConnection, ConnectionWatch>();

export class ConnectionWatch {
  readonly #listeners = new Set<ConnectionListener>();
  #connected = true;
  #closed = false;
  #readers = 0;

  static of(connection: NatsConnection): ConnectionWatch {
    let watch = watches.get(connection);
    if (watch === undefined) {
      watch = new ConnectionWatch(connection);
      watches.set(connection, watch);
    }
    return watch;
  }

  private constructor(connection: NatsConnection) {
    const closed = (): void => {
      if (this.#closed) return;
      this.#connected = false;
      this.#closed = true;
      this.#tell((listener) => listener.closed?.());
    };
    if (connection.isClosed()) closed();
    connection.closed().then(closed, closed);
    this.#follow(connection).then(closed, closed);
  }

  get connected(): boolean {
    return this.#connected;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** A reader more on the connection; the returned function takes it off. */
  addReader(): () => void {
    this.#readers++;
    return () => {
      this.#readers--;
    };
  }

  /** What each reader may have under way, bytes. */
  get readerBytesMax(): number {
    return Math.floor(READERS_BYTES_MAX / Math.max(1, this.#readers));
  }

  /** The returned function stops the telling. */
  listen(listener: ConnectionListener): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** Resolves true as soon as the connection stands, false when it is closed or the time is over. */
  whenConnected(clock: Clock, timeoutMs: number): Promise<boolean> {
    if (this.#connected || this.#closed) return Promise.resolve(this.#connected);
    return new Promise((resolve) => {
      const settle = (): void => {
        unlisten();
        cancel();
        resolve(this.#connected);
      };
      const unlisten = this.listen({ restored: settle, closed: settle });
      const cancel = clock.after(timeoutMs, settle);
    });
  }

  /** What a question that was just put is answered with, or LOST when the connection goes first. */
  untilLost<T>(question: Promise<T>): Promise<T | typeof LOST> {
    // Put while there was no connection: it may never have left.
    if (!this.#connected) {
      question.catch(() => undefined);
      return Promise.resolve(LOST);
    }
    return new Promise((resolve, reject) => {
      const lost = (): void => {
        unlisten();
        resolve(LOST);
      };
      const unlisten = this.listen({ lost, closed: lost });
      question.then(resolve, reject).then(unlisten, unlisten);
    });
  }

  async #follow(connection: NatsConnection): Promise<void> {
    for await (const status of connection.status()) {
      if (this.#closed) return;
      if (status.type === 'disconnect' && this.#connected) {
        this.#connected = false;
        this.#tell((listener) => listener.lost?.());
      } else if (status.type === 'reconnect' && !this.#connected) {
        this.#connected = true;
        this.#tell((listener) => listener.restored?.());
      } else if (status.type === 'error') {
        const { error } = status;
        this.#tell((listener) => listener.failed?.(error));
      }
    }
  }

  #tell(say: (listener: ConnectionListener) => void): void {
    for (const listener of [...this.#listeners]) say(listener);
  }
}
