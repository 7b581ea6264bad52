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
  type LinearScorer,
  type Surge,
  type Tally,
} from '../src/index.js';
import { featuresOf, market, MINUTE_MS, type Level } from './market.js';

type Features = Readonly<Record<string, number>>;

export interface MarketWindows {
  /** Lengths of windows, ms, ascending from one minute. */
  readonly windowsMs: readonly number[];
  readonly allowedLatenessMs: number;
}

export function cell(options: MarketWindows & { readonly scorer: LinearScorer }): Behaviour {
  const { scorer } = options;
  const input = new Float64Array(scorer.inputs.length);
  const sizesMs = scorer.inputs.map(({ window }) => parseDurationMs(window)!);

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
        emitAll(ctx, 'cell', closed);
        return;
      }
      const bySize = new Map<number, Features>();
      for (const window of closed)
        bySize.set(window.sizeMs, featuresOf('cell', window.sizeMs, window.tally, window.lastPane));
      for (const [i, { feature }] of scorer.inputs.entries()) {
        const sizeMs = sizesMs[i]!;
        let features = bySize.get(sizeMs);
        if (features === undefined) {
          features = featuresOf('cell', sizeMs, find(sizeMs) ?? { n: [] }, minute.lastPane);
          bySize.set(sizeMs, features);
        }
        input[i] = features[feature] ?? 0;
      }
      const surge = scorer.score(input);
      for (const window of closed)
        emit(ctx, 'cell', window, bySize.get(window.sizeMs)!, window === minute ? surge : undefined);
    },
  });
}

/** A pane as its parent gets it: one child reported, unless this is a late piece of one that did. */
export function asChild(tally: Tally, late: boolean): Tally {
  const child = addTally(market.zero(tally.n.length > market.index.children ? undefined : 'children'), tally);
  child.n[market.index.children] = late ? 0 : 1;
  return child;
}

/** Emits a closed window of the actor that is called, as a row of its level. */
function emit(
  ctx: ActorContext,
  level: Level,
  { sizeMs, endMs, rev, lastPane }: ClosedWindow,
  features: Features,
  surge: Surge | undefined,
): void {
  const { key } = ctx;
  const window = textOf(sizeMs);
  const start = endMs - sizeMs;
  // Literals, not spreads: most rows are of no minute.
  if (level !== 'cell') {
    const children = lastPane?.n[market.index.children] ?? 0;
    ctx.emit({ level, key, window, start, end: endMs, rev, features, children });
  } else if (surge === undefined) {
    ctx.emit({ level, key, window, start, end: endMs, rev, features });
  } else {
    ctx.emit({ level, key, window, start, end: endMs, rev, features, surge });
  }
}

/** Emits all closed windows of an actor, without a surge. */
export function emitAll(ctx: ActorContext, level: Level, closed: readonly ClosedWindow[]): void {
  for (const window of closed) {
    const { sizeMs, tally, lastPane } = window;
    emit(ctx, level, window, featuresOf(level, sizeMs, tally, lastPane), undefined);
  }
}

const texts = new Map<number, string>();

/** Length of a window as text, made once: it stands in every row. */
function textOf(sizeMs: number): string {
  let text = texts.get(sizeMs);
  if (text === undefined) texts.set(sizeMs, (text = formatDuration(sizeMs)));
  return text;
}
