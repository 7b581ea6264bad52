/**
 * As much of a nats-server as a reader meets: one stream, consumers that give messages out to requests in turn, status
 * lines, and a connection that can be lost. What a real server does only when something breaks is done here on demand.
 */
import { JetStreamApiError, type JetStreamManager } from '@nats-io/jetstream';
import type { Msg, NatsConnection, Status } from 'nats';

interface Request {
  readonly inbox: string;
  batch: number;
  bytes: number;
}

interface Consumer {
  nextSeq: number;
  given: number;
  requests: Request[];
}

type Callback = (error: Error | null, message: Msg) => void;

export class FakeJetStream {
  readonly consumers = new Map<string, Consumer>();
  /** Sequences at which consumers were made. */
  readonly madeAt: number[] = [];
  /** Requests that came, ever. */
  requested = 0;
  /** Most requests under way at any one time. */
  underWayMax = 0;
  /** Fails every creation of a consumer and every question about the stream while it is set. */
  refusal: Error | undefined;
  /** While true, messages are counted as given out and reach nobody. */
  losing = false;
  lastSeq: number;
  readonly #payload: (seq: number) => Uint8Array;
  readonly #subscriptions = new Map<string, Callback>();
  #status: ((status: Status) => void) | undefined;
  #close: () => void = () => undefined;
  #closed = false;

  constructor(lastSeq: number, payload: (seq: number) => Uint8Array) {
    this.lastSeq = lastSeq;
    this.#payload = payload;
  }

  readonly connection = {
    isClosed: () => this.#closed,
    closed: () =>
      new Promise<void>((resolve) => {
        this.#close = resolve;
      }),
    status: () => this.#statuses(),
    subscribe: (inbox: string, { callback }: { callback: Callback }) => {
      this.#subscriptions.set(inbox, callback);
      return { unsubscribe: () => this.#subscriptions.delete(inbox) };
    },
    publish: (subject: string, body: string, { reply }: { reply: string }) => {
      this.#came(subject, JSON.parse(body) as { batch: number; max_bytes?: number }, reply);
    },
  } as unknown as NatsConnection;

  readonly jsm = {
    getOptions: () => ({}),
    streams: {
      info: () => this.#answer(() => ({ state: { last_seq: this.lastSeq } })),
    },
    consumers: {
      add: (_: string, { name, opt_start_seq: nextSeq }: { name: string; opt_start_seq: number }) =>
        this.#answer(() => {
          this.madeAt.push(nextSeq);
          this.consumers.set(name, { nextSeq, given: 0, requests: [] });
          return { num_pending: this.lastSeq - nextSeq + 1 };
        }),
      delete: (_: string, name: string) => this.#answer(() => this.consumers.delete(name)),
    },
  } as unknown as JetStreamManager;

  get underWay(): number {
    return [...this.consumers.values()].reduce((sum, { requests }) => sum + requests.length, 0);
  }

  get bytesUnderWay(): number {
    let sum = 0;
    for (const { requests } of this.consumers.values()) for (const { bytes } of requests) sum += bytes;
    return sum;
  }

  get inboxes(): string[] {
    return [...this.#subscriptions.keys()];
  }

  /** A message more on the stream. */
  append(): void {
    this.lastSeq++;
    for (const [name, consumer] of this.consumers) this.#giveOut(name, consumer);
  }

  /** Says something to every request under way; anything but a heartbeat ends it. */
  say(code: number, description = ''): void {
    for (const consumer of this.consumers.values()) {
      const { requests } = consumer;
      if (code !== 100) consumer.requests = [];
      for (const { inbox } of requests) this.#tell(inbox, code, description);
    }
  }

  /** As a restart does with consumers that are in memory. */
  forget(): void {
    this.consumers.clear();
  }

  lose(): void {
    for (const consumer of this.consumers.values()) consumer.requests = [];
    this.#status?.({ type: 'disconnect', server: 'fake' });
  }

  restore(): void {
    this.#status?.({ type: 'reconnect', server: 'fake' });
  }

  close(): void {
    this.#closed = true;
    this.#close();
  }

  #came(subject: string, { batch, max_bytes }: { batch: number; max_bytes?: number }, inbox: string): void {
    this.requested++;
    const name = subject.split('.').at(-1)!;
    const consumer = this.consumers.get(name);
    // Never before the one who asks has heard that it has asked.
    queueMicrotask(() => {
      if (consumer === undefined) {
        this.#tell(inbox, 503, '');
        return;
      }
      this.underWayMax = Math.max(this.underWayMax, consumer.requests.length + 1);
      consumer.requests.push({ inbox, batch, bytes: max_bytes ?? Number.POSITIVE_INFINITY });
      this.#giveOut(name, consumer);
    });
  }

  /** Requests in turn, each until it is used up: as the server does. */
  #giveOut(name: string, consumer: Consumer): void {
    while (consumer.nextSeq <= this.lastSeq && consumer.requests.length > 0) {
      const request = consumer.requests.shift()!;
      const seq = consumer.nextSeq;
      const payload = this.#payload(seq);
      const reply = `$JS.ACK.S.${name}.1.${seq}.${consumer.given + 1}.1700000000000000000.${this.lastSeq - seq}`;
      const subject = 'gs.sf.p.000.in.ev';
      const size = subject.length + reply.length + payload.byteLength;
      if (size > request.bytes) {
        this.#tell(request.inbox, 409, 'Message Size Exceeds MaxBytes');
        continue;
      }
      consumer.nextSeq++;
      consumer.given++;
      request.batch--;
      request.bytes -= size;
      if (request.batch > 0 && request.bytes > 0) consumer.requests.push(request);
      if (this.losing) continue;
      const message = { subject, reply, data: payload, size: () => size };
      this.#subscriptions.get(request.inbox)?.(null, message as unknown as Msg);
    }
  }

  #tell(inbox: string, code: number, description: string): void {
    const message = { subject: inbox, data: new Uint8Array(), headers: { code, description } };
    this.#subscriptions.get(inbox)?.(null, message as unknown as Msg);
  }

  #answer<T>(answer: () => T): Promise<T> {
    return this.refusal === undefined ? Promise.resolve(answer()) : Promise.reject(this.refusal);
  }

  async *#statuses(): AsyncGenerator<Status> {
    const queue: Status[] = [];
    let wake: () => void = () => undefined;
    this.#status = (status) => {
      queue.push(status);
      wake();
    };
    for (;;) {
      const next = queue.shift();
      if (next !== undefined) yield next;
      else
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
    }
  }
}

export const streamNotFound = (): JetStreamApiError =>
  new JetStreamApiError({ code: 404, err_code: 10059, description: 'stream not found' });
