/**
 * What somebody meets first: how soon `npm start` says something, everything being installed, and how much disk an
 * installation takes, made from the package as it would be published, with what it needs to run and nothing else.
 */
import { execFile, spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ENV } from './crash/command.js';

const run = promisify(execFile);

export interface FirstOutput {
  /** From the start of the process until its first output. */
  readonly firstSeconds: number;
  /** … and until it names the address where its page is. */
  readonly addressSeconds: number;
  readonly firstLine: string;
  readonly code: number | null;
}

export interface InstallSize {
  readonly packages: number;
  /** As the disk has it: whole blocks. */
  readonly bytes: number;
  readonly packageBytes: number;
  readonly largest: readonly { readonly name: string; readonly bytes: number }[];
}

const LISTED = 8;
const BLOCK_BYTES = 512;

/** Starts a command, waits for its end, and says when it spoke. */
export async function firstOutput(file: string, args: readonly string[], cwd: string): Promise<FirstOutput> {
  const startedMs = performance.now();
  const elapsed = (): number => (performance.now() - startedMs) / 1_000;
  const child = spawn(file, args, { cwd, env: ENV, stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  let firstSeconds: number | undefined;
  let addressSeconds: number | undefined;
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (text.trim() !== '') firstSeconds ??= elapsed();
      if (/http:\/\/[\w.]+:\d+/.test(text)) addressSeconds ??= elapsed();
    });
  }
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (code !== 0 || firstSeconds === undefined || addressSeconds === undefined)
    throw new Error(`${file} ${args.join(' ')}: exit code ${code ?? 'unknown'}, and it said: ${text}`);
  return { firstSeconds, addressSeconds, firstLine: text.trim().split('\n')[0]!, code };
}

/** Packs the package at a folder, installs that into an empty one, and measures it. The registry is the one that npm is set up with. */
export async function measureInstall(root: string): Promise<InstallSize> {
  const folder = await mkdtemp(join(tmpdir(), 'groundswell-install-'));
  try {
    // Compiled it is already: the bench is.
    await run('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], { cwd: root });
    const archive = (await readdir(folder)).find((name) => name.endsWith('.tgz'))!;
    const { size: packageBytes } = await stat(join(folder, archive));
    const place = join(folder, 'place');
    await mkdir(place);
    await writeFile(join(place, 'package.json'), '{ "private": true }');
    await run('npm', ['install', '--omit=dev', '--no-audit', '--no-fund', join(folder, archive)], {
      cwd: place,
    });
    await run(process.execPath, ['node_modules/groundswell/dist/cli/main.js', '--version'], {
      cwd: place,
    });
    const modules = join(place, 'node_modules');
    const names = await packagesIn(modules);
    const sizes = await Promise.all(
      names.map(async (name) => ({ name, bytes: await diskUsage(join(modules, name)) })),
    );
    return {
      packages: names.length,
      bytes: await diskUsage(place),
      packageBytes,
      largest: sizes.sort((a, b) => b.bytes - a.bytes).slice(0, LISTED),
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Bytes that a folder and all in it take on the disk. */
export async function diskUsage(folder: string): Promise<number> {
  let bytes = (await stat(folder)).blocks * BLOCK_BYTES;
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) bytes += await diskUsage(path);
    else if (entry.isFile()) bytes += (await stat(path)).blocks * BLOCK_BYTES;
  }
  return bytes;
}

/** Names of the packages at the top, those with a scope too. */
async function packagesIn(modules: string): Promise<string[]> {
  const names: string[] = [];
  for (const name of await readdir(modules)) {
    if (name.startsWith('@'))
      names.push(...(await readdir(join(modules, name))).map((one) => `${name}/${one}`));
    else if (!name.startsWith('.')) names.push(name);
  }
  return names;
}
