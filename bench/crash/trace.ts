/** The events of a run: a simulated city of a seed, or a file; and how the truth of them is asked for. */
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { cityOptions } from '../../src/cli/city-options.js';
import { loadMapping } from '../../src/ingest/mapping.js';
import type { RegionConfig } from '../../src/ingest/region.js';
import { simulateCity } from '../../src/ingest/simulator/simulator.js';
import { openSource } from '../../src/ingest/source.js';
import { ROOT } from './command.js';

export interface Trace {
  /** In a few words, for people. */
  readonly what: string;
  readonly file: string;
  /** Words of `groundswell replay` that say how its columns become events. */
  readonly replayArgs: readonly string[];
  /** Words of `test/truth/check.ts` that name the events. */
  readonly truthArgs: readonly string[];
  /** Event time from its first to its last event, ms. */
  readonly lengthMs: number;
}

/** A simulated day begins there: in the past, so that its events are never ahead of a clock. */
const START = '2026-03-02T14:00:00Z';
export const DRIVERS = 200;
const REQUESTS_PER_MINUTE = 24;

export async function simulateTrace(options: {
  region: RegionConfig;
  folder: string;
  seed: number;
  lengthMs: number;
}): Promise<Trace> {
  const { region, folder, seed, lengthMs } = options;
  const city = cityOptions(region, {
    seed,
    drivers: DRIVERS,
    requestsPerMinute: REQUESTS_PER_MINUTE,
    start: START,
    durationMs: lengthMs,
  });
  const file = join(folder, 'events.ndjson');
  function* lines(): Generator<string> {
    for (const second of simulateCity(city))
      yield second.map((event) => `${JSON.stringify(event)}\n`).join('');
  }
  await pipeline(Readable.from(lines()), createWriteStream(file));
  return {
    what: `a simulated city of seed ${seed}, ${(lengthMs / 3_600_000).toFixed(1)} h`,
    file,
    replayArgs: [],
    truthArgs: ['--events', file],
    lengthMs,
  };
}

/** A file of one of the kinds that the truth can read, known by its name. */
export async function openTrace(file: string): Promise<Trace> {
  const kind = file.includes('cabspotting') ? 'cabspotting' : file.includes('uber') ? 'uber' : 'events';
  const mappings = { cabspotting: 'cabspotting', uber: 'uber-foil', events: undefined } as const;
  const name = mappings[kind];
  const mappingFile = name === undefined ? undefined : join(ROOT, 'config/sources', `${name}.yaml`);
  const source = await openSource(
    mappingFile === undefined ? { file } : { file, mapping: await loadMapping(mappingFile) },
  );
  let firstMs = Number.POSITIVE_INFINITY;
  let lastMs = Number.NEGATIVE_INFINITY;
  for await (const { raws } of source) {
    for (const raw of raws) {
      const { ts } = raw as { ts?: unknown };
      if (typeof ts !== 'number') continue;
      firstMs = Math.min(firstMs, ts);
      lastMs = Math.max(lastMs, ts);
    }
  }
  if (lastMs < firstMs) throw new Error(`${file} has no event with a time`);
  const lengthMs = lastMs - firstMs;
  return {
    what: `${file}, ${(lengthMs / 3_600_000).toFixed(1)} h`,
    file,
    replayArgs: mappingFile === undefined ? [] : ['--mapping', mappingFile],
    truthArgs: [`--${kind}`, file],
    lengthMs,
  };
}

/** The region's file beside the sources, or above `dist`. */
export function regionFile(name: string): string {
  return join(ROOT, 'config/regions', `${name}.yaml`);
}
