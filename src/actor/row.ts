/**
 * A row: one published aggregate, addressed by (region, level, key, window, start, revision). This file owns its
 * shape; `serve/` owns how it is written and on which subject it goes out.
 */

/** What the linear scorer said of a cell's minute. */
export interface Surge {
  /** The price multiplier: bounded and rounded to the model's quantum. */
  readonly multiplier: number;
  /** The score before bounds and quantum. */
  readonly raw: number;
  /** `name@version` of the model. */
  readonly model: string;
}

/** Values of a row, by name. */
export type Features = Readonly<Record<string, number>>;

/**
 * Values of a row by their place, for behaviours that make many: one is filled and emitted again and again, for a row is read
 * when it is emitted. No object need be made for each.
 *
 * @example
 * const features = new FeatureVector(['open_s', 'drivers']);
 * features.values[0] = 12.5;
 * features.values[1] = 3;
 * ctx.emit({ level: 'cell', key: ctx.key, window: '1m', start, end, rev: 0, features });
 */
export class FeatureVector {
  /** In the order of the values. */
  readonly names: readonly string[];
  readonly values: Float64Array;

  constructor(names: readonly string[]) {
    this.names = names;
    this.values = new Float64Array(names.length);
  }

  /** As they are now. */
  toObject(): Features {
    return Object.fromEntries(this.names.map((name, i) => [name, this.values[i]!]));
  }
}

/** More windows with the values of a row. */
export interface Repeats {
  /** How many: at most `REPEATS_MAX`. */
  readonly times: number;
  /** Each starts and ends so much later than the one before it, ms. */
  readonly everyMs: number;
}

export const REPEATS_MAX = 1_000;

/** What a behaviour emits; the engine adds region, watermark and completeness. */
export interface RowDraft {
  /** `cell`, `gh5`, `gh4`, `region`, or a feature author's own level. One subject token. */
  readonly level: string;
  /** Geohash or name within the level. */
  readonly key: string;
  /** Length of the window as text: `1m`, `5m`, `15m`, `1h`. */
  readonly window: string;
  /** Event time, ms UTC, inclusive. */
  readonly start: number;
  /** Event time, ms UTC, exclusive. */
  readonly end: number;
  /** 0 when final for the first time; +1 for each correction by late data. */
  readonly rev: number;
  readonly features: Features | FeatureVector;
  readonly surge?: Surge | undefined;
  /** How many child rows went into this one (levels above the cell). */
  readonly children?: number | undefined;
  /** The windows that follow have the same values: a row for each of them too, at the price of one. */
  readonly repeats?: Repeats | undefined;
}

export interface Completeness {
  /** Partitions whose promise (mark) the row's closing waited for. */
  readonly expected: number;
  /** Partitions that had given it when the row was made. */
  readonly reported: number;
  readonly children?: number;
}

export interface Row extends Omit<RowDraft, 'children' | 'features' | 'surge' | 'repeats'> {
  readonly region: string;
  readonly features: Features;
  readonly surge?: Surge;
  readonly final: boolean;
  /** The stage's watermark when the row was made: event time, ms UTC. */
  readonly watermark: number;
  readonly completeness: Completeness;
}
