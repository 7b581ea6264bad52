/** A connection to nats-server, checked before anything trusts it: version, JetStream, streams as they must be. */
import { jetstreamManager, type JetStreamManager, type StreamConfig } from '@nats-io/jetstream';
import { connect, type NatsConnection } from 'nats';
import { GroundswellError, messageOf } from '../../core/errors.js';
import type { Subjects } from '../subjects.js';

/** Oldest server with atomic batches as the commit protocol needs them. */
export const NATS_VERSION_MIN = '2.14.5';
/** Version of everything written to the streams. */
export const STREAM_FORMAT = 1;

export interface NatsTarget {
  readonly url: string;
  readonly user?: string;
  readonly password?: string;
}

/** @throws GroundswellError GS_NATS_CONNECT, GS_NATS_AUTH, GS_NATS_OLD */
export async function connectNats(
  target: NatsTarget,
  name: string,
): Promise<{ connection: NatsConnection; jsm: JetStreamManager }> {
  let connection: NatsConnection;
  try {
    connection = await connect({
      servers: target.url,
      name,
      timeout: 5_000,
      maxReconnectAttempts: -1,
      reconnectTimeWait: 250,
      ...(target.user === undefined ? {} : { user: target.user, pass: target.password ?? '' }),
    });
  } catch (error) {
    const text = messageOf(error);
    const code = /auth/i.test(text) ? 'GS_NATS_AUTH' : 'GS_NATS_CONNECT';
    throw new GroundswellError(
      code,
      `No connection to nats-server at ${withoutSecrets(target.url)}: ${text}.`,
      { cause: error },
    );
  }
  try {
    const version = connection.info?.version ?? '0.0.0';
    if (isOlder(version, NATS_VERSION_MIN)) {
      throw new GroundswellError(
        'GS_NATS_OLD',
        `nats-server at ${withoutSecrets(target.url)} is version ${version}; atomic batches need ${NATS_VERSION_MIN} or newer.`,
      );
    }
    const jsm = await jetstreamManager(connection, { timeout: 20_000 }).catch((error: unknown) => {
      throw new GroundswellError(
        'GS_NATS_CONNECT',
        `JetStream does not answer at ${withoutSecrets(target.url)}: ${messageOf(error)}.`,
        {
          cause: error,
          remedy: 'Enable JetStream on the server, and for the account that is used.',
        },
      );
    });
    return { connection, jsm };
  } catch (error) {
    await connection.close();
    throw error;
  }
}

/** Makes the region's streams, or checks that they are what this engine needs. */
export async function ensureStreams(
  jsm: JetStreamManager,
  subjects: Subjects,
  partitions: number,
): Promise<void> {
  const metadata = {
    'groundswell.partitions': String(partitions),
    'groundswell.format': String(STREAM_FORMAT),
  };
  await ensureStream(jsm, { name: subjects.engineStream, subjects: [subjects.engineSubjects], metadata });
  await ensureStream(jsm, { name: subjects.aggregateStream, subjects: subjects.aggregateSubjects, metadata });
  await ensureStream(jsm, { name: subjects.sideStream, subjects: subjects.sideSubjects, metadata });
}

async function ensureStream(
  jsm: JetStreamManager,
  wanted: { name: string; subjects: string[]; metadata: Record<string, string> },
): Promise<void> {
  const existing = await jsm.streams.info(wanted.name).catch((error: unknown) => {
    if ((error as { code?: number }).code === 10059) return undefined;
    throw error;
  });
  const config: StreamConfig =
    existing?.config ??
    (
      await jsm.streams.add({
        ...wanted,
        storage: 'file',
        allow_atomic: true,
        allow_direct: true,
        deny_delete: false,
        num_replicas: 1,
      })
    ).config;
  // An old server drops what it does not know and would store batches piecemeal: believe only the echo.
  if (config.allow_atomic !== true) {
    throw new GroundswellError(
      'GS_NATS_OLD',
      `The stream ${wanted.name} does not take atomic batches (allow_atomic is not set).`,
    );
  }
  for (const [key, value] of Object.entries(wanted.metadata)) {
    const have = config.metadata?.[key];
    if (have === value) continue;
    const newer = key === 'groundswell.format' && Number(have) > STREAM_FORMAT;
    throw new GroundswellError(
      newer ? 'GS_DATA_NEWER' : 'GS_STREAM_CONFIG',
      `The stream ${wanted.name} was made with ${key} = ${have ?? 'nothing'}, this run has ${value}.`,
    );
  }
}

function isOlder(version: string, minimum: string): boolean {
  const parts = (text: string): number[] => text.split(/[.-]/).slice(0, 3).map(Number);
  const have = parts(version);
  const want = parts(minimum);
  for (let i = 0; i < 3; i++) if (have[i] !== want[i]) return (have[i] ?? 0) < (want[i] ?? 0);
  return false;
}

function withoutSecrets(url: string): string {
  return url.replace(/\/\/[^@/]*@/, '//…@');
}
