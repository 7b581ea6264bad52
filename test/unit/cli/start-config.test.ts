/**
 * The configuration of a node. Hunts: a value that silently comes from another place than people think, a typo that does
 * nothing, a message that does not say where the fault is, and a secret that gets printed.
 */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { attributeOf } from '../../../src/cli/config-origins.js';
import { OTHER_VARIABLES, START_KEYS } from '../../../src/cli/config-schema.js';
import { addStartOptions, effectiveConfig, loadStartConfig } from '../../../src/cli/start-config.js';
import { formatByteSize, parseByteSize } from '../../../src/core/byte-size.js';

const folder = mkdtempSync(join(tmpdir(), 'gs-start-config-'));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});
const isRoot = process.getuid?.() === 0;

let files = 0;
/** A working folder of its own, with a `groundswell.yaml` when there is text for one. */
function place(yaml?: string): string {
  const cwd = join(folder, String(++files));
  mkdirSync(cwd);
  if (yaml !== undefined) writeFileSync(join(cwd, 'groundswell.yaml'), yaml);
  return cwd;
}

interface Given {
  /** Words of the command line. */
  words?: readonly string[];
  env?: NodeJS.ProcessEnv;
  cwd?: string;
}

const sources = ({ words = [], env = {}, cwd = place() }: Given) => {
  const command = addStartOptions(new Command('start')).exitOverride();
  command.parse([...words], { from: 'user' });
  return { flags: command.opts(), env, cwd, hostname: 'node-7.example' };
};
const load = (given: Given): ReturnType<typeof loadStartConfig> => loadStartConfig(sources(given));
const show = (given: Given): ReturnType<typeof effectiveConfig> => effectiveConfig(sources(given));

