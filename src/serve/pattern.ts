/**
 * What to watch, as people write it: `cell/9q8y*`, `5m/region`, or a subject as analysts subscribe to it. A pattern is a
 * list of tokens like a subject's, so it says both which rows it means and which subjects carry them.
 */
import { GroundswellError } from '../core/errors.js';
import { GEOHASH_ALPHABET } from '../core/geohash.js';
import { parseDurationMs } from '../core/duration.js';
import { REGION_NAME } from '../core/ids.js';
import { nearest } from '../core/nearest.js';

/** The levels of the built-in actors, and how many characters their keys have (`region` has no key on the wire). */
export const LEVEL_CHARS: ReadonlyMap<string, number> = new Map([
  ['cell', 6],
  ['gh5', 5],
  ['gh4', 4],
  ['region', 0],
]);

const FORMS =
  'Forms: cell/9q8yyk, cell/9q8y*, gh5/*, region, 5m/cell/9q8y*, * for all, or a subject: gs.sf.agg.1m.cell.9.q.8.>';
const PATTERN_CHARS_MAX = 200;
const LEVEL_NAME = /^[a-z0-9_-]{1,32}$/;

export class Pattern {
  /** The region that a subject names; undefined when any is meant. */
  readonly region: string | undefined;
  /** Undefined: every window, every level. */
  readonly window: string | undefined;
  readonly level: string | undefined;
  /** One token per character of the key: itself, or `*` for any one. */
  readonly #chars: readonly string[];
  /** Keys have at least, and at most, so many characters. */
  readonly #least: number;
  readonly #most: number;
  readonly #prefix: string | undefined;
  readonly #subject: string | undefined;

  constructor(parts: {
    region?: string | undefined;
    window?: string | undefined;
    level?: string | undefined;
    chars?: readonly string[];
    /** True when longer keys match too. */
    open: boolean;
    least?: number;
    /** The subject that it was written as. */
    subject?: string;
  }) {
    const { region, window, level, chars = [], open, least = chars.length, subject } = parts;
    this.region = region;
    this.window = window;
    this.level = level;
    this.#chars = chars;
    this.#least = least;
    this.#most = open ? Number.POSITIVE_INFINITY : chars.length;
    this.#prefix = chars.includes('*') ? undefined : chars.join('');
    this.#subject = subject;
  }

  matches(level: string, key: string, window: string): boolean {
    return (this.window === undefined || this.window === window) && this.matchesKey(level, key);
  }

