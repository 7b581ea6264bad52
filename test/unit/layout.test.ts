/**
 * Who may import whom. Hunts the erosion of the layout: a pure folder that starts to do I/O, an adapter that everything
 * leans on, a vendor's types in every file, a handler that reads the wall clock. Types count like any other import: a
 * folder that knows another's types knows that folder.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, sep } from 'node:path';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');

/** The folders in the way of an event; each imports only from those above it. */
const ORDER = [
  'src/core',
  'src/actor',
  'src/window',
  'src/model',
  'src/partition',
  'src/log',
  'src/state',
  'src/node',
  'src/ingest',
  'src/serve',
  'src/feature',
  'src/cli',
];

const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  'src/core': [],
  'src/actor': ['src/core'],
  // `windowed` makes behaviours.
  'src/window': ['src/core', 'src/actor'],
  // A score is part of a row, and a row's shape is `actor/row.ts`.
  'src/model': ['src/core', 'src/actor'],
  // The pure step knows behaviours, not what they count with: neither windows nor models, and no adapter at all.
  'src/partition': ['src/core', 'src/actor'],
  // The log carries bytes: it knows nothing of partitions but how their number is written in a subject.
  'src/log': ['src/core'],
  // Snapshots keep a partition's changed actors: the port is written in the partition's words.
  'src/state': ['src/core', 'src/partition'],
  'src/node': ['src/core', 'src/actor', 'src/partition', 'src/log', 'src/state'],
  // Producers encode the partition's input frames.
  'src/ingest': ['src/core', 'src/actor', 'src/partition', 'src/log'],
  // Publishers and views decode the partition's output frames; HTTP answers for the node and takes events in.
  'src/serve': ['src/core', 'src/actor', 'src/partition', 'src/log', 'src/node', 'src/ingest'],
  'src/feature': ['src/core', 'src/actor', 'src/window', 'src/model'],
  // Everything is wired here; the built-in actors are one of the things.
  'src/cli': [...ORDER.filter((folder) => folder !== 'src/cli'), 'actors'],
  // The public door, and the one for tests and benches.
  'src/index.ts': ['src/core', 'src/actor', 'src/window', 'src/model', 'src/feature', 'src/producer.ts'],
  // Wires ingest to a nats-server, as the command line does.
  'src/producer.ts': ['src/core', 'src/actor', 'src/log', 'src/ingest'],
  'src/internal.ts': ORDER.filter((folder) => folder !== 'src/cli'),
  // Written as a feature author would.
  actors: ['src/index.ts'],
};

/** Adapters of ports: chosen where things are wired, and nowhere else. */
const ADAPTERS = ['src/log/nats', 'src/log/memory', 'src/state/lmdb', 'src/state/memory'];

/** Where a package may be named. One that is not listed has no place in `src/` or `actors/`. */
const VENDORS: Readonly<Record<string, readonly string[]>> = {
  nats: ['src/log/nats/'],
  '@nats-io/jetstream': ['src/log/nats/'],
  '@nats-io/kv': ['src/log/nats/'],
  lmdb: ['src/state/lmdb/'],
  msgpackr: ['src/partition/'],
  '@datadog/sketches-js': ['src/window/sketch.ts'],
  papaparse: ['src/ingest/csv.ts'],
  yaml: ['src/core/config-file.ts'],
  'fastest-levenshtein': ['src/core/nearest.ts'],
  // Where schemas are, and where their messages are made.
  zod: [
    'src/core/config-file.ts',
    'src/model/linear.ts',
    'src/node/membership/record.ts',
    'src/ingest/event.ts',
    'src/ingest/mapping.ts',
    'src/ingest/region.ts',
    'src/ingest/region-card.ts',
    'src/serve/row-schema.ts',
    'src/cli/config-schema.ts',
    'src/cli/schema-keys.ts',
  ],
  pino: ['src/cli/log.ts'],
  'pino-pretty': ['src/cli/log.ts'],
  fastify: ['src/serve/http/'],
  'prom-client': ['src/serve/http/'],
  commander: ['src/cli/'],
  picocolors: ['src/cli/'],
  'cli-progress': ['src/cli/'],
  'log-update': ['src/cli/live-screen.ts'],
  sparkly: ['src/cli/sparkline.ts'],
  'eventsource-parser': ['src/cli/row-stream.ts'],
};

