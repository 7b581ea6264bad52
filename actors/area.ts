/** A parent geohash, of five characters (stage 2) or four (stage 3): adds up its children and passes them upward. */
import { windowed, type Behaviour } from '../src/index.js';
import { asChild, LevelRows, type MarketWindows } from './cell.js';
import { market, MINUTE_MS } from './market.js';

export function area(level: 'gh5' | 'gh4', options: MarketWindows): Behaviour {
  const parent = level === 'gh5' ? 'gh4' : 'region';
  const rows = new LevelRows(level, options.windowsMs);
  return windowed({
    type: level,
    sends: [parent],
    paneMs: MINUTE_MS,
    counters: market.names,
    ...options,
    onPane(ctx, startMs, tally, late) {
      const key = parent === 'region' ? ctx.region : ctx.key.slice(0, 4);
      ctx.send(parent, key, 'add', startMs, asChild(tally, late));
    },
    onClose(ctx, closed) {
      rows.emit(ctx, closed);
    },
    onQuiet(ctx, closed, repeats) {
      rows.emit(ctx, closed, undefined, repeats);
    },
  });
}
