// Hunts: a third party's or the security archive taken for Debian's own mirror; a source in the other format overlooked.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

import { debianMirrors, parseDeb822, parseOneLine } from '../../../../../src/log/nats/server/apt-sources.js';
import { machineSources, parseOsRelease } from '../../../../../src/log/nats/server/debian.js';

const DEB822 = `Types: deb deb-src
# http://snapshot.example/archive
URIs: http://mirror.example/debian/
Suites: bookworm bookworm-updates
Components: main
  contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

types: deb
uris: http://mirror.example/debian-security
suites: bookworm-security
components: main
signed-by: /usr/share/keyrings/debian-archive-keyring.gpg

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main
`;

describe('apt sources', () => {
  it('are read from deb822 files: names in any case, comments, continued lines, disabled stanzas left out', () => {
    const sources = parseDeb822(DEB822);
    expect(sources).toHaveLength(2);
    expect(sources[0]).toEqual({
      uris: ['http://mirror.example/debian/'],
      suites: ['bookworm', 'bookworm-updates'],
      components: ['main', 'contrib'],
      signedBy: '/usr/share/keyrings/debian-archive-keyring.gpg',
    });
  });

  it('are read from one-line files: options, comments, source packages left out', () => {
    const sources = parseOneLine(`# deb http://no.example/debian bookworm main
deb [ arch=amd64 signed-by=/etc/apt/keyrings/other.asc ] https://third.example bookworm main # theirs
deb-src http://mirror.example/debian bookworm main
deb http://mirror.example/debian bookworm main contrib
`);
    expect(sources).toEqual([
      {
        uris: ['https://third.example'],
        suites: ['bookworm'],
        components: ['main'],
        signedBy: '/etc/apt/keyrings/other.asc',
      },
      {
        uris: ['http://mirror.example/debian'],
        suites: ['bookworm'],
        components: ['main', 'contrib'],
        signedBy: undefined,
      },
    ]);
  });

  it('name the archive that the machine itself uses, not the security archive and no third party', () => {
    const sources = [
      ...parseOneLine(
        'deb [signed-by=/usr/share/keyrings/hashicorp.gpg] https://apt.third.example bookworm main',
      ),
      ...parseOneLine('deb https://download.docker.example/linux/debian bookworm stable'),
      ...parseOneLine('deb http://security.debian.example/debian bookworm main'),
      ...parseOneLine('deb cdrom:[Debian 12]/ bookworm main'),
      ...parseOneLine('deb https://unsigned.example/repo bookworm main'),
      ...parseDeb822(DEB822),
    ];
    expect(debianMirrors(sources, 'bookworm')).toEqual([
      'http://mirror.example/debian',
      'https://unsigned.example/repo',
    ]);
    expect(debianMirrors(sources, 'trixie')).toEqual([]);
  });

  it('may name the release by its alias, and the mirrors by a list file', () => {
    const alias = parseOneLine(
      'deb http://mirror.example/debian testing main\ndeb http://other.example/apt stable main',
    );
    expect(debianMirrors(alias, 'forky')).toEqual(['http://mirror.example/debian']);
    const list = parseDeb822(
      'Types: deb\nURIs: mirror+file:///etc/apt/mirrors/debian.list\nSuites: trixie\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.pgp',
    );
    expect(debianMirrors(list, 'trixie')).toEqual(['mirror+file:///etc/apt/mirrors/debian.list']);
  });

  it('refuse a key written into the source: nothing tells whose it is', () => {
    const stanza =
      'Types: deb\nURIs: http://x.example/debian\nSuites: bookworm\nComponents: main\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mDME\n';
    expect(debianMirrors(parseDeb822(stanza), 'bookworm')).toEqual([]);
  });

  it('are gathered from sources.list and sources.list.d in both formats; other files are none', async () => {
    const apt = await mkdtemp(join(tmpdir(), 'gs-apt-'));
    try {
      expect(await machineSources(apt)).toEqual([]);
      await mkdir(join(apt, 'sources.list.d'));
      await writeFile(join(apt, 'sources.list'), 'deb http://a.example/debian bookworm main\n');
      await writeFile(join(apt, 'sources.list.d/debian.sources'), DEB822);
      await writeFile(
        join(apt, 'sources.list.d/old.list.save'),
        'deb http://b.example/debian bookworm main\n',
      );
      expect((await machineSources(apt)).flatMap((source) => source.uris)).toEqual([
        'http://a.example/debian',
        'http://mirror.example/debian/',
        'http://mirror.example/debian-security',
      ]);
    } finally {
      await rm(apt, { recursive: true });
    }
  });
});

it('os-release is read with and without quotes', () => {
  const release = parseOsRelease('NAME="Debian GNU/Linux"\nVERSION_CODENAME=bookworm\nID=debian\n');
  expect([release.get('NAME'), release.get('VERSION_CODENAME'), release.get('ID')]).toEqual([
    'Debian GNU/Linux',
    'bookworm',
    'debian',
  ]);
});