/** What may touch the machine (`node:` modules): adapters and the edge. All else is a function of what it is told. */
const MACHINE = [
  // Checks UTF-8: bytes in, an answer out.
  'src/ingest/lines.ts',
  'src/core/config-file.ts',
  // Starts a file that lies beside another.
  'src/core/sibling-thread.ts',
  'src/model/load.ts',
  'src/log/nats/',
  'src/state/lmdb/',
  'src/node/data-folder.ts',
  // Breaks off handlers that do not return.
  'src/node/handler-guard.ts',
  'src/ingest/file-bytes.ts',
  'src/ingest/region.ts',
  // A name for its batches.
  'src/producer.ts',
  'src/serve/http/',
  'src/cli/',
];

/** Time and chance of the machine, and where they may be asked for. */
const IMPURE: readonly { readonly what: RegExp; readonly where: readonly string[] }[] = [
  // A progress bar's rate is for the eyes of the person before it.
  { what: /^Date\.now$/, where: ['src/core/clock.ts', 'src/cli/screen.ts'] },
  { what: /^(performance\.now|setTimeout|setInterval|new Date)$/, where: ['src/core/clock.ts'] },
  { what: /^process\.hrtime/, where: [] },
  // Lets sockets be read between two turns of the node, or two slices of a burst: an order of work, not a time.
  { what: /^setImmediate$/, where: ['src/node/node.ts', 'src/serve/turn.ts'] },
  { what: /^Math\.random$/, where: [] },
  // Names that no two processes share, and the embedded server's password.
  {
    what: /^random(UUID|Bytes|Int)$/,
    where: [
      'src/cli/engine.ts',
      'src/cli/region-access.ts',
      'src/cli/running-node.ts',
      'src/log/nats/server/',
      'src/producer.ts',
    ],
  },
];

interface SourceFile {
  readonly path: string;
  readonly folder: string;
  /** Imports of files of the project, as paths from the root. */
  readonly files: readonly string[];
  readonly packages: readonly string[];
  /** Calls and properties that read the machine's time or chance. */
  readonly machineNames: readonly string[];
}

const sources = ['src', 'actors'].flatMap(read);

function read(top: string): SourceFile[] {
  return readdirSync(join(ROOT, top), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => {
      const path = `${top}/${name.split(sep).join('/')}`;
      const text = readFileSync(join(ROOT, path), 'utf8');
      const specifiers = ts.preProcessFile(text, true, true).importedFiles.map(({ fileName }) => fileName);
      return {
        path,
        folder: folderOf(path),
        files: specifiers
          .filter((name) => name.startsWith('.'))
          .map((name) =>
            normalize(join(dirname(path), name))
              .split(sep)
              .join('/')
              .replace(/\.js$/, '.ts'),
          ),
        packages: specifiers.filter((name) => !name.startsWith('.')).map(packageOf),
        machineNames: machineNamesIn(text),
      };
    });
}

function folderOf(path: string): string {
  if (path.startsWith('actors/')) return 'actors';
  const parts = path.split('/');
  return parts.length === 2 ? path : parts.slice(0, 2).join('/');
}

function packageOf(specifier: string): string {
  if (specifier.startsWith('node:')) return specifier;
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

function machineNamesIn(text: string): string[] {
  const names: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isPropertyAccessExpression(node) && ts.isIdentifier(node.expression))
      names.push(`${node.expression.text}.${node.name.text}`);
    if (ts.isCallExpression(node) && ts.isIdentifier(node.expression)) names.push(node.expression.text);
    if (ts.isNewExpression(node) && (node.arguments?.length ?? 0) === 0 && ts.isIdentifier(node.expression))
      names.push(`new ${node.expression.text}`);
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile('source.ts', text, ts.ScriptTarget.Latest));
  return names;
}

