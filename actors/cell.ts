/**
 * A cell: adds up what drivers and riders tell it (stage 1). At each minute's close it emits its rows, scores its
 * surge multiplier on its own 1 m and 5 m values, and passes the minute upward.
 */
import {
  copyTally,
  formatDuration,
  windowed,
  type ActorContext,
  type Behaviour,
  type ClosedWindow,
  type LinearScorer,
  type Surge,
  type Tally,
} from '../src/index.js';
import { featuresOf, market, MINUTE_MS, type Level } from './market.js';

export interface MarketWindows {
  /** Lengths of windows, ms, ascending from one minute. */
  readonly windowsMs: readonly number[];
  readonly allowedLatenessMs: number;
}

export function cell(options: MarketWindows & { readonly scorer: LinearScorer }): Behaviour {
  const { scorer } = options;
  const input = new Float64Array(scorer.inputs.length);
  const textToMs = new Map(options.windowsMs.map((ms) => [formatDuration(ms), ms]));

  function score(closed: ClosedWindow, find: (sizeMs: number) => Tally | undefined): Surge {
    const byWindow = new Map<string, Record<string, number>>();
    scorer.inputs.forEach(({ feature, window }, i) => {
      let features = byWindow.get(window);
      if (features === undefined) {
        const sizeMs = textToMs.get(window)!;
        features = featuresOf('cell', sizeMs, find(sizeMs) ?? { n: [] }, closed.lastPane);
        byWindow.set(window, features);
      }
      input[i] = features[feature] ?? 0;
    });
    return scorer.score(input);
  }

  return windowed({
    type: 'cell',
    sends: ['gh5'],
    paneMs: MINUTE_MS,
    ...options,
    onPane(ctx, startMs, tally, late) {
      ctx.send('gh5', ctx.key.slice(0, 5), 'add', startMs, asChild(tally, late));
    },
    onClose(ctx, closed, find) {
      for (const window of closed) {
        emit(ctx, 'cell', ctx.key, window, window.sizeMs === MINUTE_MS ? score(window, find) : undefined);
      }
    },
  }) as Behaviour;
}

/** A pane as its parent gets it: one child reported, unless this is a late piece of one that did. */
export function asChild(tally: Tally, late: boolean): Tally {
  const copy = copyTally(tally);
  while (copy.n.length < market.names.length) copy.n.push(0);
  copy.n[market.index.children] = late ? 0 : 1;
  return copy;
}

export function emit(
  ctx: ActorContext,
  level: Level,
  key: string,
  window: ClosedWindow,
  surge?: Surge,
): void {
  const { sizeMs, endMs, rev, tally, lastPane } = window;
  ctx.emit({
    level,
    key,
    window: formatDuration(sizeMs),
    start: endMs - sizeMs,
    end: endMs,
    rev,
    features: featuresOf(level, sizeMs, tally, lastPane),
    ...(surge === undefined ? {} : { surge }),
    ...(level === 'cell' ? {} : { children: lastPane?.n[market.index.children] ?? 0 }),
  });
}
