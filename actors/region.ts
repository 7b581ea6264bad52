/** The region: the top of the flow (stage 4). Its rows are the market's pulse. */
import { windowed, type Behaviour } from '../src/index.js';
import { emit, type MarketWindows } from './cell.js';
import { MINUTE_MS } from './market.js';

export function region(options: MarketWindows): Behaviour {
  return windowed({
    type: 'region',
    sends: [],
    paneMs: MINUTE_MS,
    ...options,
    onClose(ctx, closed) {
      for (const window of closed) emit(ctx, 'region', ctx.key, window);
    },
  }) as Behaviour;
}
