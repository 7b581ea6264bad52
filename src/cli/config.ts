/** `groundswell config show`: the effective configuration of a node, with where each value comes from. */
import { join } from 'node:path';
import type { Command } from 'commander';
import { readYaml } from '../core/config-file.js';
import { loadRegion, regionSchema } from '../ingest/region.js';
import type { Sourced } from './config-origins.js';
import { START_KEYS } from './config-schema.js';
import { CONFIG_FOLDER } from './package-root.js';
import { schemaKeys } from './schema-keys.js';
import { colors, note, say, table } from './screen.js';
import { addStartOptions, effectiveConfig, type EffectiveConfig } from './start-config.js';

/** Stands for a secret that is set. */
const HIDDEN = '…';

interface Shown {
  readonly key: string;
  /** Null: no value. */
  readonly value: unknown;
  readonly origin: string;
}

export function configCommand(program: Command): void {
  const config = program.command('config').description('look at the configuration of a node');
  const show = config
    .command('show')
    .description('the effective configuration, and where each value comes from')
    .option('--json', 'as JSON', false);
  for (const command of [config, show])
    command.addHelpText('after', '\nExample:\n  groundswell config show --region sf --http 8080');
  addStartOptions(show).action(async (flags: Record<string, unknown>) => {
    const effective = await effectiveConfig({ flags, env: process.env, cwd: process.cwd() });
    const region = await regionOf(effective);
    if (flags['json'] === true) say(JSON.stringify(asJson(effective, region)));
    else for (const line of asLines(effective, region)) say(line);
    for (const warning of effective.warnings) note(`warning: ${warning}`);
  });
}

/** The keys of a node in their order, secrets hidden. */
function nodeKeys({ values }: EffectiveConfig): Shown[] {
  return START_KEYS.map(({ key, secret, otherwise }) => {
    const found: Sourced | undefined = values.get(key);
    if (found === undefined)
      return { key, value: null, origin: otherwise === undefined ? 'default' : `default: ${otherwise}` };
    return { key, value: secret === true ? HIDDEN : found.value, origin: found.origin };
  });
}

/** The region's file: checked as at a start, shown as it is written, with the defaults of what it leaves out. */
async function regionOf({
  values,
}: EffectiveConfig): Promise<{ file: string; keys: readonly Shown[] } | undefined> {
  const name = values.get('region');
  if (name === undefined) return undefined;
  const given = values.get('regionFile');
  const dir = join(CONFIG_FOLDER, 'regions');
  const file = String(given?.value ?? join(dir, `${name.value}.yaml`));
  await loadRegion({ name: String(name.value), dir, ...(given === undefined ? {} : { file }) });
  const whole = await readYaml(file, 'GS_CONFIG');
  const keys = schemaKeys(regionSchema).map(({ path, byDefault }) => {
    const value = path.split('.').reduce<unknown>((at, key) => (at as Record<string, unknown>)?.[key], whole);
    return { key: path, value: value ?? byDefault, origin: value === undefined ? 'default' : 'file' };
  });
  return { file, keys };
}

type Region = Awaited<ReturnType<typeof regionOf>>;

function asLines(effective: EffectiveConfig, region: Region): string[] {
  const rows = (keys: readonly Shown[]): string[] =>
    table([
      ...keys.map(({ key, value, origin }) => [
        `  ${key}`,
        value === null ? '–' : text(value),
        origin.startsWith('default') ? colors.dim(origin) : origin,
      ]),
    ]);
  const lines = [
    `${colors.bold('node')}, configuration file: ${effective.file ?? 'none'}`,
    ...rows(nodeKeys(effective)),
  ];
  if (region !== undefined)
    lines.push('', `${colors.bold('region')}, file: ${region.file}`, ...rows(region.keys));
  return lines;
}

/** One line, whatever it is: tables have no others. */
function text(value: unknown): string {
  return Array.isArray(value) ? value.join(' ') : String(value);
}

function asJson(effective: EffectiveConfig, region: Region): object {
  const byKey = (keys: readonly Shown[]): object =>
    Object.fromEntries(keys.map(({ key, value, origin }) => [key, { value, origin }]));
  return {
    file: effective.file ?? null,
    values: byKey(nodeKeys(effective)),
    region: region === undefined ? null : { file: region.file, values: byKey(region.keys) },
    warnings: effective.warnings,
  };
}
