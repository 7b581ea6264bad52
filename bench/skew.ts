/** What skew costs: the canonical workload with half of its drivers in one cell, against the same with all of them spread evenly. */
import { runEndToEnd, type CanonicalSize, type EngineTiming, type Result } from './canonical.js';
import type { Market } from './market.js';

export interface SkewRun {
  readonly uniform: EngineTiming;
  readonly hot: EngineTiming;
  readonly uniformResult: Result;
  readonly hotResult: Result;
}

export const HOT_SHARE = 0.5;

/** Both, one after the other; `hotFirst` says which begins. */
export async function measureSkew(market: Market, size: CanonicalSize, hotFirst: boolean): Promise<SkewRun> {
  const hotSize = { ...size, hotShare: HOT_SHARE };
  const early = await runEndToEnd(market, hotFirst ? hotSize : size);
  const later = await runEndToEnd(market, hotFirst ? size : hotSize);
  const [hot, uniform] = hotFirst ? [early, later] : [later, early];
  for (const { result } of [hot, uniform])
    if (result.taken !== size.events) throw new Error(`${result.taken} events took effect of ${size.events}`);
  return {
    uniform: uniform.timing,
    hot: hot.timing,
    uniformResult: uniform.result,
    hotResult: hot.result,
  };
}
