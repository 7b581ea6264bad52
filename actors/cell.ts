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
  const inputs = scorer.inputs.map(({ feature, window }) => {
    const sizeMs = parseDurationMs(window)!;
    return {
      window: options.windowsMs.indexOf(sizeMs),
      place: featureNames(sizeMs).indexOf(feature),
    };
  });

  const score = (features: WindowsFeatures): Surge => {
    for (let i = 0; i < inputs.length; i++) {
      const { window, place } = inputs[i]!;
      // Wait times are 0 when there were none, and so is all of a window that adds up to nothing though its last minute does not.
      input[i] = features[window]?.values[place] ?? 0;
    }
    return scorer.score(input);
  };

  return windowed({
    type: 'cell',
    sends: ['gh5'],
    paneMs: MINUTE_MS,
    counters: market.names,
    ...options,
    onPane(ctx, startMs, tally, late) {
      ctx.send('gh5', ctx.key.slice(0, 5), 'add', startMs, asChild(tally, late));
    },
    onClose(ctx, closed) {
      rows.emit(ctx, closed, score);
    },
    onQuiet(ctx, closed, repeats) {
      rows.emit(ctx, closed, undefined, repeats);
    },
  });
}

/** A pane as its parent gets it: one child reported, unless this is a late piece of one that did. */
export function asChild(tally: Tally, late: boolean): Tally {
  const child = addTally(market.zero(tally.n.length > market.index.children ? undefined : 'children'), tally);
  child.n[market.index.children] = late ? 0 : 1;
  return child;
}

/** Of windows that have closed, by their place among the windows. */
type WindowsFeatures = readonly (FeatureVector | undefined)[];

interface WindowRows {
  /** Its place among the windows. */
  readonly at: number;
  readonly window: string;
  readonly features: WindowFeatures;
}

/** The rows of one level, made of closed windows. */
export class LevelRows {
  readonly #level: Level;
  readonly #bySize: ReadonlyMap<number, WindowRows>;
  /** Of those that are being emitted. */
  readonly #features: (FeatureVector | undefined)[];

  constructor(level: Level, windowsMs: readonly number[]) {
    this.#level = level;
    this.#bySize = new Map(
      windowsMs.map((ms, at) => [ms, { at, window: formatDuration(ms), features: new WindowFeatures(ms) }]),
    );
    this.#features = windowsMs.map(() => undefined);
  }

  /**
   * Emits closed windows of the actor that is called.
   * @param score of the minute, when it is among them
   */
  emit(
    ctx: ActorContext,
    closed: readonly ClosedWindow[],
    score?: (features: WindowsFeatures) => Surge,
    repeats?: Repeats,
  ): void {
    const { key } = ctx;
    const level = this.#level;
    let hasMinute = false;
    for (let at = 0; at < this.#features.length; at++) this.#features[at] = undefined;
    for (const { sizeMs, tally, lastPane } of closed) {
      const { at, features } = this.#bySize.get(sizeMs)!;
      this.#features[at] = features.of(level, tally, lastPane);
      hasMinute ||= sizeMs === MINUTE_MS;
    }
    const surge = hasMinute ? score?.(this.#features) : undefined;
    for (const { sizeMs, endMs, rev, lastPane } of closed) {
      const { at, window } = this.#bySize.get(sizeMs)!;
      ctx.emit({
        level,
        key,
        window,
        start: endMs - sizeMs,
        end: endMs,
        rev,
        features: this.#features[at]!,
        surge: sizeMs === MINUTE_MS ? surge : undefined,
        children: level === 'cell' ? undefined : (lastPane?.n[market.index.children] ?? 0),
        repeats,
      });
    }
  }
}
