/**
 * A connection to nats-server, made with whatever proves who we are, and checked before anything trusts it: version,
 * JetStream, rights. It is made again by itself, for as long as it takes, whenever it is lost.
 */
import { readFileSync } from 'node:fs';
import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream';
import {
  AuthorizationError,
  connect,
  credsAuthenticator,
  UserAuthenticationExpiredError,
  type NatsConnection,
  type NodeConnectionOptions,
} from 'nats';
import { GroundswellError, messageOf } from '../../core/errors.js';
import { apiFailureOf } from './api-error.js';
import { ConnectionWatch, type ConnectionListener } from './connection-watch.js';

export { ensureStreams, STREAM_FORMAT, streamSizes, type StreamSettings } from './streams.js';

/** Oldest server with atomic batches as the commit protocol needs them. */
export const NATS_VERSION_MIN = '2.14.5';

export interface NatsTarget {
  /** One server, or several of a cluster with commas between; may hold `user:password@` or `token@`. */
  readonly url: string;
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  /** A credentials file (JWT and key), as `nsc` writes it; read again whenever the connection is made again. */
  readonly credentials?: string | undefined;
  /** Where answers come, for a user that may not subscribe to all of `_INBOX.>`. */
  readonly inboxPrefix?: string | undefined;
}

const CONNECT_TIMEOUT_MS = 5_000;
const RECONNECT_MS = 250;
/** A server that does not answer for two of these is taken for lost. */
const PING_MS = 20_000;
const API_TIMEOUT_MS = 20_000;

/** A connection and nothing more. @throws GroundswellError GS_NATS_CONNECT, GS_NATS_AUTH */
export async function openConnection(target: NatsTarget, name: string): Promise<NatsConnection> {
  const where = withoutSecrets(target.url);
  const proof = proofOf(target);
  let connection: NatsConnection;
  try {
    connection = await connect({
      servers: serversOf(target.url).map(({ address }) => address),
      name,
      timeout: CONNECT_TIMEOUT_MS,
      maxReconnectAttempts: -1,
      reconnectTimeWait: RECONNECT_MS,
      // A password that is changed on the server first, and here later, is no reason to give up.
      ignoreAuthErrorAbort: true,
      pingInterval: PING_MS,
      // Where a request was made from is known; noting it costs more than the request.
      noAsyncTraces: true,
      ...(target.inboxPrefix === undefined ? {} : { inboxPrefix: target.inboxPrefix }),
      ...proof,
    });
  } catch (error) {
    const code = isAuthError(error) ? 'GS_NATS_AUTH' : 'GS_NATS_CONNECT';
    throw new GroundswellError(code, `No connection to nats-server at ${where}: ${messageOf(error)}.`, {
      cause: error,
    });
  }
  // The library speaks TLS to whoever offers it, and plainly to all others, whatever the URL says.
  const offersTls = connection.info?.tls_required === true || connection.info?.tls_available === true;
  if (offersTls || !serversOf(target.url).some(({ address }) => /^tls:/i.test(address))) return connection;
  await connection.close();
  throw new GroundswellError(
    'GS_NATS_CONNECT',
    `nats-server at ${where} does not offer TLS, and the URL asks for it.`,
    {
      remedy: 'Set TLS up on the server, or write nats:// where the network is trusted.',
    },
  );
}

/**
 * A connection that the engine can rely on.
 * @param listener hears when it is lost, when it stands again, and what the server says is wrong
 * @throws GroundswellError GS_NATS_CONNECT, GS_NATS_AUTH, GS_NATS_OLD
 */
export async function connectNats(
  target: NatsTarget,
  name: string,
  listener?: ConnectionListener,
): Promise<{ connection: NatsConnection; jsm: JetStreamManager }> {
  const connection = await openConnection(target, name);
  try {
    const where = withoutSecrets(target.url);
    const version = connection.info?.version ?? '0.0.0';
    if (isOlder(version, NATS_VERSION_MIN)) {
      throw new GroundswellError(
        'GS_NATS_OLD',
        `nats-server at ${where} is version ${version}; atomic batches need ${NATS_VERSION_MIN} or newer.`,
      );
    }
    const jsm = await jetstreamManager(connection, { timeout: API_TIMEOUT_MS }).catch((error: unknown) => {
      throw noJetStream(where, error);
    });
    if (listener !== undefined) ConnectionWatch.of(connection).listen(listener);
    return { connection, jsm };
  } catch (error) {
    await connection.close();
    throw error;
  }
}

function noJetStream(where: string, error: unknown): GroundswellError {
  if (apiFailureOf(error) === 'denied') {
    return new GroundswellError('GS_NATS_AUTH', `This user may not use JetStream at ${where}.`, {
      cause: error,
      remedy: 'Give a user, with its password or credentials file, that may use JetStream.',
    });
  }
  return new GroundswellError(
    'GS_NATS_CONNECT',
    `JetStream does not answer at ${where}: ${messageOf(error)}.`,
    { cause: error, remedy: 'Enable JetStream on the server, and for the account that is used.' },
  );
}

/** Who we are, in the library's words: the credentials file before the user, the user before what the URL says. */
function proofOf(
  target: NatsTarget,
): Pick<NodeConnectionOptions, 'authenticator' | 'user' | 'pass' | 'token'> {
  const { credentials, user, password } = target;
  if (credentials !== undefined) return { authenticator: credentialsOf(credentials) };
  if (user !== undefined) return { user, pass: password ?? '' };
  const secret = serversOf(target.url).find((server) => server.secret !== undefined)?.secret;
  if (secret === undefined) return {};
  const colon = secret.indexOf(':');
  if (colon < 0) return { token: decodeURIComponent(secret) };
  return {
    user: decodeURIComponent(secret.slice(0, colon)),
    pass: decodeURIComponent(secret.slice(colon + 1)),
  };
}

function credentialsOf(file: string): ReturnType<typeof credsAuthenticator> {
  try {
    let bytes = readFileSync(file);
    const authenticator = credsAuthenticator(() => {
      try {
        bytes = readFileSync(file);
      } catch {
        // Being replaced, or taken away: what it said last may still be right.
      }
      return bytes;
    });
    // The library would say of a file that it cannot read only that the connection is closed.
    authenticator('nonce');
    return authenticator;
  } catch (error) {
    throw new GroundswellError('GS_NATS_AUTH', `${file} is no credentials file: ${messageOf(error)}.`, {
      cause: error,
    });
  }
}

/** The servers that a URL names, and what stands before the `@` of each. */
function serversOf(url: string): { address: string; secret: string | undefined }[] {
  return url.split(',').map((part) => {
    const [, scheme = '', secret, host = ''] = /^([a-z]+:\/\/)?(?:(.*)@)?(.*)$/i.exec(part.trim()) ?? [];
    return { address: scheme + host, secret };
  });
}

function isAuthError(error: unknown): boolean {
  if (error instanceof AuthorizationError || error instanceof UserAuthenticationExpiredError) return true;
  return error instanceof Error && error.cause !== undefined && isAuthError(error.cause);
}

function isOlder(version: string, minimum: string): boolean {
  const parts = (text: string): number[] => text.split(/[.-]/).slice(0, 3).map(Number);
  const have = parts(version);
  const want = parts(minimum);
  for (let i = 0; i < 3; i++) if (have[i] !== want[i]) return (have[i] ?? 0) < (want[i] ?? 0);
  return false;
}

/** The servers' addresses, fit for a message. */
export function withoutSecrets(url: string): string {
  return serversOf(url)
    .map(({ address, secret }) => (secret === undefined ? address : address.replace(/^(.*:\/\/)?/, '$1…@')))
    .join(',');
}
