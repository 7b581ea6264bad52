/**
 * Hunts: bad input that ends in a stack trace, in a wrong exit code, in something half-written, in a process left behind,
 * or in an event that silently vanishes.
 */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { open } from 'lmdb';
import { connect } from 'nats';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.js';
import { startEmbeddedServer } from '../../src/log/nats/server/embedded.js';
import { locateNatsServer, WAYS } from '../../src/log/nats/server/locate.js';
import { releaseWay } from '../../src/log/nats/server/release.js';
import { mappingFile, ROOT, Sandbox, type Ended } from '../support/cli.js';
import { CELLS, MINUTE, ping, ride, session } from '../support/market.js';
import { until } from '../support/until.js';

const sandbox = new Sandbox();
const good = [
  ping('d-1', 0, CELLS[0]),
  ride('requested', 'a', 1_000, CELLS[0]),
  session('r', 2_000, CELLS[1]),
  ping('d-1', MINUTE, CELLS[1]),
];
const lines = (list: readonly unknown[]): string =>
  list.map((one) => `${typeof one === 'string' ? one : JSON.stringify(one)}\n`).join('');
const goodFile = sandbox.path('good.ndjson');
writeFileSync(goodFile, lines(good));
/** With `--speed 1x` a replay of it is held up for a day. */
const slow = sandbox.path('slow.ndjson');
writeFileSync(slow, lines([good[0], ping('d-1', 24 * 60 * MINUTE, CELLS[0])]));
const CSV = 'ts,cab,lat,lon,occupied\n1211353200,abboip,37.75,-122.39,0\n';
const TEST_MS = 90_000;
let binary = '';

beforeAll(async () => {
  binary = (await locateNatsServer({ ways: WAYS.filter((way) => way !== releaseWay) })).path;
}, 180_000);
afterEach(async () => {
  await sandbox.quiet();
  expect(sandbox.leftovers(), 'temporary data folders').toEqual([]);
});
afterAll(() => sandbox.close());

/** One clear message, no stack, nothing on standard output. */
function refusedClearly(ended: Ended, code: 1 | 2, name: string, ...words: (string | RegExp)[]): void {
  expect(ended.stderr).toContain(`(${name})`);
  expect(ended.code, ended.stderr).toBe(code);
  expect(ended.stdout).toBe('');
  expect(ended.stderr).not.toMatch(/^\s+at /m);
  expect(ended.stderr.match(/^error /gm)).toHaveLength(1);
  for (const word of words) expect(ended.stderr).toMatch(word);
}

let outs = 0;
/** Runs a replay that must be refused, and looks whether it left any file of rows. */
async function refusedReplay(args: readonly string[], env?: NodeJS.ProcessEnv): Promise<Ended> {
  const folder = sandbox.path(`out-${++outs}`);
  mkdirSync(folder);
  const ended = await sandbox.run(['replay', ...args, '--out', join(folder, 'rows.ndjson'), '--json'], env);
  expect(readdirSync(folder), 'nothing half-written').toEqual([]);
  return ended;
}

