/**
 * The region of the canonical workload: all limits as a region has them that names none, its own cover and model, so
 * that figures of two revisions, and the pinned rows of the tests, do not hang on what `config/` says today.
 */
import { marketActors } from '../actors/index.js';
import { Registry } from '../src/actor/registry.js';
import { formatDuration } from '../src/core/duration.js';
import { linearModelSchema, type LinearModel } from '../src/index.js';
import { regionSchema, type RegionConfig } from '../src/ingest/region.js';

export interface Market {
  /** What it was made with: another process makes the same of it. */
  readonly options: MarketOptions;
  readonly config: RegionConfig;
  readonly model: LinearModel;
  readonly registry: Registry;
}

const MODEL = linearModelSchema.parse({
  name: 'bench-linear',
  version: 1,
  features: [
    {
      feature: 'pickups',
      window: '5m',
      weight: 0.55,
      transform: { kind: 'ratio', over: { feature: 'drivers_mean', window: '5m' }, floor: 1 },
    },
    {
      feature: 'busy_s',
      window: '5m',
      weight: 0.25,
      transform: { kind: 'ratio', over: { feature: 'open_s', window: '5m' }, floor: 60 },
    },
    { feature: 'dropoffs', window: '1m', weight: 0.3, transform: { kind: 'log1p' } },
    { feature: 'drivers', window: '1m', weight: 0.05, transform: { kind: 'sqrt' } },
    { feature: 'open_end', window: '1m', weight: -0.1, transform: { kind: 'log1p' } },
  ],
  bias: 0.9,
  link: 'identity',
  bounds: { min: 1, max: 3 },
  quantum: 0.1,
});

/** Plain data, for it goes to nodes in processes of their own. */
export interface MarketOptions {
  readonly partitions?: number | undefined;
  readonly windowsMs?: readonly number[] | undefined;
  /** Geohash prefixes in the place of its own. */
  readonly cover?: readonly string[] | undefined;
  readonly outOfOrderBoundMs?: number | undefined;
  /** Actors that a node keeps in memory; as a region has it unless told otherwise. */
  readonly residentActors?: number | undefined;
  /** Live values are told; they are not unless asked for. */
  readonly live?: boolean | undefined;
}

/** Terms of the model that ask for a window that is not there are left out. */
export function canonicalMarket(options: MarketOptions): Market {
  const parsed = regionSchema.parse({
    name: 'bench',
    timezone: 'America/Los_Angeles',
    cover: options.cover ?? ['9q8y', '9q8z', '9q8v', '9q9p', '9q9j', '9q9n', '9q9h'],
    partitions: options.partitions ?? 16,
  });
  const config = {
    ...parsed,
    windowsMs: [...(options.windowsMs ?? parsed.windowsMs)],
    outOfOrderBoundMs: options.outOfOrderBoundMs ?? parsed.outOfOrderBoundMs,
    limits: {
      ...parsed.limits,
      residentActors: options.residentActors ?? parsed.limits.residentActors,
    },
  };
  const windows = config.windowsMs.map(formatDuration);
  const features = MODEL.features.filter(
    ({ window, transform }) =>
      windows.includes(window) && (transform.kind !== 'ratio' || windows.includes(transform.over.window)),
  );
  const model = { ...MODEL, features };
  return {
    options,
    config,
    model,
    registry: new Registry(marketActors({ ...config, model, live: options.live ?? false })),
  };
}
