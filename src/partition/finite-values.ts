/** What rows may hold, and what may be shown: finite numbers. It is looked at when it is said, so that whoever says it fails. */
import { GroundswellError } from '../core/errors.js';
import { FeatureVector, REPEATS_MAX, type RowDraft } from '../actor/row.js';

/** @throws GroundswellError GS_BEHAVIOUR naming what is no finite number */
export function expectRow(draft: RowDraft): void {
  const { features } = draft;
  expectValues(features instanceof FeatureVector ? features.toObject() : features);
  expectHead(draft);
}

/** What stands in a row besides its features. */
export function expectHead({ surge, children, repeats }: RowDraft): void {
  if (surge !== undefined) {
    expectNumber('multiplier', surge.multiplier);
    expectNumber('raw', surge.raw);
  }
  if (children !== undefined) expectNumber('children', children);
  if (repeats === undefined) return;
  const { times, everyMs } = repeats;
  expectNumber('everyMs', everyMs);
  if (!Number.isInteger(times) || times < 0 || times > REPEATS_MAX)
    throw refuse(`A row is repeated ${times} times: it can be from 0 to ${REPEATS_MAX} times.`);
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