describe('rows that are no events', () => {
  const bad: [reason: string, type: string, row: unknown][] = [
    ['malformed', 'unknown', '{"type":"driver.location",'],
    ['malformed', 'unknown', '[1,2,3]'],
    ['unknown_type', 'unknown', { ...good[0], type: 'driver.locaton' }],
    ['missing_field', 'unknown', { ts: 1 }],
    ['off_globe', 'driver.location', { ...good[0], lat: 91 }],
    ['off_globe', 'ride.requested', { ...good[1], lon: -180.5 }],
    [
      'not_finite',
      'driver.location',
      lines([{ ...good[0], lat: 0 }])
        .replace('"lat":0', '"lat":1e999')
        .trim(),
    ],
    ['before_2000', 'session.opened', { ...good[2], ts: 1_000_000 }],
    ['far_future', 'driver.location', { ...good[0], ts: 9_000_000_000_000 }],
    ['id_too_long', 'driver.location', { ...good[0], driverId: 'x'.repeat(129) }],
    ['id_invalid', 'driver.location', { ...good[0], driverId: '' }],
    ['wrong_type', 'driver.location', { ...good[0], lat: '37.7' }],
    ['not_integer', 'driver.location', { ...good[0], ts: 1_690_000_000_000.5 }],
    ['unknown_value', 'driver.location', { ...good[0], status: 'parked' }],
    ['missing_field', 'ride.requested', { ...good[1], riderId: undefined }],
    ['outside_region', 'driver.location', { ...good[0], lat: 48.2, lon: 16.4 }],
  ];

  it(
    'are refused with reasons that are counted and kept on the dead subjects, once, and the rest goes on',
    async () => {
      const file = sandbox.path('mixed.ndjson');
      writeFileSync(file, lines([good[0], ...bad.map(([, , row]) => row), ...good.slice(1)]));
      const data = sandbox.path('mixed-data');
      const args = ['--region', 'sf', '--data', data];
      const { summary, rows } = await sandbox.replay(file, args);
      const counted: Record<string, number> = {};
      for (const [reason] of bad) counted[reason] = (counted[reason] ?? 0) + 1;
      expect(summary.rejected).toEqual(counted);
      expect([summary.events, summary.accepted]).toEqual([good.length + bad.length, good.length]);
      const alone = await sandbox.replay(goodFile, ['--region', 'sf']);
      expect(rows.length).toBe(alone.rows.length);
      await sandbox.replay(file, args);

      await sandbox.quiet();
      const server = await startEmbeddedServer({ dataDir: data, binary, clock: systemClock });
      const connection = await connect({ servers: server.url, user: server.user, pass: server.password });
      try {
        const { state } = await (await jetstreamManager(connection)).streams.info('GS_sf_SIDE');
        const dead: { subject: string; reason: string; message: string; body: string }[] = [];
        const consumer = await jetstream(connection).consumers.get('GS_sf_SIDE', {
          filter_subjects: ['gs.sf.dead.>'],
        });
        const messages = await consumer.fetch({ max_messages: state.messages + 1, expires: 1_000 });
        for await (const message of messages) {
          const {
            reason,
            message: text,
            body,
          } = message.json<{ reason: string; message: string; body: string }>();
          dead.push({ subject: message.subject, reason, message: text, body });
        }
        const kept = dead.map(({ subject, reason }) => `${subject} ${reason}`).sort();
        expect(kept).toEqual(
          bad.map(([reason, type]) => `gs.sf.dead.${type.replaceAll('.', '_')} ${reason}`).sort(),
        );
        bad.forEach(([reason], i) => {
          const own = dead.filter(({ message }) => message.startsWith(`line ${i + 2}: `));
          expect(
            own.map((one) => one.reason),
            `line ${i + 2}`,
          ).toEqual([reason]);
        });
        const wrongField = dead.find(({ reason }) => reason === 'unknown_value')!;
        expect(wrongField.message).toMatch(/^line \d+: status: "parked" is none of/);
        expect(JSON.parse(wrongField.body)).toMatchObject({ driverId: 'd-1', status: 'parked' });
      } finally {
        await connection.close();
        await server.stop();
      }
    },
    TEST_MS,
  );

  it(
    'of a CSV file (NaN, too few columns, no time) are refused in the same way',
    async () => {
      const file = sandbox.path('bad.csv');
      writeFileSync(
        file,
        `${CSV}1211353201,abboip,NaN,-122.39,0\n1211353202,abboip\nnoon,abboip,37.75,-122.39,0\n,abboip,37.75,-122.39,0\n1211353203,abboip,37.75,-122.39,1\n`,
      );
      const { summary } = await sandbox.replay(file, [
        '--region',
        'sf',
        '--mapping',
        mappingFile('cabspotting'),
      ]);
      expect(summary).toMatchObject({ events: 6, accepted: 2 });
      expect(summary.rejected['not_finite']).toBe(1);
      expect(Object.values(summary.rejected).reduce((a, b) => a + b)).toBe(4);
    },
    TEST_MS,
  );

  it(
    'alone make an empty file of rows and a summary, not an error',
    async () => {
      const file = sandbox.path('only-bad.ndjson');
      writeFileSync(file, lines(bad.map(([, , row]) => row)));
      const { summary, rows } = await sandbox.replay(file, ['--region', 'sf']);
      expect(rows).toEqual([]);
      expect(summary).toMatchObject({ events: bad.length, accepted: 0 });
    },
    TEST_MS,
  );
});