describe('what a node is started with', () => {
  it('has a default for everything but the region', async () => {
    const cwd = place();
    const { config, origins, warnings } = await load({ words: ['--region', 'sf'], cwd });
    expect(config).toEqual({
      region: 'sf',
      name: 'node-7.example',
      data: join(cwd, 'data/sf'),
      workers: 1,
      weight: 1,
      nats: { servers: [], replicas: 1 },
      http: { host: '127.0.0.1', port: 7380 },
      log: { level: 'info', format: 'auto' },
      readyLagMax: 1_000,
      embedded: { maxStoreBytes: 64 * 1024 ** 3 },
      aggregates: { retentionMs: 86_400_000 },
      bases: { every: 600_000, journals: 4 * 1_024 ** 3, keep: 2 },
      sides: { retentionMs: 7 * 86_400_000 },
      outputs: { retentionMs: 7_200_000 },
    });
    expect(origins).toMatchObject({
      region: 'flag --region',
      name: 'default',
      data: 'default',
      'http.port': 'default',
    });
    expect(warnings).toEqual([]);
  });

  it('needs a region, and says how to give one', async () => {
    await expect(load({})).rejects.toMatchObject({
      code: 'GS_USAGE',
      exitCode: 2,
      remedy: expect.stringMatching(/--region.*GROUNDSWELL_REGION.*groundswell\.yaml/) as string,
    });
    expect((await show({})).values.has('region')).toBe(false);
  });

  it('comes from flag, environment, file and default, in this order, for every key that has them', async () => {
    const samples: Record<string, readonly [string, string, string]> = {
      region: ['a', 'b', 'c'],
      regionFile: ['/a', '/b', '/c'],
      name: ['a', 'b', 'c'],
      data: ['/a', '/b', '/c'],
      workers: ['2', '3', '4'],
      weight: ['-', '0.5', '2'],
      standbys: ['-', '1', '2'],
      'nats.url': ['nats://a:1', 'nats://b:1', 'nats://c:1'],
      'nats.user': ['-', 'b', 'c'],
      'nats.password': ['-', 'b', 'c'],
      'nats.replicas': ['-', '3', '5'],
      'nats.maxBytes': ['-', '2GiB', '3GiB'],
      'http.host': ['127.0.0.2', '127.0.0.3', '127.0.0.4'],
      'http.port': ['1', '2', '3'],
      'log.level': ['debug', 'warn', 'error'],
      'log.format': ['json', 'pretty', 'json'],
      readyLagMax: ['-', '2', '3'],
      'embedded.maxStore': ['-', '2GiB', '3GiB'],
      'aggregates.retention': ['-', '2h', '3h'],
      'bases.every': ['-', '5m', '20m'],
      'bases.journals': ['-', '2GiB', '3GiB'],
      'bases.keep': ['-', '3', '4'],
      'sides.retention': ['-', '2h', '3h'],
      'outputs.retention': ['-', '5h', '3h'],
    };
    const keys = START_KEYS.filter(({ key }) => key !== 'nats.credentials');
    expect(Object.keys(samples)).toEqual(keys.map(({ key }) => key));
    for (const { key, env, flag, numeric } of keys) {
      const [byFlag, byEnv, byFile] = samples[key]!;
      const [section, name] = key.split('.') as [string, string | undefined];
      const user = key === 'nats.password' ? '\n  user: u' : '';
      const yaml = name === undefined ? `${key}: ${byFile}` : `${section}:\n  ${name}: ${byFile}${user}`;
      const cwd = place(`${yaml}\n`);
      const words = flag === undefined ? [] : [flag.split(' ')[0]!, byFlag];
      const at = async (given: Given): Promise<unknown> => (await show({ ...given, cwd })).values.get(key);
      const read = (text: string): string | number => (numeric ? Number(text) : text);
      expect(await at({}), key).toEqual({
        value: read(byFile),
        origin: `file ${join(cwd, 'groundswell.yaml')}`,
      });
      const environment = { [env]: byEnv };
      expect(await at({ env: environment }), key).toEqual({
        value: read(byEnv),
        origin: `environment ${env}`,
      });
      if (flag === undefined) continue;
      expect(await at({ env: environment, words }), key).toEqual({
        value: read(byFlag),
        origin: `flag ${words[0]!}`,
      });
    }
  });

  it('an empty variable is one that is not set', async () => {
    const { config, origins } = await load({
      words: ['--region', 'sf'],
      env: { GROUNDSWELL_HTTP_PORT: '', NATS_URL: '' },
    });
    expect([config.http.port, config.nats.servers, origins['http.port']]).toEqual([7380, [], 'default']);
  });

  it('the file is the named one, by flag before variable, else the one in the working folder', async () => {
    const cwd = place('region: here\n');
    const named = join(folder, 'named.yaml');
    const other = join(folder, 'other.yaml');
    writeFileSync(named, 'region: named\n');
    writeFileSync(other, 'region: other\n');
    const env = { GROUNDSWELL_CONFIG_FILE: other };
    const regionOf = async (given: Given): Promise<string> => (await load({ ...given, cwd })).config.region;
    expect(await regionOf({})).toBe('here');
    expect(await regionOf({ env })).toBe('other');
    expect(await regionOf({ env, words: ['--config-file', named] })).toBe('named');
    expect(await regionOf({ words: ['--config-file', '../named.yaml'] })).toBe('named');
    await expect(regionOf({ words: ['--config-file', '/none.yaml'] })).rejects.toMatchObject({
      code: 'GS_CONFIG',
      message: expect.stringContaining('/none.yaml: cannot be read') as string,
    });
  });

  it('a relative path counts from its file, or from the working folder', async () => {
    const elsewhere = place('region: sf\ndata: d\nregionFile: r.yaml\n');
    const words = ['--config-file', join(elsewhere, 'groundswell.yaml')];
    const cwd = place();
    expect((await load({ words, cwd })).config).toMatchObject({
      data: join(elsewhere, 'd'),
      regionFile: join(elsewhere, 'r.yaml'),
    });
    expect((await load({ words: [...words, '--data', 'e'], cwd })).config.data).toBe(join(cwd, 'e'));
    expect((await load({ words, cwd, env: { GROUNDSWELL_DATA: 'f' } })).config.data).toBe(join(cwd, 'f'));
  });

  it('a section with nothing in it, and an empty file, say nothing', async () => {
    for (const yaml of ['', '# nothing\n', 'nats:\n  # url: x\nhttp:\n'])
      expect((await load({ words: ['--region', 'sf'], cwd: place(yaml) })).config.http.port).toBe(7380);
  });

  it('a machine whose name is no name for a node gives one that is', async () => {
    const named = async (hostname: string): Promise<string> =>
      (await loadStartConfig({ ...sources({ words: ['--region', 'sf'] }), hostname })).config.name;
    expect(await named("Ann's Laptop")).toBe('Ann-s-Laptop');
    expect(await named('x'.repeat(200))).toHaveLength(64);
    expect(await named('')).toBe('node');
  });
});

