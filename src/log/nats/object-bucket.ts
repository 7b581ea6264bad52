/**
 * The stream behind a bucket of the object store: made at the first use, with what atomic batches need; given the number
 * of copies that the configuration says now.
 */
import { DiscardPolicy, StorageType, type JetStreamManager } from '@nats-io/jetstream';
import { GroundswellError } from '../../core/errors.js';
import { madeAsNeeded } from './made-as-needed.js';
import type { BucketSubjects } from './object-record.js';
import { infoOf } from './streams.js';

/**
 * @param replicas copies in a cluster; without it, as it is
 * @throws GroundswellError GS_NATS_AUTH, GS_NATS_OLD, GS_STREAM_CONFIG, GS_LOG
 */
export async function ensureBucket(
  jsm: JetStreamManager,
  subjects: BucketSubjects,
  replicas?: number,
): Promise<void> {
  const name = subjects.stream;
  await madeAsNeeded(`The object store ${name}`, async () => {
    const copies = replicas === undefined ? {} : { num_replicas: replicas };
    const { config } = (await infoOf(jsm, name)) ?? (await jsm.streams.add(newBucket(subjects, copies)));
    const grow = replicas !== undefined && config.num_replicas !== replicas;
    // A bucket that another tool has made does not take batches.
    const batches = config.allow_atomic === true ? {} : { allow_atomic: true };
    const echoed =
      grow || config.allow_atomic !== true
        ? (await jsm.streams.update(name, { ...copies, ...batches })).config
        : config;
    if (echoed.allow_atomic !== true) {
      throw new GroundswellError(
        'GS_NATS_OLD',
        `The stream ${name} does not take atomic batches (allow_atomic is not set).`,
      );
    }
  });
}

function newBucket(
  subjects: BucketSubjects,
  copies: { num_replicas?: number },
): Parameters<JetStreamManager['streams']['add']>[0] {
  return {
    name: subjects.stream,
    subjects: subjects.all,
    storage: StorageType.File,
    discard: DiscardPolicy.New,
    allow_rollup_hdrs: true,
    allow_direct: true,
    allow_atomic: true,
    num_replicas: 1,
    ...copies,
  };
}