describe('more ids for one driver than anybody has', () => {
  it(
    'P8 end no node: so many are remembered, the other events are dead letters, and all of them are counted',
    async () => {
      const file = sandbox.path('flood.ndjson');
      const flood = Array.from({ length: 40_000 }, (_, i) => ({
        ...good[0],
        ts: good[0]!.ts + Math.floor(i / 400),
        id: `${i}`.padStart(128, '0'),
      }));
      writeFileSync(file, lines([...flood, { ...good[0], driverId: 'd-2' }]));
      const { summary, rows } = await sandbox.replay(file, [
        '--region',
        'sf',
        '--data',
        sandbox.path('flooded'),
      ]);
      expect(summary).toMatchObject({ accepted: flood.length + 1, late: 0, impossible: 0 });
      // Some 256 KiB of ids of 138 bytes each were taken before.
      expect(Object.keys(summary.dead)).toEqual(['too_many_ids']);
      expect(flood.length - summary.dead['too_many_ids']!).toBe(Math.ceil((256 * 1024) / 138));
      const region = rows.filter(({ level, window }) => level === 'region' && window === '1m');
      expect(region[0]!.features['drivers']).toBe(2);
      const again = await sandbox.replay(file, ['--region', 'sf', '--data', sandbox.path('flooded')]);
      expect(again.summary).toMatchObject({ resumed: flood.length + 1, dead: summary.dead });
    },
    TEST_MS,
  );
});

describe('a source that cannot be read', () => {
  it('missing: exit 2, and its name', async () => {
    const ended = await refusedReplay([sandbox.path('nowhere.ndjson'), '--region', 'sf']);
    refusedClearly(ended, 2, 'GS_SOURCE_FILE', /nowhere\.ndjson/);
  });

  it('a directory: exit 2', async () => {
    const folder = sandbox.path('folder.ndjson');
    mkdirSync(folder);
    refusedClearly(await refusedReplay([folder, '--region', 'sf']), 2, 'GS_SOURCE_FILE', /folder\.ndjson/);
  });

  it('empty: exit 2', async () => {
    const empty = sandbox.path('empty.ndjson');
    writeFileSync(empty, '');
    refusedClearly(await refusedReplay([empty, '--region', 'sf']), 2, 'GS_SOURCE_FILE', /empty/);
  });

  it('gzip that is none: exit 2', async () => {
    const file = sandbox.path('none.ndjson.gz');
    writeFileSync(file, Buffer.concat([Buffer.from([0x1f, 0x8b]), Buffer.from('no gzip at all')]));
    refusedClearly(await refusedReplay([file, '--region', 'sf']), 2, 'GS_SOURCE_FILE', /none\.ndjson\.gz/);
  });

  it(
    'gzip that breaks off in the middle: exit 1, where, and no rows file',
    async () => {
      const many = Array.from({ length: 60_000 }, (_, i) => ping(`d-${i % 50}`, i * 20, CELLS[i % 3]!));
      const whole = gzipSync(lines(many), { level: 1 });
      const file = sandbox.path('broken.ndjson.gz');
      writeFileSync(file, whole.subarray(0, Math.floor(whole.length * 0.7)));
      const args = [file, '--region', 'sf', '--data', sandbox.path('broken-data')];
      const ended = await refusedReplay(args);
      refusedClearly(ended, 1, 'GS_SOURCE_BROKEN', /broken\.ndjson\.gz: breaks off after line \d+/);
    },
    TEST_MS,
  );

  // The remedy that the error gives.
  it(
    'repaired, and run with the same --data, goes on where it stopped',
    async () => {
      const many = Array.from({ length: 60_000 }, (_, i) => ping(`d-${i % 50}`, i * 20, CELLS[i % 3]!));
      const whole = gzipSync(lines(many), { level: 1 });
      const file = sandbox.path('repaired.ndjson.gz');
      writeFileSync(file, whole.subarray(0, Math.floor(whole.length * 0.7)));
      const data = sandbox.path('repaired-data');
      expect((await refusedReplay([file, '--region', 'sf', '--data', data])).code).toBe(1);
      writeFileSync(file, whole);
      const { summary } = await sandbox.replay(file, ['--region', 'sf', '--data', data]);
      expect(summary.accepted).toBe(many.length);
      expect(summary.resumed).toBeGreaterThan(0);
    },
    TEST_MS,
  );

  it('CSV without a mapping: exit 2', async () => {
    const file = sandbox.path('plain.csv');
    writeFileSync(file, CSV);
    const ended = await refusedReplay([file, '--region', 'sf']);
    refusedClearly(ended, 2, 'GS_MAPPING', /plain\.csv/);
  });
});