describe('nats-servers', () => {
  const nats = async (given: Given): Promise<unknown> => {
    const { replicas, ...rest } = (
      await load({ ...given, words: ['--region', 'sf', ...(given.words ?? [])] })
    ).config.nats;
    expect(replicas).toBe(1);
    return rest;
  };

  it('keep 1, 3 or 5 copies of each stream', async () => {
    const words = ['--region', 'sf'];
    expect((await load({ words, env: { GROUNDSWELL_NATS_REPLICAS: '3' } })).config.nats.replicas).toBe(3);
    await expect(load({ words, env: { GROUNDSWELL_NATS_REPLICAS: '2' } })).rejects.toThrow(/is 1, 3 or 5/);
  });

  it('are one URL or several, with or without a scheme', async () => {
    expect(await nats({ words: ['--nats', '127.0.0.1:4222'] })).toEqual({
      servers: ['nats://127.0.0.1:4222'],
    });
    expect(await nats({ env: { NATS_URL: 'nats://a:1, tls://b:2/,c' } })).toEqual({
      servers: ['nats://a:1', 'tls://b:2', 'nats://c'],
    });
    expect(await nats({ words: ['--nats', 'nats://[::1]:4222'] })).toEqual({
      servers: ['nats://[::1]:4222'],
    });
  });

  it('a user in the URL stands for the keys of its own, with the URL’s origin and rank', async () => {
    const url = 'nats://us%40er:p%2Fw@h:1,nats://us%40er:p%2Fw@i:1';
    expect(await nats({ words: ['--nats', url], env: { NATS_USER: 'other', NATS_PASSWORD: 'x' } })).toEqual({
      servers: ['nats://h:1', 'nats://i:1'],
      user: 'us@er',
      password: 'p/w',
    });
    const { values } = await show({ env: { NATS_URL: url } });
    expect(values.get('nats.password')).toEqual({ value: 'p/w', origin: 'environment NATS_URL' });
    expect(values.get('nats.url')!.value).toBe('nats://h:1,nats://i:1');
  });

  it.each<[string, NodeJS.ProcessEnv, RegExp]>([
    ['a web address', { NATS_URL: 'http://h:4222' }, /NATS_URL: is a web address.*nats:\/\/h:4222/],
    ['another scheme', { NATS_URL: 'ws://h:4222' }, /begins with ws:\/\/: write nats:\/\/ or tls/],
    ['no host', { NATS_URL: 'nats://' }, /NATS_URL: is no URL of a nats-server/],
    ['a port that is none', { NATS_URL: 'nats://h:99999' }, /is no URL of a nats-server/],
    ['a path', { NATS_URL: 'nats://h:1/x' }, /more than a host and a port/],
    ['two users', { NATS_URL: 'nats://a:b@h,nats://c:d@i' }, /different users/],
    ['a token', { NATS_URL: 'nats://s3cret@h' }, /has a user or a password without the other/],
    ['a user that is not encoded', { NATS_URL: 'nats://a:50%@h' }, /percent-encoded/],
    [
      'a user twice',
      { NATS_URL: 'nats://a:b@h', NATS_USER: 'c' },
      /NATS_URL: nats\.url has a user in it, and environment NATS_USER/,
    ],
    [
      'a password alone',
      { NATS_PASSWORD: 's3cret' },
      /NATS_PASSWORD: nats\.password is given without nats\.user/,
    ],
  ])('%s is refused, and nothing secret is repeated', async (_, env, message) => {
    const error = await show({ env }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'GS_CONFIG', message: expect.stringMatching(message) as string });
    expect((error as Error).message).not.toMatch(/s3cret|a:b|50%@/);
  });

  it('a password that YAML takes for a number is refused without being repeated', async () => {
    const shown = show({ cwd: place('nats:\n  user: u\n  password: 987654\n') });
    await expect(shown).rejects.toThrow(/nats\.password: is no text: write it in quotes/);
    await expect(shown).rejects.not.toThrow(/987654/);
  });

  it('credentials are a file that can be read, and go with no user', async () => {
    const cwd = place();
    const file = join(cwd, 'node.creds');
    const words = ['--creds', 'node.creds'];
    await expect(show({ cwd, words })).rejects.toThrow(
      /flag --creds: nats\.credentials: .*node\.creds cannot be read: ENOENT/,
    );
    await expect(show({ cwd, words: ['--creds', '.'] })).rejects.toThrow(/cannot be read: it is no file/);
    writeFileSync(file, 'x');
    expect(await nats({ cwd, words })).toEqual({ servers: [], credentials: file });
    await expect(show({ cwd, words, env: { NATS_USER: 'u' } })).rejects.toThrow(
      /--creds: nats\.credentials is given, and environment NATS_USER/,
    );
    if (isRoot) return;
    chmodSync(file, 0);
    await expect(show({ cwd, words })).rejects.toThrow(/EACCES/);
  });
});

