/**
 * The region's streams: made at the first start, checked at every one, and given the limits that the configuration says
 * now. Partition count and format are for ever; a stream that was made with others is refused.
 */
import {
  DiscardPolicy,
  StorageType,
  type JetStreamManager,
  type StreamConfig,
  type StreamInfo,
} from '@nats-io/jetstream';
import { nanos } from 'nats';
import { GroundswellError } from '../../core/errors.js';
import type { Subjects } from '../subjects.js';
import { apiFailureOf } from './api-error.js';
import { madeAsNeeded } from './made-as-needed.js';

/** Version of everything written to the streams. */
export const STREAM_FORMAT = 2;

/** What may change from one start to the next. What is left out stays as it is; a new stream then has no limit. */
export interface StreamSettings {
  /** Copies of each stream in a cluster: 1, 3 or 5. */
  readonly replicas?: number;
  /** Limit of the engine's stream, 0 for none. Producers stop short of it, so that commits always have room. */
  readonly engineBytesMax?: number;
  /**
   * The same for producers alone, where the server's store is the limit: a stream's own limit would be taken from the store
   * at once, and a server that is given a smaller store later would not open the stream.
   */
  readonly engineBytesAdvised?: number;
  /** How long rows and surge are kept, ms. */
  readonly aggregatesMs?: number;
  /** How long late and dead events are kept, ms. */
  readonly sidesMs?: number;
  /** The stream of raw events; without this there is none. When it is full, publishers are refused. */
  readonly ingest?: { readonly historyMs: number; readonly bytesMax: number };
  /** Further entries of the engine's stream, named `groundswell.…`: what the node tells of itself. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** Key in the metadata of the engine's stream. */
const BYTES_ADVISED = 'groundswell.bytesAdvised';

type Limits = Partial<Pick<StreamConfig, 'max_age' | 'max_bytes' | 'discard' | 'num_replicas'>>;

interface Wanted {
  readonly name: string;
  readonly subjects: string[];
  /** What the stream was made with and keeps. */
  readonly fixed: Readonly<Record<string, string>>;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  readonly limits?: Limits;
}

/** The server looks for duplicates no further back than this, and never further than messages are kept. */
const DUPLICATES_MS = 120_000;

/**
 * Makes the region's streams, or checks that they are what this engine needs.
 * @throws GroundswellError GS_STREAM_CONFIG, GS_DATA_NEWER, GS_NATS_OLD, GS_NATS_AUTH, GS_LOG
 */
export async function ensureStreams(
  jsm: JetStreamManager,
  subjects: Subjects,
  partitions: number,
  settings: StreamSettings = {},
): Promise<void> {
  const { replicas, engineBytesMax, engineBytesAdvised, aggregatesMs, sidesMs, ingest, metadata } = settings;
  const copies: Limits = replicas === undefined ? {} : { num_replicas: replicas };
  const fixed = {
    'groundswell.partitions': String(partitions),
    'groundswell.format': String(STREAM_FORMAT),
  };
  await ensureStream(jsm, {
    name: subjects.engineStream,
    subjects: [subjects.engineSubjects],
    fixed,
    metadata: { ...metadata, ...advised(engineBytesAdvised) },
    limits: { ...copies, ...fullLimit(engineBytesMax) },
  });
  await ensureStream(jsm, {
    name: subjects.aggregateStream,
    subjects: subjects.aggregateSubjects,
    fixed,
    limits: { ...copies, ...ageLimit(aggregatesMs) },
  });
  await ensureStream(jsm, {
    name: subjects.sideStream,
    subjects: subjects.sideSubjects,
    fixed,
    limits: { ...copies, ...ageLimit(sidesMs) },
  });
  if (ingest === undefined) return;
  await ensureStream(jsm, {
    name: subjects.ingestStream,
    subjects: [subjects.ingestSubjects],
    fixed,
    limits: {
      ...copies,
      ...ageLimit(ingest.historyMs),
      max_bytes: ingest.bytesMax,
      // Full is said to the publisher; dropping the oldest would lose events that nobody has taken yet.
      discard: DiscardPolicy.New,
    },
  });
}

/** What the region's streams hold, those that there are. */
export async function streamSizes(
  jsm: JetStreamManager,
  subjects: Subjects,
): Promise<{ stream: string; bytes: number; messages: number }[]> {
  const { engineStream, aggregateStream, sideStream, ingestStream } = subjects;
  const names = [engineStream, aggregateStream, sideStream, ingestStream];
  const infos = await Promise.all(names.map((name) => infoOf(jsm, name)));
  return infos.flatMap((info) =>
    info === undefined
      ? []
      : [{ stream: info.config.name, bytes: info.state.bytes, messages: info.state.messages }],
  );
}

async function ensureStream(jsm: JetStreamManager, wanted: Wanted): Promise<void> {
  const { name, fixed } = wanted;
  await madeAsNeeded(`The stream ${name}`, async () => {
    const existing = await infoOf(jsm, name);
    const { config } = existing ?? (await jsm.streams.add(newConfig(wanted)));
    // An old server drops what it does not know and would store batches piecemeal: believe only the echo.
    if (config.allow_atomic !== true) {
      throw new GroundswellError(
        'GS_NATS_OLD',
        `The stream ${name} does not take atomic batches (allow_atomic is not set).`,
      );
    }
    for (const [key, value] of Object.entries(fixed)) {
      const have = config.metadata?.[key];
      if (have === value) continue;
      const newer = key === 'groundswell.format' && Number(have) > STREAM_FORMAT;
      throw new GroundswellError(
        newer ? 'GS_DATA_NEWER' : 'GS_STREAM_CONFIG',
        `The stream ${name} was made with ${key} = ${have ?? 'nothing'}, this run has ${value}.`,
      );
    }
    const changes = changesOf(config, wanted);
    if (changes !== undefined) await jsm.streams.update(name, changes);
  });
}

export async function infoOf(jsm: JetStreamManager, name: string): Promise<StreamInfo | undefined> {
  try {
    return await jsm.streams.info(name);
  } catch (error) {
    if (apiFailureOf(error) === 'no-stream') return undefined;
    throw error;
  }
}

function newConfig({
  name,
  subjects,
  fixed,
  metadata,
  limits,
}: Wanted): Parameters<JetStreamManager['streams']['add']>[0] {
  return {
    name,
    subjects,
    metadata: { ...metadata, ...fixed },
    storage: StorageType.File,
    allow_atomic: true,
    allow_direct: true,
    deny_delete: false,
    num_replicas: 1,
    ...limits,
    ...duplicateWindow(limits?.max_age, nanos(DUPLICATES_MS)),
  };
}

/** What has to change of an existing stream; undefined when nothing has. */
function changesOf(
  config: StreamConfig,
  { metadata, limits, fixed }: Wanted,
): Partial<StreamConfig> | undefined {
  const changes: Partial<StreamConfig> = {};
  const entries = Object.entries({ ...metadata, ...fixed });
  if (entries.some(([key, value]) => config.metadata?.[key] !== value))
    changes.metadata = { ...config.metadata, ...Object.fromEntries(entries) };
  if (limits !== undefined) {
    for (const [key, value] of Object.entries(limits) as [keyof Limits, never][])
      if (config[key] !== value) changes[key] = value;
  }
  if (Object.keys(changes).length === 0) return undefined;
  return { ...changes, ...duplicateWindow(changes.max_age, config.duplicate_window) };
}

function ageLimit(ms: number | undefined): Limits {
  return ms === undefined ? {} : { max_age: nanos(ms) };
}

function advised(bytesMax: number | undefined): Record<string, string> {
  return bytesMax === undefined ? {} : { [BYTES_ADVISED]: String(bytesMax) };
}

/** How many bytes a stream may have: the server's limit or what producers are advised, whichever is less. */
export function bytesMaxOf({ max_bytes: limit, metadata }: StreamConfig): number | undefined {
  const bytesMax = Number(metadata?.[BYTES_ADVISED] ?? 0);
  if (limit > 0) return bytesMax > 0 ? Math.min(limit, bytesMax) : limit;
  return bytesMax > 0 ? bytesMax : undefined;
}

/** Full is said to whoever writes: dropping the oldest would lose what was acknowledged. */
function fullLimit(bytesMax: number | undefined): Limits {
  if (bytesMax === undefined) return {};
  return { max_bytes: bytesMax === 0 ? -1 : bytesMax, discard: DiscardPolicy.New };
}

/** The server refuses a stream that would know duplicates of messages it no longer holds. */
function duplicateWindow(maxAge: number | undefined, have: number): Partial<StreamConfig> {
  if (maxAge === undefined || maxAge === 0 || have <= maxAge) return {};
  return { duplicate_window: maxAge };
}
