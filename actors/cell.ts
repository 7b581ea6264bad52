/**
 * A cell: adds up what drivers and riders tell it (stage 1). At each minute's close it emits its rows, scores its
 * surge multiplier on its own 1 m and 5 m values, and passes the minute upward.
 */
import {
  addTally,
  formatDuration,
  parseDurationMs,
  windowed,
  type ActorContext,
  type Behaviour,
  type ClosedWindow,
  type FeatureVector,
  type LinearScorer,
  type Repeats,
  type Surge,
  type Tally,
} from '../src/index.js';
import { featureNames, market, MINUTE_MS, WindowFeatures, type Level } from './market.js';

export interface MarketWindows {
  /** Lengths of windows, ms, ascending from one minute. */
  readonly windowsMs: readonly number[];
  readonly allowedLatenessMs: number;
}

export function cell(options: MarketWindows & { readonly scorer: LinearScorer }): Behaviour {
  const { scorer } = options;
  const rows = new LevelRows('cell', options.windowsMs);
  const input = new Float64Array(scorer.inputs.length);
  // Where each input of the scorer is among the features of its window.
  const inputs = options.windowsMs.map((sizeMs) => ({
    sizeMs,
    features: scorer.inputs.flatMap(({ feature, window }, i) =>
      parseDurationMs(window) === sizeMs ? [[i, featureNames(sizeMs).indexOf(feature)] as const] : [],
    ),
  }));

  return windowed({
    type: 'cell',
    sends: ['gh5'],
    paneMs: MINUTE_MS,
    counters: market.names,
    ...options,
    onPane(ctx, startMs, tally, late) {
      ctx.send('gh5', ctx.key.slice(0, 5), 'add', startMs, asChild(tally, late));
    },
    onClose(ctx, closed, find) {
      const minute = closed.find(({ sizeMs }) => sizeMs === MINUTE_MS);
      // Only a minute is scored, and most that closes is what slides on after it.
      if (minute === undefined) {
        rows.emit(ctx, closed);
        return;
      }
      for (const { sizeMs, features } of inputs) {
        const { values } = rows.featuresOf(sizeMs, find(sizeMs) ?? NOTHING, minute.lastPane);
        // Wait times are 0 when there were none.
        for (const [i, at] of features) input[i] = values[at] ?? 0;
      }
      rows.emit(ctx, closed, scorer.score(input));
    },
    onQuiet(ctx, closed, repeats) {
      rows.emit(ctx, closed, undefined, repeats);
    },
  });
}

const NOTHING: Tally = { n: [] };

/** A pane as its parent gets it: one child reported, unless this is a late piece of one that did. */
export function asChild(tally: Tally, late: boolean): Tally {
  const child = addTally(market.zero(tally.n.length > market.index.children ? undefined : 'children'), tally);
  child.n[market.index.children] = late ? 0 : 1;
  return child;
}

/** The rows of one level, made of closed windows. */
export class LevelRows {
  readonly #level: Level;
  readonly #bySize: ReadonlyMap<number, { readonly window: string; readonly features: WindowFeatures }>;

  constructor(level: Level, windowsMs: readonly number[]) {
    this.#level = level;
    this.#bySize = new Map(
      windowsMs.map((ms) => [ms, { window: formatDuration(ms), features: new WindowFeatures(ms) }]),
    );
  }

  /** Good until it is asked for the next ones of a window of that size. */
  featuresOf(sizeMs: number, tally: Tally, lastPane: Tally | undefined): FeatureVector {
    return this.#bySize.get(sizeMs)!.features.of(this.#level, tally, lastPane);
  }

  /** Emits closed windows of the actor that is called, the minute with its surge. */
  emit(ctx: ActorContext, closed: readonly ClosedWindow[], surge?: Surge, repeats?: Repeats): void {
    const { key } = ctx;
    const level = this.#level;
    for (const { sizeMs, endMs, rev, tally, lastPane } of closed) {
      const { window, features: all } = this.#bySize.get(sizeMs)!;
      ctx.emit({
        level,
        key,
        window,
        start: endMs - sizeMs,
        end: endMs,
        rev,
        features: all.of(level, tally, lastPane),
        surge: sizeMs === MINUTE_MS ? surge : undefined,
        children: level === 'cell' ? undefined : (lastPane?.n[market.index.children] ?? 0),
        repeats,
      });
    }
  }
}
