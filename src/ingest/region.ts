/**
 * A region's configuration: `config/regions/<name>.yaml`, its defaults and checks. Owns which keys there are; what they
 * are for is said beside each, and from there in docs/CONFIG.md. Durations are written `5s`, and given on as milliseconds.
 */
import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { durationMs, readYamlConfig } from '../core/config-file.js';
import { GroundswellError } from '../core/errors.js';
import { isGeohash } from '../core/geohash.js';
import { REGION_NAME, type RegionName } from '../core/ids.js';
import { nearest } from '../core/nearest.js';
import { FRAME_EVENTS_MAX } from '../partition/frame.js';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const count = z.int().min(1);

const duration = (byDefault: string, minMs = 1): z.ZodType<number, string | undefined> =>
  durationMs()
    .refine((ms) => ms >= minMs, `is at least ${minMs} ms`)
    .prefault(byDefault);

/** The limits that keep every queue, cache, frame and batch bounded (P8). */
const limits = z.strictObject({
  frameEvents: count.max(FRAME_EVENTS_MAX).default(4_096).describe('events in one input frame'),
  stepEvents: count
    .default(50_000)
    .describe('events that a partition may have taken and not committed: more input waits'),
  commitBytes: count
    .min(65_536)
    .default(16_777_216)
    .describe('bytes of one commit (atomic batch) of the node'),
  lagMessages: count
    .default(100_000)
    .describe('input messages of a partition that may wait: with more, producers are asked to wait'),
  turnBytes: count
    .min(1_024)
    .default(262_144)
    .describe('bytes of input that a partition takes in one turn of the node'),
  residentActors: count
    .default(1_000_000)
    .describe('actors that a node keeps in memory; the rest lie in the snapshot'),
  actorStateBytesMax: count
    .max(384 * 1024)
    .default(262_144)
    .describe(
      'bytes of an actor’s state: a call that makes it larger is taken back and becomes a dead letter',
    ),
  handlerTimeMaxMs: z
    .int()
    .min(10)
    .max(500)
    .default(200)
    .describe('ms that one call of a handler may take: it is broken off then, and becomes a dead letter'),
  quarantineAfter: count
    .default(5)
    .describe('an actor is quarantined after so many failed calls in a row: what comes for it is kept'),
  quarantineKeepMax: z
    .int()
    .min(0)
    .max(10_000)
    .default(1_000)
    .describe(
      'events and messages kept for an actor in quarantine, at most 256 KiB of them; more are dead letters',
    ),
});

const windows = z
  .array(
    durationMs().refine(
      (ms) => ms % MINUTE_MS === 0 && ms >= MINUTE_MS && ms <= DAY_MS,
      'is whole minutes, 1m to 1d',
    ),
  )
  .refine((all) => all.includes(MINUTE_MS), 'needs 1m: all others are made of it')
  .refine((all) => new Set(all).size === all.length, 'names a window twice')
  .transform((all) => all.toSorted((a, b) => a - b));

