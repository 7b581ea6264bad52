/**
 * What actors show of themselves now: the last values of each, provisional, replaced by the next. Values that are all
 * zero, or that nobody showed again for minutes, are gone: actors show again at least once a minute while they are not
 * zero.
 */
import type { ShownBlock } from '../partition/output.js';
import { nonZero } from './non-zero.js';

/** Values by name; `minute` is the start of the minute, event time ms, that the counters belong to. */
export type LiveValues = Readonly<Record<string, number>>;

export interface LiveChange {
  readonly level: string;
  readonly key: string;
  readonly values: LiveValues;
  /** When it was heard of here: wall time ms. */
  readonly atMs: number;
}

/** Shown again within this, or gone. */
export const SILENT_MS = 180_000;
/** Names of what is there now; all others count since the start of their minute. */
const STANDING = new Set(['open', 'enroute', 'busy']);
const MINUTE = 'minute';
/** The actor type that shows the values of a cell. */
const CELLS = 'live';

interface Shown {
  names: readonly string[];
  numbers: readonly number[];
  heardMs: number;
}

export class LiveTable {
  readonly #keysMax: number;
  readonly #levels = new Map<string, Map<string, Shown>>();
  readonly #names = new Map<string, readonly string[]>();
  #keys = 0;
  #refused = 0;
  /** Start of the latest minute that anybody showed, by level. */
  readonly #latestMinute = new Map<string, number>();

  constructor(keysMax: number) {
    this.#keysMax = keysMax;
  }

  get keys(): number {
    return this.#keys;
  }

  /** Values that were not kept because there are too many keys. */
  get refused(): number {
    return this.#refused;
  }

  /** Takes in what keys `from` to `to` of a block show. */
  put(block: ShownBlock, from: number, to: number, heardMs: number): void {
    const [, , keys, numbers] = block;
    const names = this.#shared(block[1]);
    const minuteAt = names.indexOf(MINUTE);
    const levelName = levelOf(block);
    let level = this.#levels.get(levelName);
    if (level === undefined) this.#levels.set(levelName, (level = new Map<string, Shown>()));
    let latest = this.#latestMinute.get(levelName) ?? 0;
    for (let i = from; i < to; i++) {
      const key = keys[i]!;
      const at = i * names.length;
      const values = numbers.slice(at, at + names.length);
      if (minuteAt >= 0 && values[minuteAt]! > latest) latest = values[minuteAt]!;
      const shown = level.get(key);
      if (isNothing(values, minuteAt)) {
        if (level.delete(key)) this.#keys--;
      } else if (shown !== undefined) {
        shown.names = names;
        shown.numbers = values;
        shown.heardMs = heardMs;
      } else if (this.#keys < this.#keysMax) {
        level.set(key, { names, numbers: values, heardMs });
        this.#keys++;
      } else {
        this.#refused++;
      }
    }
    if (latest > 0) this.#latestMinute.set(levelName, latest);
  }

  get(level: string, key: string): LiveValues | undefined {
    const shown = this.#levels.get(level)?.get(key);
    return shown && valuesOf(shown);
  }

  /** The same, less what is zero. */
  nonZero(level: string, key: string): LiveValues | undefined {
    const shown = this.#levels.get(level)?.get(key);
    return shown && nonZero(shown.names, shown.numbers);
  }

  has(level: string, key: string): boolean {
    return this.#levels.get(level)?.has(key) ?? false;
  }

  keysOf(level: string): Iterable<string> {
    return this.#levels.get(level)?.keys() ?? [];
  }

  /**
   * Sums over the keys with a prefix. What counts since the start of a minute is summed for the latest minute only: who
   * has not shown anything since then has counted nothing in it.
   */
  total(level: string, prefix = ''): LiveValues {
    const latest = this.#latestMinute.get(level);
    const sums = new Map<readonly string[], number[]>();
    for (const [key, { names, numbers }] of this.#levels.get(level) ?? []) {
      if (!key.startsWith(prefix)) continue;
      let sum = sums.get(names);
      if (sum === undefined) sums.set(names, (sum = names.map(() => 0)));
      const minuteAt = names.indexOf(MINUTE);
      const current = minuteAt < 0 || numbers[minuteAt] === latest;
      for (let i = 0; i < sum.length; i++)
        if (current || STANDING.has(names[i]!)) sum[i] = sum[i]! + numbers[i]!;
    }
    const total: Record<string, number> = {};
    for (const [names, sum] of sums)
      for (const [i, name] of names.entries()) total[name] = (total[name] ?? 0) + sum[i]!;
    if (latest !== undefined) total[MINUTE] = latest;
    return total;
  }

  /** Drops what nobody showed again for minutes, of wall time or of the minutes shown, and says what. */
  drop(nowMs: number, gone: (level: string, key: string) => void): void {
    for (const [name, level] of this.#levels) {
      const oldestMinute = (this.#latestMinute.get(name) ?? 0) - SILENT_MS;
      for (const [key, { names, numbers, heardMs }] of level) {
        const minute = numbers[names.indexOf(MINUTE)];
        if (heardMs > nowMs - SILENT_MS && (minute === undefined || minute > oldestMinute)) continue;
        level.delete(key);
        this.#keys--;
        gone(name, key);
      }
    }
  }

  /** Lists of names, each kept once; few, and forgotten when they are not (P8). */
  #shared(names: readonly string[]): readonly string[] {
    const joined = names.join('\n');
    const known = this.#names.get(joined);
    if (known !== undefined) return known;
    if (this.#names.size >= 1_000) this.#names.clear();
    this.#names.set(joined, names);
    return names;
  }
}

/** The level that a block's keys belong to: cells show through an actor of their own. */
export function levelOf([type]: ShownBlock): string {
  return type === CELLS ? 'cell' : type;
}

/** What each of the keys `from` to `to` of a block shows. */
export function changesOf(block: ShownBlock, from: number, to: number, atMs: number): LiveChange[] {
  const [, names, keys, numbers] = block;
  const level = levelOf(block);
  return keys.slice(from, to).map((key, i) => {
    const at = (from + i) * names.length;
    return { level, key, values: valuesOf({ names, numbers: numbers.slice(at, at + names.length) }), atMs };
  });
}

/** All are zero, but for which minute it is. */
function isNothing(values: readonly number[], minuteAt: number): boolean {
  for (let i = 0; i < values.length; i++) if (values[i] !== 0 && i !== minuteAt) return false;
  return true;
}

function valuesOf({ names, numbers }: Pick<Shown, 'names' | 'numbers'>): LiveValues {
  return Object.fromEntries(names.map((name, i) => [name, numbers[i]!]));
}
