/**
 * nats-server from Debian: package `nats-server` of suite forky, fetched by apt itself from the machine's own mirror
 * under a private configuration (own sources, lists and cache), its signature checked with the installed Debian
 * keyring, and unpacked beside. Needs no root and changes nothing of the system.
 */
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { debianMirrors, parseDeb822, parseOneLine, type AptSource } from './apt-sources.js';
import { fetchIntoCache, type Fetched } from './cache.js';
import { runCommand } from './command.js';
import { failed, type Way } from './way.js';

const SUITE = 'forky';
const PACKAGE = 'nats-server';
const PROGRAM = 'usr/sbin/nats-server';
const KEYRINGS = [
  '/usr/share/keyrings/debian-archive-keyring.gpg',
  '/usr/share/keyrings/debian-archive-keyring.pgp',
];
const UPDATE_TIMEOUT_MS = 60_000;
const DOWNLOAD_TIMEOUT_MS = 120_000;
const UNPACK_TIMEOUT_MS = 60_000;
const CONNECT_TIMEOUT_S = 8;
/** A machine names one mirror, sometimes two; more are a misreading of third-party sources. */
const MIRRORS_MAX = 2;

export const debianWay: Way = {
  name: `Debian package (${SUITE})`,
  how: `On Debian, let apt reach a mirror that has suite ${SUITE}; elsewhere install nats-server by hand and set GROUNDSWELL_NATS_SERVER to it.`,
  async look(search) {
    if (process.platform !== 'linux') return failed('this machine is not Debian');
    const release = parseOsRelease((await textOf('/etc/os-release')) ?? '');
    if (release.get('ID') !== 'debian') return failed('this machine is not Debian');
    const codename = release.get('VERSION_CODENAME');
    if (codename === undefined) return failed('/etc/os-release has no VERSION_CODENAME');
    const keyring = await firstThatExists(KEYRINGS);
    if (keyring === undefined)
      return failed(`no Debian keyring at ${KEYRINGS[0]!}; install debian-archive-keyring`);
    const mirrors = debianMirrors(await machineSources('/etc/apt'), codename);
    if (mirrors.length === 0)
      return failed(`no source in /etc/apt is a Debian archive with suite ${codename}`);

    const whys: string[] = [];
    for (const mirror of mirrors.slice(0, MIRRORS_MAX)) {
      search.onProgress(
        `nats-server: fetching package ${PACKAGE} from Debian ${SUITE} (${hostOf(mirror)}) …`,
      );
      const outcome = await fetchIntoCache(search, (tempDir) =>
        fetchPackage(tempDir, mirror, keyring, search.env),
      );
      if (outcome.kind === 'found') return outcome;
      whys.push(outcome.why);
    }
    return failed(whys.join('; '));
  },
};

/** The variables of an os-release file. */
export function parseOsRelease(text: string): Map<string, string> {
  const variables = new Map<string, string>();
  for (const match of text.matchAll(/^([A-Z_]+)=["']?([^"'\n]*)["']?$/gm))
    variables.set(match[1]!, match[2]!);
  return variables;
}

/** All sources of an apt folder, in the order apt reads them. */
export async function machineSources(aptDir: string): Promise<AptSource[]> {
  const sources = parseOneLine((await textOf(join(aptDir, 'sources.list'))) ?? '');
  const parts = join(aptDir, 'sources.list.d');
  for (const name of (await readdir(parts).catch((): string[] => [])).sort()) {
    const parse = name.endsWith('.list') ? parseOneLine : name.endsWith('.sources') ? parseDeb822 : undefined;
    if (parse) sources.push(...parse((await textOf(join(parts, name))) ?? ''));
  }
  return sources;
}

async function fetchPackage(
  tempDir: string,
  mirror: string,
  keyring: string,
  env: NodeJS.ProcessEnv,
): Promise<Fetched> {
  const config = join(tempDir, 'apt.conf');
  const unpackDir = join(tempDir, 'unpacked');
  for (const folder of ['lists/partial', 'cache/archives/partial', 'unpacked'])
    await mkdir(join(tempDir, folder), { recursive: true });
  await writeFile(join(tempDir, 'status'), '');
  // `target=Packages` leaves out translations, component metadata and icons.
  await writeFile(
    join(tempDir, 'sources.list'),
    `deb [signed-by=${keyring} target=Packages] ${mirror} ${SUITE} main\n`,
  );
  await writeFile(config, aptConfig(tempDir));

  const cEnv = { ...process.env, ...env, LC_ALL: 'C' };
  const updated = await runCommand('apt-get', ['-q', '-c', config, 'update'], {
    timeoutMs: UPDATE_TIMEOUT_MS,
    cwd: tempDir,
    env: cEnv,
  });
  if (updated.kind === 'failed') return failed(`apt-get update: ${updated.why}`);
  const downloaded = await runCommand('apt-get', ['-q', '-c', config, 'download', PACKAGE], {
    timeoutMs: DOWNLOAD_TIMEOUT_MS,
    cwd: tempDir,
    env: cEnv,
  });
  if (downloaded.kind === 'failed') return failed(`apt-get download: ${downloaded.why}`);
  const file = (await readdir(tempDir)).find(
    (name) => name.startsWith(`${PACKAGE}_`) && name.endsWith('.deb'),
  );
  if (file === undefined) return failed('apt-get download left no package');
  const unpacked = await runCommand('dpkg-deb', ['-x', join(tempDir, file), unpackDir], {
    timeoutMs: UNPACK_TIMEOUT_MS,
    env: cEnv,
  });
  if (unpacked.kind === 'failed') return failed(`dpkg-deb: ${unpacked.why}`);
  return { kind: 'fetched', program: join(unpackDir, PROGRAM) };
}

/**
 * Read after the machine's own configuration, so that its proxy and certificates stay, while its hooks, pins and
 * loosened signature checks do not.
 */
function aptConfig(tempDir: string): string {
  const at = (path: string) => JSON.stringify(join(tempDir, path));
  return `#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
APT::Update::Error-Mode "any";
APT::Get::AllowUnauthenticated "false";
APT::Sandbox::User "root";
Acquire::AllowInsecureRepositories "false";
Acquire::AllowWeakRepositories "false";
Acquire::Languages "none";
Acquire::Retries "0";
Acquire::http::Timeout "${CONNECT_TIMEOUT_S}";
Acquire::https::Timeout "${CONNECT_TIMEOUT_S}";
Dir::Etc::sourcelist ${at('sources.list')};
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State::lists ${at('lists')};
Dir::State::status ${at('status')};
Dir::State::extended_states ${at('extended_states')};
Dir::Cache ${at('cache')};
`;
}

async function textOf(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(() => undefined);
}

async function firstThatExists(paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) {
    if (await stat(path).catch(() => undefined)) return path;
  }
  return undefined;
}

function hostOf(uri: string): string {
  return /^[^:]+:\/\/([^/]+)/.exec(uri)?.[1] ?? uri;
}
