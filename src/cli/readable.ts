/**
 * Any plain data as lines for people: names before values, nesting as indentation, bounded in depth and length so that a
 * large state does not fill the screen. What is left out is counted.
 */
import { count } from './screen.js';

export interface ReadableOptions {
  /** Everything, whatever it takes. */
  readonly full?: boolean;
  readonly depthMax?: number;
  /** Items of a list, and names of an object. */
  readonly itemsMax?: number;
  readonly charsMax?: number;
  /** What to say behind a value, by its name: the time that a number of milliseconds is. */
  readonly remark?: (name: string, value: unknown) => string | undefined;
}

/** A list or object whose JSON is so short stands on one line. */
const ONE_LINE_CHARS = 72;

export function readable(value: unknown, options: ReadableOptions = {}): string[] {
  const { full = false } = options;
  const limits: Limits = {
    depth: full ? Number.POSITIVE_INFINITY : (options.depthMax ?? 4),
    items: full ? Number.POSITIVE_INFINITY : (options.itemsMax ?? 12),
    chars: full ? Number.POSITIVE_INFINITY : (options.charsMax ?? 120),
    remark: options.remark ?? (() => undefined),
  };
  if (!isNested(value)) return [scalar(value, limits)];
  return nested(value, limits, limits.depth);
}

interface Limits {
  readonly depth: number;
  readonly items: number;
  readonly chars: number;
  readonly remark: NonNullable<ReadableOptions['remark']>;
}

function nested(value: object, limits: Limits, depth: number): string[] {
  const entries: [name: string, value: unknown][] = Array.isArray(value)
    ? value.map((item: unknown, i) => [String(i), item])
    : Object.entries(value);
  if (entries.length === 0) return [Array.isArray(value) ? '(empty list)' : '(empty)'];
  const lines: string[] = [];
  const shown = entries.slice(0, limits.items);
  const longest = Math.max(...shown.filter(([, item]) => !isNested(item)).map(([name]) => name.length), 0);
  for (const [name, item] of shown) {
    const label = plain(name);
    if (!isNested(item)) {
      const remark = limits.remark(name, item);
      const behind = remark === undefined ? '' : ` (${remark})`;
      lines.push(`${`${label}:`.padEnd(longest + 1)} ${scalar(item, limits)}${behind}`);
    } else {
      const short = shortly(item, limits.remark);
      if (short !== undefined) lines.push(`${label}: ${short}`);
      else if (depth <= 1) lines.push(`${label}: ${sizeOf(item)}`);
      else lines.push(`${label}:`, ...nested(item, limits, depth - 1).map((line) => `  ${line}`));
    }
  }
  if (entries.length > shown.length) lines.push(`… ${count(entries.length - shown.length)} more`);
  return lines;
}

function isNested(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

/** On one line when it is short: `[3, 4, 5]`, `{a: 1, b: 2}`. */
function shortly(value: object, remark: Limits['remark']): string | undefined {
  const inner = Object.entries(value);
  if (
    inner.length > ONE_LINE_CHARS / 2 ||
    inner.some(([, item]) => isNested(item) && Object.keys(item).length > 0)
  )
    return undefined;
  const text = Array.isArray(value)
    ? `[${value.map((item) => scalar(item)).join(', ')}]`
    : `{${inner.map(([name, item]) => `${plain(name)}: ${remark(name, item) ?? scalar(item)}`).join(', ')}}`;
  return text.length <= ONE_LINE_CHARS ? text : undefined;
}

function sizeOf(value: object): string {
  return Array.isArray(value)
    ? `(list of ${count(value.length)})`
    : `(${count(Object.keys(value).length)} names)`;
}

function scalar(value: unknown, { chars }: Pick<Limits, 'chars'> = { chars: ONE_LINE_CHARS }): string {
  const text =
    typeof value === 'string' ? plain(value) : isNested(value) ? JSON.stringify(value) : String(value);
  return text.length <= chars ? text : `${text.slice(0, chars)}… (${count(text.length)} characters)`;
}

/** Without control characters: what came from outside must not steer the terminal. */
export function plain(text: string): string {
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f]+/g, ' ');
}
