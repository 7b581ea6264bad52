/** The built-in actors of a ride-hailing market, wired for a region. */
import { formatDuration, LinearScorer, type Behaviour, type LinearModel } from '../src/index.js';
import { area } from './area.js';
import { cell } from './cell.js';
import { driver } from './driver.js';
import { live } from './live.js';
import { featureNames } from './market.js';
import { region } from './region.js';
import { rider } from './rider.js';

export interface MarketOptions {
  /** How long a driver's ping holds when no other comes, ms. */
  readonly presenceMs: number;
  readonly allowedLatenessMs: number;
  /** Lengths of the windows, ms, ascending from one minute. */
  readonly windowsMs: readonly number[];
  readonly model: LinearModel;
  /** Tell live views what happens now; without it, only closed windows are told of. */
  readonly live: boolean;
}

/** @throws GroundswellError GS_MODEL when the model asks for a feature that cells do not have */
export function marketActors(options: MarketOptions): Behaviour[] {
  const known = new Map(options.windowsMs.map((ms) => [formatDuration(ms), featureNames(ms)]));
  const scorer = new LinearScorer(options.model, known);
  return [
    driver(options) as Behaviour,
    rider(options) as Behaviour,
    live() as Behaviour,
    cell({ ...options, scorer }),
    area('gh5', options),
    area('gh4', options),
    region(options),
  ];
}
