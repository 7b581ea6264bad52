/**
 * The documents are true: hunts examples that no longer run, commands and paths that are gone, tables that have fallen
 * behind the code, and words that belong to a workplace and not to the project.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { runInNewContext } from 'node:vm';
import { Command } from 'commander';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { parse as parseYaml } from 'yaml';
import type { Behaviour } from '../../src/actor/behaviour.js';
import { Registry } from '../../src/actor/registry.js';
import type { Row } from '../../src/actor/row.js';
import { addCommands } from '../../src/cli/commands.js';
import { Cover } from '../../src/core/geohash.js';
import { ERRORS } from '../../src/core/errors.js';
import { EventChecker } from '../../src/ingest/check.js';
import { EVENT_TYPES, REFUSAL_REASONS } from '../../src/ingest/event.js';
import { parseMapping } from '../../src/ingest/mapping.js';
import * as publicDoor from '../../src/index.js';
import { Subjects } from '../../src/log/subjects.js';
import { decodeRecord, encodeRecord } from '../../src/node/membership/record.js';
import { encodeEventFrame } from '../../src/partition/frame.js';
import { Partition } from '../../src/partition/partition.js';
import { rowsOf } from '../../src/partition/row-block.js';
import { rowSchema, surgeOf, surgeSchema } from '../../src/serve/row-schema.js';

const ROOT = join(import.meta.dirname, '../..');
const DOCUMENTS = [
  'README.md',
  'CHANGELOG.md',
  ...readdirSync(join(ROOT, 'docs')).map((name) => `docs/${name}`),
];
const PACKAGE = JSON.parse(read('package.json')) as {
  scripts: Record<string, string>;
  dependencies: Record<string, string>;
  files: string[];
};

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

/** Code blocks of a language. */
function blocks(document: string, language: string): string[] {
  return [...read(document).matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)]
    .filter(([, found]) => found === language)
    .map(([, , text]) => text!);
}

/** Texts between single backticks, outside code blocks. */
function codeSpans(document: string): string[] {
  const prose = read(document).replaceAll(/^```[\s\S]*?^```$/gm, '');
  return [...prose.matchAll(/`([^`\n]+)`/g)].map(([, text]) => text!);
}

/** Rows of all tables, as cells without backticks and escapes. */
function tableRows(document: string): string[][] {
  return read(document)
    .split('\n')
    .filter((line) => line.startsWith('|') && !/^\|[\s|:-]+\|$/.test(line))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim().replaceAll('`', '').replaceAll('\\', '')),
    );
}

async function quietProgram(): Promise<Command> {
  const program = new Command('groundswell').option('--verbose').version('0.0.0');
  await addCommands(program);
  const quiet = (command: Command): void => {
    command.exitOverride().configureOutput({ writeErr: () => undefined, writeOut: () => undefined });
    if (command.commands.length === 0) command.action(() => undefined);
    command.commands.forEach(quiet);
  };
  quiet(program);
  return program;
}

