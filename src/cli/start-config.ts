/**
 * The effective configuration of a node: the flags of `start`, and the one way in which flags, environment, file and
 * defaults become a `StartConfig`. Owns the checks that need more than one key, or the machine.
 */
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { hostname as machineName } from 'node:os';
import { resolve } from 'node:path';
import { isIPv4 } from 'node:net';
import { Option, type Command } from 'commander';
import { GroundswellError, messageOf } from '../core/errors.js';
import {
  CONFIG_FILE,
  CONFIG_FILE_FLAG,
  CONFIG_FILE_VARIABLE,
  configFile,
  fromDefaults,
  fromEnvironment,
  fromFile,
  fromFlags,
  merged,
  unknownVariables,
  type Origin,
  type Sourced,
  type SourcedValues,
} from './config-origins.js';
import { START_KEYS, startConfigSchema, type CheckedConfig } from './config-schema.js';

/** What a node is started with. Paths are absolute; durations in ms, sizes in bytes. */
export interface StartConfig extends Omit<CheckedConfig, 'region'> {
  readonly region: string;
  readonly name: string;
  readonly data: string;
}

export interface ConfigSources {
  /** What commander gives: `command.opts()`. Other options in it are passed over. */
  readonly flags: Readonly<Record<string, unknown>>;
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  /** The machine's name, by default its own. */
  readonly hostname?: string;
}

export interface EffectiveConfig {
  /** By key, as a file would have them. A key without a value is not in it. */
  readonly values: SourcedValues;
  /** The configuration file that was read. */
  readonly file: string | undefined;
  /** What people should know before it does harm; nothing of it stops a start. */
  readonly warnings: readonly string[];
}

/** Adds the flags of `start`, made from the schema. */
export function addStartOptions(command: Command): Command {
  for (const { flag, what, env, words, byDefault, otherwise } of START_KEYS) {
    if (flag === undefined) continue;
    const standing = otherwise ?? byDefault;
    const notes = [...(standing === undefined ? [] : [`default: ${standing}`]), env].join(', ');
    const text = words.length === 0 ? what : `${words.join(', ')}: ${what}`;
    command.addOption(new Option(flag, `${text.replaceAll('`', '')} (${notes})`));
  }
  return command.addOption(
    new Option(
      CONFIG_FILE_FLAG,
      `configuration file (default: ${CONFIG_FILE} where it is there, ${CONFIG_FILE_VARIABLE})`,
    ),
  );
}

/**
 * What a node would be started with, and where each value comes from. A region is not needed for that.
 *
 * @throws GroundswellError GS_CONFIG naming the file and key, the variable or the flag that is wrong
 */
export async function effectiveConfig(sources: ConfigSources): Promise<EffectiveConfig> {
  const { flags, env, cwd } = sources;
  const file = configFile(flags, env, cwd);
  const given = merged([
    fromFlags(flags, cwd),
    fromEnvironment(env, cwd),
    ...(file === undefined ? [] : [await fromFile(file)]),
    fromDefaults(),
  ]);
  const values = inOrder(withMachineDefaults(given, sources));
  await checkAccess(values);
  return { values, file, warnings: [...unknownVariables(env), ...exposure(values)] };
}

/**
 * The configuration that a node starts with.
 *
 * @throws GroundswellError as `effectiveConfig`, and GS_USAGE when no region is given
 * @example
 * const { config, origins, warnings } = await loadStartConfig({ flags: command.opts(), env: process.env, cwd: process.cwd() });
 */
export async function loadStartConfig(sources: ConfigSources): Promise<{
  config: StartConfig;
  /** By key; keys without a value are not in it. */
  origins: Readonly<Record<string, Origin>>;
  warnings: readonly string[];
}> {
  const { values, warnings } = await effectiveConfig(sources);
  if (!values.has('region')) {
    throw new GroundswellError('GS_USAGE', 'No region is given.', {
      remedy: `Name one: --region sf, or GROUNDSWELL_REGION, or region in ${CONFIG_FILE}.`,
    });
  }
  const config = startConfigSchema.parse(nested(values)) as StartConfig;
  return {
    config,
    origins: Object.fromEntries([...values].map(([key, { origin }]) => [key, origin])),
    warnings,
  };
}

function withMachineDefaults(given: SourcedValues, { cwd, hostname }: ConfigSources): SourcedValues {
  const values = new Map<string, Sourced>(given);
  const region = given.get('region');
  const fill = (key: string, value: string): void => {
    if (!values.has(key)) values.set(key, { value, origin: 'default' });
  };
  fill('name', (hostname ?? machineName()).replaceAll(/[^\w.-]/g, '-').slice(0, 64) || 'node');
  if (region !== undefined) fill('data', resolve(cwd, 'data', String(region.value)));
  return values;
}

/** The credentials, as far as one key alone cannot tell that they are good. */
async function checkAccess(values: SourcedValues): Promise<void> {
  const [user, password, credentials] = ['nats.user', 'nats.password', 'nats.credentials'].map((key) =>
    values.get(key),
  );
  if (password !== undefined && user === undefined) {
    throw new GroundswellError('GS_CONFIG', `${password.origin}: nats.password is given without nats.user`);
  }
  if (credentials === undefined) return;
  if (user !== undefined) {
    throw new GroundswellError(
      'GS_CONFIG',
      `${credentials.origin}: nats.credentials is given, and ${user.origin} gives a user too: leave one out`,
    );
  }
  const path = String(credentials.value);
  try {
    if (!(await stat(path)).isFile()) throw new Error('it is no file');
    await access(path, constants.R_OK);
  } catch (cause) {
    throw new GroundswellError(
      'GS_CONFIG',
      `${credentials.origin}: nats.credentials: ${path} cannot be read: ${messageOf(cause)}`,
      { cause, remedy: 'Check that the file exists and that this user may read it.' },
    );
  }
}

/** A node asks nobody who they are: what listens beyond this machine is open to whoever reaches it. */
function exposure(values: SourcedValues): string[] {
  const { value, origin } = values.get('http.host')!;
  if (isLoopback(String(value))) return [];
  return [
    `http.host is ${value} (${origin}): whoever reaches it can post events and read the region’s rows and the states of its actors`,
  ];
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}

function inOrder(values: SourcedValues): SourcedValues {
  return new Map(
    START_KEYS.flatMap(({ key }) => {
      const value = values.get(key);
      return value === undefined ? [] : [[key, value]];
    }),
  );
}

/** Keys with dots as objects within objects, as they stand in a file. */
function nested(values: SourcedValues): Record<string, unknown> {
  const whole: Record<string, unknown> = {};
  for (const [key, { value }] of values) {
    const [section, name] = key.split('.') as [string, string | undefined];
    if (name === undefined) whole[section] = value;
    else whole[section] = { ...(whole[section] as object | undefined), [name]: value };
  }
  return whole;
}
