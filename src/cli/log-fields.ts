/** What the fields of a log line say: errors as facts, secrets and people not at all. */
import { GroundswellError } from '../core/errors.js';

/** Never written, at any level. */
const SECRETS = new Set(['password', 'pass', 'credentials', 'token', 'authorization']);
/** Who drives and rides: written by lines of `debug` only. */
const PEOPLE = new Set(['driverId', 'riderId']);
const HIDDEN = '…';
const DEPTH_MAX = 6;
const CAUSES_MAX = 8;

/** Puts `…` for what is not to be read; looks into objects and lists, not into errors and the like. */
export function hide(value: unknown, showPeople: boolean, depth = 0): unknown {
  if (typeof value === 'string') return withoutUser(value);
  if (typeof value !== 'object' || value === null) return value;
  const below = (inner: unknown): unknown =>
    depth === DEPTH_MAX ? HIDDEN : hide(inner, showPeople, depth + 1);
  if (Array.isArray(value)) return value.map(below);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => {
      const hidden = SECRETS.has(name) || (PEOPLE.has(name) && !showPeople);
      return [name, hidden && inner !== undefined ? HIDDEN : below(inner)];
    }),
  );
}

/** A user and a password in a URL are as secret as in fields of their own. */
function withoutUser(text: string): string {
  return text.replaceAll(/(\w:\/\/)[^\s/@]+@/g, `$1${HIDDEN}@`);
}

export interface ErrorFields {
  readonly code?: string | number;
  readonly name?: string;
  readonly message: string;
  readonly remedy?: string;
  readonly stack?: string;
  readonly causes?: readonly ErrorFields[];
}

/** An error and its causes: code and remedy where it has them, the stack of a fault that has no code. */
export function errorFields(thrown: unknown): ErrorFields {
  const chain: ErrorFields[] = [];
  let one = thrown;
  do {
    chain.push(fieldsOf(one));
    one = one instanceof Error ? one.cause : undefined;
  } while (one !== undefined && chain.length < CAUSES_MAX);
  const [first, ...causes] = chain as [ErrorFields, ...ErrorFields[]];
  return causes.length === 0 ? first : { ...first, causes };
}

function fieldsOf(thrown: unknown): ErrorFields {
  if (!(thrown instanceof Error)) {
    return {
      message: withoutUser(typeof thrown === 'string' ? thrown : (JSON.stringify(thrown) ?? 'nothing')),
    };
  }
  const message = withoutUser(thrown.message);
  if (thrown instanceof GroundswellError) return { code: thrown.code, message, remedy: thrown.remedy };
  const { name, stack } = thrown;
  const { code } = thrown as { code?: unknown };
  if (typeof code === 'string' || typeof code === 'number') return { name, code, message };
  return { name, message, ...(stack === undefined ? {} : { stack: withoutUser(stack) }) };
}

/** The same on a few lines, for a terminal. */
export function errorText({ causes = [], ...first }: ErrorFields): string {
  const lines = [first, ...causes].flatMap(({ code, name, message, remedy, stack }, i) => {
    const what = stack ?? `${message} (${code ?? name ?? 'thrown'})`;
    return [`${i === 0 ? '' : 'because: '}${what}`, ...(remedy === undefined ? [] : [`→ ${remedy}`])];
  });
  // What came from outside must not steer the terminal.
  return lines.join('\n').replaceAll(/[^\P{Cc}\n\t]/gu, '');
}
