/**
 * nats-server from the project's own GitHub release. Only archives whose SHA-256 stands in the table below are ever
 * unpacked. Raising the version means replacing every line of the table from the release's `SHA256SUMS`.
 *
 * Source of the checksums: nats-io/nats-docker, 2.15.x/alpine3.22/Dockerfile at 6299853 (Linux); for macOS the same
 * values in several projects that pin this release.
 */
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';

import type { Clock } from '../../../core/clock.js';
import { messageOf } from '../../../core/errors.js';
import { fetchIntoCache, type Fetched } from './cache.js';
import { runCommand } from './command.js';
import { failed, type Failed, type Found, type Search, type Way } from './way.js';

export const PINNED_VERSION = '2.15.0';

/** SHA-256 of `nats-server-v<version>-<platform>.tar.gz`. */
export const PINNED_SHA256: Readonly<Record<string, string>> = {
  'linux-amd64': '5d2c51caca950333aba84911df7d377f826f3a59ec36061c6539105084f65c92',
  'linux-arm64': 'cdc208f5a3f42963a52b6ab06ef65626bb870315dc936e26ba571780c6351112',
  'linux-arm6': 'e29421c251dda2003d16b8d503124a0d690d05f4e018923be7e5e64b446e42c2',
  'linux-386': 'f572eccdbb35ab5c7fef7703a5b6ca49e55d039e441920ba5478972ecdcf7a47',
  'linux-s390x': 'ac50bf4adc8fa6db575ed9293417b6fbec746e71cc9d360aea5cd447e4207bfc',
  'linux-ppc64le': 'a402bf73f91f674735cc85aa0e7d06d5dfa3044b98cda6ea9937cfee4e05a266',
  'linux-loong64': 'fdce4b595b4b3a9f83d07ee310334b68a0723c799e969c9ab77f3105158fd64e',
  'darwin-amd64': '5bd8b59ca5bf93fab3da2c5843cf564cd6e2e291e22ae3b861746e7ebe259b95',
  'darwin-arm64': 'e1c4e22d70bd44abfa0bcb3c16f7cf0c66f648c2e728c58924e8a1ce88913cc8',
};

export interface ReleaseSource {
  /** Folder URL that holds the archives, without a slash at the end. */
  readonly baseUrl: string;
  readonly version: string;
  readonly platform: string;
  readonly sha256: Readonly<Record<string, string>>;
  readonly connectTimeoutMs: number;
}

const DOWNLOAD_TIMEOUT_MS = 120_000;
const UNPACK_TIMEOUT_MS = 60_000;
const ARCHIVE_BYTES_MAX = 100_000_000;

export const releaseWay: Way = {
  name: 'GitHub release',
  how: `Download nats-server v${PINNED_VERSION} or newer from the project's releases page by hand and set GROUNDSWELL_NATS_SERVER to it.`,
  look: (search) =>
    fetchRelease(search, {
      baseUrl: `https://github.com/nats-io/nats-server/releases/download/v${PINNED_VERSION}`,
      version: PINNED_VERSION,
      platform: releasePlatform(process.platform, process.arch),
      sha256: PINNED_SHA256,
      connectTimeoutMs: 10_000,
    }),
};

/** The release's name for a platform of Node's: `linux-amd64`. */
export function releasePlatform(system: string, arch: string): string {
  const names: Readonly<Record<string, string>> = {
    x64: 'amd64',
    ia32: '386',
    arm: 'arm6',
    ppc64: 'ppc64le',
  };
  return `${system}-${names[arch] ?? arch}`;
}

export async function fetchRelease(search: Search, source: ReleaseSource): Promise<Found | Failed> {
  const expected = source.sha256[source.platform];
  if (expected === undefined) return failed(`no pinned checksum for ${source.platform}`);
  const folder = `nats-server-v${source.version}-${source.platform}`;
  search.onProgress(`nats-server: fetching release ${source.version} for ${source.platform} from GitHub …`);
  return fetchIntoCache(search, async (tempDir): Promise<Fetched> => {
    const archive = join(tempDir, 'archive.tar.gz');
    const downloaded = await download(
      `${source.baseUrl}/${folder}.tar.gz`,
      archive,
      search.clock,
      source.connectTimeoutMs,
    );
    if (downloaded.kind === 'failed') return downloaded;
    if (downloaded.sha256 !== expected)
      return failed(`the archive's SHA-256 is ${downloaded.sha256}, pinned is ${expected}`);
    const member = `${folder}/nats-server`;
    const unpacked = await runCommand('tar', ['-xzf', archive, '-C', tempDir, member], {
      timeoutMs: UNPACK_TIMEOUT_MS,
    });
    if (unpacked.kind === 'failed') return failed(`tar: ${unpacked.why}`);
    return { kind: 'fetched', program: join(tempDir, member) };
  });
}

type Downloaded = { readonly kind: 'downloaded'; readonly sha256: string } | Failed;

async function download(
  url: string,
  file: string,
  clock: Clock,
  connectTimeoutMs: number,
): Promise<Downloaded> {
  const aborter = new AbortController();
  const abortAfter = (ms: number, why: string) =>
    clock.after(ms, () => {
      aborter.abort(new Error(why));
    });
  const cancelTotal = abortAfter(DOWNLOAD_TIMEOUT_MS, `not downloaded after ${DOWNLOAD_TIMEOUT_MS / 1000} s`);
  const cancelConnect = abortAfter(connectTimeoutMs, `no answer within ${connectTimeoutMs / 1000} s`);
  try {
    const response = await fetch(url, { signal: aborter.signal });
    cancelConnect();
    if (!response.ok || response.body === null) return failed(`${url} answers ${response.status}`);
    const hash = createHash('sha256');
    const target = await open(file, 'wx');
    try {
      let bytes = 0;
      for await (const chunk of response.body) {
        bytes += (chunk as Uint8Array).byteLength;
        if (bytes > ARCHIVE_BYTES_MAX) return failed(`the archive is larger than ${ARCHIVE_BYTES_MAX} bytes`);
        hash.update(chunk as Uint8Array);
        await target.writeFile(chunk as Uint8Array);
      }
    } finally {
      await target.close();
    }
    return { kind: 'downloaded', sha256: hash.digest('hex') };
  } catch (thrown) {
    // fetch says only "fetch failed"; what failed is in its cause.
    const cause = thrown instanceof Error && thrown.cause !== undefined ? thrown.cause : thrown;
    return failed(`cannot download: ${messageOf(cause)}`);
  } finally {
    cancelConnect();
    cancelTotal();
  }
}
