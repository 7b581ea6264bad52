/**
 * Reads the machine's apt sources and picks the Debian archive mirror that the machine itself uses. Pure: text in,
 * addresses out. Knows both formats, one-line (`sources.list`) and deb822 (`*.sources`); see sources.list(5).
 */
export interface AptSource {
  readonly uris: readonly string[];
  readonly suites: readonly string[];
  readonly components: readonly string[];
  /** Keyring paths, key ids or the text of a key, as written. */
  readonly signedBy: string | undefined;
}

/** A source named by an alias of its release follows the same archive. */
const ALIASES: ReadonlySet<string> = new Set(['stable', 'testing', 'unstable', 'sid']);

const ONE_LINE = /^deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s*(.*)$/;

/** Binary-package sources of a file in the one-line format. */
export function parseOneLine(text: string): AptSource[] {
  const sources: AptSource[] = [];
  for (const line of text.split('\n')) {
    const match = ONE_LINE.exec(line.replace(/#.*$/, '').trim());
    if (!match) continue;
    const [, options = '', uri, suite, components = ''] = match;
    const signedBy = words(options).find((option) => option.toLowerCase().startsWith('signed-by='));
    sources.push({
      uris: [uri!],
      suites: [suite!],
      components: words(components),
      signedBy: signedBy?.slice('signed-by='.length),
    });
  }
  return sources;
}

/** Enabled binary-package sources of a file in the deb822 format. */
export function parseDeb822(text: string): AptSource[] {
  const sources: AptSource[] = [];
  const withoutComments = text
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .join('\n');
  for (const stanza of withoutComments.split(/\n\s*\n/)) {
    const fields = fieldsOf(stanza);
    const enabled = !/^(no|false|without|off|disable|0)$/i.test(fields.get('enabled') ?? 'yes');
    if (!enabled || !words(fields.get('types') ?? '').includes('deb')) continue;
    sources.push({
      uris: words(fields.get('uris') ?? ''),
      suites: words(fields.get('suites') ?? ''),
      components: words(fields.get('components') ?? ''),
      signedBy: fields.get('signed-by'),
    });
  }
  return sources;
}

function fieldsOf(stanza: string): Map<string, string> {
  const fields = new Map<string, string>();
  let name: string | undefined;
  for (const line of stanza.split('\n')) {
    const field = /^([A-Za-z0-9-]+):(.*)$/.exec(line);
    if (field) {
      name = field[1]!.toLowerCase();
      fields.set(name, field[2]!.trim());
    } else if (name !== undefined && /^\s/.test(line)) {
      fields.set(name, `${fields.get(name)!} ${line.trim()}`.trim());
    }
  }
  return fields;
}

/**
 * Addresses of the Debian archive among the sources, most certain first. A source counts when it carries the machine's
 * own release and the component main, and nothing speaks against its being Debian's: the security archive lacks the
 * other suites, and a keyring that is not Debian's means a third party.
 */
export function debianMirrors(sources: readonly AptSource[], codename: string): string[] {
  const ranked: { uri: string; rank: number }[] = [];
  for (const source of sources) {
    const named = source.suites.includes(codename);
    const debianKey =
      source.signedBy === undefined ? undefined : /\/debian-archive-[^/\s]*$/m.test(source.signedBy);
    if (debianKey === false || !source.components.includes('main')) continue;
    if (!named && !source.suites.some((suite) => ALIASES.has(suite))) continue;
    for (const raw of source.uris) {
      const uri = raw.replace(/\/+$/, '');
      if (!/^(https?|mirror|tor|file|copy)\b/.test(uri) || uri.includes('security')) continue;
      const debianPath = /\/debian(\.list)?$/.test(uri);
      if (!named && debianKey !== true && !debianPath) continue;
      if (ranked.some((known) => known.uri === uri)) continue;
      ranked.push({ uri, rank: Number(debianKey === true) * 4 + Number(debianPath) * 2 + Number(named) });
    }
  }
  return ranked.sort((a, b) => b.rank - a.rank).map(({ uri }) => uri);
}

function words(text: string): string[] {
  return text.split(/[\s]+/).filter((word) => word !== '');
}