export const regionSchema = z
  .strictObject({
    name: z
      .string()
      .regex(REGION_NAME, 'is 1 to 32 of a-z, 0-9, _ and -')
      .describe('one subject token, such as `sf`: 1 to 32 of a-z, 0-9, _ and -'),
    timezone: z
      .string()
      .refine(isTimezone, 'is no IANA time zone, such as America/New_York')
      .describe('IANA name, for days and hours as people there know them'),
    cover: z
      .array(
        z
          .string()
          .refine((text) => isGeohash(text) && text.length <= 6, 'is no geohash of 1 to 6 characters'),
      )
      .min(1)
      .describe('geohash prefixes of one to six characters: events elsewhere are refused'),
    partitions: z
      .int()
      .min(1)
      .max(256)
      .default(16)
      .describe(
        '1 to 256; fixed for the life of the region’s stream, but for `repartition`; 4 are faster where one process serves it',
      ),
    outOfOrderBound: duration('5s', 0).describe(
      'how far behind the newest event of its producer an event may come and still be on time',
    ),
    allowedLateness: duration('10m', 0).describe('how long after its end a window can still be corrected'),
    presence: duration('300s', 1_000).describe('how long a ping says where its driver is'),
    idleTimeout: duration('30s', 1_000).describe(
      'a producer silent for longer no longer holds the watermark back',
    ),
    clockTolerance: duration('60s', 1_000).describe(
      'how far ahead of the region’s time a live event may be: what is later comes from a clock that is wrong, and is refused',
    ),
    duplicateWindow: duration('15m', 0).describe(
      'how long an event’s `id` is remembered: a second event with it is dropped',
    ),
    history: duration('24h', MINUTE_MS).describe(
      'how long inputs are kept once they are committed, raw events too',
    ),
    model: z
      .string()
      .regex(/^[\w-]+$/, 'is the name of a file in config/models, without its ending')
      .default('surge-linear')
      .describe('name of a file in config/models, without its ending'),
    standbys: z
      .int()
      .min(0)
      .max(2)
      .default(0)
      .describe('0 to 2 further nodes that follow each partition, so that one of them can take over at once'),
    windows: windows
      .prefault(['1m', '5m', '15m', '1h'])
      .describe('lengths of whole minutes, 1m to 1d; 1m is one of them, for all others are made of it'),
    limits: limits.prefault({}),
  })
  .transform(
    ({
      name,
      outOfOrderBound,
      allowedLateness,
      presence,
      idleTimeout,
      clockTolerance,
      duplicateWindow,
      history,
      windows,
      ...rest
    }) => ({
      ...rest,
      name: name as RegionName,
      outOfOrderBoundMs: outOfOrderBound,
      allowedLatenessMs: allowedLateness,
      presenceMs: presence,
      idleTimeoutMs: idleTimeout,
      clockToleranceMs: clockTolerance,
      duplicateWindowMs: duplicateWindow,
      historyMs: history,
      /** Lengths, shortest first; the first is one minute. */
      windowsMs: windows,
    }),
  );

export type RegionConfig = z.output<typeof regionSchema>;

/**
 * Loads a region by name from `dir` (`config/regions`), or from a file given by the user.
 * GS_REGION_UNKNOWN when there is no such region, GS_CONFIG when its file is faulty.
 */
export async function loadRegion(options: {
  name: string;
  dir: string;
  file?: string;
}): Promise<RegionConfig> {
  const { name, dir } = options;
  const file = options.file ?? join(dir, `${name}.yaml`);
  if (options.file === undefined) {
    const known = await knownRegions(dir);
    if (!known.includes(name)) throw unknownRegion(name, known, dir);
  }
  const region = await readYamlConfig(regionSchema, file, 'GS_CONFIG');
  if (region.name !== name) {
    throw new GroundswellError(
      'GS_CONFIG',
      `${file}: name: is "${region.name}", but the region asked for is "${name}"`,
    );
  }
  return region;
}

/** The names of the regions that have a file in `dir`, sorted. */
export async function knownRegions(dir: string): Promise<string[]> {
  const files = await readdir(dir).catch(() => []);
  return files
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => basename(file, '.yaml'))
    .sort();
}

function unknownRegion(name: string, known: readonly string[], dir: string): GroundswellError {
  const near = nearest(name, known);
  const hint = near === undefined ? '' : `; did you mean "${near}"?`;
  const there = known.length > 0 ? `${dir} has ${known.join(', ')}` : `${dir} has no region`;
  return new GroundswellError('GS_REGION_UNKNOWN', `no region is called "${name}"${hint} (${there})`);
}

function isTimezone(text: string): boolean {
  if (!/^[A-Za-z]/.test(text)) return false;
  // The list has no aliases, and making a format costs ten times as much as the list.
  if (Intl.supportedValuesOf('timeZone').includes(text)) return true;
  try {
    new Intl.DateTimeFormat('en', { timeZone: text });
    return true;
  } catch {
    return false;
  }
}
