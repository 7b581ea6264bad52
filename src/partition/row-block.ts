/**
 * Rows in columns: what rows of a kind have in common (level, window, names of features, model) is written once, the
 * rest is a list of keys and a flat list of numbers. A day of a city is millions of rows, each written and read
 * more than once; as objects they cost several times as much as computing them.
 */
import type { Row } from '../actor/row.js';

/** Rows of one kind; row i has `keys[i]` and the i-th group of `stride(block)` numbers. */
export type RowBlock = [
  region: string,
  level: string,
  window: string,
  lengthMs: number,
  /** Names of the features, in order. */
  names: string[],
  /** Of the rows' surge; null when they have none. */
  model: string | null,
  hasChildren: boolean,
  /** What `end` and `watermark` are counted from: event time, ms. */
  baseMs: number,
  keys: string[],
  /** Per row: end, rev, final, watermark, expected, reported, children?, multiplier?, raw?, features… */
  numbers: number[],
];

const FIXED = 6;

/** Numbers per row. */
export function stride([, , , , names, model, hasChildren]: RowBlock): number {
  return FIXED + (hasChildren ? 1 : 0) + (model === null ? 0 : 2) + names.length;
}

/** Rows as they are emitted, put in blocks at once: the objects can go. */
export class RowBlocks {
  /** Blocks by window: a few for each, and no name need be made of all that they have in common. */
  #byWindow = new Map<string, RowBlock[]>();
  #count = 0;

  get count(): number {
    return this.#count;
  }

  add(row: Row): void {
    let blocks = this.#byWindow.get(row.window);
    if (blocks === undefined) this.#byWindow.set(row.window, (blocks = []));
    let block = blocks.find((known) => fits(known, row));
    if (block === undefined) blocks.push((block = blockFor(row)));
    append(block, row);
    this.#count++;
  }

  take(): RowBlock[] {
    // Revisions of one window stand in different blocks: the older ones come first.
    const blocks = [...this.#byWindow.values()].flat().sort((a, b) => revisionOf(a) - revisionOf(b));
    this.#byWindow = new Map();
    this.#count = 0;
    return blocks;
  }
}

/** All rows of a block have the revision of its first. */
function revisionOf([, , , , , , , , , numbers]: RowBlock): number {
  return numbers[1] ?? 0;
}

function blockFor({ region, level, window, start, end, features, surge, completeness }: Row): RowBlock {
  const hasChildren = completeness.children !== undefined;
  const names = Object.keys(features);
  return [region, level, window, end - start, names, surge?.model ?? null, hasChildren, end, [], []];
}

function fits(block: RowBlock, row: Row): boolean {
  const [region, level, , lengthMs, names, model, hasChildren] = block;
  if (row.level !== level || row.rev !== revisionOf(block)) return false;
  if ((row.surge?.model ?? null) !== model) return false;
  if (row.end - row.start !== lengthMs || row.region !== region) return false;
  if ((row.completeness.children !== undefined) !== hasChildren) return false;
  let i = 0;
  for (const name in row.features) if (names[i++] !== name) return false;
  return i === names.length;
}

function append([, , , , names, , hasChildren, baseMs, keys, numbers]: RowBlock, row: Row): void {
  const { key, end, rev, final, watermark, surge, completeness, features } = row;
  keys.push(key);
  numbers.push(
    end - baseMs,
    rev,
    final ? 1 : 0,
    watermark - baseMs,
    completeness.expected,
    completeness.reported,
  );
  if (hasChildren) numbers.push(completeness.children!);
  if (surge !== undefined) numbers.push(surge.multiplier, surge.raw);
  for (const name of names) numbers.push(features[name]!);
}

/** How many rows of a block have a window that ended after a time. */
export function countRows(block: RowBlock, afterMs: number): number {
  const [, , , , , , , baseMs, keys, numbers] = block;
  const step = stride(block);
  let count = 0;
  for (let i = 0; i < keys.length; i++) if (baseMs + numbers[i * step]! > afterMs) count++;
  return count;
}

/** A block in two halves. */
export function splitBlock(block: RowBlock): [RowBlock, RowBlock] {
  const keys = block[8];
  const half = Math.ceil(keys.length / 2);
  const at = half * stride(block);
  const part = (
    from: number,
    to: number | undefined,
    fromNumber: number,
    toNumber: number | undefined,
  ): RowBlock => {
    const copy: RowBlock = [...block];
    copy[8] = keys.slice(from, to);
    copy[9] = block[9].slice(fromNumber, toNumber);
    return copy;
  };
  return [part(0, half, 0, at), part(half, undefined, at, undefined)];
}

/** The rows of blocks, as they were added. */
export function rowsOf(blocks: readonly RowBlock[]): Row[] {
  const rows: Row[] = [];
  for (const [region, level, window, lengthMs, names, model, hasChildren, baseMs, keys, numbers] of blocks) {
    let at = 0;
    for (const key of keys) {
      const end = baseMs + numbers[at++]!;
      const rev = numbers[at++]!;
      const final = numbers[at++]! === 1;
      const watermark = baseMs + numbers[at++]!;
      const expected = numbers[at++]!;
      const reported = numbers[at++]!;
      const children = hasChildren ? { children: numbers[at++]! } : {};
      const surge =
        model === null ? {} : { surge: { multiplier: numbers[at++]!, raw: numbers[at++]!, model } };
      const features: Record<string, number> = {};
      for (const name of names) features[name] = numbers[at++]!;
      const completeness = { expected, reported, ...children };
      rows.push({
        region,
        level,
        key,
        window,
        start: end - lengthMs,
        end,
        rev,
        final,
        features,
        ...surge,
        watermark,
        completeness,
      });
    }
  }
  return rows;
}
