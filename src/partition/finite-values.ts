/** What rows may hold, and what may be shown: finite numbers. It is looked at when it is said, so that whoever says it fails. */
import { GroundswellError } from '../core/errors.js';
import { FeatureVector, type RowDraft } from '../actor/row.js';

/** @throws GroundswellError GS_BEHAVIOUR naming what is no finite number */
export function expectRow({ features, surge, children }: RowDraft): void {
  expectValues(features instanceof FeatureVector ? features.toObject() : features);
  expectHead(surge, children);
}

/** What stands in a row besides its features. */
export function expectHead(surge: RowDraft['surge'], children: number | undefined): void {
  if (surge !== undefined) {
    expectNumber('multiplier', surge.multiplier);
    expectNumber('raw', surge.raw);
  }
  if (children !== undefined) expectNumber('children', children);
}

export function expectValues(values: unknown): void {
  expectObject(values);
  for (const name in values) expectNumber(name, values[name]);
}

export function expectObject(values: unknown): asserts values is Readonly<Record<string, unknown>> {
  if (typeof values !== 'object' || values === null) throw refuse('A row, or what is shown, has no values.');
}

export function expectNumber(name: string, value: unknown): void {
  if (Number.isFinite(value)) return;
  const said = typeof value === 'symbol' ? 'a symbol' : String(value);
  throw refuse(`Of a row, or what is shown, "${name}" is ${said}, which is no finite number.`);
}

function refuse(message: string): GroundswellError {
  return new GroundswellError('GS_BEHAVIOUR', message);
}
