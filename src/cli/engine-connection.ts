/** How an engine, or a client of one, is connected to its nats-server; and the region's streams on that. */
import type { Registry } from '../actor/registry.js';
import { silent } from '../core/logger.js';
import { CARD_KEY, cardOf } from '../ingest/region-card.js';
import type { RegionConfig } from '../ingest/region.js';
import { connectNats, ensureStreams, type NatsTarget } from '../log/nats/connect.js';
import type { SupervisedServer } from '../log/nats/server/supervised.js';
import type { Subjects } from '../log/subjects.js';
import type { EngineOptions } from './engine-options.js';
import type { Opened } from './opened.js';

/** Of the embedded server's store: producers are asked to wait when the engine's stream has nearly so much. */
const ENGINE_SHARE = 0.8;
/** Raw events that may wait to be taken; more are refused where they are published. */
const INGEST_BYTES_MAX = 256 * 1024 ** 2;

export type Connected = Awaited<ReturnType<typeof connectNats>>;

/** The embedded server, as one elsewhere is given. */
export function accessTo({ url, user, password }: SupervisedServer): NatsTarget {
  return { url, user, password };
}

/** A connection that is spoken of in the log whenever it goes and comes. */
export async function connectTo(
  target: NatsTarget,
  region: string,
  { logger = silent }: EngineOptions,
  opened: Opened,
): Promise<Connected> {
  const nats = nameOf(target);
  const connected = await connectNats(target, `groundswell ${region}`, {
    lost: () => {
      logger.warn({ nats }, 'nats-server is away');
    },
    restored: () => {
      logger.info({ nats }, 'nats-server is back');
    },
    failed: (error) => {
      logger.error({ nats, error }, 'nats-server says that something is wrong');
    },
  });
  const { connection } = connected;
  opened.add('the connection to nats-server', async () => {
    if (!connection.isClosed()) await connection.close();
  });
  return connected;
}

/** Makes the region's streams, or finds them as they are to be. */
export async function ensureRegion(
  { jsm }: Connected,
  options: EngineOptions,
  region: {
    config: RegionConfig;
    registry: Registry;
    subjects: Subjects;
    server: SupervisedServer | undefined;
  },
): Promise<void> {
  const { config, registry, subjects, server } = region;
  const { node, hosts = false, retention, replicas, engineBytesMax } = options;
  const works = node || hosts;
  await ensureStreams(jsm, subjects, config.partitions, {
    ...retention,
    ...(replicas === undefined ? {} : { replicas }),
    ...(engineBytesMax === undefined ? {} : { engineBytesMax }),
    // The store's other streams need room too.
    ...(server === undefined ? {} : { engineBytesAdvised: Math.floor(server.storeBytesMax * ENGINE_SHARE) }),
    ...(works ? { ingest: { historyMs: config.historyMs, bytesMax: INGEST_BYTES_MAX } } : {}),
    metadata: works ? { [CARD_KEY]: cardOf(config, registry) } : {},
  });
  await server?.stage();
}

/** A server's URL without user and password. */
export function nameOf({ url }: NatsTarget): string {
  return url.replace(/\/\/[^@/]*@/, '//');
}