/** All commands of the project that documents name, in blocks and in the text, without `npx` and comments. */
const groundswellCommands = DOCUMENTS.flatMap((document) =>
  [...blocks(document, 'sh').flatMap((text) => text.split('\n')), ...codeSpans(document)]
    .map((line) => line.replace(/\s+#.*$/, '').replace(/^npx /, ''))
    .filter((line) => line.startsWith('groundswell '))
    .map((line) => ({ document, line })),
);

describe('commands in the documents', () => {
  it('are there', () => {
    expect(groundswellCommands.length).toBeGreaterThan(4);
  });

  it.each(groundswellCommands)('$document: $line', async ({ line }) => {
    const [, ...words] = line.split(/\s+/);
    const program = await quietProgram();
    // `groundswell replay` alone names the command; with words behind it, it is meant to run.
    if (words.length === 1) expect(program.commands.map((command) => command.name())).toContain(words[0]);
    else program.parse(words, { from: 'user' });
  });

  it('exit with 2 for wrong usage', async () => {
    const program = await quietProgram();
    for (const words of [['replay', 'x.csv'], ['demo', '--seed', 'x'], ['nothing']])
      expect(() => program.parse(words, { from: 'user' }), words.join(' ')).toThrow();
  });
});

describe('npm scripts', () => {
  it.each(DOCUMENTS)('that %s names exist', (document) => {
    const named = [...read(document).matchAll(/npm (?:run ([\w:-]+)|(start|test)\b)/g)].map(
      ([, script, short]) => script ?? short!,
    );
    expect(named.filter((script) => !(script in PACKAGE.scripts))).toEqual([]);
  });

  it('run files that exist', () => {
    const files = Object.values(PACKAGE.scripts).flatMap(
      (script) => script.match(/[\w./-]+\.(ts|json)\b/g) ?? [],
    );
    expect(files.filter((file) => !existsSync(join(ROOT, file)))).toEqual([]);
  });

  it('verify checks everything that continuous integration does', () => {
    const all = (script: string): string[] =>
      [...PACKAGE.scripts[script]!.matchAll(/npm (?:run )?([\w:]+)/g)].map(([, name]) => name!);
    expect(all('verify')).toEqual(['format:check', 'lint', 'types', 'test']);
    for (const script of all('verify'))
      expect(read('.ci/run')).toMatch(new RegExp(`npm (run )?${script}\\b`));
  });
});

describe('paths in the documents', () => {
  const TOP = readdirSync(ROOT, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .filter((name) => !['data', 'dist', 'node_modules'].includes(name));

  it.each(DOCUMENTS)('%s: exist', (document) => {
    const paths = [
      ...codeSpans(document).flatMap((span) => span.split(/\s+/)),
      ...blocks(document, 'sh').flatMap((text) => text.split(/\s+/)),
    ].filter((word) => TOP.some((top) => word.startsWith(`${top}/`)));
    expect(paths.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  });

  it.each(DOCUMENTS)('%s: links lead somewhere', (document) => {
    const broken = [...read(document).matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, target]) => target!)
      .filter((target) => !/^https?:/.test(target))
      .filter((target) => {
        const [path, anchor] = target.split('#') as [string, string | undefined];
        const file = path === '' ? document : join(dirname(document), path);
        if (!existsSync(join(ROOT, file))) return true;
        return anchor !== undefined && !anchors(file).includes(anchor);
      });
    expect(broken).toEqual([]);
  });

  it('of headings and files that remedies send people to', () => {
    for (const { remedy } of Object.values(ERRORS)) {
      const named = /(docs\/\w+\.md), "([^"]+)"/.exec(remedy);
      if (named) expect(anchors(named[1]!)).toContain(slug(named[2]!));
    }
  });

  it('in the table of folders are all folders of src', () => {
    const folders = readdirSync(join(ROOT, 'src'), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => `src/${name}/`);
    const listed = tableRows('README.md').map(([cell]) => cell!);
    expect(folders.filter((folder) => !listed.includes(folder))).toEqual([]);
  });

  it('of the promises: the code that is named says the promise’s number', () => {
    const promises = tableRows('docs/ARCHITECTURE.md').filter(([cell]) => /^\*\*P\d\*\*/.test(cell!));
    expect(promises.map(([cell]) => cell!.slice(2, 4))).toEqual([
      'P1',
      'P2',
      'P3',
      'P4',
      'P5',
      'P6',
      'P7',
      'P8',
    ]);
    for (const [cell, , where] of promises) {
      const promise = cell!.slice(2, 4);
      for (const file of where!.split(', '))
        expect.soft(new RegExp(`\\b${promise}\\b`).test(read(file)), `${file} says ${promise}`).toBe(true);
    }
  });
});

function anchors(file: string): string[] {
  return [...read(file).matchAll(/^#+ (.+)$/gm)].map(([, heading]) => slug(heading!));
}

function slug(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\w\s-]/g, '')
    .replaceAll(/\s/g, '-');
}

describe('examples', () => {
  const json = (document: string): unknown[] =>
    blocks(document, 'json').map((text) => JSON.parse(text) as unknown);

  it('the row of the README is one', () => {
    const rows = json('README.md');
    expect(rows).toHaveLength(1);
    const row = rowSchema.parse(rows[0]);
    expect(row).toEqual(rows[0]);
    expect(read('README.md')).toContain(new Subjects('sf').aggregate(row.window, row.level, row.key));
  });

  it('the event, the lease and the surge message of the protocol are such', () => {
    const [event, lease, surge, ...rest] = json('docs/PROTOCOL.md');
    const checker = new EventChecker({ cover: new Cover(['9q8y']), nowMs: () => Date.UTC(2027, 0, 1) });
    expect(checker.check(event)).toMatchObject({ outcome: 'accepted' });
    const decoded = decodeRecord(new TextEncoder().encode(JSON.stringify(lease)));
    if (decoded.kind !== 'record') throw new Error(decoded.why);
    expect(JSON.parse(new TextDecoder().decode(encodeRecord(decoded.record)))).toEqual(lease);
    expect(surgeSchema.parse(surge)).toEqual(surgeOf(rowSchema.parse(json('README.md')[0]) as Row));
    expect(rest).toEqual([]);
  });

  it('the mapping of the README is one', () => {
    const [yaml, ...rest] = blocks('README.md', 'yaml');
    expect(rest).toEqual([]);
    expect(parseMapping(parseYaml(yaml!), 'README.md')).toMatchObject({ event: 'driver.location' });
    expect(parseYaml(yaml!)).toEqual(parseYaml(read('config/sources/cabspotting.yaml')));
  });

  it('the protocol lists all types of events and all reasons of a refusal', () => {
    const spans = codeSpans('docs/PROTOCOL.md');
    for (const word of [...EVENT_TYPES, ...REFUSAL_REASONS]) expect(spans).toContain(word);
  });
});

