/**
 * The key-value bucket that leases lie in: a stream that keeps the last value of each name, lets a value say how long it
 * lives, and leaves a marker where one has run out. Made at the first start, checked at every one.
 */
import { DiscardPolicy, StorageType, type JetStreamManager, type StreamConfig } from '@nats-io/jetstream';
import { nanos } from 'nats';
import { GroundswellError } from '../../core/errors.js';
import type { Subjects } from '../subjects.js';
import { madeAsNeeded } from './made-as-needed.js';
import { infoOf, STREAM_FORMAT } from './streams.js';

export interface LeaseBucketSettings {
  /** Copies in a cluster: 1, 3 or 5. What is left out stays as it is. */
  readonly replicas?: number;
}

/** So long a name that is gone is remembered: whoever was cut off for no longer hears of it. */
export const MARKER_MS = 24 * 3_600_000;
const VALUE_BYTES_MAX = 256 * 1024;
const FORMAT_KEY = 'groundswell.format';

/** The stream that a key-value bucket is kept in. */
export function bucketStream(bucket: string): string {
  return `KV_${bucket}`;
}

/** Subject of a name in a bucket. */
export function bucketSubject(bucket: string, name: string): string {
  return `$KV.${bucket}.${name}`;
}

/**
 * Makes the bucket of the region's nodes, or checks that it is what leases need.
 * @throws GroundswellError GS_STREAM_CONFIG, GS_DATA_NEWER, GS_NATS_OLD, GS_NATS_AUTH, GS_LOG
 */
export async function ensureLeases(
  jsm: JetStreamManager,
  subjects: Subjects,
  { replicas }: LeaseBucketSettings = {},
): Promise<void> {
  const name = bucketStream(subjects.nodesBucket);
  await madeAsNeeded(`The bucket ${name}`, async () => {
    const existing = await infoOf(jsm, name);
    const { config } = existing ?? (await jsm.streams.add(newConfig(name, subjects, replicas)));
    check(config);
    if (replicas !== undefined && config.num_replicas !== replicas)
      await jsm.streams.update(name, { num_replicas: replicas });
  });
}

function newConfig(
  name: string,
  subjects: Subjects,
  replicas = 1,
): Parameters<JetStreamManager['streams']['add']>[0] {
  return {
    name,
    subjects: [bucketSubject(subjects.nodesBucket, '>')],
    metadata: { [FORMAT_KEY]: String(STREAM_FORMAT) },
    // In memory it would begin anew with the server, and every node would seem to be gone.
    storage: StorageType.File,
    max_msgs_per_subject: 1,
    max_msg_size: VALUE_BYTES_MAX,
    discard: DiscardPolicy.New,
    // As key-value buckets have it, so that any client can look inside.
    allow_rollup_hdrs: true,
    deny_delete: true,
    allow_direct: true,
    allow_msg_ttl: true,
    subject_delete_marker_ttl: nanos(MARKER_MS),
    num_replicas: replicas,
  };
}

/** A bucket that forgets when leases run out, or who had them, would be worse than none. */
function check({ name, metadata, ...config }: StreamConfig): void {
  const format = metadata?.[FORMAT_KEY];
  if (format !== String(STREAM_FORMAT)) {
    throw new GroundswellError(
      Number(format) > STREAM_FORMAT ? 'GS_DATA_NEWER' : 'GS_STREAM_CONFIG',
      `The bucket ${name} was made with ${FORMAT_KEY} = ${format ?? 'nothing'}, this run has ${STREAM_FORMAT}.`,
    );
  }
  // An old server drops what it does not know: believe only the echo.
  if (config.allow_msg_ttl !== true || !(Number(config.subject_delete_marker_ttl) > 0)) {
    throw new GroundswellError(
      'GS_NATS_OLD',
      `The bucket ${name} does not let values run out (allow_msg_ttl or subject_delete_marker_ttl is not set).`,
    );
  }
  if (config.max_msgs_per_subject === 1 && config.storage === StorageType.File) return;
  throw new GroundswellError(
    'GS_STREAM_CONFIG',
    `The bucket ${name} keeps ${config.max_msgs_per_subject} values of a name in ${config.storage} storage; leases need the last one, in files.`,
    { remedy: `Delete the stream ${name} while no node runs: it is made anew, and nothing is lost by it.` },
  );
}