  /** The same for what has no window. */
  matchesKey(level: string, key: string): boolean {
    if (this.level !== undefined && this.level !== level) return false;
    // The region's key is its name, which is no part of a pattern.
    const length = level === 'region' ? 0 : key.length;
    if (length < this.#least || length > this.#most) return false;
    if (this.#prefix !== undefined) return this.#prefix === '' || key.startsWith(this.#prefix);
    return this.#chars.every((char, i) => char === '*' || char === key[i]);
  }

  /** The aggregate subjects of a region that carry these rows: to be subscribed to together. */
  subjects(region: string): string[] {
    if (this.#subject !== undefined) return [this.#subject];
    const of = `gs.${region}.agg`;
    if (this.level === undefined) return [this.window === undefined ? `${of}.>` : `${of}.${this.window}.>`];
    const exact = [of, this.window ?? '*', this.level, ...this.#chars].join('.');
    const full = LEVEL_CHARS.get(this.level);
    if (this.#most === this.#chars.length || this.#chars.length === full) return [exact];
    // `>` stands for one token or more: a key that is complete already needs a subject of its own.
    return this.#chars.length === 0 || full !== undefined ? [`${exact}.>`] : [exact, `${exact}.>`];
  }
}

/**
 * @param levels levels that there are besides the built-in ones
 * @throws GroundswellError GS_USAGE that says what is wrong, and the forms that there are
 */
export function parsePattern(text: string, levels: readonly string[] = []): Pattern {
  const trimmed = text.trim();
  if (trimmed === '') throw wrong('The pattern is empty.');
  if (trimmed.length > PATTERN_CHARS_MAX)
    throw wrong(`The pattern is longer than ${PATTERN_CHARS_MAX} characters.`);
  const known = [...new Set([...LEVEL_CHARS.keys(), ...levels])];
  if (/^gs(\.|$)/.test(trimmed)) return parseSubject(trimmed, known);
  if (trimmed === '*') return new Pattern({ open: true });
  const parts = trimmed.split('/');
  const window = parts.length > 1 && isWindow(parts[0]!) ? parts.shift()! : undefined;
  if (parts.length === 1 && parts[0] === '*') return new Pattern({ window, open: true });
  const [level, key, ...more] = parts;
  if (more.length > 0) throw wrong(`"${trimmed}" has too many parts between slashes.`);
  checkLevel(level!, known, trimmed);
  if (level === 'region') {
    if (key !== undefined && key !== '*') throw wrong(`"${trimmed}" gives the region a key; it has none.`);
    return new Pattern({ window, level, open: false });
  }
  if (key === undefined || key === '') {
    throw wrong(`"${trimmed}" says no key: ${level!}/* is every one of that level.`);
  }
  const open = key.endsWith('*');
  const chars = [...(open ? key.slice(0, -1) : key)];
  if (chars.includes('*')) throw wrong(`"${trimmed}" has a * inside the key; it may stand at its end only.`);
  checkKey(level!, chars, open, trimmed);
  return new Pattern({ window, level, chars, open });
}

function parseSubject(text: string, known: readonly string[]): Pattern {
  const [, region, kind, ...rest] = text.split('.');
  if (region === undefined || !(region === '*' || REGION_NAME.test(region)))
    throw wrong(`"${text}" names no region after "gs.".`);
  if (kind !== 'agg') throw wrong(`"${text}" is no subject of rows: they begin with "gs.${region}.agg.".`);
  const open = rest.at(-1) === '>';
  const tokens = open ? rest.slice(0, -1) : rest;
  if (tokens.some((token) => token === '' || token === '>'))
    throw wrong(`"${text}" has an empty token, or a > that is not the last.`);
  const [window, level, ...chars] = tokens;
  const common = {
    subject: text,
    region: region === '*' ? undefined : region,
    window: window === '*' ? undefined : window,
    level: level === '*' ? undefined : level,
  };
  if (common.window !== undefined && !isWindow(common.window))
    throw wrong(`"${common.window}" in "${text}" is no window, such as 1m or 5m.`);
  if (common.level !== undefined) checkLevel(common.level, known, text);
  if (level === undefined && !open) throw wrong(`"${text}" ends before its level: add .> for all.`);
  if (level === 'region') {
    if (chars.length > 0 || open) throw wrong(`"${text}" gives the region a key; it has none.`);
    return new Pattern({ ...common, open: false });
  }
  if (chars.some((char) => char.length !== 1))
    throw wrong(`"${text}" has a token of several characters: a key has one token per character.`);
  if (level !== undefined) checkKey(level, chars, open, text);
  // `>` stands for one token or more: for the level too, when that is not there.
  return new Pattern({ ...common, chars, open, least: chars.length + (open && level !== undefined ? 1 : 0) });
}

function isWindow(text: string): boolean {
  return parseDurationMs(text) !== undefined;
}

function checkLevel(level: string, known: readonly string[], text: string): void {
  if (known.includes(level)) return;
  if (!LEVEL_NAME.test(level)) throw wrong(`"${text.slice(0, 60)}" is no pattern.`);
  const near = nearest(level, known);
  const hint = near === undefined ? `there are ${known.join(', ')}` : `did you mean "${near}"?`;
  throw wrong(`"${level}" is no level; ${hint}`);
}

/** Keys of the built-in levels are geohashes of a fixed length. */
function checkKey(level: string, chars: readonly string[], open: boolean, text: string): void {
  const full = LEVEL_CHARS.get(level);
  if (full === undefined) {
    const odd = chars.find((char) => /[\s.>]/.test(char));
    if (odd !== undefined) throw wrong(`"${text}" has "${odd}" in its key, which no subject can carry.`);
    return;
  }
  const bad = chars.find((char) => char !== '*' && !GEOHASH_ALPHABET.includes(char));
  if (bad !== undefined) {
    throw wrong(`"${text}" has "${bad}", which no geohash has: they are made of ${GEOHASH_ALPHABET}.`);
  }
  if (chars.length > full)
    throw wrong(`"${text}" has a key of ${chars.length} characters; a ${level} has ${full}.`);
  if (chars.length < full && !open) {
    const all = text.startsWith('gs.') ? `${text}.>` : `${text}*`;
    throw wrong(
      `"${text}" has a key of ${chars.length} characters; a ${level} has ${full}. For all that begin so: ${all}`,
    );
  }
}

function wrong(message: string): GroundswellError {
  return new GroundswellError('GS_USAGE', message, { remedy: FORMS });
}