describe('the programs of the README', () => {
  const programs = blocks('README.md', 'ts');
  const code = programs.find((text) => text.includes('defineActor'))!;

  it.each(programs)('type-check as a user would: %#', (code) => {
    const file = join(ROOT, 'test/unit/readme-example.ts');
    const config = ts.readConfigFile(join(ROOT, 'tsconfig.json'), (path) => ts.sys.readFile(path));
    const { options } = ts.parseJsonConfigFileContent(config.config, ts.sys, ROOT);
    // An application's settings: nothing is built on top of it.
    options.declaration = false;
    options.paths = { groundswell: [join(ROOT, 'src/index.ts')] };
    const host = ts.createCompilerHost(options);
    const withExample: ts.CompilerHost = {
      ...host,
      fileExists: (path) => path === file || host.fileExists(path),
      readFile: (path) => (path === file ? code : host.readFile(path)),
      getSourceFile: (path, version) =>
        path === file ? ts.createSourceFile(path, code, version) : host.getSourceFile(path, version),
    };
    const program = ts.createProgram([file], options, withExample);
    const faults = ts
      .getPreEmitDiagnostics(program)
      .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'));
    expect(faults).toEqual([]);
  });

  /** Runs behaviours in a partition of their own. Gives the rows. */
  function run(
    behaviours: readonly Behaviour[],
    events: readonly { riderId: string; ts: number; cell: string }[],
  ): Row[] {
    const partition = new Partition(
      {
        region: 'sf',
        partition: 0,
        partitions: 1,
        registry: new Registry(behaviours),
        time: { outOfOrderBoundMs: 5_000, idleTimeoutMs: 30_000 },
        paneMs: 60_000,
        duplicateWindowMs: 900_000,
        writer: 'test',
      },
      { get: () => undefined },
      { control: undefined, timers: [] },
    );
    const frame = encodeEventFrame({
      producer: 'test',
      mode: 'replay',
      seq: 0,
      watermarkMs: T0 + 3_600_000,
      end: true,
      events: events.map((event) => ({ type: 'session.opened', ...event })),
    });
    partition.acceptEvents(frame, 1, 0);
    const rows: Row[] = [];
    for (let step = 0; step < 10; step++) {
      partition.advance(0);
      rows.push(...rowsOf(partition.takeCommit()?.blocks ?? []));
    }
    return rows;
  }
  const T0 = Date.UTC(2026, 2, 2, 16);

  it('run, and say the same for any order of arrival', () => {
    const script = ts.transpile(code, { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2023 });
    const exported: { looker?: Behaviour; interest?: Behaviour } = {};
    runInNewContext(script, {
      exports: exported,
      require: (name: string) => (name === 'groundswell' ? publicDoor : undefined),
    });
    const { looker, interest } = exported as Required<typeof exported>;
    const events = [
      { riderId: 'ann', ts: T0 + 1_000, cell: '9q8yyk' },
      { riderId: 'ben', ts: T0 + 59_999, cell: '9q8yym' },
      { riderId: 'ann', ts: T0 + 60_000, cell: '9q8yyk' },
    ];
    const rows = run([looker, interest], events);
    const shown = rows.map(({ key, window, end, features }) => [
      key,
      window,
      (end - T0) / 60_000,
      features['sessions'],
    ]);
    expect(shown).toContainEqual(['9q8yy', '1m', 1, 2]);
    expect(shown).toContainEqual(['9q8yy', '1m', 2, 1]);
    expect(shown).toContainEqual(['9q8yy', '5m', 2, 3]);
    expect(shown).toContainEqual(['9q8yy', '5m', 6, 1]);
    expect(rows.every(({ final, rev }) => final && rev === 0)).toBe(true);
    expect(run([looker, interest], events.toReversed())).toEqual(rows);
  });
});

