/**
 * What rows of a kind have in common, kept once: the head of a row block. A row is then its shape, its key and a list of
 * numbers, which is a fraction of what an object costs.
 */
import type { Row } from '../actor/row.js';
import { FIXED, rowAt, stride, type RowBlock, type RowHead } from '../partition/row-block.js';

/** Places of what is read without making the row. */
export const END = 0;
const REV = 1;
const FINAL = 2;
export const WATERMARK = 3;

export interface RowShape extends RowHead {
  /** Numbers per row. */
  readonly stride: number;
  /** Place of the multiplier, followed by the raw score; -1 when rows have none. */
  readonly surgeAt: number;
}

/** Numbers of one row, in the order of a block; `end` and `watermark` are event time ms. */
export type RowNumbers = readonly number[];

export const endOf = (numbers: RowNumbers): number => numbers[END]!;
export const revOf = (numbers: RowNumbers): number => numbers[REV]!;
export const isFinal = (numbers: RowNumbers): boolean => numbers[FINAL] === 1;

/** The numbers of a block's row. */
export function numbersOf(block: RowBlock, row: number, step: number): number[] {
  const numbers = new Array<number>(step);
  for (let i = 0, at = row * step; i < step; i++, at++) numbers[i] = block.numbers[at]!;
  return numbers;
}

export function rowOf(shape: RowShape, key: string, numbers: RowNumbers): Row {
  return rowAt(shape, key, numbers, 0);
}

const SHAPES_MAX = 1_000;

/** Shapes, each kept once. */
export class RowShapes {
  #byHead = new Map<string, RowShape>();

  of({ kind }: RowBlock): RowShape {
    const { region, level, window, lengthMs, names, model, hasChildren } = kind;
    const head = [region, level, window, lengthMs, model ?? '', hasChildren, ...names].join('\n');
    let shape = this.#byHead.get(head);
    if (shape === undefined) {
      const surgeAt = model === null ? -1 : FIXED + (hasChildren ? 1 : 0);
      shape = { region, level, window, lengthMs, names, model, hasChildren, stride: stride(kind), surgeAt };
      // Rows hold their own shape: forgetting them here only means that later ones are not shared with earlier ones (P8).
      if (this.#byHead.size >= SHAPES_MAX) this.#byHead = new Map();
      this.#byHead.set(head, shape);
    }
    return shape;
  }
}
