/**
 * `config show` and docs/CONFIG.md. Hunts: a shown value that is not the one a node would start with, a secret on a screen,
 * and a document that has fallen behind the schemas.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { configDocs, EXAMPLE_FILE } from '../../../src/cli/config-docs.js';
import { START_KEYS, startConfigSchema } from '../../../src/cli/config-schema.js';
import { configCommand } from '../../../src/cli/config.js';
import { schemaKeys } from '../../../src/cli/schema-keys.js';
import { regionSchema } from '../../../src/ingest/region.js';
import { linearModelSchema } from '../../../src/model/linear.js';

const ROOT = join(import.meta.dirname, '../../..');
const folder = mkdtempSync(join(tmpdir(), 'gs-config-'));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});
afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

/** Runs `config show` as the program would. Gives what it printed. */
async function show(
  words: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ out: string; err: string }> {
  for (const name of Object.keys(process.env))
    if (/^(GROUNDSWELL|NATS)_/.test(name)) vi.stubEnv(name, undefined);
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
  const printed = { out: '', err: '' };
  const spies = [
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => Boolean((printed.out += String(text)))),
    vi.spyOn(process.stderr, 'write').mockImplementation((text) => Boolean((printed.err += String(text)))),
  ];
  const program = new Command('groundswell').exitOverride();
  configCommand(program);
  try {
    await program.parseAsync(['config', 'show', ...words], { from: 'user' });
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
  return printed;
}

interface Shown {
  file: string | null;
  values: Record<string, { value: unknown; origin: string }>;
  region: { file: string; values: Record<string, { value: unknown; origin: string }> } | null;
  warnings: string[];
}
const showJson = async (...given: Parameters<typeof show>): Promise<Shown> =>
  JSON.parse((await show([...given[0], '--json'], given[1])).out) as Shown;

describe('config show', () => {
  it('says of every key its value and where it comes from', async () => {
    const file = join(folder, 'node.yaml');
    writeFileSync(file, 'log: { level: warn }\n');
    const shown = await showJson(['--region', 'sf', '--config-file', file], {
      GROUNDSWELL_HTTP_PORT: '8080',
    });
    expect(Object.keys(shown.values)).toEqual(START_KEYS.map(({ key }) => key));
    expect(shown.values).toMatchObject({
      region: { value: 'sf', origin: 'flag --region' },
      'http.port': { value: 8080, origin: 'environment GROUNDSWELL_HTTP_PORT' },
      'log.level': { value: 'warn', origin: `file ${file}` },
      'sides.retention': { value: '7d', origin: 'default' },
      'nats.url': { value: null, origin: 'default: an embedded nats-server' },
    });
    expect(shown.file).toBe(file);
    expect(shown.warnings).toEqual([]);
  });

  it('shows the region as its file has it, with the defaults of the rest', async () => {
    const { region } = await showJson(['--region', 'sf']);
    expect(region!.file).toBe(join(ROOT, 'config/regions/sf.yaml'));
    expect(region!.values).toMatchObject({
      timezone: { value: 'America/Los_Angeles', origin: 'file' },
      idleTimeout: { value: '30s', origin: 'default' },
      windows: { value: ['1m', '5m', '15m', '1h'], origin: 'default' },
      'limits.frameEvents': { value: 4_096, origin: 'default' },
    });
    expect((await showJson([])).region).toBeNull();
  });

  it('is a table for people, one line a key', async () => {
    const { out, err } = await show(['--region', 'sf', '--http-host', '0.0.0.0'], { GROUNDSWELL_HTPP: '1' });
    const lines = out.split('\n');
    expect(lines[0]).toBe('node, configuration file: none');
    expect(lines).toContainEqual(expect.stringMatching(/^ {2}http\.port +7380 +default$/));
    expect(lines).toContainEqual(expect.stringMatching(/^ {2}http\.host +0\.0\.0\.0 +flag --http-host$/));
    expect(lines).toContainEqual(expect.stringMatching(/^ {2}cover +9q8y 9q8z .*file$/));
    expect(err).toMatch(/^warning: .*GROUNDSWELL_HTPP is not known; did you mean GROUNDSWELL_HTTP\?$/m);
    expect(err).toMatch(/^warning: http\.host is 0\.0\.0\.0/m);
  });

  it('never shows a password, wherever it stands', async () => {
    for (const env of [
      { NATS_URL: 'nats://us:s3cret@h:1' },
      { NATS_URL: 'nats://h:1', NATS_USER: 'us', NATS_PASSWORD: 's3cret' },
    ]) {
      for (const words of [[], ['--json']]) {
        const { out, err } = await show(words, env);
        expect(out + err).not.toContain('s3cret');
        expect(out).toContain('…');
        expect(out).toContain('nats://h:1');
      }
    }
  });

  it('refuses what a start would refuse', async () => {
    await expect(show(['--http', 'x'])).rejects.toMatchObject({ code: 'GS_CONFIG' });
    await expect(show(['--region', 'sff'])).rejects.toMatchObject({ code: 'GS_REGION_UNKNOWN' });
    await expect(show(['--region', 'sf', '--config', '/none.yaml'])).rejects.toMatchObject({
      code: 'GS_CONFIG',
    });
    await expect(show(['--hppt', '1']).catch((error: unknown) => error)).resolves.toMatchObject({
      code: 'commander.unknownOption',
    });
  });
});