describe('the catalogue of errors', () => {
  it('stands in ERRORS.md as it is in the code', () => {
    const listed = tableRows('docs/ERRORS.md')
      .slice(1)
      .map(([code, exit, again, , remedy]) => [code, Number(exit), again === 'yes', remedy]);
    const catalogue = Object.entries(ERRORS).map(([code, { exit, retry, remedy }]) => [
      code,
      exit,
      retry,
      remedy,
    ]);
    expect(listed).toEqual(catalogue);
  });

  it('gives every code a meaning', () => {
    for (const [code, , , meaning] of tableRows('docs/ERRORS.md')) expect(meaning, code).toMatch(/\w{3}/);
  });
});

describe('the table of dependencies', () => {
  it('has every one that is installed with the package, with its licence and a reason', () => {
    const listed = tableRows('README.md').filter(([name]) => name! in PACKAGE.dependencies);
    expect(listed.map(([name]) => name).sort()).toEqual(Object.keys(PACKAGE.dependencies).sort());
    for (const [name, licence, reason] of listed) {
      const { license } = JSON.parse(read(`node_modules/${name!}/package.json`)) as { license: string };
      expect({ name, licence }).toEqual({ name, licence: license });
      expect(reason).toMatch(/\w{3}/);
    }
  });
});

describe('the package', () => {
  it('holds what its documents link to', () => {
    expect(PACKAGE.files).toEqual(
      expect.arrayContaining(['README.md', 'LICENSE', 'CHANGELOG.md', 'docs', 'config']),
    );
  });

  it('has a lock file that names no host, so that any registry serves it', () => {
    expect(read('package-lock.json')).not.toMatch(/"resolved": "https?:/);
  });

  it('has a lock file with every optional dependency, of other platforms too: without them npm ci refuses it', () => {
    const { packages } = JSON.parse(read('package-lock.json')) as {
      packages: Record<string, { optionalDependencies?: Record<string, string> }>;
    };
    const missing = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
      Object.keys(optionalDependencies).filter(
        (name) => !(`node_modules/${name}` in packages) && !(`${path}/node_modules/${name}` in packages),
      ),
    );
    expect(missing).toEqual([]);
  });
});

describe('the project speaks of itself alone', () => {
  const FOLDERS = ['src', 'actors', 'config', 'bench', 'test', 'docs', '.ci'];
  const files = [
    ...FOLDERS.flatMap((folder) =>
      existsSync(join(ROOT, folder))
        ? readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map(
            (name) => `${folder}/${name}`,
          )
        : [],
    ),
    ...readdirSync(ROOT),
  ].filter((name) => /\.(ts|js|md|yaml|json|sql|sh)$|\.ci\/\w+$/.test(name) && name !== 'package-lock.json');
  const THIS = 'test/unit/docs.test.ts';

  const inAnyFile: readonly [what: string, pattern: RegExp][] = [
    ['paths of a machine', /(?<![\w.)}])\/(work|root|mnt)\/\w/],
    ['numbers of issues', /\b(issue|ticket|PR)s? #?\d|(?<![\w&'"`#])#\d{1,4}\b(?!\w)/i],
    ['the design that stands elsewhere', /DESIGN(\.md)?\b.*section|STYLE\.md/],
    [
      'hosts of registries and mirrors',
      /registry\.npmjs|npmjs\.(org|com)|deb\.debian\.org|artifactory|verdaccio/,
    ],
  ];
  const inDocuments: readonly [what: string, pattern: RegExp][] = [
    ['tools of a workplace', /\b(issues?|helpers?|sub-?agents?|assistant|prompt|brief)\b/i],
  ];

  it.each(inAnyFile)('no file has %s', (_, pattern) => {
    const found = files
      .filter((file) => file !== THIS)
      .flatMap((file) =>
        read(file)
          .split('\n')
          .flatMap((line, i) => (pattern.test(line) ? [`${file}:${i + 1}: ${line.trim()}`] : [])),
      );
    expect(found).toEqual([]);
  });

  it.each(inDocuments)('no document has %s', (_, pattern) => {
    const found = DOCUMENTS.flatMap((document) =>
      read(document)
        .split('\n')
        .filter((line) => pattern.test(line))
        .map((line) => `${document}: ${line}`),
    );
    expect(found).toEqual([]);
  });
});