const within = (path: string, places: readonly string[]): boolean =>
  places.some((place) => path === place || (place.endsWith('/') && path.startsWith(place)));

describe('the layout', () => {
  it('knows every folder of src, so that a new one is placed before it is used', () => {
    expect(
      [...new Set(sources.map(({ folder }) => folder))].filter((folder) => !(folder in MAY_IMPORT)),
    ).toEqual([]);
  });

  it('lets a folder import only what stands above it in the way of an event', () => {
    const upward = ORDER.flatMap((folder) =>
      MAY_IMPORT[folder]!.filter(
        (target) => target !== 'actors' && ORDER.indexOf(target) >= ORDER.indexOf(folder),
      ).map((target) => `${folder} → ${target}`),
    );
    expect(upward).toEqual([]);
  });

  it('has no import that the table does not allow', () => {
    const wrong = sources.flatMap(({ path, folder, files }) =>
      files
        .filter((file) => folderOf(file) !== folder && !MAY_IMPORT[folder]?.includes(folderOf(file)))
        .map((file) => `${path} → ${file}`),
    );
    expect(wrong).toEqual([]);
  });

  it('lets only the command line and the public producer choose an adapter', () => {
    const wiring = (path: string): boolean => path.startsWith('src/cli/') || path === 'src/producer.ts';
    const wrong = sources.flatMap(({ path, files }) =>
      files
        .filter((file) => {
          const adapter = ADAPTERS.find((folder) => file.startsWith(`${folder}/`));
          return adapter !== undefined && !path.startsWith(`${adapter}/`) && !wiring(path);
        })
        .map((file) => `${path} → ${file}`),
    );
    expect(wrong).toEqual([]);
  });

  it('has one place where the built-in actors are wired in', () => {
    const importers = sources.filter(
      ({ path, files }) => path.startsWith('src/') && files.some((file) => file.startsWith('actors/')),
    );
    expect(importers.map(({ path }) => path)).toEqual(['src/cli/engine.ts']);
  });

  it('has no file that imports itself by way of others', () => {
    const imports = new Map(sources.map(({ path, files }) => [path, files]));
    const done = new Set<string>();
    const cycles: string[] = [];
    const visit = (path: string, trail: readonly string[]): void => {
      if (trail.includes(path)) cycles.push([...trail.slice(trail.indexOf(path)), path].join(' → '));
      if (done.has(path) || trail.includes(path)) return;
      for (const file of imports.get(path) ?? []) visit(file, [...trail, path]);
      done.add(path);
    };
    for (const { path } of sources) visit(path, []);
    expect(cycles).toEqual([]);
  });
});

describe('vendors', () => {
  it('are named only in their own place', () => {
    const wrong = sources.flatMap(({ path, packages }) =>
      packages
        .filter((name) => !name.startsWith('node:') && !within(path, VENDORS[name] ?? []))
        .map((name) => `${path} → ${name}`),
    );
    expect(wrong).toEqual([]);
  });

  it('and the machine stay out of the pure core', () => {
    const wrong = sources.flatMap(({ path, packages }) =>
      packages
        .filter((name) => name.startsWith('node:') && !within(path, MACHINE))
        .map((name) => `${path} → ${name}`),
    );
    expect(wrong).toEqual([]);
  });
});

describe('time and chance', () => {
  it('come through their ports', () => {
    const wrong = sources.flatMap(({ path, machineNames }) =>
      machineNames
        .filter((name) => IMPURE.some(({ what, where }) => what.test(name) && !within(path, where)))
        .map((name) => `${path}: ${name}`),
    );
    expect(wrong).toEqual([]);
  });
});

describe('names of files', () => {
  it('are kebab-case nouns that say what is inside', () => {
    const wrong = sources.filter(({ path }) => {
      const name = path.slice(path.lastIndexOf('/') + 1, -'.ts'.length);
      return (
        !/^[a-z0-9]+(-[a-z0-9]+)*$/.test(name) || /^(utils?|helpers?|manager|types|common|misc)$/.test(name)
      );
    });
    expect(wrong.map(({ path }) => path)).toEqual([]);
  });
});