describe('configuration that is wrong', () => {
  const region = readFileSync(join(ROOT, 'config/regions/sf.yaml'), 'utf8');

  it('a wrong key of a region: exit 2, and the nearest right one', async () => {
    const file = sandbox.path('wrong-key.yaml');
    writeFileSync(file, region.replace('outOfOrderBound', 'outOfOrderBnd'));
    const ended = await refusedReplay([goodFile, '--region', 'sf', '--config', file]);
    refusedClearly(
      ended,
      2,
      'GS_CONFIG',
      /wrong-key\.yaml/,
      /outOfOrderBnd/,
      /did you mean "outOfOrderBound"/,
    );
  });

  it('an unknown region: exit 2, and the nearest one', async () => {
    const ended = await refusedReplay([goodFile, '--region', 'nyk']);
    refusedClearly(ended, 2, 'GS_REGION_UNKNOWN', /"nyk"/, /nyc/);
  });

  it('a region file that is missing, or of another region: exit 2', async () => {
    const missing = await refusedReplay([goodFile, '--region', 'sf', '--config', sandbox.path('no.yaml')]);
    refusedClearly(missing, 2, 'GS_CONFIG', /no\.yaml/);
    const other = await refusedReplay([
      goodFile,
      '--region',
      'sf',
      '--config',
      join(ROOT, 'config/regions/nyc.yaml'),
    ]);
    refusedClearly(other, 2, 'GS_CONFIG', /"nyc"/, /"sf"/);
  });

  it('a wrong key of a mapping, and a column that the file lacks: exit 2, and the nearest right one', async () => {
    const csv = sandbox.path('pings.csv');
    writeFileSync(csv, CSV);
    const mapping = readFileSync(mappingFile('cabspotting'), 'utf8');
    const key = sandbox.path('wrong-key-mapping.yaml');
    writeFileSync(key, mapping.replace('fields:', 'feilds:'));
    refusedClearly(
      await refusedReplay([csv, '--region', 'sf', '--mapping', key]),
      2,
      'GS_MAPPING',
      /feilds/,
      /did you mean "fields"/,
    );
    const column = sandbox.path('wrong-column.yaml');
    writeFileSync(column, mapping.replace('driverId: cab', 'driverId: cabb'));
    refusedClearly(
      await refusedReplay([csv, '--region', 'sf', '--mapping', column]),
      2,
      'GS_MAPPING',
      /cabb/,
      /did you mean "cab"/,
    );
  });

  it('a model that asks for a feature the engine does not have: exit 2, and the features there are', async () => {
    // A package of its own, with another model in its configuration.
    const home = sandbox.path('package');
    mkdirSync(join(home, 'dist'), { recursive: true });
    for (const folder of ['config', 'dist'])
      cpSync(join(ROOT, folder), join(home, folder), { recursive: true });
    copyFileSync(join(ROOT, 'package.json'), join(home, 'package.json'));
    execFileSync('ln', ['-s', join(ROOT, 'node_modules'), join(home, 'node_modules')]);
    const model = join(home, 'config/models/surge-linear.json');
    writeFileSync(
      model,
      readFileSync(model, 'utf8').replace('"feature": "requests"', '"feature": "reqests"'),
    );
    const ended = await sandbox.run(
      ['replay', goodFile, '--region', 'sf'],
      {},
      join(home, 'dist/cli/main.js'),
    );
    refusedClearly(ended, 2, 'GS_MODEL', /reqests/, /requests/);
  });

  it('words that the command does not know: exit 2, without starting anything', async () => {
    for (const args of [
      ['replay'],
      ['replay', goodFile],
      ['replay', goodFile, '--region', 'sf', '--sped', 'max'],
      ['replay', goodFile, '--region', 'sf', '--partitions', '0'],
      ['replay', goodFile, '--region', 'sf', '--speed', 'fast'],
      ['rpelay', goodFile],
    ]) {
      const ended = await sandbox.run(args);
      expect(ended.code, args.join(' ')).toBe(2);
      expect(ended.stderr, args.join(' ')).toMatch(/^error/m);
      expect(ended.stderr).not.toMatch(/^\s+at /m);
    }
  });
});