describe('a wrong value', () => {
  it.each<[string, Given, RegExp]>([
    [
      'of a variable names the variable',
      { env: { GROUNDSWELL_HTTP_PORT: 'abc' } },
      /^environment GROUNDSWELL_HTTP_PORT: expected number, found string "abc"/,
    ],
    ['of a flag names the flag', { words: ['--http', '70000'] }, /^flag --http: is 0 to 65535/],
    ['of workers', { words: ['--workers', '65'] }, /^flag --workers: is 1 to 64/],
    ['of a weight', { env: { GROUNDSWELL_WEIGHT: '0' } }, /WEIGHT: is 0\.01 to 100/],
    ['of standbys', { env: { GROUNDSWELL_STANDBYS: '3' } }, /STANDBYS: is 0 to 2/],
    ['that is a half', { words: ['--http', '1.5'] }, /^flag --http: expected int, found number 1\.5/],
    [
      'that is a word names the nearest',
      { env: { GROUNDSWELL_LOG_LEVEL: 'inof' } },
      /GROUNDSWELL_LOG_LEVEL: expected debug, info, warn, error; found string "inof"; did you mean "info"\?/,
    ],
    [
      'that is a URL for a host',
      { words: ['--http-host', 'http://0.0.0.0:80'] },
      /--http-host: "http:\/\/0\.0\.0\.0:80" is a URL: write the host alone here, and the port in http\.port/,
    ],
    [
      'that has a port with the host',
      { words: ['--http-host', '0.0.0.0:80'] },
      /has a port in it: write the host alone/,
    ],
    ['that is an IPv6 address in brackets', { words: ['--http-host', '[::1]'] }, /without brackets/],
    ['that is no host', { words: ['--http-host', 'a b'] }, /"a b" is no host name or address/],
    [
      'that is half an address',
      { words: ['--http-host', '10.0.0'] },
      /"10\.0\.0" is no host name or address/,
    ],
    [
      'of a duration',
      { env: { GROUNDSWELL_SIDES_RETENTION: '7 days' } },
      /SIDES_RETENTION: "7 days" is no duration/,
    ],
    ['that keeps nothing', { env: { GROUNDSWELL_SIDES_RETENTION: '5s' } }, /SIDES_RETENTION: is 1m to 366d/],
    [
      'of a size',
      { env: { GROUNDSWELL_EMBEDDED_MAX_STORE: '64GB' } },
      /MAX_STORE: "64GB" is no size: write 512MiB/,
    ],
    [
      'that is too small',
      { env: { GROUNDSWELL_EMBEDDED_MAX_STORE: '1MiB' } },
      /MAX_STORE: is at least 256MiB/,
    ],
    ['of a region', { words: ['--region', 'San Francisco'] }, /^flag --region: is 1 to 32 of/],
    ['of a name', { words: ['--name', 'a b'] }, /^flag --name: is 1 to 64 of/],
    [
      'in the file names file and key',
      { cwd: place('http:\n  port: "7380"\n') },
      /groundswell\.yaml: http\.port: expected number, found string "7380"/,
    ],
    [
      'under a mistyped key names the nearest',
      { cwd: place('http:\n  prot: 1\n') },
      /groundswell\.yaml: http\.prot: unknown key; did you mean "port"\?/,
    ],
    [
      'under a mistyped section',
      { cwd: place('natz: { url: x }\n') },
      /groundswell\.yaml: natz: unknown key; did you mean "nats"\?/,
    ],
    [
      'in the place of a section',
      { cwd: place('http: http://127.0.0.1:7380\n') },
      /http: expected object, found string/,
    ],
    ['in a file that is no YAML', { cwd: place('region: [\n') }, /groundswell\.yaml:\d+:\d+: not valid YAML/],
    [
      'in a file that is a list',
      { cwd: place('- region\n') },
      /groundswell\.yaml: expected object, found a list/,
    ],
  ])('%s', async (_, given, message) => {
    await expect(show(given)).rejects.toMatchObject({
      code: 'GS_CONFIG',
      exitCode: 2,
      message: expect.stringMatching(message) as string,
    });
  });

  it('is found in a place that another one overrides, too: it would come back when that one goes', async () => {
    await expect(show({ words: ['--http', '1'], env: { GROUNDSWELL_HTTP_PORT: 'x' } })).rejects.toThrow(
      /GROUNDSWELL_HTTP_PORT/,
    );
  });

  it('whatever is in a variable, the end is a configuration or GS_CONFIG', async () => {
    const cwd = place();
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...START_KEYS), fc.string(), async ({ env }, text) => {
        const code = await show({ cwd, env: { [env]: text } }).then(
          () => 'fine',
          (error: unknown) => (error as { code: unknown }).code,
        );
        expect(['fine', 'GS_CONFIG']).toContain(code);
      }),
    );
  });
});

