/**
 * Reading configuration: a YAML file, checked by a zod schema with strict keys, and one way to say what is wrong:
 * the file, the key's path, the reason and, for a mistyped key or word, the nearest right one. Owns no schema.
 */
import { readFile } from 'node:fs/promises';
import { LineCounter, parseDocument } from 'yaml';
import { z } from 'zod';
import { parseDurationMs } from './duration.js';
import { type ErrorCode, GroundswellError, messageOf } from './errors.js';
import { nearest } from './nearest.js';

type Issue = z.core.$ZodIssue;

/** How many faults one message names; the rest are counted. */
const ISSUES_SHOWN = 5;

/**
 * A duration as people write it (`5s`, `10m`); gives milliseconds.
 *
 * @example durationMs().parse('5s') // 5000
 */
export function durationMs(): z.ZodType<number, string> {
  return z.string().transform((text, context) => {
    const ms = parseDurationMs(text);
    if (ms !== undefined) return ms;
    context.addIssue({ code: 'custom', message: `"${text}" is no duration: write 250ms, 5s, 10m, 1h or 1d` });
    return z.NEVER;
  });
}

/**
 * Checks a value that came from a configuration.
 *
 * @param where what the message starts with: the file, or whatever names the value
 * @throws GroundswellError with `code`; its message names `where`, the key's path and, for unknown keys, the nearest one
 */
export function parseConfig<S extends z.ZodType>(
  schema: S,
  value: unknown,
  where: string,
  code: ErrorCode,
): z.output<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const faults = result.error.issues.flatMap((issue) => explain(schema, value, issue, []));
  const shown = faults.slice(0, ISSUES_SHOWN);
  if (faults.length > shown.length) shown.push(`and ${faults.length - shown.length} more`);
  const lines = shown.length === 1 ? ` ${shown[0]}` : shown.map((fault) => `\n  ${fault}`).join('');
  throw new GroundswellError(code, `${where}:${lines}`, { cause: result.error });
}

/** Reads a YAML file and checks it as `parseConfig` does; a file that cannot be read or parsed has the same code. */
export async function readYamlConfig<S extends z.ZodType>(
  schema: S,
  file: string,
  code: ErrorCode,
): Promise<z.output<S>> {
  return parseConfig(schema, await readYaml(file, code), file, code);
}

/** What a YAML file says, unchecked: where it matters which keys are in it, and not only what they come to. */
export async function readYaml(file: string, code: ErrorCode): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    throw new GroundswellError(code, `${file}: cannot be read: ${messageOf(cause)}`, {
      cause,
      remedy: 'Check that the file exists and is readable.',
    });
  }
  return parseYaml(text, file, code);
}

function parseYaml(text: string, file: string, code: ErrorCode): unknown {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter, prettyErrors: false });
  const error = document.errors[0];
  try {
    if (error) throw error;
    return document.toJS({ maxAliasCount: 100 });
  } catch (cause) {
    const at = error ? lineCounter.linePos(error.pos[0]) : undefined;
    const place = at ? `:${at.line}:${at.col}` : '';
    throw new GroundswellError(code, `${file}${place}: not valid YAML: ${messageOf(cause)}`, { cause });
  }
}

function pathText(path: readonly PropertyKey[]): string {
  return path
    .map((key, i) => (typeof key === 'number' ? `[${key}]` : `${i ? '.' : ''}${String(key)}`))
    .join('');
}

/** The messages of one issue: an unknown key each, the branch of a union that was meant, or zod's own words. */
function explain(schema: z.ZodType, root: unknown, issue: Issue, base: readonly PropertyKey[]): string[] {
  const path = [...base, ...issue.path];
  const at = path.length ? `${pathText(path)}: ` : '';
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map(
      (key) => `${pathText([...path, key])}: unknown key${suggest(key, knownKeys(schema, path))}`,
    );
  }
  if (issue.code === 'invalid_union') {
    // The branch that was meant is the one that accepts the value's own type, and fails further inside.
    const meant = issue.errors.find(
      (branch) => branch[0] && !(branch[0].path.length === 0 && branch[0].code === 'invalid_type'),
    );
    if (meant) return meant.flatMap((inner) => explain(schema, root, inner, path));
    const expected = issue.errors.flatMap((branch) =>
      branch[0]?.code === 'invalid_type' ? [branch[0].expected] : [],
    );
    return [`${at}expected ${expected.join(' or ')}, found ${describe(valueAt(root, path))}`];
  }
  const value = valueAt(root, path);
  if (issue.code === 'invalid_type') {
    if (value === undefined && path.length) return [`${at}missing`];
    const hint = issue.expected === 'string' && typeof value !== 'object' ? ' (write it in quotes)' : '';
    return [`${at}expected ${issue.expected}, found ${describe(value)}${hint}`];
  }
  if (issue.code === 'invalid_value') {
    const words = issue.values.map(String);
    const meant = typeof value === 'string' ? suggest(value, words) : '';
    return [`${at}expected ${words.join(', ')}; found ${describe(value)}${meant}`];
  }
  return [`${at}${issue.message}`];
}

/** `; did you mean "x"?`, or else the words there are. */
function suggest(word: string, known: readonly string[]): string {
  const near = nearest(word, known);
  if (near !== undefined) return `; did you mean "${near}"?`;
  return known.length ? `; known here: ${known.join(', ')}` : '';
}

function describe(value: unknown): string {
  if (value === undefined || value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'an object' : `${typeof value} ${JSON.stringify(value)}`;
}

function valueAt(root: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, key) =>
      typeof value === 'object' && value !== null && Object.hasOwn(value, key)
        ? (value as Record<PropertyKey, unknown>)[key]
        : undefined,
    root,
  );
}

/** The keys that a schema allows at a path, looked up through wrappers, lists, records and unions. */
function knownKeys(schema: z.core.$ZodType, path: readonly PropertyKey[]): string[] {
  const def = (schema as z.core.$ZodTypes)._zod.def;
  if (def.type === 'object') {
    const [key, ...rest] = path;
    if (key === undefined) return Object.keys(def.shape);
    const inner = Object.hasOwn(def.shape, key) ? def.shape[String(key)] : undefined;
    return inner ? knownKeys(inner, rest) : [];
  }
  if (def.type === 'array') return knownKeys(def.element, path.slice(1));
  if (def.type === 'record') return knownKeys(def.valueType, path.slice(1));
  if (def.type === 'union') return def.options.flatMap((option) => knownKeys(option, path));
  if (def.type === 'pipe') return knownKeys(def.in, path);
  return 'innerType' in def ? knownKeys(def.innerType, path) : [];
}
