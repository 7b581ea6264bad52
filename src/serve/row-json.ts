/**
 * Rows as JSON, straight from their blocks: the same text as `JSON.stringify` of the row, without making the row. What
 * a block's rows share is written once.
 */
import type { RowBlock } from '../partition/row-block.js';

/** Called for each row of the blocks, in order. */
export type RowTextVisitor = (json: string, key: string, endMs: number) => void;

/** Renders each row of a block. Rows whose window ended at or before `afterMs` are passed over. */
export function renderRows(block: RowBlock, afterMs: number, visit: RowTextVisitor): void {
  const { kind, keys, numbers } = block;
  const { region, level, window, lengthMs, names, model, hasChildren } = kind;
  const head = `{"region":${JSON.stringify(region)},"level":${JSON.stringify(level)},"key":`;
  const atWindow = `,"window":${JSON.stringify(window)},"start":`;
  const labels = names.map((name, i) => `${i === 0 ? '' : ','}${JSON.stringify(name)}:`);
  const atModel = `,"model":${JSON.stringify(model)}}`;
  let at = 0;
  for (const key of keys) {
    const end = numbers[at]!;
    const rev = numbers[at + 1]!;
    const final = numbers[at + 2]! === 1;
    const watermark = numbers[at + 3]!;
    const expected = numbers[at + 4]!;
    const reported = numbers[at + 5]!;
    at += 6;
    const children = hasChildren ? `,"children":${numbers[at++]!}` : '';
    const surge =
      model === null ? '' : `,"surge":{"multiplier":${numbers[at++]!},"raw":${numbers[at++]!}${atModel}`;
    let features = '';
    for (const label of labels) features += label + String(numbers[at++]!);
    if (end <= afterMs) continue;
    visit(
      `${head}${JSON.stringify(key)}${atWindow}${end - lengthMs},"end":${end},"rev":${rev},"final":${final}` +
        `,"features":{${features}}${surge},"watermark":${watermark}` +
        `,"completeness":{"expected":${expected},"reported":${reported}${children}}}`,
      key,
      end,
    );
  }
}