describe('warnings', () => {
  const warningsOf = async (given: Given): Promise<readonly string[]> => (await show(given)).warnings;

  it('name variables that nobody reads, and the nearest that somebody does', async () => {
    const env = { GROUNDSWELL_HTTP_PROT: '1', GROUNDSWELL_QQQQQQQQQQQQQQQQQ: '1', GROUND: '1' };
    expect(await warningsOf({ env })).toEqual([
      'the environment variable GROUNDSWELL_HTTP_PROT is not known; did you mean GROUNDSWELL_HTTP_PORT?',
      'the environment variable GROUNDSWELL_QQQQQQQQQQQQQQQQQ is not known',
    ]);
    const known = Object.fromEntries(Object.keys(OTHER_VARIABLES).map((name) => [name, '']));
    expect(await warningsOf({ env: known })).toEqual([]);
  });

  it('say what others can do when the node listens beyond this machine', async () => {
    for (const host of ['0.0.0.0', '10.1.2.3', 'node-7.example', '::', '128.0.0.1'])
      expect((await warningsOf({ words: ['--http-host', host] }))[0]).toMatch(
        /^http\.host is .* \(flag --http-host\): whoever reaches it can post events and read .*states/,
      );
    for (const host of ['127.0.0.1', '127.1.2.3', 'localhost', '::1'])
      expect(await warningsOf({ words: ['--http-host', host] })).toEqual([]);
  });
});

describe('flags', () => {
  it('have names of their own, and other options of the command are passed over', async () => {
    const attributes = START_KEYS.flatMap(({ flag }) => (flag === undefined ? [] : [attributeOf(flag)]));
    expect(new Set(attributes).size).toBe(attributes.length);
    const given = sources({ words: ['--region', 'sf'] });
    const { config } = await loadStartConfig({ ...given, flags: { ...given.flags, json: true, for: 1 } });
    expect(config.region).toBe('sf');
  });

  it('say in the help what they are for, their default and their variable; secrets have none', () => {
    const help = addStartOptions(new Command('start')).helpInformation();
    for (const { flag, env, secret } of START_KEYS) {
      if (flag !== undefined) expect(help).toContain(flag);
      expect(help.includes(env)).toBe(flag !== undefined);
      if (secret === true) expect(flag).toBeUndefined();
    }
    expect(help).toContain('GROUNDSWELL_CONFIG_FILE');
  });
});

describe('byte sizes', () => {
  it.each([
    ['512B', 512],
    ['1KiB', 1_024],
    ['1.5MiB', 1_572_864],
    [' 64GiB ', 64 * 1024 ** 3],
    ['2TiB', 2 * 1024 ** 4],
  ])('%s is %d bytes', (text, bytes) => {
    expect(parseByteSize(text)).toBe(bytes);
  });

  it.each(['', '5', '64GB', '64 GiB', '-1MiB', 'MiB', '1e3MiB', '99999999TiB'])('"%s" is none', (text) => {
    expect(parseByteSize(text)).toBeUndefined();
  });

  it('what is written is read back', () => {
    fc.assert(
      fc.property(fc.nat(10 ** 6), fc.constantFrom(1, 1_024, 1_024 ** 2, 1_024 ** 3), (count, unit) => {
        expect(parseByteSize(formatByteSize(count * unit))).toBe(count * unit);
      }),
    );
    expect([0, 1_023, 1_024, 1_536, 64 * 1024 ** 3].map(formatByteSize)).toEqual([
      '0B',
      '1023B',
      '1KiB',
      '1536B',
      '64GiB',
    ]);
  });
});
