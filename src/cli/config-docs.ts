/**
 * Renders docs/CONFIG.md from the schemas of a node, a region and a model. A test holds the file equal to this, and
 * writes it anew when asked to (`npm run docs`).
 */
import { linearModelSchema } from '../model/linear.js';
import { regionSchema } from '../ingest/region.js';
import { CONFIG_FILE, CONFIG_FILE_VARIABLE, flagName } from './config-origins.js';
import { OTHER_VARIABLES, START_KEYS } from './config-schema.js';
import { schemaKeys, type SchemaKey } from './schema-keys.js';
import { width } from './screen.js';

/** The keys of a node by what they are about; every key stands in one section. */
const SECTIONS: readonly { readonly title: string; readonly takes: (key: string) => boolean }[] = [
  {
    title: 'The region and its data',
    takes: (key) => ['region', 'regionFile', 'name', 'data'].includes(key),
  },
  {
    title: 'Several nodes',
    takes: (key) => ['workers', 'weight', 'standbys'].includes(key),
  },
  { title: 'NATS', takes: (key) => key.startsWith('nats.') },
  { title: 'HTTP', takes: (key) => key.startsWith('http.') || key === 'readyLagMax' },
  { title: 'Logs', takes: (key) => key.startsWith('log.') },
  { title: 'Base snapshots', takes: (key) => key.startsWith('bases.') },
  { title: 'What is kept, and for how long', takes: (key) => /\.(retention|maxStore)$/.test(key) },
];

/** A file as an operator might write it; a test reads it. */
export const EXAMPLE_FILE = `region: sf
data: /var/lib/groundswell/sf
nats:
  url: nats://10.0.0.11:4222,nats://10.0.0.12:4222,nats://10.0.0.13:4222
  credentials: /etc/groundswell/sf.creds
http:
  host: 127.0.0.1
  port: 7380
log:
  level: info
sides:
  retention: 14d
`;

export function configDocs(): string {
  return `# Configuration

Three files configure Groundswell: one for the node, one for each region, one for each model. This page is made from the
schemas that check them; \`npm run docs\` writes it.

An unknown key is an error and names the nearest known one; so is a wrong value, with the file and the key, the variable or the
flag that it came from. Durations are written \`250ms\`, \`5s\`, \`10m\`, \`24h\` or \`7d\`; sizes \`512MiB\`, \`64GiB\` or \`1TiB\`.

## The node

What \`groundswell start\` runs with. A value is looked for in this order, and the first place that has one wins:

1. a flag;
2. an environment variable that is not empty;
3. the configuration file: the one that \`--config-file\` or \`${CONFIG_FILE_VARIABLE}\` names, else \`${CONFIG_FILE}\` in the working
   folder if it is there;
4. the default.

The effective values, and where each comes from, are shown by:

\`\`\`sh
groundswell config show --region sf --http 8080
groundswell config show --region sf --json
\`\`\`

Nothing is started for that; secrets are shown as \`…\`. A configuration file has the keys of the tables below, those with a dot
as sections:

\`\`\`yaml
${EXAMPLE_FILE}\`\`\`

A relative path in the file counts from the file’s folder, one in a flag or variable from the working folder. Secrets have no
flag, because the command lines of a machine can be read by everybody on it. An unknown variable that begins with
\`GROUNDSWELL_\` gives a warning with the nearest known one.

${SECTIONS.map(({ title, takes }) => `### ${title}\n\n${nodeTable(takes)}`).join('\n\n')}

### Other variables

${markdownTable(
  ['environment', 'meaning'],
  Object.entries(OTHER_VARIABLES).map(([name, what]) => [code(name), what]),
)}

A certificate authority of your own, for a nats-server with TLS, is given to Node by its variable \`NODE_EXTRA_CA_CERTS\`.

## A region

A YAML file in \`config/regions/\`, named as the region: \`config/regions/sf.yaml\` is one. Another place is given by \`--config\`.
\`groundswell check --region sf\` checks it together with its model.

${schemaTable(schemaKeys(regionSchema))}

## A model

A JSON file in \`config/models/\`; a region names it by the key \`model\`. How the score comes about is told in
[ARCHITECTURE.md](ARCHITECTURE.md#scoring); \`config/models/surge-linear.json\` is the one that is shipped.

${schemaTable(schemaKeys(linearModelSchema))}
`;
}

function nodeTable(takes: (key: string) => boolean): string {
  return markdownTable(
    ['key', 'environment', 'flag', 'default', 'meaning'],
    START_KEYS.filter(({ key }) => takes(key)).map(
      ({ key, env, flag, byDefault, otherwise, words, what }) => [
        code(key),
        code(env),
        flag === undefined ? '–' : code(flagName(flag)),
        byDefault === undefined ? (otherwise ?? '–') : code(String(byDefault)),
        words.length === 0 ? what : `${words.map(code).join(', ')}: ${what}`,
      ],
    ),
  );
}

function schemaTable(keys: readonly SchemaKey[]): string {
  return markdownTable(
    ['key', 'default', 'meaning'],
    keys.map(({ path, byDefault, required, description = '' }) => [
      code(path),
      required ? 'required' : byDefault === undefined ? '–' : code(defaultText(byDefault)),
      description,
    ]),
  );
}

function defaultText(value: unknown): string {
  return Array.isArray(value) ? `[${value.join(', ')}]` : String(value);
}

function code(text: string): string {
  return `\`${text}\``;
}

/** Columns aligned as the formatter of the project aligns them. */
function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = [head, ...rows].map((row) =>
    row.map((cell) => cell.replaceAll('|', '\\|').replaceAll('<', '\\<')),
  );
  const widths = head.map((_, column) => Math.max(...cells.map((row) => width(row[column]!))));
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, column) => cell + ' '.repeat(widths[column]! - width(cell))).join(' | ')} |`;
  const [top, ...below] = cells.map(line) as [string, ...string[]];
  return [top, `| ${widths.map((columns) => '-'.repeat(columns)).join(' | ')} |`, ...below].join('\n');
}
