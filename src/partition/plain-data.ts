/**
 * What handlers may hand out: data that a frame can hold. It is looked at when it is said, for what cannot be written would only
 * be found when the commit is made: then it is nobody's failure, and would be found again after each start.
 */

/** Deeper data is none: it holds itself, most likely. */
const DEPTH_MAX = 64;

/** Why a value is no plain data, in words; undefined when it is. */
export function whyNotPlain(value: unknown, depth = 0): string | undefined {
  switch (typeof value) {
    case 'number':
    case 'string':
    case 'boolean':
    case 'undefined':
      return undefined;
    case 'bigint':
      return BigInt.asIntN(64, value) === value ? undefined : 'an integer of more than 64 bits';
    case 'function':
    case 'symbol':
      return `a ${typeof value}`;
    case 'object':
      break;
  }
  if (value === null || ArrayBuffer.isView(value)) return undefined;
  if (depth === DEPTH_MAX) return `more than ${DEPTH_MAX} objects in each other`;
  if (Array.isArray(value)) return areNumbers(value) ? undefined : whyNoneOf(value, depth + 1);
  for (const name in value) {
    const one = (value as Record<string, unknown>)[name];
    if (Array.isArray(one) && areNumbers(one)) continue;
    const why = whyNotPlain(one, depth + 1);
    if (why !== undefined) return why;
  }
  return undefined;
}

function whyNoneOf(list: readonly unknown[], depth: number): string | undefined {
  for (const one of list) {
    const why = whyNotPlain(one, depth);
    if (why !== undefined) return why;
  }
  return undefined;
}

/** Most of what is said is. */
function areNumbers(list: readonly unknown[]): boolean {
  for (let i = 0; i < list.length; i++) if (typeof list[i] !== 'number') return false;
  return true;
}
