/**
 * A process's view of a stream, over its connection: the log of the engine under test. Upholds what the NATS one does (the
 * same suite runs over both) and breaks where that may break: no answer, a late one, a refusal for now.
 */
import { sleep } from '../../src/core/clock.js';
import { GroundswellError } from '../../src/core/errors.js';
import type { AppendOutcome, Log, LogEntry, LogMessage, LogReader } from '../../src/log/log.js';
import type { Dice } from './dice.js';
import { BATCH_IDLE_MS, type SimConnection } from './sim-server.js';
import { SimReader } from './sim-reader.js';
import { BATCH_ENTRIES_MAX, type SimStream } from './sim-stream.js';

/** Moments at which a process may be killed, relative to a batch. */
export type BatchStep = 'before' | 'during' | 'after';

export interface SimLogOptions {
  readonly connection: SimConnection;
  readonly stream: SimStream;
  readonly dice: Dice;
  /** Asked at each batch: whether the process dies there, and when. */
  dies?(entries: readonly LogEntry[]): BatchStep | undefined;
}

const ACK_TIMEOUT_MS = 10_000;
const ASK_TIMEOUT_MS = 20_000;
const ASK_AGAIN_MS = 250;

export class SimLog implements Log {
  readonly batchEntriesMax = BATCH_ENTRIES_MAX;
  readonly #options: SimLogOptions;

  constructor(options: SimLogOptions) {
    this.#options = options;
  }

  get payloadBytesMax(): number {
    return this.#options.stream.payloadBytesMax;
  }

  async append(entries: readonly LogEntry[]): Promise<AppendOutcome> {
    const { connection, stream } = this.#options;
    if (!(await this.#whenConnected(ACK_TIMEOUT_MS)))
      return { outcome: 'refused', cause: 'no connection', retry: true };
    const copy = entries.map((entry) => ({ ...entry, payload: new Uint8Array(entry.payload) }));
    const step = this.#options.dies?.(entries);
    const { process, server } = connection;
    if (step === 'before')
      process.after(0, 'dies before a batch', () => {
        process.kill();
      });
    return new Promise((resolve) => {
      const settle = this.#onceSettled(resolve);
      if (step === 'before') return;
      const answer = (outcome: AppendOutcome): void => {
        connection.toClient(step === 'after' ? 'dies after a batch' : 'answer', () => {
          if (step === 'after') process.kill();
          else settle(outcome);
        });
      };
      const fault = this.#fault();
      if (fault === 'refuse') {
        connection.toServer('refused', () => {
          answer({ outcome: 'refused', cause: 'not now', retry: true });
        });
        return;
      }
      if (fault === 'cut' || fault === 'silence') {
        this.#giveUp(copy, fault);
        return;
      }
      connection.toServer('batch', () => {
        server.take(stream, copy, process.name, answer);
      });
      if (step === 'during')
        process.after(0, 'dies during a batch', () => {
          process.kill();
        });
    });
  }

  async read(subject: string, fromSeq: number, wake: () => void): Promise<LogReader> {
    const { connection, stream } = this.#options;
    await this.#ask(`a reader of ${subject}`, () => true);
    return new SimReader({ connection, stream, subject, fromSeq, wake });
  }

  last(subject: string): Promise<LogMessage | undefined> {
    return this.#ask(`the last message of ${subject}`, () => this.#options.stream.last(subject));
  }

  next(subject: string, fromSeq: number): Promise<LogMessage | undefined> {
    return this.#ask(`a message of ${subject}`, () => this.#options.stream.next(subject, fromSeq));
  }

  purge(subject: string, belowSeq: number): Promise<void> {
    return this.#ask(`purging ${subject}`, () => {
      this.#options.stream.purge(subject, belowSeq);
    });
  }

  lastSeq(): Promise<number> {
    return this.#ask('the stream', () => this.#options.stream.lastSeq);
  }

  #fault(): 'cut' | 'silence' | 'refuse' | 'none' {
    const { dice, connection } = this.#options;
    const { cut, silence, refuse } = connection.server.faults;
    const roll = dice.next();
    if (roll < cut) return 'cut';
    if (roll < cut + silence) return 'silence';
    return roll < cut + silence + refuse ? 'refuse' : 'none';
  }

  /** Nobody hears what becomes of the batch: it is lost, stored at once, or stored when nobody expects it any more. */
  #giveUp(entries: readonly LogEntry[], fault: 'cut' | 'silence'): void {
    const { connection, stream, dice } = this.#options;
    const { server, process } = connection;
    const fate = dice.pick(['lost', 'stored', 'late'] as const);
    if (fate !== 'lost') {
      const delayMs = fate === 'late' ? dice.between(1, BATCH_IDLE_MS - 1) : dice.between(0.1, 1);
      server.scheduler.after(delayMs, undefined, `batch ${fate}`, () => {
        server.take(stream, entries, process.name, undefined);
      });
    }
    if (fault === 'cut') connection.cut(dice.between(1, 2_000));
  }

  /** One answer, or the loss of the connection, or the end of patience: whatever comes first. */
  #onceSettled(resolve: (outcome: AppendOutcome) => void): (outcome: AppendOutcome) => void {
    const { connection } = this.#options;
    const unknown = (cause: string) => (): void => {
      settle({ outcome: 'unknown', cause });
    };
    const cancel = connection.process.after(ACK_TIMEOUT_MS, 'ack timeout', unknown('timeout'));
    const unlisten = connection.listen({ lost: unknown('the connection was lost') });
    const settle = (outcome: AppendOutcome): void => {
      cancel();
      unlisten();
      resolve(outcome);
    };
    return settle;
  }

  /** Puts a question that does no harm when it is put twice, until there is an answer. */
  async #ask<T>(what: string, question: () => T): Promise<T> {
    const { connection, stream } = this.#options;
    const { clock } = connection.process;
    const deadlineMs = clock.monotonic() + ASK_TIMEOUT_MS;
    do {
      if (!(await this.#whenConnected(deadlineMs - clock.monotonic()))) break;
      const answer = await connection.ask('question', question, deadlineMs - clock.monotonic());
      if (stream.deleted) throw new GroundswellError('GS_STREAM_LOST', `${what}: the stream is gone.`);
      if (answer !== undefined) return answer.value;
      await sleep(clock, ASK_AGAIN_MS);
    } while (clock.monotonic() < deadlineMs);
    throw new GroundswellError('GS_LOG', `${what}: no answer.`);
  }

  #whenConnected(timeoutMs: number): Promise<boolean> {
    const { connection } = this.#options;
    if (connection.connected) return Promise.resolve(true);
    return new Promise((resolve) => {
      const cancel = connection.process.after(timeoutMs, 'gives up', () => {
        unlisten();
        resolve(false);
      });
      const unlisten = connection.listen({
        restored: () => {
          cancel();
          unlisten();
          resolve(true);
        },
      });
    });
  }
}
