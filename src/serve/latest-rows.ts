/**
 * The latest row of every (level, key, window): a later window replaces an earlier one, and of one window the higher
 * revision counts. Owns the numbers that stand for keys elsewhere, and how many keys there may be (P8).
 */
import { endOf, revOf, type RowNumbers, type RowShape } from './row-shape.js';

export interface LatestEntry {
  /** Stands for (level, key) as long as the entry is there; given to another one afterwards. */
  readonly id: number;
  readonly key: string;
  /** One per window: shape i belongs to numbers i. */
  readonly shapes: RowShape[];
  readonly numbers: RowNumbers[];
}

export class LatestRows {
  readonly #keysMax: number;
  readonly #levels = new Map<string, Map<string, LatestEntry>>();
  readonly #free: number[] = [];
  #ids = 0;
  #keys = 0;
  #refused = 0;

  constructor(keysMax: number) {
    this.#keysMax = keysMax;
  }

  get keys(): number {
    return this.#keys;
  }

  /** Rows that were not kept because there are too many keys. */
  get refused(): number {
    return this.#refused;
  }

  get levels(): string[] {
    return [...this.#levels.keys()];
  }

  /** Takes a row in; undefined when there is no room for its key. */
  put(shape: RowShape, key: string, numbers: RowNumbers): LatestEntry | undefined {
    let level = this.#levels.get(shape.level);
    let entry = level?.get(key);
    if (entry === undefined) {
      if (this.#keys >= this.#keysMax) {
        this.#refused++;
        return undefined;
      }
      if (level === undefined) this.#levels.set(shape.level, (level = new Map<string, LatestEntry>()));
      entry = { id: this.#free.pop() ?? this.#ids++, key, shapes: [], numbers: [] };
      level.set(key, entry);
      this.#keys++;
    }
    const at = placeOf(entry, shape.window);
    const known = entry.numbers[at];
    if (known !== undefined) {
      const older = endOf(numbers) - endOf(known) || revOf(numbers) - revOf(known);
      if (older < 0) return entry;
    }
    entry.shapes[at] = shape;
    entry.numbers[at] = numbers;
    return entry;
  }

  entry(level: string, key: string): LatestEntry | undefined {
    return this.#levels.get(level)?.get(key);
  }

  entries(level: string): Iterable<LatestEntry> {
    return this.#levels.get(level)?.values() ?? [];
  }

  /** Drops rows of windows that ended by a time, and keys that have none left. */
  drop(untilMs: number): void {
    for (const [name, level] of this.#levels) {
      for (const [key, entry] of level) {
        const { id, shapes, numbers } = entry;
        for (let i = numbers.length - 1; i >= 0; i--) {
          if (endOf(numbers[i]!) > untilMs) continue;
          shapes.splice(i, 1);
          numbers.splice(i, 1);
        }
        if (numbers.length > 0) continue;
        level.delete(key);
        this.#keys--;
        this.#free.push(id);
      }
      if (level.size === 0) this.#levels.delete(name);
    }
  }
}

/** Where the row of a window stands in its entry, or is to stand. */
export function placeOf({ shapes }: LatestEntry, window: string): number {
  for (let i = 0; i < shapes.length; i++) if (shapes[i]!.window === window) return i;
  return shapes.length;
}