describe('surroundings that are wrong', () => {
  it('an old nats-server: exit 2, its version and the one that is needed', async () => {
    const fake = sandbox.path('old-nats-server');
    writeFileSync(fake, '#!/bin/sh\necho "nats-server: v2.10.29"\n');
    chmodSync(fake, 0o755);
    const ended = await refusedReplay([goodFile, '--region', 'sf'], { GROUNDSWELL_NATS_SERVER: fake });
    refusedClearly(ended, 2, 'GS_NATS_OLD', /2\.10\.29/, /2\.14\.5/);
  });

  it('a nats-server that is not there, or is none: exit 2', async () => {
    const env = { GROUNDSWELL_NATS_SERVER: sandbox.path('no-such-server') };
    refusedClearly(
      await refusedReplay([goodFile, '--region', 'sf'], env),
      2,
      'GS_NATS_MISSING',
      /no-such-server/,
    );
  });

  it('nobody at --nats, or no URL: exit 2', async () => {
    const nobody = await refusedReplay([goodFile, '--region', 'sf', '--nats', 'nats://127.0.0.1:9']);
    refusedClearly(nobody, 1, 'GS_NATS_CONNECT', /127\.0\.0\.1:9/);
    const noUrl = await refusedReplay([goodFile, '--region', 'sf', '--nats', 'nats://']);
    refusedClearly(noUrl, 2, 'GS_USAGE', /nats:\/\//);
  });

  it(
    'a data folder of another region, of another partition count, or of a newer format: exit 2, and the folder stays',
    async () => {
      const data = sandbox.path('foreign');
      await sandbox.replay(goodFile, ['--region', 'sf', '--data', data]);
      const region = await refusedReplay([goodFile, '--region', 'nyc', '--data', data]);
      refusedClearly(region, 2, 'GS_DATA_FOREIGN', /sf/, /nyc/);
      const count = await refusedReplay([goodFile, '--region', 'sf', '--partitions', '4', '--data', data]);
      refusedClearly(count, 2, 'GS_DATA_FOREIGN', /16/, /4/);
      const again = await sandbox.replay(goodFile, ['--region', 'sf', '--data', data]);
      expect(again.rows.length).toBeGreaterThan(0);

      await sandbox.quiet();
      const root = open({ path: join(data, 'snapshots'), maxDbs: 40 });
      const meta = root.openDB<Record<string, unknown>, string>({ name: 'meta', encoding: 'msgpack' });
      // Its checksum is of this format: without one it counts as it is.
      await meta.put('identity', { ...meta.get('identity'), format: 99, check: undefined });
      await root.close();
      const newer = await refusedReplay([goodFile, '--region', 'sf', '--data', data]);
      refusedClearly(newer, 2, 'GS_DATA_NEWER', /99/);
    },
    TEST_MS,
  );

  it(
    'a data folder in use: exit 2, and the process that uses it goes on',
    async () => {
      const data = sandbox.path('in-use');
      // Held up by its speed, with the folder open.
      const first = sandbox.start(['replay', slow, '--region', 'sf', '--data', data, '--speed', '1x']);
      await until('it has the folder', () => existsSync(join(data, 'groundswell.lock')), { pollMs: 5 });
      const second = await refusedReplay([goodFile, '--region', 'sf', '--data', data]);
      refusedClearly(second, 2, 'GS_DATA_LOCKED', new RegExp(String(first.child.pid)));
      expect(first.child.exitCode).toBeNull();
      first.child.kill('SIGTERM');
      const ended = await first.ended;
      expect(ended.code).toBe(1);
      expect(ended.stderr).not.toMatch(/^\s+at /m);
      await sandbox.quiet();
      expect(existsSync(join(data, 'groundswell.lock')), 'it let go of the folder').toBe(false);
    },
    TEST_MS,
  );

  it('--out or --data where nothing can be written: one message, and nothing runs', async () => {
    const nowhere = await sandbox.run([
      'replay',
      goodFile,
      '--region',
      'sf',
      '--out',
      sandbox.path('no/such/folder/rows'),
    ]);
    refusedClearly(nowhere, 1, 'GS_OUTPUT', /no\/such\/folder/);
    const data = await refusedReplay([goodFile, '--region', 'sf', '--data', goodFile]);
    refusedClearly(data, 1, 'GS_OUTPUT', /good\.ndjson/);
  });

  it('--out that is a folder: one message, before anything runs', async () => {
    const folder = sandbox.path('is-a-folder');
    mkdirSync(folder);
    const onFolder = await sandbox.run(['replay', goodFile, '--region', 'sf', '--out', folder]);
    refusedClearly(onFolder, 1, 'GS_OUTPUT', /is-a-folder/);
    expect(existsSync(`${folder}.partial`)).toBe(false);
  });

  it(
    'an embedded server that dies under a replay: exit 1, a message, nothing half-written, nothing running',
    async () => {
      const data = sandbox.path('server-dies');
      const folder = sandbox.path('server-dies-out');
      mkdirSync(folder);
      const { ended } = sandbox.start([
        'replay',
        slow,
        '--region',
        'sf',
        '--data',
        data,
        '--speed',
        '1x',
        '--out',
        join(folder, 'rows.ndjson'),
      ]);
      const pids = join(data, 'nats/server.pid');
      await until(
        'its server runs',
        () =>
          existsSync(pids) && existsSync(join(data, 'snapshots')) && existsSync(join(data, 'nats/jetstream')),
        {
          pollMs: 5,
        },
      );
      const server = sandbox.processes().find((line) => line.includes('nats-server'))!;
      process.kill(Number(server.split(' ')[0]), 'SIGKILL');
      const end = await ended;
      expect(end.code, end.stderr).toBe(1);
      expect(end.stderr).not.toMatch(/^\s+at /m);
      expect(readdirSync(folder)).toEqual([]);
    },
    TEST_MS,
  );

  it(
    'ended by SIGTERM in full speed: exit 1, what to do to go on, nothing half-written, nothing running',
    async () => {
      const many = Array.from({ length: 200_000 }, (_, i) => ping(`d-${i % 300}`, i * 20, CELLS[i % 3]!));
      const file = sandbox.path('many.ndjson');
      writeFileSync(file, lines(many));
      const data = sandbox.path('term-data');
      const folder = sandbox.path('term-out');
      mkdirSync(folder);
      const { child, ended } = sandbox.start([
        ...['replay', file, '--region', 'sf', '--data', data],
        ...['--out', join(folder, 'rows.ndjson')],
      ]);
      const partial = join(folder, 'rows.ndjson.partial');
      await until('rows are committed', () => (statSync(partial, { throwIfNoEntry: false })?.size ?? 0) > 0, {
        pollMs: 2,
      });
      child.kill('SIGTERM');
      refusedClearly(await ended, 1, 'GS_LOG', /SIGTERM/, /same --data/);
      expect(readdirSync(folder)).toEqual([]);
    },
    TEST_MS,
  );

  it.each(['snapshots', 'nats/jetstream', 'nats/jetstream/ENGINE/streams/GS_sf'])(
    'ended by Ctrl-C while it opens, when there is %s: exit 1, what to do to go on, nothing running',
    async (path) => {
      const data = sandbox.path(`early-${path.replaceAll('/', '-')}`);
      const { child, ended } = sandbox.start([
        'replay',
        slow,
        '--region',
        'sf',
        '--data',
        data,
        '--speed',
        '1x',
      ]);
      await until(`there is ${path}`, () => existsSync(join(data, path)), { pollMs: 1 });
      child.kill('SIGINT');
      refusedClearly(await ended, 1, 'GS_LOG', /SIGINT/, /same --data/);
      expect(existsSync(join(data, 'groundswell.lock'))).toBe(false);
    },
    TEST_MS,
  );

  it('--verbose, and only that, shows the stack', async () => {
    const args = ['replay', sandbox.path('nowhere.ndjson'), '--region', 'sf'];
    expect((await sandbox.run(args)).stderr).not.toMatch(/^\s+at /m);
    expect((await sandbox.run(['--verbose', ...args])).stderr).toMatch(/^\s+at /m);
  });
});
