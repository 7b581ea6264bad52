/**
 * Where the values of a node's configuration come from: flags over environment over file over default. Owns the order,
 * and what a message calls each origin. A value is checked where it comes in, so that the message names that place.
 */
import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { Option } from 'commander';
import { parseConfig, readYaml } from '../core/config-file.js';
import { GroundswellError } from '../core/errors.js';
import { nearest } from '../core/nearest.js';
import { OTHER_VARIABLES, START_KEYS, startConfigSchema, type StartKey } from './config-schema.js';
import { splitServers } from './server-urls.js';

/** `default`, `file <path>`, `environment NAME` or `flag --x`. */
export type Origin = string;

/** As written, not yet in ms or bytes. */
export interface Sourced {
  readonly value: string | number;
  readonly origin: Origin;
}

export type SourcedValues = ReadonlyMap<string, Sourced>;

/** The file that is read when none is named. */
export const CONFIG_FILE = 'groundswell.yaml';
export const CONFIG_FILE_FLAG = '--config-file <file>';
export const CONFIG_FILE_VARIABLE = 'GROUNDSWELL_CONFIG_FILE';

/** The name under which commander gives a flag's value. */
export function attributeOf(flag: string): string {
  return new Option(flag).attributeName();
}

/** `--http <port>` → `--http` */
export function flagName(flag: string): string {
  return flag.split(' ')[0]!;
}

/** Values from the origins in turn; what stands first wins. */
export function merged(layers: readonly SourcedValues[]): SourcedValues {
  return new Map(layers.toReversed().flatMap((layer) => [...layer]));
}

export function fromFlags(flags: Readonly<Record<string, unknown>>, cwd: string): SourcedValues {
  const values = new Map<string, Sourced>();
  for (const entry of START_KEYS) {
    const text = entry.flag === undefined ? undefined : flags[attributeOf(entry.flag)];
    if (typeof text === 'string') put(values, entry, text, `flag ${flagName(entry.flag!)}`, cwd);
  }
  return withUser(values);
}

/** An empty variable is one that is not set. */
export function fromEnvironment(env: NodeJS.ProcessEnv, cwd: string): SourcedValues {
  const values = new Map<string, Sourced>();
  for (const entry of START_KEYS) {
    const text = env[entry.env] ?? '';
    if (text !== '') put(values, entry, text, `environment ${entry.env}`, cwd);
  }
  return withUser(values);
}

/** The configuration file: the one that is named, or `groundswell.yaml` in the working folder when it is there. */
export function configFile(
  flags: Readonly<Record<string, unknown>>,
  env: NodeJS.ProcessEnv,
  cwd: string,
): string | undefined {
  const named = flags[attributeOf(CONFIG_FILE_FLAG)] ?? (env[CONFIG_FILE_VARIABLE] || undefined);
  if (typeof named === 'string') return resolve(cwd, named);
  const file = resolve(cwd, CONFIG_FILE);
  return existsSync(file) ? file : undefined;
}

/** @throws GroundswellError GS_CONFIG naming the file and the key */
export async function fromFile(file: string): Promise<SourcedValues> {
  const whole = withoutEmptySections(await readYaml(file, 'GS_CONFIG'));
  parseConfig(startConfigSchema, whole, file, 'GS_CONFIG');
  const values = new Map<string, Sourced>();
  for (const { key, path } of START_KEYS) {
    const value = valueAt(whole, key);
    if (value === undefined) continue;
    const full = path === true ? resolve(dirname(file), value as string) : (value as string | number);
    values.set(key, { value: full, origin: `file ${file}` });
  }
  return withUser(values);
}

/** Defaults that are the same everywhere. */
export function fromDefaults(): SourcedValues {
  return new Map(
    START_KEYS.flatMap(({ key, byDefault: value }) =>
      value === undefined ? [] : [[key, { value, origin: 'default' }]],
    ),
  );
}

/** Variables that look like ours and are not: a mistyped name would otherwise do nothing, silently. */
export function unknownVariables(env: NodeJS.ProcessEnv): string[] {
  const known = [...START_KEYS.map((entry) => entry.env), ...Object.keys(OTHER_VARIABLES)];
  return Object.keys(env)
    .filter((name) => name.startsWith('GROUNDSWELL_') && !known.includes(name))
    .sort()
    .map((name) => {
      const near = nearest(name, known);
      return `the environment variable ${name} is not known${near === undefined ? '' : `; did you mean ${near}?`}`;
    });
}

function put(values: Map<string, Sourced>, entry: StartKey, text: string, origin: Origin, cwd: string): void {
  const value = entry.numeric && /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text;
  parseConfig(entry.schema, value, origin, 'GS_CONFIG');
  values.set(entry.key, { value: entry.path === true ? resolve(cwd, text) : value, origin });
}

/** A user and a password in the URL stand for the keys of their own, with the URL's origin. */
function withUser(values: Map<string, Sourced>): SourcedValues {
  const url = values.get('nats.url');
  if (url === undefined) return values;
  const { origin } = url;
  const { servers, access } = splitServers(String(url.value));
  values.set('nats.url', { value: servers.join(','), origin });
  if (access === undefined) return values;
  const other = values.get('nats.user') ?? values.get('nats.password');
  if (other !== undefined) {
    const message = `${origin}: nats.url has a user in it, and ${other.origin} gives one too: leave one out`;
    throw new GroundswellError('GS_CONFIG', message);
  }
  values.set('nats.user', { value: access.user, origin });
  values.set('nats.password', { value: access.password, origin });
  return values;
}

/** A section whose keys are all commented out is an empty one. */
function withoutEmptySections(whole: unknown): unknown {
  if (whole === null || whole === undefined) return {};
  if (typeof whole !== 'object' || Array.isArray(whole)) return whole;
  const sections = new Set(START_KEYS.flatMap(({ key }) => (key.includes('.') ? [key.split('.')[0]!] : [])));
  return Object.fromEntries(
    Object.entries(whole).filter(([key, value]) => value !== null || !sections.has(key)),
  );
}

function valueAt(whole: unknown, key: string): unknown {
  return key
    .split('.')
    .reduce<unknown>((value, name) => (value as Record<string, unknown> | undefined)?.[name], whole);
}
