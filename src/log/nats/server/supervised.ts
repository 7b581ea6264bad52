/**
 * An embedded nats-server that is started again when it dies unasked: on the same folder, with the same port and
 * passwords, so that its clients find it again by themselves. Owns when to start it again and when to give up; how it is
 * started and watched is `embedded.ts`.
 */
import { GroundswellError, messageOf } from '../../../core/errors.js';
import {
  newIdentity,
  startEmbeddedServer,
  type EmbeddedServer,
  type EmbeddedServerOptions,
} from './embedded.js';
import type { ServerIdentity } from './server-config.js';
import { parseServerLine, type ServerLine } from './server-log.js';
import type { ServerExit } from './watchdog.js';

export interface SupervisedServerOptions extends Omit<EmbeddedServerOptions, 'identity' | 'onLog'> {
  /** Called with each line of the server's log, of every start. */
  readonly onLog?: (line: ServerLine) => void;
  /** Called when the server is back, with how it had ended. */
  readonly onRestart?: (why: string) => void;
  /** Starts in a row that fail before it is given up, and how long they are tried at least, ms. */
  readonly patience?: { readonly starts: number; readonly ms: number };
}

export interface SupervisedServer extends Omit<EmbeddedServer, 'exited'> {
  /** Of the server that runs now, or ran last. */
  readonly pid: number;
  /** Rejects when the server cannot be started again (GS_NATS_START); never resolves. */
  readonly failed: Promise<never>;
}

const DELAY_FIRST_MS = 100;
const DELAY_LONGEST_MS = 5_000;
/** A server that ran for so long had come up: the next delay is the shortest again. */
const SOUND_MS = 60_000;
const PATIENCE = { starts: 5, ms: 30_000 };

/** As `startEmbeddedServer`, errors included; only what happens later is different. */
export async function superviseServer(options: SupervisedServerOptions): Promise<SupervisedServer> {
  const identity = newIdentity();
  const { version } = options;
  const first = await startEmbeddedServer({ ...startOptions(options, identity), version });
  return new Supervisor(options, { ...identity, port: Number(new URL(first.url).port) }, first);
}

class Supervisor implements SupervisedServer {
  readonly url: string;
  readonly user: string;
  readonly password: string;
  readonly storeBytesMax: number;
  readonly producer: EmbeddedServer['producer'];
  readonly version: string;
  readonly logFile: string;
  readonly failed: Promise<never>;
  readonly #options: SupervisedServerOptions;
  readonly #identity: ServerIdentity;
  readonly #running: Promise<void>;
  #server: EmbeddedServer;
  #stopping = false;
  #delayMs = DELAY_FIRST_MS;
  #endDelay: () => void = () => undefined;

  constructor(options: SupervisedServerOptions, identity: ServerIdentity, first: EmbeddedServer) {
    const { url, user, password, storeBytesMax, producer, version, logFile } = first;
    this.url = url;
    this.user = user;
    this.password = password;
    this.storeBytesMax = storeBytesMax;
    this.producer = producer;
    this.version = version;
    this.logFile = logFile;
    this.#options = options;
    this.#identity = identity;
    this.#server = first;
    let fail: (error: unknown) => void = () => undefined;
    this.failed = new Promise<never>((_, reject) => {
      fail = reject;
    });
    // Whoever awaits it sees the failure; until then it must not count as unhandled.
    this.failed.catch(() => undefined);
    this.#running = this.#supervise().catch(fail);
  }

  get pid(): number {
    return this.#server.pid;
  }

  get staging(): EmbeddedServer['staging'] {
    return this.#server.staging;
  }

  stage(): Promise<void> {
    return this.#server.stage();
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    this.#endDelay();
    await this.#server.stop();
    // A start that was under way is waited for, and ended.
    await this.#running;
  }

  async #supervise(): Promise<void> {
    const { clock, onRestart } = this.#options;
    for (;;) {
      const startedMs = clock.monotonic();
      const why = wordsOf(await this.#server.exited);
      if (this.#stopping) return;
      if (clock.monotonic() - startedMs >= SOUND_MS) this.#delayMs = DELAY_FIRST_MS;
      const server = await this.#startAgain(why);
      if (server === undefined) return;
      this.#server = server;
      if (this.#stopping) await server.stop();
      else onRestart?.(why);
    }
  }

  /** Undefined when it was stopped meanwhile. @throws GroundswellError GS_NATS_START */
  async #startAgain(why: string): Promise<EmbeddedServer | undefined> {
    const { clock, patience = PATIENCE } = this.#options;
    const goneMs = clock.monotonic();
    for (let starts = 1; ; starts++) {
      await this.#delay();
      if (this.#stopping) return undefined;
      try {
        return await startEmbeddedServer(startOptions(this.#options, this.#identity));
      } catch (error) {
        if (this.#stopping) return undefined;
        if (starts < patience.starts || clock.monotonic() - goneMs < patience.ms) continue;
        throw new GroundswellError(
          'GS_NATS_START',
          `The embedded nats-server ended (${why}) and could not be started again, ${starts} times: ${messageOf(error)}`,
          { cause: error },
        );
      }
    }
  }

  async #delay(): Promise<void> {
    const delayMs = this.#delayMs;
    this.#delayMs = Math.min(DELAY_LONGEST_MS, delayMs * 2);
    await new Promise<void>((resolve) => {
      const cancel = this.#options.clock.after(delayMs, resolve);
      this.#endDelay = () => {
        cancel();
        resolve();
      };
    });
  }
}

/** Of any start: the program may have been replaced since it was found. */
function startOptions(
  { onLog, onRestart: _, patience: __, version: ___, ...options }: SupervisedServerOptions,
  identity: ServerIdentity,
): EmbeddedServerOptions {
  if (onLog === undefined) return { ...options, identity };
  return {
    ...options,
    identity,
    onLog: (line) => {
      // The server does not tell its passwords; an error in its configuration might.
      const { password, producerPassword } = identity;
      onLog(parseServerLine(line.replaceAll(password, '…').replaceAll(producerPassword, '…')));
    },
  };
}

function wordsOf({ signal, code }: ServerExit): string {
  return signal === null ? `exit code ${code ?? 'unknown'}` : `ended by ${signal}`;
}
