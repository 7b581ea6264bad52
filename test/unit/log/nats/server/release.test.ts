// Hunts: an archive unpacked though its checksum is not the pinned one; a download that hangs, or leaves half a file.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { systemClock } from '../../../../../src/core/clock.js';
import {
  fetchRelease,
  PINNED_SHA256,
  PINNED_VERSION,
  releasePlatform,
  type ReleaseSource,
} from '../../../../../src/log/nats/server/release.js';
import { isNewEnough } from '../../../../../src/log/nats/server/version.js';

let dir: string;
let server: Server;
let source: ReleaseSource;
const requested: (string | undefined)[] = [];

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'gs-release-'));
  const folder = 'nats-server-v2.15.0-linux-amd64';
  mkdirSync(join(dir, folder));
  writeFileSync(join(dir, folder, 'nats-server'), '#!/bin/sh\necho "nats-server: v2.15.0"\n', {
    mode: 0o755,
  });
  execFileSync('tar', ['-czf', join(dir, 'release.tar.gz'), '-C', dir, folder]);
  const archive = readFileSync(join(dir, 'release.tar.gz'));
  server = createServer((request, response) => {
    requested.push(request.url);
    if (request.url === `/ok/${folder}.tar.gz`) response.end(archive);
    else if (!request.url?.startsWith('/hang')) response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  source = {
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/ok`,
    version: '2.15.0',
    platform: 'linux-amd64',
    sha256: { 'linux-amd64': createHash('sha256').update(archive).digest('hex') },
    connectTimeoutMs: 5_000,
  };
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
  rmSync(dir, { recursive: true });
});

const fetchIt = (cache: string, more: Partial<ReleaseSource> = {}) =>
  fetchRelease(
    { env: {}, clock: systemClock, cacheDir: join(dir, cache), onProgress: () => undefined },
    { ...source, ...more },
  );

describe('the release of nats-server', () => {
  it('is fetched, checked, unpacked and cached under its version', async () => {
    expect(await fetchIt('good')).toEqual({
      kind: 'found',
      path: join(dir, 'good/nats-server-2.15.0'),
      version: '2.15.0',
    });
    expect(readdirSync(join(dir, 'good'))).toEqual(['nats-server-2.15.0']);
  });

  it('is refused when its checksum is another, and nothing of it stays', async () => {
    const outcome = await fetchIt('bad', { sha256: { 'linux-amd64': '0'.repeat(64) } });
    expect(outcome).toMatchObject({
      kind: 'failed',
      why: expect.stringMatching(/SHA-256 is [0-9a-f]{64}, pinned is 0{64}/) as string,
    });
    expect(readdirSync(join(dir, 'bad'))).toEqual([]);
  });

  it('is not even asked for when no checksum is pinned for the platform', async () => {
    const before = requested.length;
    expect(await fetchIt('none', { platform: 'plan9-mips' })).toEqual({
      kind: 'failed',
      why: 'no pinned checksum for plan9-mips',
    });
    expect(requested).toHaveLength(before);
  });

  it.each([
    ['answers that there is none', '/gone', 'answers 404'],
    ['does not answer', '/hang', 'no answer within 0.1 s'],
  ])('is given up with a reason when the site %s', async (_name, path, why) => {
    const outcome = await fetchIt('off', {
      baseUrl: source.baseUrl.replace('/ok', path),
      connectTimeoutMs: 100,
    });
    expect(outcome).toMatchObject({ kind: 'failed', why: expect.stringContaining(why) as string });
  });

  it('is given up with a reason when nothing listens', async () => {
    const outcome = await fetchIt('off', { baseUrl: 'http://127.0.0.1:1', connectTimeoutMs: 1_000 });
    expect(outcome).toMatchObject({
      kind: 'failed',
      why: expect.stringMatching(/^cannot download: \S/) as string,
    });
    expect(readdirSync(join(dir, 'off'))).toEqual([]);
  });

  it('is pinned to a version that is new enough, with whole checksums, for the platforms that Node names', () => {
    expect(isNewEnough(PINNED_VERSION)).toBe(true);
    for (const sum of Object.values(PINNED_SHA256)) expect(sum).toMatch(/^[0-9a-f]{64}$/);
    expect(new Set(Object.values(PINNED_SHA256)).size).toBe(Object.keys(PINNED_SHA256).length);
    for (const [system, arch] of [
      ['linux', 'x64'],
      ['linux', 'arm64'],
      ['darwin', 'x64'],
      ['darwin', 'arm64'],
    ] as const) {
      expect(PINNED_SHA256, `${system} ${arch}`).toHaveProperty(releasePlatform(system, arch));
    }
  });
});
