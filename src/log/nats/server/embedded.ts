/**
 * A nats-server of groundswell's own, for one data folder: configured, started, watched and stopped here. It listens on
 * the loopback interface only, on a port that the system chooses, and it never outlives the process that started it.
 * What starts it again when it dies is `supervised.ts`.
 */
import { randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { sleep, type Clock } from '../../../core/clock.js';
import { GroundswellError, messageOf } from '../../../core/errors.js';
import { BatchStaging, type StagingMemory, type StagingPlace } from './batch-staging.js';
import { awaitNoLeftover, endNow, isOurs, readPids, waitFor } from './leftover.js';
import {
  ENGINE_USER,
  PRODUCER_INBOX,
  PRODUCER_USER,
  serverConfig,
  type ServerIdentity,
} from './server-config.js';
import {
  boundedByDisk,
  clearLastRun,
  openServerFolder,
  writeSecret,
  type ServerFolder,
} from './server-folder.js';
import { followLog, lastLines } from './server-log.js';
import { isNewEnough, OLDEST_VERSION, readVersion } from './version.js';
import { KILL_AFTER_MS, startWatchdog, type ServerExit, type Watchdog } from './watchdog.js';

export interface EmbeddedServerOptions {
  /** The server's files go into its folder `nats`. */
  readonly dataDir: string;
  /** Path of nats-server, as `locateNatsServer` finds it. */
  readonly binary: string;
  /** Its version, from whoever has just found it; it is asked itself unless given. */
  readonly version?: string | undefined;
  readonly clock: Clock;
  /** Called with each line of the server's log. */
  readonly onLog?: (line: string) => void;
  readonly maxPayloadBytes?: number;
  /** Upper limit of JetStream's files; never more than the disk. */
  readonly maxFileStoreBytes?: number;
  /** Port and passwords of an earlier start, so that its clients find the server again; new ones by default. */
  readonly identity?: ServerIdentity;
  /** Where batches may be kept until they are whole; the machine's shared memory by default. */
  readonly stagingMemory?: StagingMemory;
}

/** A user of the embedded server, and where answers to it come. */
export interface ServerLogin {
  readonly user: string;
  readonly password: string;
  readonly inboxPrefix: string;
}

export interface EmbeddedServer {
  readonly url: string;
  /** The engine's user; connections without a user are analysts. */
  readonly user: string;
  readonly password: string;
  /** Limit of JetStream's files. */
  readonly storeBytesMax: number;
  /** For programs that bring events: may publish those and read streams, nothing else. */
  readonly producer: ServerLogin;
  readonly pid: number;
  readonly version: string;
  readonly logFile: string;
  /** Where batches are until they are whole. */
  readonly staging: StagingPlace;
  /** Has batches of new streams there. Called when streams were made, before anything is put into them. */
  stage(): Promise<void>;
  /** Resolves when the server has gone. May be called again. */
  stop(): Promise<void>;
  /** When the server has gone, asked to or not. */
  readonly exited: Promise<ServerExit>;
}

const MAX_PAYLOAD_BYTES = 8 * 1024 * 1024;
const MAX_FILE_STORE_BYTES = 64 * 1024 ** 3;
const START_TIMEOUT_MS = 20_000;
/** Its start takes a tenth of a second, in which all else waits for it. */
const POLL_MS = 5;
const LOG_LINES_SHOWN = 15;

/**
 * Starts the server and returns when it answers.
 *
 * Errors: GS_NATS_START with the end of the log; GS_NATS_OLD; GS_NATS_MISSING; GS_DATA_LOCKED when another groundswell
 * runs a server on the folder.
 */
export async function startEmbeddedServer(options: EmbeddedServerOptions): Promise<EmbeddedServer> {
  const { binary, clock } = options;
  const version = options.version ?? (await usableVersion(binary));
  const files = await openServerFolder(options.dataDir);
  await awaitNoLeftover(files, clock);
  await clearLastRun(files);
  const identity = options.identity ?? newIdentity();
  const { password, producerPassword } = identity;
  const storeBytesMax = await boundedByDisk(files.dir, options.maxFileStoreBytes ?? MAX_FILE_STORE_BYTES);
  await writeSecret(
    files.configFile,
    serverConfig({
      storeDir: files.dir,
      portsDir: files.portsDir,
      logFile: files.logFile,
      ...identity,
      maxPayloadBytes: options.maxPayloadBytes ?? MAX_PAYLOAD_BYTES,
      maxFileStoreBytes: storeBytesMax,
    }),
  );

  const staging = await BatchStaging.open({
    streamsDir: files.streamsDir,
    foundBy: files.stagingLink,
    clock,
    memory: options.stagingMemory,
  });
  const { place } = staging;
  const memoryFolder = place.kind === 'memory' ? place.folder : undefined;
  const watchdog = startWatchdog({ binary, ...files, memoryFolder });
  const stopFollowing = options.onLog ? followLog(files.logFile, clock, options.onLog) : () => undefined;
  const exited = watchServer(watchdog, files, clock).finally(async () => {
    stopFollowing();
    // What could not be removed the next start removes.
    await staging.close().catch(() => undefined);
  });
  const stop = async (): Promise<void> => {
    watchdog.release();
    await exited;
  };
  try {
    const { url, pid } = await ready(files, exited, clock);
    staging.keep();
    return {
      url,
      user: ENGINE_USER,
      password,
      storeBytesMax,
      producer: { user: PRODUCER_USER, password: producerPassword, inboxPrefix: PRODUCER_INBOX },
      pid,
      version,
      logFile: files.logFile,
      staging: place,
      stage: () => staging.stage(),
      stop,
      exited,
    };
  } catch (thrown) {
    await stop().catch(() => undefined);
    const log = lastLines(files.logFile, LOG_LINES_SHOWN);
    throw new GroundswellError(
      'GS_NATS_START',
      `${messageOf(thrown)}; the end of ${files.logFile}:\n${log}`,
      { cause: thrown },
    );
  }
}

/** Any free port, and passwords that nobody knows. */
export function newIdentity(): ServerIdentity {
  const secret = (): string => randomBytes(24).toString('base64url');
  return { port: -1, password: secret(), producerPassword: secret() };
}

async function usableVersion(binary: string): Promise<string> {
  const program = await readVersion(binary);
  if (program.kind === 'unusable') throw new GroundswellError('GS_NATS_MISSING', program.why);
  if (isNewEnough(program.version)) return program.version;
  throw new GroundswellError(
    'GS_NATS_OLD',
    `${binary} is nats-server ${program.version}; ${OLDEST_VERSION} or newer is needed`,
  );
}

/** Follows the server to its end. If its watchdog was killed, the server is still there: it is ended here. */
async function watchServer(watchdog: Watchdog, files: ServerFolder, clock: Clock): Promise<ServerExit> {
  const exit = await watchdog.exited;
  const { server } = readPids(files.pidFile);
  if (!isOurs(server, files.configFile)) return exit;
  watchdog.release();
  if (!(await waitFor(() => !isOurs(server, files.configFile), KILL_AFTER_MS, clock))) endNow(files, server);
  await waitFor(() => !isOurs(server, files.configFile), KILL_AFTER_MS, clock);
  return exit;
}

/** Waits for the file in which the server announces its port: it writes it when it accepts connections. */
async function ready(
  files: ServerFolder,
  exited: Promise<ServerExit>,
  clock: Clock,
): Promise<{ url: string; pid: number }> {
  let end: ServerExit | undefined;
  let failure: unknown;
  exited.then(
    (exit) => (end = exit),
    (error: unknown) => (failure = error),
  );
  const deadlineMs = clock.monotonic() + START_TIMEOUT_MS;
  while (clock.monotonic() < deadlineMs) {
    if (failure !== undefined) throw new Error(`nats-server cannot be run: ${messageOf(failure)}`);
    if (end !== undefined)
      throw new Error(
        `nats-server ended at its start (${end.signal ?? `exit code ${end.code ?? 'unknown'}`})`,
      );
    const url = await announcedUrl(files.portsDir);
    const { server } = readPids(files.pidFile);
    if (url !== undefined && server !== undefined) return { url, pid: server };
    await sleep(clock, POLL_MS);
  }
  throw new Error(`nats-server did not answer within ${START_TIMEOUT_MS / 1000} s`);
}

async function announcedUrl(portsDir: string): Promise<string | undefined> {
  const name = (await readdir(portsDir)).find((entry) => entry.endsWith('.ports'));
  if (name === undefined) return undefined;
  try {
    const ports = JSON.parse(await readFile(join(portsDir, name), 'utf8')) as { nats?: string[] };
    return ports.nats?.[0];
  } catch {
    // Caught while it is being written: the next look sees it whole.
    return undefined;
  }
}
