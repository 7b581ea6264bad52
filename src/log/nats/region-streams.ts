/**
 * A region's streams as a whole: what there is of them, and making room for the region's life to begin elsewhere. Nothing
 * here is done to a region that works; whoever calls has made sure of that.
 */
import type { JetStreamManager } from '@nats-io/jetstream';
import { GroundswellError, messageOf } from '../../core/errors.js';
import type { Subjects } from '../subjects.js';
import { apiFailureOf } from './api-error.js';
import { infoOf } from './streams.js';

export interface RegionStreams {
  /** That the engine's stream was made with; undefined when there is none. */
  readonly partitions: number | undefined;
  /** Messages in the streams that a restored region begins anew. */
  readonly messages: number;
  /** Names the stream of raw events for as long as it is the same; undefined when there is none. */
  readonly ingest: string | undefined;
}

const PARTITIONS = 'groundswell.partitions';

/** @throws GroundswellError GS_LOG */
export async function regionStreams(jsm: JetStreamManager, subjects: Subjects): Promise<RegionStreams> {
  return asked('The streams of the region could not be looked at', async () => {
    const { engineStream, aggregateStream, sideStream, ingestStream } = subjects;
    const [engine, ...others] = await Promise.all(
      [engineStream, aggregateStream, sideStream].map((name) => infoOf(jsm, name)),
    );
    const made = engine?.config.metadata?.[PARTITIONS];
    const ingest = await infoOf(jsm, ingestStream);
    return {
      partitions: made === undefined ? undefined : Number(made),
      messages: [engine, ...others].reduce((sum, info) => sum + (info?.state.messages ?? 0), 0),
      ingest: ingest && `${ingest.config.name} of ${ingest.created}`,
    };
  });
}

/**
 * Removes the engine's stream, and either all that was published as well, or nothing of it: then publishers begin anew
 * in the streams that stay.
 */
export async function removeRegionStreams(
  jsm: JetStreamManager,
  subjects: Subjects,
  options: { readonly published: 'stays' | 'goes'; readonly partitions: number },
): Promise<void> {
  const { engineStream, aggregateStream, sideStream, ingestStream } = subjects;
  await asked('The streams of the region could not be removed', async () => {
    await removeStream(jsm, engineStream);
    for (const name of [aggregateStream, sideStream]) {
      if (options.published === 'goes') await removeStream(jsm, name);
      else if ((await infoOf(jsm, name)) !== undefined)
        await jsm.streams.purge(name, { filter: subjects.cursorsOf(name) });
    }
    for (const name of [aggregateStream, sideStream, ingestStream])
      await setPartitions(jsm, name, options.partitions);
  });
}

/** What the streams that stay were made for is told anew: nothing in them depends on it. */
async function setPartitions(jsm: JetStreamManager, name: string, partitions: number): Promise<void> {
  const info = await infoOf(jsm, name);
  if (info === undefined || info.config.metadata?.[PARTITIONS] === String(partitions)) return;
  const metadata = { ...info.config.metadata, [PARTITIONS]: String(partitions) };
  await jsm.streams.update(name, { metadata });
}

async function removeStream(jsm: JetStreamManager, name: string): Promise<void> {
  try {
    await jsm.streams.delete(name);
  } catch (error) {
    if (apiFailureOf(error) !== 'no-stream') throw error;
  }
}

async function asked<T>(what: string, question: () => Promise<T>): Promise<T> {
  try {
    return await question();
  } catch (cause) {
    const code = apiFailureOf(cause) === 'denied' ? 'GS_NATS_AUTH' : 'GS_LOG';
    throw new GroundswellError(code, `${what}: ${messageOf(cause)}.`, { cause });
  }
}