describe('docs/CONFIG.md', () => {
  it('is what the schemas say: `npm run docs` writes it', async () => {
    await expect(configDocs()).toMatchFileSnapshot(join(ROOT, 'docs/CONFIG.md'));
  });

  it('has every key of the node once, with its variable, and every key of a region and a model', () => {
    const text = readFileSync(join(ROOT, 'docs/CONFIG.md'), 'utf8');
    const cells = text
      .split('\n')
      .filter((line) => line.startsWith('| `'))
      .map((line) => line.split('|')[1]!.trim());
    for (const { key, env } of START_KEYS) {
      expect(cells.filter((cell) => cell === `\`${key}\``).length, key).toBeGreaterThan(0);
      expect(text.split(`\`${env}\``).length, env).toBeGreaterThan(1);
    }
    for (const schema of [regionSchema, linearModelSchema])
      for (const { path, description } of schemaKeys(schema)) {
        expect(cells).toContain(`\`${path}\``);
        expect(description, path).toMatch(/\w{3}/);
      }
  });

  it('has an example file that a node takes', () => {
    expect(startConfigSchema.parse(parseYaml(EXAMPLE_FILE))).toMatchObject({
      nats: { servers: ['nats://10.0.0.11:4222', 'nats://10.0.0.12:4222', 'nats://10.0.0.13:4222'] },
      sides: { retentionMs: 14 * 86_400_000 },
    });
  });
});

describe('keys of a schema', () => {
  it('are found through defaults, lists, unions and transformations', () => {
    const schema = z
      .strictObject({
        plain: z.string().describe('a text'),
        maybe: z.number().optional(),
        section: z.strictObject({ inner: z.int().default(3).describe('within') }).prefault({}),
        list: z.array(z.strictObject({ of: z.string() })),
        either: z
          .discriminatedUnion('kind', [
            z.strictObject({ kind: z.literal('a') }),
            z.strictObject({ kind: z.literal('b'), more: z.string() }),
          ])
          .default({ kind: 'a' }),
      })
      .transform((it) => it.plain);
    expect(
      schemaKeys(schema).map(({ path, byDefault, required, description }) => [
        path,
        byDefault,
        required,
        description,
      ]),
    ).toEqual([
      ['plain', undefined, true, 'a text'],
      ['maybe', undefined, false, undefined],
      ['section.inner', 3, false, 'within'],
      ['list[].of', undefined, true, undefined],
      ['either.kind', 'a', false, undefined],
      ['either.more', undefined, false, undefined],
    ]);
  });
});
