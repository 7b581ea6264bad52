/**
 * The command line as it is shipped: `dist/cli/`, with what its commands share in a few files. Node takes longer to find and
 * load hundreds of small modules, once more in each thread, than to start an engine. Feature authors get the modules themselves
 * (`dist/src/`), which `tsc` makes.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { defineConfig, type Plugin } from 'rolldown';

/** Packages that most commands load, of JavaScript alone: taken in, with what they load. */
const TAKEN_IN = [
  'zod',
  'yaml',
  'commander',
  'nats',
  '@nats-io/jetstream',
  'papaparse',
  'picocolors',
  'cli-progress',
  'fastest-levenshtein',
];

const { dependencies } = packageAt('.');

export default defineConfig({
  input: {
    main: 'src/cli/main.ts',
    // Threads: each beside whoever starts it, by its name (`core/sibling-thread.ts`).
    'replay-program': 'src/cli/replay-program.ts',
    'write-program': 'src/state/lmdb/write-program.ts',
  },
  platform: 'node',
  // Any other stays a package of its own, which Node loads when it is asked for.
  external: Object.keys(dependencies)
    .filter((name) => !TAKEN_IN.includes(name))
    .map((name) => new RegExp(`^${name}(/|$)`)),
  plugins: [licences()],
  onLog(level, log, report) {
    // It would be looked for where the program runs, where only what the package depends on is sure to be.
    if (log.code === 'UNRESOLVED_IMPORT') throw new Error(log.message);
    report(level, log);
  },
  output: {
    dir: 'dist/cli',
    cleanDir: true,
    entryFileNames: '[name].js',
    chunkFileNames: '[name]-[hash].js',
  },
});

interface Package {
  readonly name: string;
  readonly version: string;
  readonly dependencies: Readonly<Record<string, string>>;
}

function packageAt(folder: string): Package {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Package;
}

/** Licences of the packages that were taken in, as `LICENCES.txt`: they ask to be handed on with every copy. */
function licences(): Plugin {
  return {
    name: 'licences',
    generateBundle() {
      const folders = [...this.getModuleIds()].map(
        (id) => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(id)?.[0],
      );
      const texts = [...new Set(folders)]
        .filter((folder) => folder !== undefined)
        .sort()
        .map(licenceIn);
      this.emitFile({
        type: 'asset',
        fileName: 'LICENCES.txt',
        source: texts.join(`\n${'-'.repeat(80)}\n\n`),
      });
    },
  };
}

function licenceIn(folder: string): string {
  const { name, version } = packageAt(folder);
  const file = readdirSync(folder).find((one) => /^licen[cs]e/i.test(one));
  if (file === undefined) throw new Error(`${name} has no file with its licence`);
  return `${name} ${version}\n\n${readFileSync(join(folder, file), 'utf8').trim()}\n`;
}
