/** The region: the top of the flow (stage 4). Its rows are the market's pulse. */
import { windowed, type Behaviour } from '../src/index.js';
import { LevelRows, type MarketWindows } from './cell.js';
import { market, MINUTE_MS } from './market.js';

export function region(options: MarketWindows): Behaviour {
  const rows = new LevelRows('region', options.windowsMs);
  return windowed({
    type: 'region',
    sends: [],
    paneMs: MINUTE_MS,
    counters: market.names,
    ...options,
    onClose(ctx, closed) {
      rows.emit(ctx, closed);
    },
    onQuiet(ctx, closed, repeats) {
      rows.emit(ctx, closed, undefined, repeats);
    },
  });
}
